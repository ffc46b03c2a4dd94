"""Make the notebooks that people download, from the chapters.

Four editions of each chapter, in plain Markdown that any Jupyter shows:

- `participant`: explanations, exercises and stubs; no solutions, no outputs;
- `complete`: with the solutions, folded, and the outputs of the last `make book`;
- `instructor`: the complete one with the presenter's notes, and beside each solution what
  people type instead;
- `live`: the presenter's script: headings, notes, the code to type, the target of each
  exercise. Cells that only draw are folded: they are run, not typed.

Directives and roles of MyST become ordinary Markdown. They are found by MyST's own parser,
and only their lines are replaced. Images travel inside the notebook.

Usage: python book/editions.py        (from the top of the repository; `make notebooks` does it)
"""

import base64
import copy
import hashlib
import os
import re
import sys
from functools import cache
from html import escape
from mimetypes import guess_type

import jupytext
import nbformat
from jupyter_cache import get_cache
from myst_parser.config.main import MdParserConfig
from myst_parser.mdit_to_docutils.base import DocutilsRenderer
from myst_parser.parsers.mdit import create_md_parser
from nbconvert.preprocessors import TagRemovePreprocessor
from pybtex.backends.markdown import Backend
from pybtex.database import parse_file
from pybtex.style.formatting.unsrt import Style
from toc import ROOT, chapters

CONTENT = ROOT / "content"
CACHE = ROOT / "_build" / ".jupyter_cache"
OUT = ROOT / "build" / "site" / "notebooks"
WITHOUT = {  # the tags of the cells that an edition leaves out
    "participant": {"solution", "presenter"},
    "complete": {"presenter"},
    "instructor": set(),
    "live": {"solution", "exercise"},
}
EDITIONS = tuple(WITHOUT)
EXECUTED = ("complete", "instructor")
EXTENSIONS = {"amsmath", "colon_fence", "deflist", "dollarmath", "linkify"}

INSTALL = """\
# On Colab or another computer without the course, this installs it.
from importlib.util import find_spec
{imports}
if find_spec("workshop_utils") is None or find_spec("nemos") is None:
{install}"""
FOR_PRESENTERS = """\


**For the presenter's own screen.** Type these cells into an empty notebook that the class sees. \
Those that only draw are folded: drag them over."""
FROM_SITE = '    %pip install --quiet "workshop-utils[course] @ {wheel}"'
FROM_CLONE = """\
    clones = [
        folder
        for folder in (Path.cwd(), *Path.cwd().parents)
        for file in folder.glob("pyproject.toml")
        if 'name = "workshop-utils"' in file.read_text(encoding="utf-8")
    ]
    if not clones:
        raise ModuleNotFoundError(
            "The course is not installed in this Python, and its folder is not above "
            "this notebook. In the folder of the course type 'make book', then "
            "'.venv/bin/jupyter lab', and open this file there."
        )
    %pip install --quiet "{clones[0]}[course]\""""


class Unknown(ValueError):
    """Markup that would be left raw in a notebook."""


@cache
def parser():
    """Return MyST's parser with the extensions of the book."""
    return create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), DocutilsRenderer)


