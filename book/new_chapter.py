"""Begin a chapter: copy the template, and enter it in the table of contents.

Usage: python book/new_chapter.py SLUG TITLE        (`make new-chapter` does it)
"""

import re
import sys

from toc import ROOT

#: In front of this line of _toc.yml a new chapter goes.
QUIZ = "      - file: content/quiz_extend\n"


def add(slug, title, root=ROOT):
    """Write content/<slug>.md and its line in _toc.yml; return the path of the chapter.

    Raises
    ------
    ValueError
        For a slug or a title that will not do, and where there is such a chapter.
    """
    path, toc = root / "content" / f"{slug}.md", root / "_toc.yml"
    if not re.fullmatch(r"[a-z]+(_[a-z]+)*", slug):
        raise ValueError(
            f"SLUG is {slug!r}, but must be small letters with underscores between words, "
            "such as my_chapter: it names the file, and the order stands in _toc.yml."
        )
    if not title.strip() or "\n" in title:
        raise ValueError('TITLE must be one line that starts with a verb: "Ask something"')
    if path.exists():
        raise ValueError(f"{path} exists. Choose another SLUG, or delete that file first.")
    text = (root / "content" / "_template.md").read_text(encoding="utf-8")
    text = text.replace("ask-something", slug.replace("_", "-")).replace("Ask something", title)
    table = toc.read_text(encoding="utf-8")
    if QUIZ not in table:
        raise ValueError(f"{toc} has no line {QUIZ.strip()!r}, before which the chapter would go.")
    path.write_text(text, encoding="utf-8")
    entry = f"      - file: content/{slug}\n"
    toc.write_text(table.replace(QUIZ, entry + QUIZ), encoding="utf-8")
    return path


def main():
    if len(sys.argv) != 3:
        sys.exit('Type: make new-chapter SLUG=my_chapter TITLE="Ask something"')
    try:
        path = add(*sys.argv[1:])
    except ValueError as error:
        sys.exit(str(error))
    print(f"Made {path.relative_to(ROOT)}, the last chapter in _toc.yml: move its line at will.")
    print("Write it, then: make format, make book, make test")


if __name__ == "__main__":
    main()
