"""The notebooks that people download: plain, whole, and the same from build to build."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from base64 import b64decode, b64encode
from importlib.metadata import packages_distributions, requires
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import editions
import jupytext
import nbformat
import pytest
from docutils import nodes
from extensions import take_away
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat import v4
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sphinx.errors import ConfigError
from toc import TEMPLATE, handouts, lessons, pages

each_chapter = pytest.mark.parametrize("path", [*handouts(), TEMPLATE], ids=lambda p: p.stem)
each_lesson = pytest.mark.parametrize("path", [*lessons(), TEMPLATE], ids=lambda p: p.stem)
each_edition = pytest.mark.parametrize("kind", editions.EDITIONS)
RAW = re.compile(r"\{[\w:-]+\}`|^ *(:::|```\{)|^\([\w-]+\)=$|^:\w+:", re.MULTILINE)


@pytest.fixture(scope="module")
def book():
    return editions.Book([*pages(), TEMPLATE], [*handouts(), TEMPLATE])


@pytest.fixture
def make(book, monkeypatch):
    """Make one edition of a chapter, without the outputs that only a built book has."""
    monkeypatch.setattr(editions, "executed", lambda notebook: notebook)
    return lambda path, kind: editions.edition(path, kind, book)


def prose(cell):
    """Return a Markdown cell without its code."""
    text = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", cell.source, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(``?)(?!`).+?(?<!`)\1(?!`)", "", text)


def tags(cell):
    return cell.metadata.get("tags", [])


def code(cells):
    """Return the code of a notebook, without what serves the website only."""
    cells = [cell for cell in cells if cell.cell_type == "code"]
    return [cell.source for cell in cells if "website-only" not in tags(cell)]


@each_chapter
@each_edition
def test_no_markup_is_left_raw(make, path, kind):
    for cell in make(path, kind).cells:
        if cell.cell_type == "markdown":
            assert not RAW.search(prose(cell)), cell.source


@each_lesson
def test_participants_get_everything_but_solutions(make, path):
    source = jupytext.read(path).cells
    kept = [cell for cell in source if "solution" not in tags(cell)]
    assert len(kept) < len(source)  # stubs and checks stay, in their order
    notebook = make(path, "participant")
    assert code(notebook.cells[2:]) == code(kept)
    assert not any("solution" in tags(cell) for cell in notebook.cells)
    for cell in notebook.cells[2:]:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            ast.parse(TransformerManager().transform_cell(cell.source))


@each_chapter
@pytest.mark.parametrize("kind", editions.EXECUTED)
def test_executed_editions_hold_every_cell(make, path, kind):
    notebook = make(path, kind)
    assert code(notebook.cells[2:]) == code(jupytext.read(path).cells)
    for cell in notebook.cells:
        if "solution" in tags(cell) and cell.cell_type == "code":
            assert cell.metadata["jupyter"]["source_hidden"], "solutions are folded"


def words(text):
    return re.findall(r"\w+", text)


@each_chapter
@each_edition
def test_notes_are_for_presenters(make, path, kind):
    source = [cell for cell in jupytext.read(path).cells if "presenter" in tags(cell)]
    assert all(tags(cell) == ["presenter", "remove-cell"] for cell in source)
    notes = [cell for cell in make(path, kind).cells if "presenter" in tags(cell)]
    notes = [cell for cell in notes if "solution" not in tags(cell)]
    if kind in ("instructor", "live"):
        assert len(notes) == len(source)
        assert all(cell.source.startswith("> **Presenter** · ") for cell in notes)
    else:
        text = " ".join(words(" ".join(cell.source for cell in make(path, kind).cells)))
        assert notes == []
        assert not any(" ".join(words(cell.source)) in text for cell in source)


TINY = """\
---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Count

Some prose with $x$.

## Setup

```{code-cell} ipython3
counts = [1, 2]
```

+++ {"tags": ["presenter", "remove-cell"]}

**Minutes 0–5.** Ask: how *many*? ($3$)

+++

More prose.

```{exercise-start} Sum
:label: ex-sum
```

