"""Sphinx extension: say at the top of each page which data it was built on.

`fetch_data` and its relatives print which data they return. The line is made from that output,
so that it cannot differ from what the chapter loaded.
"""

import re
from html import escape

from docutils import nodes

PRINTED = re.compile(r"^ *(Recorded data|SIMULATED DATA): (\S+)", re.MULTILINE)
KINDS = {"Recorded data": "recorded", "SIMULATED DATA": "simulated"}
MEANS = {"recorded": "", "simulated": " (a model neuron; nothing was measured)"}


def data_in(text):
    """Return the data sets that a printed text names: {file name: "recorded" or "simulated"}."""
    return {name: KINDS[kind] for kind, name in PRINTED.findall(text)}


def line_about(datasets, link):
    """Return the line as HTML, with a link to the page about the data if there is one."""
    parts = []
    for kind in sorted(set(datasets.values())):
        names = ", ".join(escape(name) for name in datasets if datasets[name] == kind)
        parts.append(f"<strong>{kind.capitalize()} data</strong>: {names}{MEANS[kind]}.")
    if link:
        parts.append(f'<a href="{link}">About the data</a>.')
    return f'<p class="data-line">{" ".join(parts)}</p>'


def add_line(app, pagename, templatename, context, doctree):
    """Add the line below the title of a page whose code loaded data."""
    datasets = {}
    for block in doctree.findall(nodes.literal_block) if doctree else ():
        if "output" in block["classes"]:
            datasets.update(data_in(block.astext()))
    if datasets:
        page = "content/datasets"
        link = context["pathto"](page) if page in app.env.found_docs else ""
        line = line_about(datasets, link)
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", add_line)
    return {"parallel_read_safe": True}
