"""Sphinx extension: say at the top of each page which data it was built on.

`fetch_data` and its relatives print what they deliver. The line that a page begins with is
made from those printed lines, so that it cannot differ from what the chapter worked on.
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


def line_about(found, link):
    """Return the line as HTML, with a link to the page about the data."""
    parts = []
    for kind in sorted(set(found.values())):
        names = ", ".join(escape(name) for name in found if found[name] == kind)
        parts.append(f"<strong>{kind.capitalize()} data</strong>: {names}{MEANS[kind]}.")
    return f'<p class="data-line">{" ".join(parts)} <a href="{link}">About the data</a>.</p>'


def add_line(app, pagename, templatename, context, doctree):
    """Add the line below the title of a page whose code loaded data."""
    found = {}
    for block in doctree.findall(nodes.literal_block) if doctree else ():
        if "output" in block["classes"]:
            found.update(data_in(block.astext()))
    if found:
        line = line_about(found, context["pathto"]("content/datasets"))
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", add_line)
    return {"parallel_read_safe": True}
