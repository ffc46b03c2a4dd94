"""Sphinx extension: versions and data of a build in the footer; URLs of the pages, and a sitemap.

`COURSE_URL`, an environment variable, is the URL at which the site will be published.
Without it no page states its URL, and no sitemap is written.
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

from sphinx.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("nemos", "pynapple", "jax", "numpy")


def commit():
    """Return the abbreviated commit of the sources, or nothing outside a repository."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty=, changed"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({result.stdout.strip()})"


def source():
    """Return whether the chapters were executed on recorded or on simulated data."""
    try:
        records = json.loads((ROOT / "_build" / "executions.json").read_text(encoding="utf-8"))
    except OSError:
        return "not executed"
    return records["data"]


def footer():
    """Return the footer as HTML."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        f"Version {project['version']}{commit()}, built on {time.strftime('%Y-%m-%d')} "
        f"with {versions}.",
        f"Cortical neuron of this build: {source()}.",
        "Text and figures: CC BY 4.0. Code: BSD 3-Clause.",
    ]
    return "<br>".join(escape(part) for part in parts)


def configure(app, config):
    """Set the options that are known only when the site is built."""
    config.html_theme_options["extra_footer"] = footer()
    config.myst_substitutions["data_source"] = source()
    url = os.environ.get("COURSE_URL", "")
    if url:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(f"COURSE_URL is {url!r}, but must be an http(s) URL.")
        url = url.rstrip("/") + "/"
        config.html_baseurl = config.ogp_site_url = url
    config.notfound_urls_prefix = urlsplit(url).path or "/"


def remove_url(app, pagename, templatename, context, doctree):
    """Remove the tag that states the URL of a page where it is not known."""
    if not app.config.html_baseurl:
        tags = context.get("metatags", "")
        context["metatags"] = re.sub(r'<meta property="og:url"[^>]*>\n?', "", tags)


def write_sitemap(app, exception):
    """List the URLs of all pages, for search engines."""
    if exception or not app.config.html_baseurl or app.builder.format != "html":
        return
    pages = sorted(app.builder.get_target_uri(name) for name in app.env.found_docs)
    lines = [f"{app.config.html_baseurl}{page}\n" for page in pages]
    Path(app.outdir, "sitemap.txt").write_text("".join(lines), encoding="utf-8")


def setup(app):
    """Register with Sphinx."""
    app.connect("config-inited", configure, priority=900)
    app.connect("html-page-context", remove_url, priority=900)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True}
