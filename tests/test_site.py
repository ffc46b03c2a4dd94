"""The website as readers meet it: `make test-site` drives a real browser over every page.

Prints a table of what was measured on each page.
"""

import contextlib
import gzip
import json
import os
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
from faulty_server import unused_port
from toc import ROOT, chapters, pages

from workshop_utils import fetch_data

pytestmark = [pytest.mark.site, pytest.mark.xdist_group("site")]

SITE = ROOT / "_build" / "html"
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
MAY_WEIGH_KB = 600
MAY_SHIFT = 0.02
LEGIBLE_PX = 9.5
LIGHTHOUSE = "13.5.0"
FONT_PT, FIGURE_DPI = 14, 200  # book/matplotlibrc
PAGES = [f"content/{page.stem}.html" for page in pages()]
CHAPTERS = [f"content/{page.stem}.html" for page in chapters()]

measured = defaultdict(dict)


class Handler(SimpleHTTPRequestHandler):
    """Serves as a host of static pages does: compressed where the browser likes that."""

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
    """Address of the built site."""
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
    """Open a page of the site, with whatever a browser context may be told."""
    contexts = []

    def open_(name, viewport=DESKTOP, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.other_hosts, page.bodies, page.complaints = [], {}, []
        page.on("response", lambda response: heard(page, response))
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


def heard(page, response):
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
    text_px = min((FONT_PT / 72 * FIGURE_DPI * scale for scale in scales), default=None)
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
    assert all(len(alt) > 30 and not alt.endswith((".png", ".svg")) for alt in images)


@pytest.mark.parametrize("name", PAGES)
def test_page_without_javascript(name, open_page):
    page = open_page(name, java_script_enabled=False)
    text = page.inner_text("article")
    assert len(text) > 200
    assert "\\frac" not in text and "\\mu" not in text
    source = (ROOT / name.replace(".html", ".md")).read_text(encoding="utf-8")
    assert (page.locator("math").count() > 0) == ("{math}" in source)
    for image in page.locator("article .cell_output img").all():
        image.scroll_into_view_if_needed()
        assert image.bounding_box()["width"] > 200


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
    line = page.inner_text(".data-line")
    printed = page.inner_text("article")
    assert ("Simulated data" in line) == ("SIMULATED DATA" in printed)
    assert ("Recorded data" in line) == ("Recorded data: " in printed.replace(line, ""))


def explorer(page):
    """Bring the explorer of a page into view, and return what it says as a function."""
    page.locator(".explorer").scroll_into_view_if_needed()
    return lambda: page.inner_text(".explorer-says")


def test_explorer_of_the_model_by_keyboard(open_page):
    page = open_page("content/fit_glm.html")
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


def test_explorer_says_what_the_chapter_computed(open_page):
    """Its optimum is the fit that the chapter prints."""
    page = open_page("content/fit_glm.html")
    weight, intercept = page.evaluate("[explorerData.lnp.best.w, explorerData.lnp.best.b]")
    printed = [float(n) for n in re.findall(r"-?\d+\.\d{6,}", page.inner_text("article"))]
    assert min(abs(n - weight) for n in printed) < 1e-5
    assert min(abs(n - intercept) for n in printed) < 1e-5


def test_explorer_of_the_basis_by_keyboard(open_page):
    import nemos as nmo
    import numpy as np

    page = open_page("content/add_history.html")
    says = explorer(page)
    assert says().startswith("8 numbers instead of 200.")
    page.get_by_label("Number of functions").focus()
    page.keyboard.press("ArrowLeft")
    assert says().startswith("7 numbers instead of 200.")
    page.get_by_label("Window").focus()
    page.keyboard.press("ArrowRight")
    assert says().startswith("7 numbers instead of 210.")
    page.get_by_label("Weight 1").focus()
    before = says()
    page.keyboard.press("ArrowLeft")
    assert says() != before
    for n, window in ((8, 200), (3, 50)):
        basis = nmo.basis.RaisedCosineLogConv(n_basis_funcs=n, window_size=window)
        expected = np.asarray(basis.evaluate_on_grid(window)[1]).T
        np.testing.assert_allclose(page.evaluate(f"bumps({n}, {window})"), expected, atol=1e-5)


def test_explorers_are_light_and_only_where_they_are_used(open_page):
    page = open_page("content/fit_glm.html")
    page.wait_for_load_state("networkidle")
    sizes = {url: n for url, n in page.bodies.items() if "explorer" in url}
    assert len(sizes) == 2 and sum(sizes.values()) <= 60_000
    page = open_page("content/judge_fit.html")
    page.wait_for_load_state("networkidle")
    assert not any("explorer" in url for url in page.bodies)


def test_site_opens_from_a_folder(browser):
    """Without a server: pages, figures, formulas, explorers and the search."""
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.goto((SITE / "index.html").as_uri())
    page.wait_for_selector("article h1")
    page.goto((SITE / "content" / "fit_glm.html").as_uri())
    page.wait_for_selector(".explorer")
    page.locator(".cell_output img").first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.cell_output img').naturalWidth > 0")
    page.goto((SITE / "search.html").as_uri() + "?q=intercept")
    page.wait_for_selector("#search-results li")
    page.context.close()


def test_pdf_has_bookmarks_and_links(tmp_path):
    from pypdf import PdfReader

    subprocess.run(
        [sys.executable, ROOT / "book" / "make_pdf.py", tmp_path / "book.pdf"], check=True
    )
    book = PdfReader(tmp_path / "book.pdf")
    titles = [entry.title for entry in book.outline if not isinstance(entry, list)]
    assert len(titles) == len(PAGES)
    assert "Fit a GLM" in titles
    notes = [note.get_object() for page in book.pages for note in page.get("/Annots", ())]
    assert sum("/Dest" in note for note in notes) > 50
    assert not any(str(note.get("/A", {}).get("/URI", "")).startswith("file:") for note in notes)
    images = [image for page in book.pages for image in page.images]
    assert len(book.pages) > 50 and len(images) > 20


@pytest.mark.parametrize("name", [name for name in PAGES if "/quiz_" in name])
def test_quiz_by_keyboard_without_javascript(name, open_page):
    page = open_page(name, java_script_enabled=False)
    options = page.locator("article details")
    assert options.count() >= 15
    for option in options.all():
        reason = option.get_by_text(re.compile(r"^(Right|Wrong)\.$"))
        assert not reason.is_visible()
        option.locator("summary").focus()
        page.keyboard.press("Enter")
        assert reason.is_visible()


def test_cheat_sheet_fits_one_sheet(tmp_path, open_page):
    """With all of its code, in letters that can be read; by `make cheat-sheet` and by hand."""
    from pypdf import PdfReader

    command = [sys.executable, ROOT / "book" / "make_pdf.py"]
    subprocess.run([*command, tmp_path / "made.pdf", "cheat_sheet"], check=True)
    page = open_page("content/cheat_sheet.html")
    page.pdf(path=tmp_path / "a4.pdf", format="A4")
    page.pdf(path=tmp_path / "letter.pdf", format="Letter")
    cells = jupytext.read(ROOT / "content" / "cheat_sheet.md").cells
    code = ["".join(cell.source.split()) for cell in cells if cell.cell_type == "code"]
    assert len(code) >= 20
    for name in ("made", "a4", "letter"):
        sheets = PdfReader(tmp_path / f"{name}.pdf").pages
        assert len(sheets) == 1, name
        printed = "".join(sheets[0].extract_text().split())
        assert [snippet for snippet in code if snippet not in printed] == [], name
    page.emulate_media(media="print")
    sizes_px = page.eval_on_selector_all(
        "#cheat-sheet p, #cheat-sheet pre, #cheat-sheet pre span",
        "es => es.map(e => parseFloat(getComputedStyle(e).fontSize))",
    )
    assert 0.75 * min(sizes_px) >= 7  # points


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_can_be_taken_away(name, open_page):
    page = open_page(name)
    for kind in ("participant", "complete"):
        with page.expect_download() as download:
            page.click(f".take-away a[href*={kind}]")
        notebook = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert any(cell["outputs"] for cell in code) == (kind == "complete")
    assert page.locator(".take-away button").is_visible()
    assert page.locator(".take-away span").count() == 1, "no place to run it was given"


@pytest.mark.parametrize("name", CHAPTERS)
def test_notes_for_presenters_are_not_on_the_page(name):
    source = jupytext.read(ROOT / name.replace(".html", ".md"))
    page = (SITE / name).read_text(encoding="utf-8")
    assert "Minutes 0–" not in page
    for cell in source.cells:
        if "presenter" in cell.metadata.get("tags", []):
            assert re.findall(r"[\w ]{20,}", cell.source)[0] not in page


def jupyterlab(home, without):
    """Yield the address of a real JupyterLab without some extensions, on a folder of downloads."""
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
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        if server.poll() is not None:
            pytest.fail((home / "log").read_text())
        with contextlib.suppress(OSError):
            urlopen(f"{address}/api", timeout=5).close()
            break
        time.sleep(0.2)
    yield address
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


def read_through(page, address, look):
    """Open a notebook, read it to its end; return its text, and what `look` sees on the way."""
    page.goto(address)
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


@pytest.mark.parametrize("kind", ["participant", "complete", "instructor"])
def test_download_in_a_jupyterlab_without_extensions(kind, plain_lab, browser):
    page = browser.new_context(viewport={"width": 1280, "height": 2000}).new_page()
    found = read_through(page, f"{plain_lab}/doc/tree/downloads/{kind}/fit_glm.ipynb", LOOK)
    assert any(look["formulas"] for look in found)
    pictures = [width for look in found for width in look["pictures"]]
    assert pictures and min(pictures) > 100, "the picture of the model is shown"

    for n in (0, 1):  # the cell that looks for the course, then the imports
        cell = page.locator(".jp-CodeCell").nth(n)
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        ran = cell.locator(".jp-InputPrompt", has_text=re.compile(rf"\[{n + 1}\]"))
        ran.wait_for(timeout=120_000)
    assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type*=error]").count() == 0
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
    page.locator(".jp-RenderedMarkdown a", has_text="Measure a tuning curve").click()
    page.wait_for_url(f"**/downloads/{kind}/measure_tuning.ipynb")
    page.context.close()