class Book:
    """What a chapter may refer to: headings; figures, equations, exercises by number; works."""

    def __init__(self, paths):
        self.chapters = {path.stem for path in paths}
        self.titles, self.numbers = {}, {}
        figures = equations = exercises = 0
        for path in paths:
            for cell in jupytext.read(path).cells:
                if cell.cell_type == "code":
                    figure = cell.metadata.get("mystnb", {}).get("figure")
                    if figure:
                        figures += 1
                        self.numbers[figure["name"]] = figures
                    continue
                target = None
                for token in parser().parse(cell.source):
                    name, _, options, _ = directive(token)
                    if name == "math" and "label" in options:
                        equations += 1
                        self.numbers[options["label"]] = equations
                    elif name == "exercise-start":
                        exercises += 1
                        self.numbers[options["label"]] = exercises
                    elif token.type == "myst_target":
                        target = token.content
                    elif token.type == "inline" and target:  # the heading after a target
                        self.titles[target] = token.content
                        target = None
        self.literature = parse_file(CONTENT / "references.bib").entries
        self.address = os.environ.get("COURSE_URL", "").rstrip("/")

    def cited(self, keys, textual):
        """Return a citation: authors and year, linked to the publication."""
        parts = []
        for key in keys.split(","):
            entry = self.literature[key.strip()]
            people = entry.persons.get("author", ())
            names = [" ".join(person.last_names) for person in people]
            authors = names[0] if names else entry.fields["title"]
            if len(names) == 2:
                authors += " and " + names[1]
            elif len(names) > 2:
                authors += " et al."
            year = entry.fields["year"]
            text = f"{authors} ({year})" if textual else f"{authors}, {year}"
            address = (
                f"https://doi.org/{entry.fields['doi']}"
                if "doi" in entry.fields
                else entry.fields.get("url")
            )
            parts.append(f"[{text}]({address})" if address else text)
        joined = (", " if textual else "; ").join(parts)
        return joined if textual else f"({joined})"

    def references(self, keys):
        """Return the list of the works cited, as Markdown."""
        entries = [self.literature[key] for key in sorted(keys)]
        lines = [
            "- " + " ".join(entry.text.render(Backend()).split())
            for entry in Style().format_entries(entries)
        ]
        return "## References\n\n" + "\n".join(lines)


def directive(token):
    """Return a directive's name, argument, options and body; no name for other tokens."""
    if token.type not in ("fence", "colon_fence") or not token.info.startswith("{"):
        return "", "", {}, ""
    name, _, argument = token.info.partition("}")
    lines = token.content.splitlines()
    options = {}
    while lines and (found := re.match(r":([\w-]+):\s*(.*)", lines[0])):
        options[found[1]] = found[2]
        lines.pop(0)
    return name[1:], argument.strip(), options, "\n".join(lines).strip("\n")


def folded(title, body):
    """Return a part that opens at a click. It says so: jupyterlab-myst hides the triangle."""
    return f"<details>\n<summary><b>{title}</b> (click)</summary>\n\n{body}\n\n</details>"


def block(token, book):
    """Return the plain Markdown for a directive or a target."""
    name, argument, options, body = directive(token)
    if token.type == "myst_target":
        return ""
    if name == "math":
        number = book.numbers.get(options.get("label"))
        tag = f"\n\\tag{{{number}}}" if number else ""
        # With jupyterlab-myst, anything but a starred environment gets a second number.
        return f"$$\n\\begin{{equation*}}\n{body.strip()}{tag}\n\\end{{equation*}}\n$$"
    if name == "exercise-start":
        number = book.numbers[options["label"]]
        return f"### Exercise {number}: {argument}\n\n{plain(body, book)}".rstrip()
    if name == "solution-start":
        return f"**Solution to Exercise {book.numbers[argument]}**"
    if name in ("exercise-end", "solution-end"):
        return ""
    if name == "dropdown":
        if "{math}" in body:  # jupyterlab-myst leaves it raw
            raise Unknown("a formula in a {dropdown}")
        return folded(argument, plain(body, book))
    if name == "admonition":
        if "dropdown" in options.get("class", ""):
            return folded(argument, plain(body, book))
        return quoted(f"**{argument}**\n\n{plain(body, book)}")
    if name == "include":
        text = (CONTENT / argument).read_text(encoding="utf-8")
        return plain(text, book).strip()
    raise Unknown(f"the directive {{{name}}}")


def role(token, book):
    """Return the plain Markdown for a role."""
    name, text = token.meta["name"], token.content
    words, _, target = text.rpartition(" <")
    target = target.rstrip(">")
    if name == "math":
        return f"${text}$"
    if name in ("cite:p", "cite:t"):
        return book.cited(text, textual=name == "cite:t")
    if name == "eq":
        return f"({book.numbers[text]})"
    if name == "numref":
        return f"Figure {book.numbers[text]}"
    if name == "term":
        return words or target or text
    raise Unknown(f"the role {{{name}}}")


