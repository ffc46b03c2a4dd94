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
import hashlib
import os
import re
import sys
from functools import cache
from html import escape
from mimetypes import guess_type
from pathlib import Path

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
from toc import ROOT, handouts, pages

CONTENT = ROOT / "content"
ANSWERS = CONTENT / "wrong_answers"
CACHE = ROOT / "_build" / ".jupyter_cache"
OUT = ROOT / "build" / "site" / "notebooks"
WITHOUT = {  # the tags of the cells that an edition leaves out
    "participant": {"website-only", "solution", "presenter"},
    "complete": {"website-only", "presenter"},
    "instructor": {"website-only"},
    "live": {"website-only", "solution", "exercise"},
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


ADMONITIONS = {
    "attention", "caution", "danger", "error", "hint", "important", "note", "seealso", "tip",
    "todo", "warning",
}  # fmt: skip
#: Directives of which a notebook shows the content; what follows the name is layout, or a title.
LAYOUT = {"card-carousel", "container", "div", "grid", "grid-item", "rst-class", "tab-set"}
TITLED = {
    "card", "centered", "compound", "epigraph", "glossary", "grid-item-card", "highlights",
    "list-table", "margin", "pull-quote", "sidebar", "tab-item", "table", "topic",
}  # fmt: skip
SILENT = {"exercise-end", "solution-end", "index", "tags"}
#: Roles that become an HTML element of this name.
ELEMENTS = {"sub": "sub", "sup": "sup", "kbd": "kbd", "code": "code", "file": "code"}
NUMBERED = "Figure {}", "Exercise {}", "({})"


@cache
def parser():
    """Return MyST's parser with the extensions of the book."""
    return create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), DocutilsRenderer)


def read(path):
    """Return a page as a notebook; one without code is a single Markdown cell."""
    text = path.read_text(encoding="utf-8")
    if "{code-cell}" in text:
        return jupytext.reads(text, fmt="md:myst")
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])


def place(page, text):
    """Return file and line of the first line of a page that contains some text."""
    path = CONTENT / f"{page}.md"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    number = next((number for number, line in enumerate(lines, 1) if text in line), 1)
    return f"content/{page}.md:{number}"


class Book:
    """What a page may refer to: pages, headings; figures, equations, exercises; works."""

    def __init__(self, pages, handouts):
        self.handouts = {path.stem for path in handouts}
        self.titles = {}  # of a page: its first heading
        self.headings = {}  # of a label: page and heading
        self.numbers = {}  # of a label: page and text, such as "Figure 3"
        self.counts = dict.fromkeys(NUMBERED, 0)
        self.warned = set()
        for path in pages:
            for cell in read(path).cells:
                if cell.cell_type == "code":
                    figure = cell.metadata.get("mystnb", {}).get("figure")
                    if figure:
                        self.number(NUMBERED[0], figure.get("name"), path.stem)
                else:
                    self.collect(parser().parse(cell.source), path.stem)
        self.literature = parse_file(CONTENT / "references.bib").entries
        self.url = os.environ.get("COURSE_URL", "").rstrip("/")

    def number(self, form, label, page):
        """Count a figure, exercise or equation, and keep its number."""
        self.counts[form] += 1
        if label:
            self.numbers[label] = page, form.format(self.counts[form])

    def collect(self, tokens, page):
        """Keep the headings and the numbers of one Markdown cell."""
        target, in_heading = None, False
        for token in tokens:
            name, _, options, body = directive(token)
            if name == "math" and "label" in options:
                self.number(NUMBERED[2], options["label"], page)
            elif token.type == "math_block_label":
                self.number(NUMBERED[2], token.info, page)
            elif name in ("exercise-start", "exercise"):
                self.number(NUMBERED[1], options.get("label"), page)
            elif name == "figure" and body:
                self.number(NUMBERED[0], options.get("name"), page)
            elif token.type == "myst_target":
                target = token.content
            elif token.type == "heading_open":
                in_heading = True
            elif token.type == "inline" and in_heading:
                self.titles.setdefault(page, token.content)
                if target:
                    self.headings[target] = page, token.content
                target, in_heading = None, False

    def link(self, reference, here):
        """Return URL and text for a reference to a page or label of the book, or None.

        The URL is None where a notebook cannot reach the page.
        """
        reference = reference.removeprefix("project:")
        page, _, label = reference.rpartition("#") if "#" in reference else (reference, "", "")
        page, anchor = Path(page).stem, ""
        if (label or reference) in self.headings:
            page, text = self.headings[label or reference]
            if text != self.titles[page]:
                anchor = "#" + text.replace(" ", "-")
        elif (label or reference) in self.numbers:
            page, text = self.numbers[label or reference]
        elif page in self.titles:
            text = self.titles[page]
        else:
            return None
        if page == here:
            return anchor or "#", text
        if page in self.handouts:
            return f"{page}.ipynb{anchor}", text
        fragment = f"#{label}" if label else ""
        return f"{self.url}/content/{page}.html{fragment}" if self.url else None, text

    def number_of(self, label):
        """Return the text for the number of a label, or the label in doubt."""
        return self.numbers.get(label, ("", label))[1]

    def warn(self, page, markup):
        """Say once where markup is that stays as it is."""
        first = markup.strip().splitlines()[0]
        warning = f"{place(page, first)}: {first} has no plain form: notebooks show it as it is"
        if warning not in self.warned:
            self.warned.add(warning)
            print(warning, file=sys.stderr)

    def cited(self, keys, textual):
        """Return a citation: authors and year, linked to the publication."""
        parts = []
        for key in keys.split(","):
            entry = self.literature.get(key.strip())
            if entry is None:  # Sphinx says where
                parts.append(key.strip())
                continue
            people = entry.persons.get("author", ())
            names = [" ".join(person.last_names) for person in people]
            authors = names[0] if names else entry.fields["title"]
            if len(names) == 2:
                authors += " and " + names[1]
            elif len(names) > 2:
                authors += " et al."
            year = entry.fields["year"]
            text = f"{authors} ({year})" if textual else f"{authors}, {year}"
            doi = entry.fields.get("doi")
            url = f"https://doi.org/{doi}" if doi else entry.fields.get("url")
            parts.append(f"[{text}]({url})" if url else text)
        joined = (", " if textual else "; ").join(parts)
        return joined if textual else f"({joined})"

    def references(self, keys):
        """Return the list of the works cited, as Markdown."""
        entries = [self.literature[key] for key in sorted(keys) if key in self.literature]
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
    while lines and (option := re.match(r":([\w-]+):\s*(.*)", lines[0])):
        options[option[1]] = option[2]
        lines.pop(0)
    return name[1:], argument.strip(), options, "\n".join(lines).strip("\n")


