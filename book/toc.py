"""The pages of the book, in the order of `_toc.yml`."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "content" / "_template.md"  # what `make new-chapter` copies


def pages(without=None):
    """Return the paths of all pages, or of those outside of one part."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [part["chapters"] for part in toc["parts"] if part["caption"] != without]
    names = [toc["root"]] + [page["file"] for part in parts for page in part]
    return [ROOT / f"{name}.md" for name in names]


def chapters(without=None):
    """Return the paths of the pages that hold code."""
    paths = pages(without)
    return [p for p in paths if p.exists() and "\n```{code-cell}" in p.read_text("utf-8")]


def lessons():
    """Return the chapters with exercises: a page of the appendix may hold code without any."""
    return chapters(without="Appendix")
