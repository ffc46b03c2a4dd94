"""The pages of the book, in the order of `_toc.yml`."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def pages():
    """Return the paths of all pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    return [ROOT / f"{name}.md" for name in names]


def chapters():
    """Return the paths of the pages that hold code."""
    return [p for p in pages() if p.exists() and "\n```{code-cell}" in p.read_text("utf-8")]