def folded(title, body):
    """Return a part that opens at a click. It says so: jupyterlab-myst hides the triangle."""
    return f"<details>\n<summary><b>{title}</b> (click)</summary>\n\n{body}\n\n</details>"


def equation(body, number=None):
    """Return a formula on a line of its own."""
    tag = f"\n\\tag{{{number.strip('()')}}}" if number else ""
    # With jupyterlab-myst, anything but a starred environment gets a second number.
    return f"$$\n\\begin{{equation*}}\n{body.strip()}{tag}\n\\end{{equation*}}\n$$"


def block(token, book, page):
    """Return the plain Markdown for a directive, target or labelled formula; None if unknown."""
    if token.type == "myst_target":
        return ""
    if token.type == "math_block_label":
        return equation(token.content, book.number_of(token.info))
    name, argument, options, body = directive(token)
    title = plain(argument, book, page) if argument else ""
    if name == "math":
        label = options.get("label")
        number = book.number_of(label) if label else None
        return equation("\n".join(filter(None, (argument, body))), number)
    if name in ("exercise-start", "exercise"):
        number = book.number_of(options["label"]) if "label" in options else "Exercise"
        heading = f"### {number}: {title}" if title else f"### {number}"
        return f"{heading}\n\n{plain(body, book, page)}".rstrip()
    if name == "solution-start":
        return f"**Solution to {book.number_of(argument)}**"
    if name == "solution":
        return folded(f"Solution to {book.number_of(argument)}", plain(body, book, page))
    if name in SILENT:
        return ""
    if name == "dropdown":
        return folded(title or "More", plain(body, book, page))
    if name in ADMONITIONS or name == "admonition":
        if name in ADMONITIONS:
            body = "\n\n".join(filter(None, (argument, body)))
            title = "See also" if name == "seealso" else name.capitalize()
        body = plain(body, book, page)
        if "dropdown" in options.get("class", ""):
            return folded(title, body)
        return quoted(f"**{title}**\n\n{body}")
    if name in ("figure", "image"):
        image = f"![{options.get('alt', '')}]({argument})"
        if not body:
            return image
        label = options.get("name")
        number = f"**{book.number_of(label)}.** " if label else ""
        return f"{image}\n\n{number}{plain(body, book, page)}"
    if name in ("code", "code-block", "sourcecode", "csv-table"):
        language = "" if name == "csv-table" else argument
        return f"```{language}\n{body}\n```"
    if name in LAYOUT:
        return plain(body, book, page)
    if name in TITLED:
        return "\n\n".join(filter(None, (title and f"**{title}**", plain(body, book, page))))
    if name == "include":
        text = (CONTENT / argument).read_text(encoding="utf-8")
        return plain(text, book, page).strip()
    return None