@pytest.mark.parametrize("slug", ["fit_glm", "spike_history", "another_sound"])
def test_download_in_a_jupyterlab_with_myst(slug, myst_lab, browser):
    """The extension numbers equations, leaves formulas in folds raw, and hides their triangles."""
    page = browser.new_context(viewport={"width": 1280, "height": 2000}).new_page()
    address = f"{myst_lab}/doc/tree/downloads/participant/{slug}.ipynb"
    found = read_through(page, address, LOOK)
    assert page.locator("[class*=myst]").count() > 0, "the extension is at work"
    for look in found:
        assert look["raw"] == look["numbers"] == []
        assert [text for text in look["folds"] if not text.endswith("(click)")] == []
    assert any(look["folds"] for look in found)
    assert any(look["formulas"] for look in found) == (slug != "another_sound")
    pictures = [width for look in found for width in look["pictures"]]
    assert min(pictures, default=0) > 100 or slug != "fit_glm"
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
    page = open_page("search.html?q=compute_tuning_curves")
    page.wait_for_selector("#search-results li")
    page.wait_for_timeout(500)
    found = page.eval_on_selector_all(
        "#search-results li a", "es => es.map(e => e.href.split('?')[0])"
    )
    assert any("measure_tuning" in address for address in found)
    assert len(found) == len({address.split("#")[0] for address in found})


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
        cells = (f"{row.get(c, '') if row.get(c) is not None else '':>15}" for c in columns)
        lines.append(" ".join([f"{Path(name).stem:24}", *cells]))
    (ROOT / "build" / "site-measured.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    request.config.site_table = lines