Add up. **Target:** one
number.

```{exercise-end}
```

```{code-cell} ipython3
:tags: [exercise, skip-execution]

total = ...
```

```{code-cell} ipython3
:tags: [exercise, check, skip-execution]

print("Right" if total == 3 else "Not yet")
```

+++ {"tags": ["solution"]}

```{solution-start} ex-sum
```

```{code-cell} ipython3
:tags: [solution]

total = sum(counts)
```

+++ {"tags": ["solution"]}

```{solution-end}
```

+++

## Draw

```{code-cell} ipython3
---
mystnb:
  figure:
    caption: Nothing.
    name: fig-estimate-bins
---
plot(counts)
```
"""


WRONG = """\
# %% ex-sum: counts the entries
total = len(counts)

# %% ex-sum: too many
total = 4
"""


@pytest.fixture
def tiny(make, monkeypatch, tmp_path):
    """Make an edition of a chapter that has one of everything; return it without its head."""
    path = tmp_path / "tiny.md"
    path.write_text(TINY, encoding="utf-8")
    monkeypatch.setattr(editions, "ANSWERS", tmp_path)
    (tmp_path / "tiny.py").write_text(WRONG, encoding="utf-8")
    return lambda kind: make(path, kind).cells[2:]


@pytest.fixture
def built(book, monkeypatch, tmp_path):
    """Make an edition of a tiny chapter that was executed: each cell printed its own source."""
    path = tmp_path / "tiny.md"
    path.write_text(TINY, encoding="utf-8")
    notebook = jupytext.read(path)
    png = b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1280).to_bytes(4) + b"\0" * 16).decode()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(ran, 1):
        if "skip-execution" not in tags(cell):
            cell.execution_count = number
            cell.outputs = [v4.new_output("stream", text=cell.source)]
    ran[-1].outputs.append(v4.new_output("display_data", {"image/png": png}))
    monkeypatch.setattr(editions, "CACHE", tmp_path / "cache")
    bundle = CacheBundleIn(notebook, str(path))
    get_cache(editions.CACHE).cache_notebook_bundle(bundle, check_validity=False)
    return path, lambda kind: editions.edition(path, kind, book).cells[2:]


@pytest.mark.parametrize("kind", editions.EXECUTED)
def test_results_are_those_of_the_last_build(kind, built):
    path, make_built = built
    cells = [cell for cell in make_built(kind) if cell.cell_type == "code"]
    shown = [cell for cell in cells if cell.outputs]
    assert [cell.outputs[0].text for cell in shown] == [cell.source for cell in shown]
    assert [cell.source[:5] for cell in shown] == ["count", "total", "plot("]
    assert shown[-1].outputs[1].metadata == {"image/png": {"width": 640}}
    assert all(cell.execution_count for cell in shown)
    path.write_text(TINY.replace("[1, 2]", "[1, 2, 3]"), encoding="utf-8")
    with pytest.raises(SystemExit, match="make book"):
        make_built(kind)


@pytest.mark.parametrize("kind", ["participant", "live"])
def test_results_are_left_out(kind, built):
    for cell in built[1](kind):
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


def test_wrong_answers_stand_beside_the_solution(tiny):
    cells = tiny("instructor")
    at = next(i for i, cell in enumerate(cells) if cell.source == "total = sum(counts)")
    assert cells[at + 1].source == (
        "> **Presenter** · What people type, and what the check says:\n>\n"
        "> ```python\n> total = len(counts)\n> ```\n> → *counts the entries*\n>\n"
        "> ```python\n> total = 4\n> ```\n> → *too many*"
    )
    for kind in set(editions.EDITIONS) - {"instructor"}:
        assert not any("len(counts)" in json.dumps(cell) for cell in tiny(kind)), kind


def test_the_live_edition_is_a_script(tiny):
    said = [cell.source for cell in tiny("live")]
    assert said == [
        "# Count\n\n## Setup",
        "counts = [1, 2]",
        "> **Presenter** · **Minutes 0–5.** Ask: how *many*? ($3$)",
        "### ex-sum: Sum\n\n**Target:** one\nnumber.",
        "## Draw",
        "plot(counts)",
    ]
    assert tiny("live")[-1].metadata.jupyter.source_hidden, "what only draws is folded"


@each_chapter
def test_the_live_edition_holds_what_is_typed(make, path):
    left_out = {"solution", "exercise"}
    source = [c for c in jupytext.read(path).cells if not left_out & set(tags(c))]
    notebook = make(path, "live")
    assert code(notebook.cells[2:]) == code(source)
    for cell in notebook.cells[2:]:
        if cell.cell_type == "markdown":
            assert re.match(r"#|> \*\*Presenter\*\*", cell.source), cell.source


@each_chapter
@each_edition
def test_links_and_images_lead_somewhere(make, path, kind):
    slugs = {p.stem for p in handouts()}
    notebook = make(path, kind)
    headings = {
        line.lstrip("# ").replace(" ", "-")
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    }
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for address in re.findall(r"\]\(([^)\s]+)\)", prose(cell)):
            if address.startswith("#"):
                assert address[1:] in headings
            elif not re.match(r"https?://", address):
                assert address.partition("#")[0].removesuffix(".ipynb") in slugs, address
        assert "![" not in cell.source, "VS Code shows no SVG in this form"
        for image in re.findall(r"<img [^>]*>", cell.source):
            found = re.fullmatch(
                r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,\S+">', image
            )
            assert len(found[1].split()) > 10, "described, for Colab shows no SVG"


def test_images_are_in_the_notebook(make):
    path = next(path for path in handouts() if "images/lnp_model.svg" in path.read_text("utf-8"))
    text = "\n".join(cell.source for cell in make(path, "participant").cells)
    data = re.search(r'src="data:[\w/+]+;base64,([^"]+)"', text)[1]
    assert b64decode(data) == (editions.CONTENT / "images" / "lnp_model.svg").read_bytes()


@each_chapter
@each_edition
def test_a_rebuild_changes_nothing(make, path, kind):
    first, second = make(path, kind), make(path, kind)
    assert json.dumps(first) == json.dumps(second)
    assert len({cell.id for cell in first.cells}) == len(first.cells)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of all editions, as `make notebooks` writes them, and how to write it again."""
    folder = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(editions, "executed", lambda notebook: notebook)
        patch.setattr(editions, "OUT", folder)
        patch.delenv("COURSE_URL", raising=False)
        editions.main()
        yield folder, editions.main