def role(token, book, page):
    """Return the plain Markdown for a role; None if it is unknown."""
    name, text = token.meta["name"], token.content
    words, _, target = text.rpartition(" <")
    target = target.rstrip(">")
    if name == "math":
        return f"${text}$"
    if name in ("cite:p", "cite:t", "cite"):
        return book.cited(text, textual=name == "cite:t")
    if name in ("eq", "numref"):
        return book.number_of(target or text)
    if name in ("ref", "doc", "any"):
        found = book.link(target or text, page)
        if found is None:
            return words or target
        url, title = found
        return f"[{words or title}]({url})" if url else words or title
    if name in ("term", "download", "abbr"):
        return words or target or text
    if name in ELEMENTS:
        return f"<{ELEMENTS[name]}>{escape(text)}</{ELEMENTS[name]}>"
    return None


def spread(words):
    """Return a pattern for words that the source may break into lines, indented or quoted."""
    return r"\s+(?:>\s*)*".join(map(re.escape, words.split()))


def replaced_inline(text, tokens, book, page):
    """Return a stretch of Markdown with its roles, links and footnotes replaced."""
    position = 0  # what stands before it is done
    for number, token in enumerate(tokens):
        if token.type == "myst_role":
            raw = rf"\{{{re.escape(token.meta['name'])}\}}(`+)\s*{spread(token.content)}\s*\1"
            match = re.compile(raw).search(text, position)
            new = role(token, book, page)
            if match is None or new is None:
                book.warn(page, match[0] if match else token.content)
                position = match.end() if match else position
                continue
            text = text[: match.start()] + new + text[match.end() :]
            position = match.start() + len(new)
        elif token.type == "code_inline":
            match = re.compile(spread(token.content)).search(text, position)
            position = match.end() if match else position
        elif token.type == "link_open":
            reference = token.attrs["href"]
            if re.match(r"(?!project:)[a-z]+:", reference):
                continue
            found = book.link(reference, page)
            if found is None:
                continue
            url, title = found
            empty = tokens[number + 1].type == "link_close"
            raw = re.compile(rf"\[([^\]]*)\]\({re.escape(reference)}\)|<{re.escape(reference)}>")

            def linked(match, url=url, title=title, empty=empty):
                words = title if empty else match[1] or title
                return f"[{words}]({url})" if url else words  # else keep the words

            text = text[:position] + raw.sub(linked, text[position:], count=1)
        elif token.type == "footnote_ref":
            label = token.meta["label"]
            text = text.replace(f"[^{label}]", f"<sup>{label}</sup>", 1)
    return text


def plain(source, book, page):
    """Return MyST Markdown as plain Markdown; markup without a plain form stays as it is."""
    lines = source.splitlines()
    stretches = {}
    for token in parser().parse(source):
        special = token.type in ("myst_target", "math_block_label") or directive(token)[0]
        if token.map and (token.type == "inline" or special):
            start, end = token.map
            stretches.setdefault((start, max(end, start + 1)), []).append(token)
    # Later blocks first, so that the line numbers of earlier ones stay true.
    for (start, end), tokens in sorted(stretches.items(), reverse=True):
        text = "\n".join(lines[start:end])
        if tokens[0].type == "inline":  # the cells of a row share its line
            children = [child for token in tokens for child in token.children or ()]
            new = replaced_inline(text, children, book, page)
        else:
            new = block(tokens[0], book, page)
            if new is None:
                book.warn(page, text)
                continue
            indent = text[: len(text) - len(text.lstrip())]
            new = "\n".join(f"{indent}{line}".rstrip() for line in new.split("\n"))
        lines[start:end] = new.split("\n")
    text = re.sub(r"^\[\^([^\]]+)\]:", r"<sup>\1</sup>", "\n".join(lines), flags=re.MULTILINE)
    text = definition_lists(text)
    return re.sub(r"\n{3,}", "\n\n", text.strip("\n"))


