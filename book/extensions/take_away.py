"""Sphinx extension: below a chapter's title, where to take it: downloads, and places to run it.

Readers are not offered the notebooks to teach from: those are on the page `content/teach`, in a
fold.

Two environment variables are given when the published site is built:

- `COURSE_REPOSITORY`, `https://github.com/<owner>/<name>`: its branch `notebooks`, to which the
  publishing workflow pushes what `make notebooks` makes, opens in Colab and in Binder;
- `HUB_URL`, the address of a JupyterHub with nbgitpuller: opens that branch there.

Without them these links are absent. Downloads are always there.
"""

import os
import re
from html import escape
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from sphinx.errors import ConfigError
from toc import handouts

BRANCH = "notebooks"
SITE = Path(__file__).resolve().parents[2] / "build" / "site"


def address(name):
    """Return the address that an environment variable gives, without a slash at its end."""
    given = os.environ.get(name, "").rstrip("/")
    if given and (urlsplit(given).scheme not in ("http", "https") or not urlsplit(given).netloc):
        raise ConfigError(f"{name} is {given!r}, but must be an http(s) address.")
    return given


def places(slug):
    """Return where a chapter can be run: {name: address}."""
    repository, hub = address("COURSE_REPOSITORY"), address("HUB_URL")
    file = f"participant/{slug}.ipynb"
    found = {}
    if hub:
        if not repository:
            raise ConfigError("HUB_URL needs COURSE_REPOSITORY: from where would the hub pull?")
        query = {
            "repo": repository,
            "branch": BRANCH,
            "urlpath": f"lab/tree/{repository.rsplit('/', 1)[1].removesuffix('.git')}/{file}",
        }
        found["JupyterHub"] = f"{hub}/hub/user-redirect/git-pull?{urlencode(query)}"
    github = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?", repository)
    if github:
        found["Colab"] = (
            f"https://colab.research.google.com/github/{github[1]}/blob/{BRANCH}/{file}"
        )
        found["Binder"] = (
            f"https://mybinder.org/v2/gh/{github[1]}/{BRANCH}?urlpath={quote('lab/tree/' + file)}"
        )
    return found


def links(slug, to):
    """Return the links of a chapter as HTML; `to` turns a path of the site into an address."""
    downloads = {
        "notebook": f"notebooks/participant/{slug}.ipynb",
        "notebook with solutions and results": f"notebooks/complete/{slug}.ipynb",
        "Markdown": f"_sources/content/{slug}.md",
    }
    parts = [f'<a href="{to(path)}" download>{name}</a>' for name, path in downloads.items()]
    parts.append('<button type="button" class="pst-js-only" onclick="print()">print</button>')
    lines = [f"<span>Download: {' · '.join(parts)}</span>"]
    run = [f'<a href="{escape(url)}">{name}</a>' for name, url in places(slug).items()]
    if run:
        lines.append(f"<span>Run on: {' · '.join(run)}</span>")
    return f'<nav class="take-away" aria-label="This chapter to take away">{"".join(lines)}</nav>'


def notebook(kind, slug):
    """Return the path of a notebook that `make editions` has made, or will."""
    return SITE / "notebooks" / kind / f"{slug}.ipynb"


def to_teach_from(titles, to):
    """Return the links to the presenters' notebooks; `titles` of the chapters by their slug."""
    rows = "".join(
        f'<li>{escape(title)}: <a href="{to(f"notebooks/instructor/{slug}.ipynb")}" download>'
        "with notes, solutions and wrong answers</a> · "
        f'<a href="{to(f"notebooks/live/{slug}.ipynb")}" download>script to code live</a></li>'
        for slug, title in titles.items()
    )
    summary = "<summary>Download the notebooks to teach from</summary>"
    return f'<details class="take-away">{summary}<ul>{rows}</ul></details>'


def add_links(app, pagename, templatename, context, doctree):
    """Add the links below the title of a page that is a notebook, or that is for teachers."""
    slug = pagename.removeprefix("content/")

    def to(path):
        return context["pathto"](path, resource=True)

    if "body" not in context:
        return
    if pagename == "content/teach":
        slugs = [path.stem for path in handouts() if notebook("live", path.stem).exists()]
        titles = {slug: app.env.titles[f"content/{slug}"].astext() for slug in slugs}
        new = to_teach_from(titles, to)
    elif notebook("participant", slug).exists():
        new = links(slug, to)
    else:
        return
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{new}", 1)


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", add_links)
    return {"parallel_read_safe": True}
