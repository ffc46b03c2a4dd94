"""Print the website, or some of its pages, into one PDF with bookmarks and working links.

Usage: python book/make_pdf.py OUTPUT [SLUG …]      (`make pdf`, `make cheat-sheet` do it)
"""

import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import urldefrag

from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, Fit, NameObject
from toc import ROOT, pages
from yaml import safe_load

SITE = ROOT / "_build" / "html"
PAPER = {
    "format": "A4",
    "margin": dict.fromkeys(("top", "bottom"), "18mm") | dict.fromkeys(("left", "right"), "14mm"),
    "prefer_css_page_size": True,  # the cheat sheet has its own
    "print_background": True,
    "outline": True,
    "tagged": True,
}


def find_chromium():
    """Return the path of the browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        sys.exit("This needs Chromium. Debian or Ubuntu: sudo apt install chromium")
    return program


def print_pages(folder, sources):
    """Print each page into a file of its own; return (URL, title, file) of each."""
    printed = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox"]
        )
        tab = browser.new_page(color_scheme="light")
        for source in sources:
            path = (SITE / source.relative_to(ROOT)).with_suffix(".html")
            tab.goto(path.as_uri())
            # Images that are loaded when they come into view would be missing.
            tab.evaluate(
                """() => Promise.all(Array.from(document.images).map(image => {
                     image.loading = 'eager'; return image.decode().catch(() => {}); }))"""
            )
            file = Path(folder, f"{path.stem}.pdf")
            tab.pdf(path=file, **PAPER)
            printed.append((path.as_uri(), tab.inner_text("article h1").rstrip("#"), file))
        browser.close()
    return printed


def merge(printed, output):
    """Join the files; a link to a page of the book becomes a link within the PDF."""
    writer = PdfWriter()
    first_page = {}
    for url, title, file in printed:
        first_page[url] = len(writer.pages)
        writer.append(PdfReader(file), outline_item=title)
    for page in writer.pages:
        for reference in page.get("/Annots", ()):
            link = reference.get_object()
            target = urldefrag(str(link.get("/A", {}).get("/URI", "")))[0]
            if target in first_page:
                del link["/A"]
                page_there = writer.pages[first_page[target]].indirect_reference
                link[NameObject("/Dest")] = ArrayObject(
                    [page_there, NameObject(Fit.fit().fit_type)]
                )
    config = safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    writer.add_metadata({"/Title": config["title"]})
    output.parent.mkdir(exist_ok=True)
    writer.write(output)
    return len(writer.pages)


def main():
    output, slugs = Path(sys.argv[1]), sys.argv[2:]
    sources = [path for path in pages() if not slugs or path.stem in slugs]
    if unknown := set(slugs) - {path.stem for path in sources}:
        sys.exit(f"Not in _toc.yml: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        n_pages = merge(print_pages(folder, sources), output)
    print(f"{output}: {n_pages} pages, {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