def definition_lists(source):
    """Return Markdown with the terms of definition lists in bold, definitions below them."""
    lines = source.splitlines()
    spans = [token.map for token in parser().parse(source) if token.type == "dl_open"]
    for start, end in sorted(spans, reverse=True):
        text = "\n".join(lines[start:end])
        text = re.sub(r"^([^\s:].*)\n+(?=:\s)", r"**\1**\n", text, flags=re.MULTILINE)
        text = re.sub(r"^  ", "", text, flags=re.MULTILINE)
        lines[start:end] = re.sub(r"^:\s+", "\n", text, flags=re.MULTILINE).split("\n")
    return "\n".join(lines)


def embed_images(text, page):
    """Return Markdown whose images are in it. Exits with a message if one is missing.

    As HTML: VS Code takes no SVG in Markdown's own form, and JupyterLab none from attachments.
    Colab shows no SVG in any form; the description is what remains there.
    """
    for token in parser().parse(text):
        for child in token.children or ():
            source = child.attrs.get("src", "") if child.type == "image" else ""
            if source and not re.match(r"[a-z]+:", source):
                try:
                    data = base64.b64encode((CONTENT / source).read_bytes()).decode()
                except OSError:
                    sys.exit(f"{place(page, source)}: there is no image content/{source}")
                url = f"data:{guess_type(source)[0]};base64,{data}"
                image = f'<img alt="{escape(child.content)}" src="{url}">'
                text = text.replace(f"![{child.content}]({source})", image)
    return text


def first_cells(slug, kind, book):
    """Return the two cells that a downloaded notebook begins with."""
    where = f" On the web: {book.url}/content/{slug}.html" if book.url else ""
    about = (
        f"*A chapter of the course* From spikes to models.{where}\n\n"
        "Run the cells from top to bottom (Shift + Enter). The next cell looks for the course's "
        "package and changes nothing where it is installed."
    )
    if kind == "live":
        about += FOR_PRESENTERS
    if book.url:
        wheel = next((ROOT / "build" / "site").glob("*.whl")).name
        imports, install = "", FROM_SITE.format(wheel=f"{book.url}/{wheel}")
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
    answers, label = wrong_answers(path.stem), None
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "remove-cell"]
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if cell.cell_type == "markdown":
            solved = re.search(r"\{solution-start\} (\S+)", cell.source)
            label = solved[1] if solved else label
            cited |= citations(cell.source)
            cell.source = plain(cell.source, book, path.stem)
            if "presenter" in tags:
                cell.source = quoted(f"**Presenter** · {cell.source}")
            elif kind == "live":
                cell.source = outline(cell.source)
            if not cell.source:
                continue
            cell.source = embed_images(cell.source, path.stem)
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code" and "solution" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
        elif figure and kind == "live":
            cell.metadata["jupyter"] = {"source_hidden": True}
        cells.append(cell)
        if figure and kind != "live":
            number = book.number_of(figure.get("name", "Figure"))
            words = plain(figure.get("caption", ""), book, path.stem)
            caption = nbformat.v4.new_markdown_cell(f"**{number}.** {words}")
            if tags:
                caption.metadata["tags"] = tags
            cells.append(caption)
        if label and cell.cell_type == "code" and kind == "instructor":  # the solution
            if label in answers:
                cells.append(presented(answers[label]))
            label = None
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


def wrong_answers(page):
    """Return what people type instead of the solutions: {exercise: [(what the check says, code)]}.

    They are in content/wrong_answers/<page>.py, a cell for each: `# %% <exercise>: <says>`.
    """
    path, answers = ANSWERS / f"{page}.py", {}
    if path.exists():
        for cell in jupytext.read(path).cells:
            label, _, says = cell.metadata["title"].partition(": ")
            answers.setdefault(label, []).append((says, cell.source))
    return answers


def presented(answers):
    """Return a cell that tells presenters what people type, and what the check says."""
    lines = ["**Presenter** · What people type, and what the check says:"]
    lines += [f"```python\n{answer}\n```\n→ *{says}*" for says, answer in answers]
    source = quoted("\n\n".join(lines))
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": ["presenter", "solution"]})


def executed(notebook):
    """Return the notebook with the outputs that the last build of the book got."""
    try:
        _, notebook = get_cache(CACHE).merge_match_into_notebook(notebook, cell_meta=())
    except KeyError:
        sys.exit("The chapters have not been executed as they are. Type: make book")
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
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
    paths = handouts()
    book = Book(pages(), paths)
    for kind in EDITIONS:
        folder = OUT / kind
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.ipynb"):
            if old.stem not in book.handouts:
                old.unlink()
        for path in paths:
            text = nbformat.writes(edition(path, kind, book))
            target = folder / f"{path.stem}.ipynb"
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
