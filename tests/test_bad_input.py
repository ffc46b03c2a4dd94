"""`make book` on small books: ordinary MyST is built; a mistake is named with file and line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toc import ROOT

FRONT = "\n".join(
    (ROOT / "content" / "_template.md").read_text(encoding="utf-8").splitlines()[:11]
)
TOC = "format: jb-book\nroot: content/welcome\nchapters:\n- file: content/other\n"
FULL = TOC + "- file: content/page\n"
CODE = "```{code-cell} ipython3\nx = 1\n```\n"
EVERYTHING = """\
(my-page)=
# Try everything

:::{note}
A note with $x$.
:::

```{tip}
A tip.
```

```{figure} images/route.svg
:name: fig-route
:alt: Five stages in a row.
The route.
```

| a | b |
|---|---|
| 1 | $y$ |

$$ x = 1 $$

$$
y = 2
$$ (eq-mine)

See {eq}`eq-mine`, {doc}`welcome`, [](my-page), [](#fig-route), {numref}`fig-route`.

bin
: A stretch of time.

A claim.[^1]

[^1]: Its source.

::::{grid} 2
:::{grid-item-card} One
First.
:::
::::

"""


@pytest.fixture
def build(tmp_path):
    """Return a function that builds a small book; it returns the exit status and the messages."""
    for name in ("book", "workshop_utils"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("images", "results"):
        shutil.copytree(ROOT / "content" / name, tmp_path / "content" / name)
    for name in ("references.bib", "matplotlibrc"):
        shutil.copy(ROOT / "content" / name, tmp_path / "content")
    for name in ("_config.yml", "Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("welcome", "other"):
        (tmp_path / "content" / f"{name}.md").write_text(f"# The {name} page\n\nHello.\n")
    venv = Path(sys.prefix)
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    wheel = f"build/site/workshop_utils-{version}-py3-none-any.whl"

    def run(page, toc=FULL):
        (tmp_path / "content" / "page.md").write_text(page, encoding="utf-8")
        (tmp_path / "_toc.yml").write_text(toc, encoding="utf-8")
        # The environment and the package's wheel are not what is tested: -o takes them as made.
        command = ["make", "book", f"VENV={venv}", "-o", f"{venv}/.installed", "-o", wheel]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
        )
        return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)

    run.folder = tmp_path
    return run


def test_a_chapter_may_use_ordinary_myst_and_be_taken_out_again(build):
    status, said = build(f"{FRONT}\n{EVERYTHING}{CODE}")
    assert status == 0, said
    html = (build.folder / "_build" / "html" / "content" / "page.html").read_text("utf-8")
    assert "The route." in html
    assert (build.folder / "build/site/notebooks/participant/page.ipynb").exists()
    status, said = build("# Page\n", TOC)
    assert status == 0, said
    assert not (build.folder / "build/site/notebooks/participant/page.ipynb").exists()


MISTAKES = {
    "syntax": (
        f"{FRONT}\n# Page\n\n{CODE.replace('1', '(1')}",
        FULL,
        r"content/page.md:15: \w*Error",
    ),
    "directive": ("# Page\n\n:::{nosuch}\nx\n:::\n", FULL, r"content/page.md:3: .*nosuch"),
    "label": (
        "(a)=\n# Page\n\n(a)=\n## Part\n",
        FULL,
        r"content/page.md:4: .*[Dd]uplicate.*\"a\"",
    ),
    "image": (
        f"{FRONT}\n# Page\n\n![none](images/none.png)\n\n{CODE}",
        FULL,
        r"content/page.md:14: .*images/none.png",
    ),
    "image, no code": (
        "# Page\n\n![none](images/none.png)\n",
        FULL,
        r"content/page.md:3: .*images/none.png",
    ),
    "formula": ("# Page\n\nRate $\\nosuch x$.\n", FULL, r"content/page.md:3: .*nosuch x"),
    "formula, cut off": ("# Page\n\n$$\nx_\n$$\n", FULL, r"content/page.md:3: .*x_ to MathML"),
    "page": ("# Page\n", FULL + "- file: content/gone\n", r"_toc.yml:6: .*content/gone"),
    "empty": ("# Page\n", "", r"_toc.yml is not a table of contents"),
    "yaml": ("# Page\n", "root: [", r"_toc.yml is not a table of contents"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(build, mistake):
    page, toc, expected = MISTAKES[mistake]
    status, said = build(page, toc)
    assert status != 0, said
    assert re.search(expected, said), said
    assert "Traceback" not in said, said
    assert not (build.folder / "_build" / "html").exists(), "no half-built site"
