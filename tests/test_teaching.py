"""What one teaches with: quizzes, the plans of the guide, the template of a chapter."""

import re
import shutil
from itertools import pairwise

import editions
import pytest
from new_chapter import add
from toc import ROOT, TEMPLATE, is_lesson, pages, parts

CONTENT = ROOT / "content"
QUIZZES = [page for page in pages() if page.stem.startswith("quiz_")]


def parsed(path):
    """Return the tokens of a page."""
    return editions.parser().parse(path.read_text(encoding="utf-8") + "\nThe end.\n")


def questions(path):
    """Return {heading: [(option, its explanation), …]} of a quiz."""
    found, heading = {}, ""
    tokens = parsed(path)
    for token, following in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            heading = following.content
            found[heading] = []
        name, title, options, body = editions.directive(token)
        if name == "dropdown":
            assert "open" not in options, f"{title}: the answer is not shown at once"
            found[heading].append((title, body))
    return found


@pytest.mark.parametrize("path", QUIZZES, ids=lambda p: p.stem)
def test_one_option_is_right_and_each_is_explained(path):
    assert len(questions(path)) >= 5
    for heading, options in questions(path).items():
        letters = [title[:3] for title, _ in options]
        assert letters in (["A: ", "B: ", "C: "], ["A: ", "B: ", "C: ", "D: "]), heading
        verdicts = [body.partition(" ")[0] for _, body in options]
        assert set(verdicts) == {"**Right.**", "**Wrong.**"}, heading
        assert verdicts.count("**Right.**") == 1, heading
        for title, body in options:
            assert len(body.split()) >= 10, f"{heading}, {title}: why?"


def tables():
    """Return {heading: [row, …]} of the guide: the cells of its tables, without header rows."""
    found, heading = {}, ""
    tokens = parsed(CONTENT / "teach.md")
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            heading = following.content
        elif token.type == "tr_open":
            found.setdefault(heading, []).append([])
        elif token.type == "td_open":
            found[heading][-1].append(following.content)
    return {heading: [row for row in rows if row] for heading, rows in found.items()}


def plans():
    """Return the tables of the guide that are plans."""
    return {heading: rows for heading, rows in tables().items() if heading.endswith(" minutes")}


def chapter(slug):
    """Return a chapter's sections, titles of exercises, minutes to read, and of exercises."""
    path = CONTENT / f"{slug}.md"
    tokens = parsed(path)
    sections = {
        following.content
        for token, following in pairwise(tokens)
        if token.type == "heading_open" and token.tag == "h2"
    }
    exercises = {
        argument
        for name, argument, _, _ in map(editions.directive, tokens)
        if name == "exercise-start"
    }
    before = path.read_text(encoding="utf-8").partition("**Before you start**")[2]
    minutes = re.findall(r"(\d+)\s+minutes", before.partition("## ")[0])
    return sections, exercises, *map(int, minutes)


@pytest.mark.parametrize("heading", plans())
def test_a_plan_adds_up_and_names_what_exists(heading):
    rows = plans()[heading]
    assert sum(int(minutes) for minutes, _, _ in rows) == int(re.search(r"\d+", heading)[0])
    assert sum(what in ("Break", "Lunch") for _, what, _ in rows) >= 2
    for row in rows:
        names_what_exists(*row)


def names_what_exists(minutes, what, exercises):
    """A row of a plan: its chapter has these sections and exercises, and takes these minutes."""
    slugs = re.findall(r"\]\((\w+)\.md\)", what)
    for slug in slugs:
        assert (CONTENT / f"{slug}.md").exists(), slug
    if not exercises:
        return
    sections, titles, *stated = chapter(slugs[0])
    assert set(exercises.split("; ")) <= titles, what
    named = re.search(r"\): ([^.,[]+)", what)[1]
    if named == "all sections":
        assert stated[0] <= int(minutes) <= sum(stated), what
    else:
        assert set(named.split("; ")) <= sections, what
        assert int(minutes) <= sum(stated) or slugs == ["setup"], what


def test_other_chapters_fit_into_the_places_of_those_on_the_second_day():
    heading = next(heading for heading in plans() if heading.startswith("Two days, the second"))
    places = {
        re.search(r"\]\((\w+)\.md\)", what)[1]: int(minutes)
        for minutes, what, _ in plans()[heading]
        if "](" in what
    }
    others = tables()["Other chapters on the second day"]
    assert len(others) >= 4
    for minutes, what, exercises in others:
        names_what_exists(minutes, what, exercises)
        place = what.partition("in the place of")[2]
        assert int(minutes) <= places[re.search(r"\]\((\w+)\.md\)", place)[1]], what


@pytest.fixture
def course(tmp_path):
    """The parts of the course to which a new chapter is added."""
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    shutil.copytree(CONTENT, tmp_path / "content")
    return tmp_path


def test_a_new_chapter_is_the_template_under_another_name(course):
    """The template itself is tested and executed with the chapters."""
    path = add("sound_and_light", "Hear the light", course)
    made = path.read_text(encoding="utf-8")
    assert "\n(sound-and-light)=\n# Hear the light\n" in made
    assert "something" not in made.lower()
    back = made.replace("sound-and-light", "ask-something")
    assert back.replace("Hear the light", "Ask something") == TEMPLATE.read_text(encoding="utf-8")
    answers = course / "content" / "wrong_answers" / "sound_and_light.py"
    assert "ex-sound-and-light-" in answers.read_text(encoding="utf-8")
    (part,) = [part for part in parts(course) if path in part]
    assert is_lesson(part[part.index(path) - 1])
    assert [p.name for part in parts(course) for p in part if p != path] == [
        p.name for p in pages()
    ]


@pytest.mark.parametrize("toc", [
    "format: jb-book\nroot: content/welcome\nchapters:\n- file: content/fit_glm\n",
    "format: jb-article\nroot: content/welcome\nsections:\n- file: content/fit_glm.md\n",
])  # fmt: skip
def test_a_new_chapter_in_other_tables_of_contents(course, toc):
    (course / "_toc.yml").write_text(toc)
    path = add("my_chapter", "Ask", course)
    assert [page.stem for page in parts(course)[1]] == ["fit_glm", path.stem]


@pytest.mark.parametrize(
    ("slug", "title", "message"),
    [
        ("", "Ask", "SLUG is ''"),
        ("03-my-chapter", "Ask", "small letters with underscores"),
        ("../escape", "Ask", "small letters with underscores"),
        ("MyChapter", "Ask", "small letters with underscores"),
        ("my_chapter", " ", "TITLE must be"),
        ("taken", "Ask", "exists. Choose another SLUG"),
    ],
)
def test_a_new_chapter_is_refused(course, slug, title, message):
    (course / "content" / "taken.md").write_text("precious")
    before = (course / "_toc.yml").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        add(slug, title, course)
    assert (course / "content" / "taken.md").read_text() == "precious"
    assert (course / "_toc.yml").read_text(encoding="utf-8") == before
