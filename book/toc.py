"""The pages of the book, in the order of `_toc.yml`, as Jupyter Book reads it."""

import sys
from pathlib import Path

from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml
from yaml import YAMLError

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "content" / "_template.md"  # what `make new-chapter` copies
#: Cells with these tags are not shown, or folded, on the website.
HIDDEN = ("remove-cell", "remove-input", "hide-cell", "hide-input")


def parts(root=ROOT):
    """Return the paths of the pages, a list for each part; the root page is the first part.

    Exits with a message if the table of contents cannot be read or lists a missing page.
    """
    toc = root / "_toc.yml"
    try:
        site_map = parse_toc_yaml(toc)
    except (MalformedError, YAMLError, OSError, TypeError, AttributeError) as error:
        sys.exit(f"{toc.name} is not a table of contents: {error}")

    def below(name):
        yield page(name, toc)
        for child in site_map[name].child_files():
            yield from below(child)

    start = site_map.root
    trees = [[path for name in tree.files() for path in below(name)] for tree in start.subtrees]
    return [[page(start.docname, toc)], *trees]


def pages():
    """Return the paths of all pages."""
    return [path for part in parts() for path in part]


def page(name, toc):
    """Return the path of one page that the table of contents lists."""
    path = toc.parent / name
    for candidate in (path, path.with_name(f"{path.name}.md"), path.with_name(f"{path.name}.rst")):
        if candidate.is_file():
            return candidate
    lines = toc.read_text(encoding="utf-8").splitlines()
    number = next((n for n, line in enumerate(lines, 1) if line.rstrip().endswith(name)), 1)
    sys.exit(f"{toc.name}:{number}: there is no page {name}.md")


def chapters():
    """Return the paths of the pages that hold code."""
    return [path for path in pages() if "\n```{code-cell}" in path.read_text(encoding="utf-8")]


def is_lesson(path):
    """Tell whether a page has exercises."""
    return "{exercise-start}" in path.read_text(encoding="utf-8")


def lessons():
    """Return the chapters with exercises."""
    return [path for path in chapters() if is_lesson(path)]


def handouts():
    """Return the chapters to hand out as notebooks: those that show code to their readers."""
    import jupytext

    def shown(cell):
        return cell.cell_type == "code" and not {*HIDDEN} & {*cell.metadata.get("tags", ())}

    return [path for path in chapters() if any(map(shown, jupytext.read(path).cells))]
