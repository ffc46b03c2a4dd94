"""Sphinx extension: say at the top of each page which data it was built on.

`fetch_data` and its relatives print what they deliver. The line that a page begins with is
made from those printed lines, so that it cannot differ from what the chapter worked on.
"""

import re

from docutils import nodes

PRINTED = re.compile(r"^ *(Recorded data|SIMULATED DATA): (\S+)", re.MULTILINE)
KINDS = {"Recorded data": "recorded", "SIMULATED DATA": "simulated"}
DATASETS_PAGE = "content/datasets"


def data_in(text):
    """Return the data sets that a printed text names: {file name: "recorded" or "simulated"}."""
    return {name: KINDS[kind] for kind, name in PRINTED.findall(text)}


def add_line(app, doctree):
    """Add a paragraph below the title of a page whose code loaded data."""
    found = {}
    for block in doctree.findall(nodes.literal_block):
        if "output" in block["classes"]:
            found.update(data_in(block.astext()))
    title = next(doctree.findall(nodes.title), None)
    if not found or title is None:
        return
    link = app.builder.get_relative_uri(app.env.docname, DATASETS_PAGE)
    line = nodes.paragraph(classes=["data-line"])
    for kind in sorted(set(found.values())):
        names = ", ".join(name for name in found if found[name] == kind)
        line += nodes.strong("", f"{kind.capitalize()} data")
        model = " (a model neuron; nothing was measured)" if kind == "simulated" else ""
        line += nodes.Text(f": {names}{model}. ")
    line += nodes.reference("", "About the data", refuri=link, internal=True)
    line += nodes.Text(".")
    title.parent.insert(title.parent.index(title) + 1, line)


def setup(app):
    app.connect("doctree-read", add_line)
    return {"parallel_read_safe": True}