def link(token, book):
    """Return the address that a link has in a notebook, or nothing if there is none."""
    address = token.attrs["href"]
    if re.match(r"[a-z]+:", address):
        return address
    page, _, anchor = address.partition("#")
    if not page:
        return "#" + book.titles[anchor].replace(" ", "-")
    slug = page.removesuffix(".md")
    if slug in book.chapters:
        return f"{slug}.ipynb"
    return f"{book.address}/content/{slug}.html" if book.address else None


def replaced_inline(text, tokens, book):
    """Return a stretch of Markdown with its roles and links replaced."""
    opened = None
    for token in tokens:
        if token.type == "myst_role":
            raw = f"{{{token.meta['name']}}}`{token.content}`"
            start = text.index("{" + token.meta["name"] + "}`")
            end = text.index("`", start + len(token.meta["name"]) + 3) + 1
            if " ".join(text[start:end].split()) != " ".join(raw.split()):
                raise Unknown(f"the role in {text[start:end]!r}")
            text = text[:start] + role(token, book) + text[end:]
        elif token.type == "link_open":
            opened = token
        elif token.type == "link_close" and opened and opened.markup != "autolink":
            old, new = opened.attrs["href"], link(opened, book)
            if new is None:  # a page that does not travel with the notebook: keep the words
                text = re.sub(r"\[([^\]]*)\]\(" + re.escape(old) + r"\)", r"\1", text, count=1)
            elif new != old:
                text = text.replace(f"]({old})", f"]({new})", 1)
    return text


def plain(source, book):
    """Return MyST Markdown as plain Markdown.

    Raises
    ------
    Unknown
        For a directive or role that this edition has no plain form for.
    """
    lines = source.splitlines()
    # Later blocks first, so that the line numbers of earlier ones stay true.
    blocks = []
    for token in parser().parse(source):
        if token.type == "inline" and token.map:
            blocks.append(token)
        elif token.type == "myst_target" or directive(token)[0]:
            blocks.append(token)
        elif token.type in ("dl_open", "amsmath", "math_block", "substitution_block"):
            raise Unknown(token.type)
    for start, end in sorted({tuple(token.map) for token in blocks}, reverse=True):
        text = "\n".join(lines[start:end])
        here = [token for token in blocks if tuple(token.map) == (start, end)]
        if here[0].type == "inline":  # the cells of a row share its line
            children = [child for token in here for child in token.children or ()]
            text = replaced_inline(text, children, book)
        else:
            text = block(here[0], book)
        lines[start:end] = text.split("\n")
    text = "\n".join(lines).strip("\n")
    return re.sub(r"\n{3,}", "\n\n", text)


def embed_images(text):
    """Return Markdown whose images are in it.

    As HTML: VS Code takes no SVG in Markdown's own form, and JupyterLab none from attachments.
    Colab shows no SVG in any form; the description is what remains there.
    """
    for token in parser().parse(text):
        for child in token.children or ():
            address = child.attrs.get("src", "") if child.type == "image" else ""
            if address and not re.match(r"[a-z]+:", address):
                data = base64.b64encode((CONTENT / address).read_bytes()).decode()
                source = f"data:{guess_type(address)[0]};base64,{data}"
                image = f'<img alt="{escape(child.content)}" src="{source}">'
                text = text.replace(f"![{child.content}]({address})", image)
    return text


def first_cells(slug, kind, book):
    """Return the two cells that a downloaded notebook begins with."""
    where = f" On the web: {book.address}/content/{slug}.html" if book.address else ""
    about = (
        f"*A chapter of the course* From spikes to models.{where}\n\n"
        "Run the cells from top to bottom (Shift + Enter). The next cell looks for the course's "
        "package and changes nothing where it is installed."
    )
    if kind == "live":
        about += FOR_PRESENTERS
    if book.address:
        wheel = next((ROOT / "build" / "site").glob("*.whl")).name
        imports, install = "", FROM_SITE.format(wheel=f"{book.address}/{wheel}")
    else:
        imports, install = "from pathlib import Path\n", FROM_CLONE
    return [
        nbformat.v4.new_markdown_cell(about),
        nbformat.v4.new_code_cell(INSTALL.format(imports=imports, install=install)),
    ]


