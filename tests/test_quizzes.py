"""The quiz at the end of each part: one right option, and a reason for every option."""

import editions
import pytest
import yaml
from toc import ROOT

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
LAST = {part["caption"]: part["chapters"][-1]["file"] for part in TOC["parts"]}
QUIZZES = {caption: ROOT / f"{LAST[caption]}.md" for caption in LAST if "/quiz_" in LAST[caption]}


def questions(path):
    """Return {heading: [(option, its explanation), …]} of a quiz."""
    found, heading = {}, ""
    tokens = editions.parser().parse(path.read_text(encoding="utf-8"))
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and token.tag == "h2":
            heading = following.content
            found[heading] = []
        name, title, options, body = editions.directive(token)
        if name == "dropdown":
            assert "open" not in options, f"{title}: the answer is not shown at once"
            found[heading].append((title, body))
    return found


def test_each_part_that_teaches_ends_with_a_quiz():
    assert list(QUIZZES) == ["Data", "Describe", "Model", "Extend"]
    assert sorted(QUIZZES.values()) == sorted((ROOT / "content").glob("quiz_*.md"))


@pytest.mark.parametrize("path", QUIZZES.values(), ids=lambda p: p.stem)
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