def test_only_what_changed_is_written(written):
    folder, write = written
    files = sorted(folder.glob("*/*.ipynb"))
    assert len(files) == len(handouts()) * len(editions.EDITIONS)
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
    gone = folder / "live" / "no_longer_a_chapter.ipynb"
    gone.touch()
    files[0].write_text("damaged", encoding="utf-8")
    write()
    assert not gone.exists()
    assert files[0].read_bytes() == before[files[0]][1]
    for file in files[1:]:
        assert (file.stat().st_mtime_ns, file.read_bytes()) == before[file], file


def test_links_between_chapters_stay_in_the_folder(written):
    folder, _ = written
    n = 0
    for file in folder.glob("*/*.ipynb"):
        for cell in nbformat.read(file, as_version=4).cells:
            if cell.cell_type == "markdown":
                for link in re.findall(r"\]\(([^)\s#:]+)\)", prose(cell)):
                    n += 1
                    assert (file.parent / link).parent == file.parent
                    assert (file.parent / link).exists(), f"{file}: {link}"
    assert n > len(handouts())


def test_a_new_cell_leaves_the_ids_of_the_others():
    cells = [v4.new_code_cell("a"), v4.new_code_cell("b"), v4.new_code_cell("a")]
    editions.name_cells(cells)
    before = [cell.id for cell in cells]
    assert len(set(before)) == 3
    cells.insert(1, v4.new_code_cell("new"))
    editions.name_cells(cells)
    assert [cell.id for cell in cells if cell.source != "new"] == before


