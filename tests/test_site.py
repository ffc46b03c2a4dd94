"""The website as readers see it: `make test-site` drives a real browser over every page.

Prints a table of what was measured on each page.
"""

import contextlib
import gzip
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import urlopen

import jupytext
import pytest
from docutils import nodes
from faulty_server import unused_port
from matplotlib import rc_params_from_file
from PIL import Image, ImageChops
from toc import ROOT, chapters, handouts, pages

from workshop_utils import fetch_data

pytestmark = [pytest.mark.site, pytest.mark.xdist_group("site")]

SITE = ROOT / "_build" / "html"
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
MAY_WEIGH_KB = 600
MAY_SHIFT = 0.02
LEGIBLE_PX = 9.5
LIGHTHOUSE = "13.5.0"
FIGURES = rc_params_from_file(ROOT / "content" / "matplotlibrc", use_default_template=False)


def built(sources):
    """Return the paths of pages within the site."""
    return [f"content/{source.stem}.html" for source in sources]


def using(text):
    """Return the chapters whose source holds a text."""
    return built(path for path in chapters() if text in path.read_text(encoding="utf-8"))


PAGES, CHAPTERS, HANDOUTS = built(pages()), built(chapters()), built(handouts())
EXPLORERS = using("explorer-")

measured = defaultdict(dict)


class Handler(SimpleHTTPRequestHandler):
    """Compresses text, as hosts of static pages do."""

    packed: ClassVar[dict[Path, bytes]] = {}

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        kind = self.guess_type(str(path))
        text = re.match(r"text/|application/(javascript|json)|image/svg", kind)
        if not text or not path.is_file() or "gzip" not in self.headers.get("Accept-Encoding", ""):
            super().do_GET()
            return
        if path not in self.packed:
            self.packed[path] = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(self.packed[path])))
        self.end_headers()
        self.wfile.write(self.packed[path])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site():
    """URL of the built site."""
    assert (SITE / "index.html").exists(), "There is no site to test. Type first: make book"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="module")
def program():
    """Path of the browser."""
    from make_pdf import find_chromium

    return find_chromium()


