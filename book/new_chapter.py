"""Start a chapter: copy the template, and add it to the table of contents.

Usage: python book/new_chapter.py SLUG TITLE        (`make new-chapter` does it)
"""

import re
import sys

from toc import ROOT, is_lesson, parts


def add(slug, title, root=ROOT):
    """Write content/<slug>.md, its wrong answers and its line in _toc.yml; return its path.

    Raises
    ------
    ValueError
        For a slug or a title that cannot be used, and if there is such a chapter.
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

    def renamed(template):
        text = template.read_text(encoding="utf-8").replace("Ask something", title)
        return text.replace("ask-something", slug.replace("_", "-"))

    # Behind the last chapter of the last part that consists mostly of chapters.
    chapters = [(part, [page for page in part if is_lesson(page)]) for part in parts(root)]
    mostly = [found[-1] for part, found in chapters if 2 * len(found) > len(part)]
    if not mostly:
        raise ValueError(f"{toc.name} lists no part with chapters to which this one could go.")
    table = toc.read_text(encoding="utf-8")
    line = re.search(rf"^( *- file: .*){mostly[-1].stem}(\.md)?\n", table, re.MULTILINE)
    answers = root / "content" / "wrong_answers"
    path.write_text(renamed(root / "content" / "_template.md"), encoding="utf-8")
    (answers / f"{slug}.py").write_text(renamed(answers / "_template.py"), encoding="utf-8")
    entry = f"{line[1]}{slug}\n"
    toc.write_text(table[: line.end()] + entry + table[line.end() :], encoding="utf-8")
    return path


def main():
    if len(sys.argv) != 3:
        sys.exit('Type: make new-chapter SLUG=my_chapter TITLE="Ask something"')
    try:
        path = add(*sys.argv[1:])
    except ValueError as error:
        sys.exit(str(error))
    print(f"Made {path.relative_to(ROOT)} and added it to _toc.yml: move its line at will.")
    print("Write it, then: make format, make book, make test")


if __name__ == "__main__":
    main()
