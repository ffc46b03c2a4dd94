"""Sphinx extension: the footer says what a build was made of; addresses, where they are known.

`COURSE_URL`, an environment variable, is the address at which the site will be published.
Without it no page claims to have an address, and no sitemap is written.
"""

import json
import os
import re
import subprocess
import time
import tomllib
from html import escape
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("nemos", "pynapple", "jax", "numpy")


def commit():
    """Return the abbreviated commit of the sources, or nothing outside of a repository."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=, changed"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({said.stdout.strip()})"


def source():
    """Return whether the chapters were executed on recorded or on simulated data."""
    try:
        records = json.loads((ROOT / "_build" / "executions.json").read_text(encoding="utf-8"))
    except OSError:
        return "not executed"
    return records["data"]


def footer():
    """Return what the footer says, as HTML."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    made_of = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        f"Version {project['version']}{commit()}, built on {time.strftime('%Y-%m-%d')} "
        f"with {made_of}.",
        f"Cortical neuron of this build: {source()}.",
        "Text and figures: CC BY 4.0. Code: BSD 3-Clause.",
    ]
    return "<br>".join(escape(part) for part in parts)


def configure(app, config):
    """Fill in what is known only when the site is built."""
    config.html_theme_options["extra_footer"] = footer()
    config.myst_substitutions["data_source"] = source()
    address = os.environ.get("COURSE_URL", "")
    if address:
        if urlsplit(address).scheme not in ("http", "https"):
            raise ValueError(f"COURSE_URL is {address!r}, but must be an http(s) address.")
        address = address.rstrip("/") + "/"
        config.html_baseurl = config.ogp_site_url = address
    config.notfound_urls_prefix = urlsplit(address).path or "/"


def leave_out_address(app, pagename, templatename, context, doctree):
    """Remove what would be said of the address of a page, where it is not known."""
    if not app.config.html_baseurl:
        tags = context.get("metatags", "")
        context["metatags"] = re.sub(r'<meta property="og:url"[^>]*>\n?', "", tags)


def write_sitemap(app, exception):
    """List the addresses of all pages, for search engines."""
    if exception or not app.config.html_baseurl or app.builder.format != "html":
        return
    pages = sorted(app.builder.get_target_uri(name) for name in app.env.found_docs)
    lines = [f"{app.config.html_baseurl}{page}\n" for page in pages]
    Path(app.outdir, "sitemap.txt").write_text("".join(lines), encoding="utf-8")


def setup(app):
    """Register with Sphinx."""
    app.connect("config-inited", configure, priority=900)
    app.connect("html-page-context", leave_out_address, priority=900)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True}