@pytest.fixture(scope="module")
def browser(program):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser, site):
    """Open a page of the site; options are those of a browser context."""
    contexts = []

    def open_(name, viewport=DESKTOP, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.other_hosts, page.bodies, page.complaints = [], {}, []
        page.on("response", lambda response: weigh(page, response))
        page.on("console", lambda m: m.type == "error" and page.complaints.append(m.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.route(
            lambda url: not url.startswith((site, "data:")), lambda route: refuse(page, route)
        )
        page.goto(f"{site}/{name}")
        return page

    yield open_
    for context in contexts:
        context.close()


def refuse(page, route):
    page.other_hosts.append(route.request.url)
    route.abort()


def weigh(page, response):
    if response.status == 200:
        kind = response.headers.get("content-type", "")
        body = response.body()
        text = re.match(r"text/|application/(javascript|json)|image/svg", kind)
        page.bodies[response.url] = len(gzip.compress(body) if text else body)
    elif response.status >= 400:
        page.complaints.append(f"{response.status} {response.url}")


def scroll_to_the_end(page):
    """Scroll as a reader does, so that everything that loads late is loaded."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for y in range(0, height, 600):
        page.evaluate(f"window.scrollTo(0, {y})")
        page.wait_for_timeout(20)
    page.wait_for_load_state("networkidle")


def open_all_folds(page):
    page.evaluate(
        """() => {
          document.querySelectorAll('details:not([open]) > summary').forEach(e => e.click());
          document.querySelectorAll('.toggle-hidden > .toggle-button, .toggle-hidden button')
            .forEach(e => e.click());
        }"""
    )
    page.wait_for_timeout(1000)  # the theme waits until sizes are settled
    assert page.locator("details:not([open]), article .toggle-hidden").count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_page_is_light_and_whole(name, open_page):
    page = open_page(name, PHONE)
    page.evaluate(
        """() => { window.shift = 0; new PerformanceObserver(list => {
             for (const e of list.getEntries()) if (!e.hadRecentInput) window.shift += e.value;
           }).observe({type: 'layout-shift', buffered: true}); }"""
    )
    scroll_to_the_end(page)
    weight_kb = sum(page.bodies.values()) / 1000
    shift = page.evaluate("window.shift")
    measured[name].update(requests=len(page.bodies), kB=round(weight_kb), shift=round(shift, 3))
    assert page.other_hosts == []
    assert page.complaints == []
    assert [url for url in page.bodies if "fontawesome" in url] == []
    assert weight_kb <= MAY_WEIGH_KB
    assert shift <= MAY_SHIFT


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone(name, open_page):
    page = open_page(name, PHONE)
    open_all_folds(page)
    scroll_to_the_end(page)
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    measured[name]["overflow px"] = too_wide
    assert too_wide <= 0
    scales = page.evaluate(
        """Array.from(document.querySelectorAll('.cell_output img'))
             .map(image => image.clientWidth / image.naturalWidth)"""
    )
    text_px = min(
        (FIGURES["font.size"] / 72 * FIGURES["savefig.dpi"] * scale for scale in scales),
        default=None,
    )
    if text_px is not None:
        measured[name]["text px"] = round(text_px, 1)
        assert text_px >= LEGIBLE_PX


@pytest.mark.parametrize("name", CHAPTERS)
def test_code_fits_a_laptop(name, open_page):
    page = open_page(name)
    wide = """es => es.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"""
    assert page.eval_on_selector_all(".cell_input pre", wide) == []


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(name, look, open_page):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(name, PHONE if look == "phone" else DESKTOP)
    if look == "dark":
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
    open_all_folds(page)
    page.wait_for_timeout(300)  # colours fade
    found = Axe().run(page).response["violations"]
    n = sum(len(rule["nodes"]) for rule in found)
    measured[name][f"axe {look}"] = n
    report = "\n".join(
        f"{rule['id']}: {rule['help']}\n  "
        + "\n  ".join(
            node["html"][:200] + " | " + " ".join(map(str, node["target"]))
            for node in rule["nodes"][:4]
        )
        for rule in found
    )
    assert n == 0, report


@pytest.mark.parametrize("name", PAGES)
def test_every_image_is_described(name, open_page):
    page = open_page(name)
    images = page.eval_on_selector_all("article img", "es => es.map(e => e.alt)")
    assert [alt for alt in images if len(alt) <= 30 or alt.endswith((".png", ".svg"))] == []


@pytest.mark.parametrize("name", PAGES)
def test_page_without_javascript(name, open_page):
    page = open_page(name, java_script_enabled=False)
    assert len(page.inner_text("article")) > 200
    doctree = ROOT / "_build" / ".doctrees" / name.replace(".html", ".doctree")
    formulas = pickle.loads(doctree.read_bytes()).findall(
        lambda node: isinstance(node, (nodes.math, nodes.math_block))
    )
    assert page.locator("math").count() == len(list(formulas))
    empty = (
        "es => es.filter(e => e.checkVisibility() && e.getBoundingClientRect().width < 1).length"
    )
    assert page.eval_on_selector_all("math", empty) == 0
    assert [text for text in page.locator("math").all_text_contents() if "\\" in text] == []
    for image in page.locator("article .cell_output img").all():
        image.scroll_into_view_if_needed()
        assert image.bounding_box()["width"] > 200


# Adds an admonition of each kind and a copy of each icon that is hidden here, marks the icons
# (characters of an icon font, masks, <svg>), and returns a name and the box of each.
MARK_ICONS = """kinds => {
    const visible = e => e.checkVisibility({opacityProperty: true, visibilityProperty: true});
    const samples = document.createElement("div");
    samples.className = "bd-article";
    document.querySelector("main").prepend(samples);
    samples.innerHTML = kinds.map(kind =>
        `<div class="admonition ${kind}"><p class="admonition-title">${kind}</p></div>`).join("");
    for (const e of document.querySelectorAll("[class*='fa-']"))
        if (!visible(e)) samples.append(e.cloneNode(true), " ");
    const icons = [];
    for (const e of document.querySelectorAll("body *")) e.scrollTop = 0;
    for (const e of document.querySelectorAll("body *")) {
        if (!visible(e)) continue;
        if (e.matches("button svg, summary svg, svg[class*='fa-']")) e.dataset.icon = "self";
        for (const pseudo of e instanceof SVGElement ? [] : ["before", "after"]) {
            const style = getComputedStyle(e, "::" + pseudo);
            const mask = style.content !== "none" && style.maskImage !== "none";
            if (mask || /[\ue000-\uf8ff]/.test(style.content)) e.dataset.icon = pseudo;
        }
        if (!e.dataset.icon && !e.matches("[class*='fa-'], .admonition-title")) continue;
        const box = e.getBoundingClientRect();
        icons.push({
            name: e.className.baseVal ?? e.parentElement.className + " > " + e.className,
            drawn: e.dataset.icon ?? null,
            font: /[\ue000-\uf8ff]/.test(getComputedStyle(e, "::" + e.dataset.icon).content),
            area: parseFloat(getComputedStyle(e).fontSize) ** 2,
            box: [box.left, box.top, box.right, box.bottom].map(Math.round),
        });
    }
    return icons;
}"""
ADMONITIONS = (
    "note tip hint important attention warning caution danger error seealso admonition-todo "
    "exercise any"
).split()
HIDDEN = """
    [data-icon=self], [data-icon=before]::before, [data-icon=after]::after
    { visibility: hidden !important }"""
NO_GLYPH = """
    [data-icon=before]::before, [data-icon=after]::after
    { background: none !important; content: "\\10fffd" !important; mask: none !important }"""


@pytest.mark.parametrize("look", ["light", "dark", "phone", "forced colours"])
@pytest.mark.parametrize("name", [PAGES[len(PAGES) // 2], "search.html"])
def test_icons_are_drawn(name, look, open_page):
    """Neither nothing, nor a filled square, nor the box that stands for a missing character."""
    page = open_page(
        name,
        PHONE if look == "phone" else DESKTOP,
        color_scheme="dark" if look == "dark" else "light",
        forced_colors="active" if look == "forced colours" else "none",
    )
    page.wait_for_load_state("networkidle")
    icons = page.evaluate(MARK_ICONS, ADMONITIONS)

    def picture(style=" "):
        element = page.add_style_tag(content=style)
        shot = page.screenshot(full_page=True, animations="disabled")
        element.evaluate("e => e.remove()")
        return Image.open(io.BytesIO(shot)).convert("RGB")

    shown, hidden, no_glyph = picture(), picture(HIDDEN), picture(NO_GLYPH)
    wrong = []
    for icon in icons:
        ink, changed = (
            ImageChops.difference(shown.crop(icon["box"]), other.crop(icon["box"])).convert("L")
            for other in (hidden, no_glyph)
        )
        n_pixels = sum(ink.point(lambda level: level > 40 and 255).histogram()[128:])
        if not 0.05 < n_pixels / icon["area"] < 0.85:
            wrong.append(f"{icon['name']}: {n_pixels} px")
        elif icon["font"] and not changed.getbbox():
            wrong.append(f"{icon['name']}: missing in the font")
    assert wrong == []
    assert len(icons) > len(ADMONITIONS)


def test_links_and_anchors(site):
    """Every link of every page leads somewhere; those to other hosts are for make linkcheck."""
    broken = []
    targets = {}
    for path in [*SITE.glob("*.html"), *SITE.glob("content/*.html")]:
        targets[path] = set(re.findall(r'\bid="([^"]+)"', path.read_text(encoding="utf-8")))
    for path, _ in list(targets.items()):
        for link in re.findall(r'(?:href|src)="([^"]+)"', path.read_text(encoding="utf-8")):
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            address, anchor = urldefrag(link)
            base = path.relative_to(SITE).as_posix()
            target = SITE / unquote(urlsplit(urljoin(base, address)).path.lstrip("/"))
            if target.is_dir():
                target = target / "index.html"
            if not target.exists():
                broken.append(f"{base}: {link}")
            elif anchor and target in targets and unquote(anchor) not in targets[target]:
                broken.append(f"{base}: {link} (no such anchor)")
    assert broken == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_says_what_it_was_built_on(name, open_page):
    page = open_page(name)
    line = "".join(page.locator(".data-line").all_inner_texts())
    printed = page.inner_text("article")
    assert ("Simulated data" in line) == ("SIMULATED DATA" in printed)
    assert ("Recorded data" in line) == ("Recorded data: " in printed.replace(line, ""))


def explorer(page):
    """Bring the explorer of a page into view; return a function that reads its result."""
    page.locator(".explorer").scroll_into_view_if_needed()
    return lambda: page.inner_text(".explorer-says")


@pytest.mark.parametrize("name", using("explorer-lnp"))
def test_explorer_of_the_model_by_keyboard(name, open_page):
    page = open_page(name)
    says = explorer(page)
    before = says()
    assert "bits per spike below the optimum" in before
    slider = page.get_by_label("Weight w")
    value = float(slider.input_value())
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert float(slider.input_value()) == pytest.approx(value + 0.1)
    assert says() != before
    page.keyboard.press("Tab")  # to the intercept
    page.keyboard.press("Tab")  # to the button
    page.keyboard.press("Enter")
    lost, ratio = map(float, re.findall(r"\d+\.\d+", says()))
    assert (lost, ratio) == (0, 1)


@pytest.mark.parametrize("name", using("explorer-basis"))
def test_explorer_of_the_basis_by_keyboard(name, open_page):
    """Its filter is the one that NeMoS makes of the same weights."""
    import nemos as nmo
    import numpy as np

    page = open_page(name)
    says = explorer(page)
    for label, n, window in (
        (None, 8, 200),
        ("Number of functions", 7, 200),
        ("Window", 7, 190),
        ("Weight 1", 7, 190),
    ):
        if label:
            page.get_by_label(label).focus()
            page.keyboard.press("ArrowLeft")
        weights = [float(page.get_by_label(f"Weight {j + 1}").input_value()) for j in range(n)]
        basis = nmo.basis.RaisedCosineLogConv(n_basis_funcs=n, window_size=window)
        expected = np.asarray(basis.evaluate_on_grid(window)[1]) @ weights
        lag = np.abs(expected).argmax()
        assert says() == (
            f"{n} numbers instead of {window}. The filter is largest, {expected[lag]:.2f}, "
            f"at a lag of {lag + 1} ms."
        )


def test_explorers_are_light_and_only_where_they_are_used(open_page):
    for name in CHAPTERS:
        page = open_page(name)
        page.wait_for_load_state("networkidle")
        sizes = [n for url, n in page.bodies.items() if "explorer" in url]
        assert bool(sizes) == (name in EXPLORERS), name
        assert sum(sizes) <= 60_000


def test_site_opens_from_a_folder(browser):
    """Without a server: pages, figures, explorers and the search."""
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.goto((SITE / "index.html").as_uri())
    page.wait_for_selector("article h1")
    for name in EXPLORERS or CHAPTERS[:1]:
        page.goto((SITE / name).as_uri())
        page.wait_for_selector(".explorer" if name in EXPLORERS else "article h1")
        page.locator("article img").first.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('article img').naturalWidth > 0")
    page.goto((SITE / "search.html").as_uri() + "?q=neuron")
    page.wait_for_selector("#search-results li")
    page.context.close()


def test_pdf_has_bookmarks_and_links(tmp_path):
    from pypdf import PdfReader

    subprocess.run(
        [sys.executable, ROOT / "book" / "make_pdf.py", tmp_path / "book.pdf"], check=True
    )
    book = PdfReader(tmp_path / "book.pdf")
    titles = [entry.title for entry in book.outline if not isinstance(entry, list)]
    headings = [re.search(r"(?m)^# (.*)", page.read_text(encoding="utf-8"))[1] for page in pages()]
    assert titles == headings
    links = [link.get_object() for page in book.pages for link in page.get("/Annots", ())]
    assert any("/Dest" in link for link in links)
    assert not any(str(link.get("/A", {}).get("/URI", "")).startswith("file:") for link in links)
    n_images = sum(len(page.images) for page in book.pages)
    n_figures = sum(
        len(set(re.findall(r"<img [^>]*_images/[^>]*\.png", (SITE / name).read_text("utf-8"))))
        for name in PAGES
    )
    assert n_images >= n_figures > 0


@pytest.mark.parametrize("name", [name for name in PAGES if "/quiz_" in name])
def test_quiz_by_keyboard_without_javascript(name, open_page):
    page = open_page(name, java_script_enabled=False)
    options = page.locator("article details")
    assert options.count() > 0
    for option in options.all():
        reason = option.get_by_text(re.compile(r"^(Right|Wrong)\.$"))
        assert not reason.is_visible()
        option.locator("summary").focus()
        page.keyboard.press("Enter")
        assert reason.is_visible()


@pytest.mark.parametrize("name", [name for name in PAGES if "/cheat_sheet" in name])
def test_cheat_sheet_fits_one_sheet(name, tmp_path, open_page):
    """With all of its code, in legible letters; by `make cheat-sheet` and by hand."""
    from pypdf import PdfReader

    command = [sys.executable, ROOT / "book" / "make_pdf.py"]
    subprocess.run([*command, tmp_path / "made.pdf", "cheat_sheet"], check=True)
    page = open_page(name)
    page.pdf(path=tmp_path / "a4.pdf", format="A4")
    page.pdf(path=tmp_path / "letter.pdf", format="Letter")
    cells = jupytext.read(ROOT / name.replace(".html", ".md")).cells
    code = ["".join(cell.source.split()) for cell in cells if cell.cell_type == "code"]
    assert code
    for paper in ("made", "a4", "letter"):
        sheets = PdfReader(tmp_path / f"{paper}.pdf").pages
        assert len(sheets) == 1, paper
        printed = "".join(sheets[0].extract_text().split())
        assert [snippet for snippet in code if snippet not in printed] == [], paper
    page.emulate_media(media="print")
    sizes_px = page.eval_on_selector_all(
        "#cheat-sheet p, #cheat-sheet pre, #cheat-sheet pre span",
        "es => es.map(e => parseFloat(getComputedStyle(e).fontSize))",
    )
    assert 0.75 * min(sizes_px) >= 7  # points


@pytest.mark.parametrize("name", HANDOUTS)
def test_chapter_can_be_downloaded(name, open_page):
    page = open_page(name)
    for kind in ("participant", "complete"):
        with page.expect_download() as download:
            page.click(f".take-away a[href*={kind}]")
        notebook = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert any(cell["outputs"] for cell in code) == (kind == "complete")
    assert page.locator(".take-away button").is_visible()
    assert page.locator(".take-away", has_text="Run on").count() == 0, "no repository is set"


@pytest.mark.parametrize("name", CHAPTERS)
def test_notes_for_presenters_are_not_on_the_page(name):
    source = jupytext.read(ROOT / name.replace(".html", ".md"))
    page = (SITE / name).read_text(encoding="utf-8")
    for cell in source.cells:
        if "presenter" in cell.metadata.get("tags", []):
            assert max(re.findall(r"[\w ]+", cell.source), key=len) not in page


def jupyterlab(home, without):
    """Yield the URL of a real JupyterLab without some extensions, on a folder of downloads."""
    shutil.copytree(SITE / "notebooks", home / "downloads")
    config = home / "config" / "labconfig" / "page_config.json"
    config.parent.mkdir(parents=True)
    off = dict.fromkeys(without, True)
    config.write_text(json.dumps({"disabledExtensions": off}), encoding="utf-8")
    port = unused_port()
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--allow-root",
        "--ServerApp.jpserver_extensions={'jupytext': False}", f"--notebook-dir={home}",
    ]  # fmt: skip
    env = {**os.environ, "JUPYTER_CONFIG_DIR": str(home / "config"), "HOME": str(home)}
    env["WORKSHOP_DATA_DIR"] = str(fetch_data("allen_478498617.nwb").parent)
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        if server.poll() is not None:
            pytest.fail((home / "log").read_text())
        with contextlib.suppress(OSError):
            urlopen(f"{url}/api", timeout=5).close()
            break
        time.sleep(0.2)
    yield url
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture(scope="module")
def plain_lab(tmp_path_factory):
    yield from jupyterlab(
        tmp_path_factory.mktemp("plain"), ["jupyterlab-myst", "jupyterlab-jupytext"]
    )


@pytest.fixture(scope="module")
def myst_lab(tmp_path_factory):
    yield from jupyterlab(tmp_path_factory.mktemp("myst"), ["jupyterlab-jupytext"])


RAW_MARKUP = re.compile(r"\{[a-z:-]+\}`|:::|\{(exercise|solution|admonition|dropdown|math)|</?su")


def read_through(page, url, look):
    """Open a notebook, read it to its end; return its text, and what `look` sees on the way."""
    page.goto(url)
    page.wait_for_selector(".jp-MarkdownCell h1", timeout=60_000)
    seen, found = "", []
    for _ in range(120):  # the notebook renders what is in view, and grows meanwhile
        page.wait_for_timeout(250)
        found.append(page.evaluate(look))
        seen += found[-1]["text"]
        at_end = page.evaluate(
            """() => {
                const pane = document.querySelector('.jp-WindowedPanel-outer');
                pane.scrollBy(0, 1200);
                return pane.scrollTop + pane.clientHeight >= pane.scrollHeight - 2;
            }"""
        )
        if at_end and "What you learned" in seen:
            break
    assert "What you learned" in seen
    assert not RAW_MARKUP.search(seen), RAW_MARKUP.search(seen)
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
    return found


# Rendered text (with the extension, a cell shows its source for a moment); widths of pictures;
# formulas; those left raw; second numbers of equations; folds.
LOOK = """() => {
    const all = selector => [...document.querySelectorAll('.jp-MarkdownCell ' + selector)];
    const source = e => e.closest('.jp-MarkdownCell').querySelector('.jp-InputArea-editor');
    return {
        text: all('.jp-InputArea').map(
            e => e.innerText.replace(source(e).innerText, '')).join('\\n'),
        pictures: all('img').map(i => i.naturalWidth),
        formulas: all('mjx-container, .katex').length,
        raw: all('.math-inline, .math-display').map(e => e.textContent),
        numbers: all('a').map(e => e.innerText).filter(t => /^\\(\\d+\\)$/.test(t)),
        folds: all('summary').map(e => e.textContent.trim()),
    };
}"""


def markdown(kind, slug):
    """Return the text of a downloaded notebook, without its code."""
    cells = jupytext.read(SITE / "notebooks" / kind / f"{slug}.ipynb").cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def markup(path):
    """Return what the choice of chapters depends on: has it a picture, how many formulas."""
    text = path.read_text(encoding="utf-8")
    return "(images/" in text or "{figure} images/" in text, text.count("$")


BY_MARKUP = [path.stem for path in sorted(handouts(), key=markup)]
SLUG = BY_MARKUP[-1]


@pytest.mark.parametrize("kind", ["participant", "complete", "instructor"])
def test_download_in_a_jupyterlab_without_extensions(kind, plain_lab, browser):
    page = browser.new_context(viewport={"width": 1280, "height": 2000}).new_page()
    found = read_through(page, f"{plain_lab}/doc/tree/downloads/{kind}/{SLUG}.ipynb", LOOK)
    assert any(look["formulas"] for look in found)
    pictures = [width for look in found for width in look["pictures"]]
    assert bool(pictures) == ("data:image" in markdown(kind, SLUG))
    assert min(pictures, default=101) > 100

    for n in (0, 1):  # the cell that looks for the course, then the imports
        cell = page.locator(".jp-CodeCell").nth(n)
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        ran = cell.locator(".jp-InputPrompt", has_text=re.compile(rf"\[{n + 1}\]"))
        ran.wait_for(timeout=120_000)
    assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type*=error]").count() == 0
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
    title, target = re.search(r"(?<!!)\[([^\]]+)\]\((\w+\.ipynb)", markdown(kind, SLUG)).groups()
    page.locator(".jp-RenderedMarkdown a", has_text=title).first.click()
    page.wait_for_url(f"**/downloads/{kind}/{target}")
    page.context.close()


@pytest.mark.parametrize("slug", sorted({*BY_MARKUP[:1], *BY_MARKUP[-2:]}))
def test_download_in_a_jupyterlab_with_myst(slug, myst_lab, browser):
    """The extension numbers equations, leaves formulas in folds raw, and hides their triangles."""
    page = browser.new_context(viewport={"width": 1280, "height": 2000}).new_page()
    url = f"{myst_lab}/doc/tree/downloads/participant/{slug}.ipynb"
    found = read_through(page, url, LOOK)
    assert page.locator("[class*=myst]").count() > 0, "the extension is at work"
    for look in found:
        assert look["raw"] == look["numbers"] == []
        assert [text for text in look["folds"] if not text.endswith("(click)")] == []
    assert any(look["folds"] for look in found)
    assert any(look["formulas"] for look in found) == ("$" in markdown("participant", slug))
    pictures = [width for look in found for width in look["pictures"]]
    assert bool(pictures) == ("data:image" in markdown("participant", slug))
    assert min(pictures, default=101) > 100
    page.context.close()


# Small numbers: the rest is measured above. Performance depends on the machine, so it is
# printed and must only not be bad.
MUST_SCORE = {"performance": 0.7, "accessibility": 1, "best-practices": 1, "seo": 1}


@pytest.fixture(scope="module")
def lighthouse(program):
    """Run Lighthouse; the first call installs it."""
    command = ["npx", "--yes", f"lighthouse@{LIGHTHOUSE}"]
    options = {"capture_output": True, "text": True, "timeout": 300}
    options["env"] = {**os.environ, "CHROME_PATH": program}
    if shutil.which("npx") is None:
        pytest.skip("Lighthouse needs npx, which is not here")
    if subprocess.run([*command, "--version"], **options).returncode:
        pytest.skip("Lighthouse could not be installed with npx")

    def run(*arguments):
        done = subprocess.run([*command, *arguments], **options)
        if done.returncode:  # now and then the browser does not answer in time
            done = subprocess.run([*command, *arguments], **options)
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.parametrize("name", CHAPTERS)
def test_lighthouse(name, site, lighthouse, tmp_path):
    """Measure with Lighthouse's default, a phone of the middle class on a slow network."""
    report = tmp_path / "report.json"
    lighthouse(
        f"{site}/{name}",
        "--quiet",
        "--output=json",
        f"--output-path={report}",
        "--only-categories=performance,accessibility,best-practices,seo",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
    )
    found = json.loads(report.read_text(encoding="utf-8"))
    scores = {key: found["categories"][key]["score"] for key in MUST_SCORE}
    lcp_s = found["audits"]["largest-contentful-paint"]["numericValue"] / 1000
    measured[name]["lighthouse"] = "/".join(f"{100 * score:.0f}" for score in scores.values())
    measured[name]["LCP s"] = round(lcp_s, 1)
    wrong = {
        key: audit["title"]
        for key, audit in found["audits"].items()
        if audit["score"] == 0 and audit["scoreDisplayMode"] == "binary"
    }
    assert all(scores[key] >= least for key, least in MUST_SCORE.items()), (scores, wrong)


def test_search_finds_each_page_once(open_page):
    page = open_page("search.html?q=neuron")
    page.wait_for_selector("#search-results li")
    page.wait_for_timeout(500)
    found = page.eval_on_selector_all(
        "#search-results li a", "es => es.map(e => e.href.split('?')[0])"
    )
    assert any(name in url for url in found for name in PAGES)
    assert len(found) == len({url.split("#")[0] for url in found})


@pytest.fixture(scope="module", autouse=True)
def table(request):
    """Print what was measured, page by page."""
    yield
    columns = [
        "lighthouse",
        "LCP s",
        "requests",
        "kB",
        "shift",
        "overflow px",
        "text px",
        "axe light",
        "axe dark",
        "axe phone",
    ]
    lines = [" ".join([f"{'page':24}", *(f"{c:>15}" for c in columns)])]
    for name in PAGES:
        row = measured.get(name, {})
        cells = (f"{row.get(c, ''):>15}" for c in columns)
        lines.append(" ".join([f"{Path(name).stem:24}", *cells]))
    (ROOT / "build" / "site-measured.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    request.config.site_table = lines