ALPHA = """\
(alpha)=
# First page

(below)=
## Look *closely*

$$ x = 1 $$ (eq-a)

```{figure} images/a.svg
:name: fig-a
:alt: A line that rises.
The line with $x$.
```
"""
BETA = """\
(beta)=
# Second page

```{math}
:label: eq-b
y
```

```{exercise-start} Add
:label: ex-add
```

```{exercise-end}
```
"""


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A book of two pages, of which the first is handed out as a notebook."""
    shutil.copy(editions.CONTENT / "references.bib", tmp_path)
    monkeypatch.setattr(editions, "CONTENT", tmp_path)
    for name, text in (("first", ALPHA), ("second", BETA)):
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
    paths = [tmp_path / "first.md", tmp_path / "second.md"]
    return editions.Book(paths, paths[:1])


EQUATION = "$$\n\\begin{equation*}\nx\n\\tag{1}\n\\end{equation*}\n$$"
FOLD = "<details>\n<summary><b>Hint</b> (click)</summary>\n\nUse lag.\n\n</details>"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{math}`x_t` and $y$", "$x_t$ and $y$"),
        ("$$ x = 1 $$", "$$ x = 1 $$"),
        ("$$\nx\n$$", "$$\nx\n$$"),
        ("$$\nx\n$$ (eq-a)", EQUATION),
        ("```{math}\n:label: eq-a\nx\n```", EQUATION),
        ("see {eq}`eq-a` and {eq}`eq-b`", "see (1) and (2)"),
        ("{numref}`fig-a`, {numref}`the line <fig-a>`", "Figure 1, Figure 1"),
        ("{term}`LNP <LNP model>` or {term}`GLM`", "LNP or GLM"),
        ("(a-target)=\n## Title", "## Title"),
        (":::{note}\nA *word*.\n:::", "> **Note**\n>\n> A *word*."),
        ("```{warning} Hot\nVery.\n```", "> **Warning**\n>\n> Hot\n>\n> Very."),
        (":::{seealso}\nB\n:::", "> **See also**\n>\n> B"),
        (":::{admonition} Mind\n:class: note\nA *word*.\n:::", "> **Mind**\n>\n> A *word*."),
        (":::{admonition} Hint\n:class: dropdown\nUse {term}`lag`.\n:::", FOLD),
        ("```{dropdown} Hint\nUse {term}`lag`.\n```", FOLD),
        ("```{figure} images/a.svg\n:name: fig-a\n:alt: A line.\nCaption $x$.\n```",
         "![A line.](images/a.svg)\n\n**Figure 1.** Caption $x$."),
        ("```{image} images/a.svg\n:alt: A line.\n```", "![A line.](images/a.svg)"),
        ("{doc}`first`, {doc}`start <first>`", "[First page](first.ipynb), [start](first.ipynb)"),
        ("`` {doc}`first` `` is {doc}`first`", "`` {doc}`first` `` is [First page](first.ipynb)"),
        ("{ref}`below`", "[Look *closely*](first.ipynb#Look-*closely*)"),
        ("[](alpha) [](#below) [](first.md)",
         "[First page](first.ipynb) [Look *closely*](first.ipynb#Look-*closely*) "
         "[First page](first.ipynb)"),
        ("[start](#alpha), [it](first.md)", "[start](first.ipynb), [it](first.ipynb)"),
        ("<project:#alpha>", "[First page](first.ipynb)"),
        ("[](fig-a), [](#ex-add)", "[Figure 1](first.ipynb), Exercise 1"),
        ("[](beta) and [the end](second.md), no notebook", "Second page and the end, no notebook"),
        ("[out](https://example.org)", "[out](https://example.org)"),
        ("| {math}`a` | [b](first.md) |\n|---|---|\n| 1 | $c$ |",
         "| $a$ | [b](first.ipynb) |\n|---|---|\n| 1 | $c$ |"),
        ("bin\n: A *stretch*\n  of time.\n\nlag\n: How long ago.\n: In bins.",
         "**bin**\n\nA *stretch*\nof time.\n\n**lag**\n\nHow long ago.\n\nIn bins."),
        ("A claim.[^1]\n\n[^1]: The source.", "A claim.<sup>1</sup>\n\n<sup>1</sup> The source."),
        ("::::{grid} 2\n:::{grid-item-card} One\nFirst.\n:::\n:::{card} Two\nThen.\n:::\n::::",
         "**One**\n\nFirst.\n**Two**\n\nThen."),
        (":::{tab-set}\n```{tab-item} Linux\nType `a`.\n```\n:::", "**Linux**\n\nType `a`."),
        ("```{list-table} Sizes\n* - a\n  - b\n```", "**Sizes**\n\n* - a\n  - b"),
        ("```{code-block} python\nx = 1\n```", "```python\nx = 1\n```"),
        ("- a list\n\n  :::{tip}\n  In it.\n  :::", "- a list\n\n  > **Tip**\n  >\n  > In it."),
        ("{kbd}`Shift` + H{sub}`2`", "<kbd>Shift</kbd> + H<sub>2</sub>"),
        ("{cite:t}`rokem2006`", "[Rokem et al. (2006)](https://doi.org/10.1152/jn.00891.2005)"),
    ],
)  # fmt: skip
def test_markup_in_plain_form(toy, capsys, source, expected):
    assert editions.plain(source, toy, "third") == expected
    assert capsys.readouterr().err == ""


def test_links_to_other_pages_lead_to_the_site_where_it_is_known(toy):
    toy.url = "https://course.example"
    assert editions.plain("[](beta)", toy, "first") == (
        "[Second page](https://course.example/content/second.html)"
    )


def test_two_works_in_brackets(book):
    assert re.fullmatch(
        r"\(\[Pillow et al\., 2005\]\(\S+\); \[Pillow et al\., 2008\]\(\S+\)\)",
        editions.plain("{cite:p}`pillow2005,pillow2008`", book, "x"),
    )


@pytest.mark.parametrize("source", [":::{video} a.mp4\nB\n:::", "press {nosuch}`x` now"])
def test_unknown_markup_stays_with_one_warning(toy, capsys, source):
    path = editions.CONTENT / "third.md"
    path.write_text(f"# Title\n\n{source}\n", encoding="utf-8")
    for _ in range(2):  # in two editions
        assert editions.plain(source, toy, "third") == source
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("content/third.md:3: "), line


def test_a_missing_image_is_named(toy):
    (editions.CONTENT / "third.md").write_text("# Title\n\n![x](images/none.png)\n")
    with pytest.raises(SystemExit, match=r"content/third\.md:3: there is no image"):
        editions.embed_images("![x](images/none.png)", "third")


def run_first_cell(source, installed, folder):
    """Run the cell in IPython, where pip only says what it was asked for."""
    program = f"""