def edition(path, kind, book):
    """Return one chapter as a notebook that needs no extension."""
    notebook = jupytext.read(path)
    if kind in EXECUTED:
        notebook = executed(notebook)
    remove = TagRemovePreprocessor(enabled=True, remove_cell_tags=WITHOUT[kind])
    notebook, _ = remove.preprocess(notebook, {})
    cells, cited = first_cells(path.stem, kind, book), set()
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "remove-cell"]
        figure = cell.metadata.get("mystnb", {}).get("figure")
        wrong = cell.metadata.get("wrong")
        if cell.cell_type == "markdown":
            cited |= citations(cell.source)
            try:
                cell.source = plain(cell.source, book)
            except Unknown as unknown:
                raise SystemExit(
                    f"{path.name}: {unknown} has no plain form for notebooks. Write it "
                    f"differently, or teach it to book/editions.py. The cell begins with\n"
                    f"{cell.source[:200]}"
                ) from None
            if "presenter" in tags:
                cell.source = quoted(f"**Presenter** · {cell.source}")
            elif kind == "live":
                cell.source = outline(cell.source)
            if not cell.source:
                continue
            cell.source = embed_images(cell.source)
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code" and "solution" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
        elif figure and kind == "live":
            cell.metadata["jupyter"] = {"source_hidden": True}
        cells.append(cell)
        if figure and kind != "live":
            number = book.numbers[figure["name"]]
            words = plain(figure["caption"], book)
            caption = nbformat.v4.new_markdown_cell(f"**Figure {number}.** {words}")
            if tags:
                caption.metadata["tags"] = tags
            cells.append(caption)
        if wrong and kind == "instructor":
            cells.append(wrong_answers(wrong))
    if cited and kind != "live":
        cells.append(nbformat.v4.new_markdown_cell(book.references(cited)))
    name_cells(cells)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(made)
    return made


def quoted(text):
    """Return Markdown as a quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def outline(text):
    """Return the headings and the targets of exercises in plain Markdown."""
    kept, heading = [], ""
    for token in parser().parse(text):
        if token.type == "heading_open":
            heading = token.markup
        elif token.type == "inline":
            target = token.content.find("**Target:**")
            if heading:
                kept.append(f"{heading} {token.content}")
            elif target >= 0:
                kept.append(token.content[target:])
            heading = ""
    return "\n\n".join(kept)


def wrong_answers(answers):
    """Return the cell that shows, beside a solution, what people type instead."""
    lines = ["**Presenter** · What people type, and what the check says:"]
    for answer in answers:
        lines.append(f"```python\n{answer['answer'].strip()}\n```\n→ *{answer['says']}*")
    source = quoted("\n\n".join(lines))
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": ["presenter", "solution"]})


def executed(notebook):
    """Return the notebook with the outputs that the last build of the book got."""
    try:
        found = get_cache(CACHE).match_cache_notebook(notebook)
    except KeyError:
        raise SystemExit(
            "The chapters have not been executed as they are. Type: make book"
        ) from None
    outputs = get_cache(CACHE).get_cache_bundle(found.pk).nb.cells
    outputs = iter([cell for cell in outputs if cell.cell_type == "code"])
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ran = next(outputs)
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.metadata["image/png"] = {"width": width_px(output.data["image/png"])}
    return notebook


def width_px(png):
    """Return how wide to show a figure: half its pixels, as it is stored twice as sharp."""
    return int.from_bytes(base64.b64decode(png[:32])[16:20]) // 2


def citations(source):
    """Return the keys that a Markdown cell cites."""
    keys = set()
    for token in parser().parse(source):
        for child in token.children or ():
            if child.type == "myst_role" and child.meta["name"].startswith("cite"):
                keys.update(key.strip() for key in child.content.split(","))
    return keys


def name_cells(cells):
    """Give each cell an id made from what it says: the same in every build."""
    seen = {}
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type} {cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def main():
    book = Book(chapters())
    for kind in EDITIONS:
        folder = OUT / kind
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.ipynb"):
            if old.stem not in book.chapters:
                old.unlink()
        for path in chapters():
            text = nbformat.writes(edition(path, kind, book))
            target = folder / f"{path.stem}.ipynb"
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
