"""Chapters without running them: order, front matter, exercises, pairing."""

import ast
import re
import shutil
import subprocess
import sys
from importlib import import_module

import editions
import jupytext
import pytest
from toc import ROOT, TEMPLATE, chapters, lessons, pages

FRONT_MATTER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---
"""

each_chapter = pytest.mark.parametrize("path", [*chapters(), TEMPLATE], ids=lambda p: p.stem)
each_lesson = pytest.mark.parametrize("path", [*lessons(), TEMPLATE], ids=lambda p: p.stem)


def tags(cell):
    return cell.metadata.get("tags", [])


def test_every_page_is_in_the_table_of_contents():
    assert sorted(pages()) == sorted((ROOT / "content").glob("[!_]*.md"))


@each_chapter
def test_front_matter(path):
    assert path.read_text(encoding="utf-8").startswith(FRONT_MATTER)


@each_lesson
def test_anatomy(path):
    text = path.read_text(encoding="utf-8")
    code_free = re.sub(r"^```\{code-cell\}.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", code_free, re.MULTILINE)) == 1
    parts = ["**You will learn to**", "**Before you start**", "## What you learned", "**Next**"]
    positions = [code_free.find(part) for part in parts]
    assert -1 not in positions
    assert positions == sorted(positions)


@each_lesson
def test_exercises_have_valid_stubs_and_solutions(path):
    text = path.read_text(encoding="utf-8")
    asked = re.findall(r"^```\{exercise-start\}.*\n:label: (\S+)", text, re.MULTILINE)
    solved = re.findall(r"^```\{solution-start\} (\S+)", text, re.MULTILINE)
    assert asked, "a chapter has exercises"
    assert asked == solved
    assert len(set(asked)) == len(asked)

    cells = jupytext.read(path).cells
    starts = [i for i, c in enumerate(cells) if "{exercise-start}" in c.source]
    for start, label in zip(starts, asked, strict=True):
        assert "**Target:**" in cells[start].source, label
        assert "{dropdown} Hint" in cells[start].source, label
        stub, check, opening, *rest = cells[start + 1 :]
        assert tags(stub) == ["exercise", "skip-execution"], label
        assert "..." in stub.source, f"{label}: a stub leaves something to do"
        ast.parse(stub.source)
        assert f"{{solution-start}} {label}" in opening.source
        end = next(i for i, c in enumerate(rest) if "{solution-end}" in c.source)
        solution = [opening, *rest[: end + 1]]
        code = [c for c in solution if c.cell_type == "code"]
        assert code, f"{label}: no code in the solution"
        assert all("solution" in tags(c) for c in solution), label
        assert tags(check) == ["exercise", "check", "skip-execution"], label
        wrong = editions.wrong_answers(path.stem).get(label, [])
        assert len(wrong) >= 2, f"{label}: two wrong answers prove the check"


def test_labels_of_exercises_are_unique():
    text = "\n".join(path.read_text(encoding="utf-8") for path in chapters())
    labels = re.findall(r"^:label: (\S+)", text, re.MULTILINE)
    assert len(labels) == len(set(labels))


@each_chapter
def test_figures_have_a_caption_and_a_name(path):
    for cell in jupytext.read(path).cells:
        drawn = cell.metadata.get("mystnb", {})
        if "image" in drawn:
            assert drawn["figure"]["name"].startswith("fig-")
            assert drawn["figure"]["caption"].endswith(".")


@each_chapter
def test_what_it_tells_to_look_up_exists(path):
    """The addresses of pages about functions end in names: those of the installed packages."""
    addresses = re.findall(
        r"https?://[\w./-]+/generated/[^)\s]+", path.read_text(encoding="utf-8")
    )
    for address in addresses:
        name = address.rpartition("#")[2] if "#" in address else address.rpartition("/")[2]
        module, _, attribute = name.removesuffix(".html").rpartition(".")
        assert hasattr(import_module(module), attribute), address


def notes(path):
    return [c for c in jupytext.read(path).cells if "presenter" in tags(c)]


@each_lesson
def test_presenters_know_the_minutes(path):
    """Their notes follow one another and end within the minutes that the chapter states."""
    text = path.read_text(encoding="utf-8")
    if "\n## Setup\n" not in text:
        assert notes(path), "a page without a plan says so"
        return
    stated = re.search(r"\*\*Before you start\*\*.*?\n\n", text, re.DOTALL)[0]
    total = sum(map(int, re.findall(r"(\d+)\s+minutes", stated)))
    setup = text[text.index("\n## Setup\n") :].split("\n## ")[1]
    assert '"presenter"' in setup, "the plan of the chapter is in Setup"
    reached = 0
    for note in notes(path):
        begin, end = map(int, re.match(r"\*\*Minutes (\d+)–(\d+)\.\*\*", note.source).groups())
        assert reached <= begin <= reached + 5, note.source
        assert begin < end, note.source
        reached = end
    assert total - 5 <= reached <= total


@each_chapter
def test_no_hidden_machinery(path):
    code = "\n".join(c.source for c in jupytext.read(path).cells if c.cell_type == "code")
    for unwanted in ("import *", "!pip", "%pip", "filterwarnings", "simplefilter"):
        assert unwanted not in code


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """A copy of the chapters, paired by the project's jupytext.toml."""
    folder = tmp_path_factory.mktemp("pairing")
    shutil.copy(ROOT / "jupytext.toml", folder)
    (folder / "content").mkdir()
    paths = [*chapters(), TEMPLATE]
    for path in paths:
        shutil.copy(path, folder / "content")
    sync(folder, *(f"content/{path.name}" for path in paths))
    return folder


def sync(folder, *files):
    command = [sys.executable, "-m", "jupytext", "--quiet", "--sync", *files]
    subprocess.run(command, cwd=folder, check=True)


@each_chapter
def test_round_trip_changes_nothing(paired, path):
    notebook = paired / "build" / "notebooks" / f"{path.stem}.ipynb"
    copy = paired / "content" / path.name
    copy.unlink()  # so that it must come back from the notebook
    sync(paired, f"build/notebooks/{notebook.name}")
    assert copy.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