import importlib.util
from IPython.core.interactiveshell import InteractiveShell
importlib.util.find_spec = lambda name: {installed!r} or None
shell = InteractiveShell.instance()
shell.register_magic_function(lambda line: print("pip", line), magic_name="pip")
shell.run_cell({source!r})
"""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_the_first_cell_installs_only_what_is_missing(make, monkeypatch, tmp_path):
    path = handouts()[-1]
    from_clone = make(path, "participant").cells[1].source
    assert run_first_cell(from_clone, True, tmp_path) == ""
    assert "type 'make book'" in run_first_cell(from_clone, False, tmp_path)
    inside = tmp_path / "a clone" / "build" / "notebooks"
    inside.mkdir(parents=True)
    shutil.copy(editions.ROOT / "pyproject.toml", tmp_path / "a clone")
    for folder in (inside, tmp_path / "a clone"):
        asked = run_first_cell(from_clone, False, folder)
        assert asked == f'pip install --quiet "{tmp_path / "a clone"}[course]"\n'

    monkeypatch.setenv("COURSE_URL", "https://course.example/")
    monkeypatch.setattr(editions, "ROOT", tmp_path)
    (tmp_path / "build" / "site").mkdir(parents=True)
    (tmp_path / "build" / "site" / "workshop_utils-1-py3-none-any.whl").touch()
    cells = editions.first_cells(path.stem, "participant", editions.Book(pages(), handouts()))
    assert f"https://course.example/content/{path.stem}.html" in cells[0].source
    assert run_first_cell(cells[1].source, True, tmp_path) == ""
    asked = run_first_cell(cells[1].source, False, tmp_path)
    assert asked.startswith("pip install --quiet")
    assert "https://course.example/workshop_utils-1-py3-none-any.whl" in asked


@pytest.fixture(scope="module")
def brought():
    """Names of the modules that the first cell brings: the package and all it needs."""
    project = tomllib.loads((editions.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = project["dependencies"] + project["optional-dependencies"]["course"]
    found, todo = {"workshop-utils"}, [Requirement(text) for text in texts]
    while todo:
        name = canonicalize_name(todo.pop().name)
        if name not in found:
            found.add(name)
            more = [Requirement(text) for text in requires(name) or []]
            todo += [r for r in more if not r.marker or r.marker.evaluate({"extra": ""})]
    modules = packages_distributions().items()
    return {module for module, names in modules if found & set(map(canonicalize_name, names))}


@each_chapter
def test_the_first_cell_brings_what_a_chapter_imports(make, path, brought):
    for source in code(make(path, "complete").cells):
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(source))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module]
            for module in {name.partition(".")[0] for name in modules}:
                known = module in sys.stdlib_module_names or module in brought
                assert known, f"{module}: add it to `course` in pyproject.toml"


def test_places_to_run_a_chapter(monkeypatch):
    for name in ("COURSE_REPOSITORY", "HUB_URL"):
        monkeypatch.delenv(name, raising=False)
    assert take_away.places("fit_glm") == {}
    monkeypatch.setenv("COURSE_REPOSITORY", "https://github.com/someone/course.git")
    assert list(take_away.places("fit_glm")) == ["Colab", "Binder"]
    monkeypatch.setenv("HUB_URL", "https://hub.example/")
    places = take_away.places("fit_glm")
    file = f"{editions.EDITIONS[0]}/fit_glm.ipynb"
    assert places["Colab"].endswith(f"/github/someone/course/blob/notebooks/{file}")
    assert places["Binder"].endswith(f"/gh/someone/course/notebooks?urlpath=lab/tree/{file}")
    hub = urlsplit(places["JupyterHub"])
    assert hub._replace(query="").geturl() == "https://hub.example/hub/user-redirect/git-pull"
    assert parse_qs(hub.query)["urlpath"] == [f"lab/tree/course/{file}"]


def test_only_the_page_for_teachers_offers_notebooks_to_teach_from(monkeypatch, tmp_path):
    monkeypatch.setattr(take_away, "SITE", tmp_path)
    for kind in editions.EDITIONS:
        for path in handouts():
            take_away.notebook(kind, path.stem).parent.mkdir(parents=True, exist_ok=True)
            take_away.notebook(kind, path.stem).touch()
    titles = {f"content/{path.stem}": nodes.title(text=path.stem) for path in handouts()}
    app = SimpleNamespace(env=SimpleNamespace(titles=titles))

    def offered(page):
        context = {"body": "<h1>T</h1>", "pathto": lambda path, resource: f"../{path}"}
        take_away.add_links(app, page, "", context, None)
        found = re.findall(r'href="\.\./notebooks/(\w+)/(\w+)\.ipynb"', context["body"])
        return [slug for _, slug in found], {kind for kind, _ in found}

    assert offered("content/fit_glm") == (["fit_glm"] * 2, {"participant", "complete"})
    assert offered("content/glossary") == ([], set())
    slugs, kinds = offered("content/teach")
    assert slugs == [path.stem for path in handouts() for _ in range(2)]
    assert kinds == {"instructor", "live"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"COURSE_REPOSITORY": "someone/course"}, "must be an http"),
        ({"HUB_URL": "https://hub.example"}, "needs COURSE_REPOSITORY"),
    ],
)
def test_addresses_that_make_no_sense(variables, message, monkeypatch):
    monkeypatch.delenv("COURSE_REPOSITORY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        take_away.places("fit_glm")
