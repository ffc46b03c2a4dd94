"""Sphinx extension: pages that are light, and whole without JavaScript or network.

- Formulas become MathML when the site is built; browsers draw it themselves.
- Images get their size, so that nothing jumps, and are loaded when they come into view.
- PNG files are reduced to 256 colours, which drawings do not exceed by much.
- The script of the explorers is loaded on the pages that have one.

The theme's icon script is not loaded: see templates/static/webpack-macros.html and site.css.
"""

import re
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from PIL import Image
from sphinx.util.logging import getLogger
from sphinx.util.math import get_node_equation_number

LOGGER = getLogger(__name__)
# Roles in the bibliography that its elements must not have.
WRONG_ROLES = re.compile(r' role="(?:list|doc-biblioentry|doc-backlink)"')


def mathml(node, display="inline"):
    """Return the formula of a node as MathML; warn if something in it is not understood."""
    formula = node.astext()
    try:
        # The converter knows align*, which is the same where nothing stands beside it.
        converted = convert(formula.replace("{aligned}", "{align*}"), display=display)
        unknown = re.findall(r"<m[io]>(\\[^<]*|&)</m[io]>", converted)
    except Exception as error:  # the converter's errors have no common base class
        converted, unknown = "", [type(error).__name__]
    if unknown:
        what = ", ".join(unknown)
        shown = " ".join(formula.split())
        LOGGER.warning("cannot convert %s to MathML: %s", shown, what, location=node)
    return converted


def visit_math(self, node):
    """Write an inline formula."""
    self.body.append(mathml(node))
    raise nodes.SkipNode


def visit_math_block(self, node):
    """Write a displayed formula, with its number."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    # Wide formulas scroll by themselves; the keyboard must reach them.
    self.body.append('<div class="math-scroll" tabindex="0" role="group" aria-label="Formula">')
    self.body.append(mathml(node, "block"))
    self.body.append("</div>")
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>")
    raise nodes.SkipNode


def finish_page(app, pagename, templatename, context, doctree):
    """Defer scripts, give images their size, remove roles that mislead screen readers."""
    for script in context.get("script_files", []):
        name = str(getattr(script, "filename", None) or "")
        # Scripts within the page use what these two define.
        if name and "documentation_options" not in name and "doctools" not in name:
            script.attributes["defer"] = "defer"
    if "tag_explorer" in context.get("body", ""):
        app.add_js_file("explorers.js", loading_method="defer")
    files = {name: Path(app.srcdir, uri) for uri, name in app.builder.images.items()}
    first = True

    def add_attributes(tag):
        nonlocal first
        source = re.search(r'src="[^"]*_images/([^"/]+)"', tag[0])
        if not source or source[1] not in files:
            return tag[0]
        attributes = 'decoding="async"' if first else 'decoding="async" loading="lazy"'
        first = False
        if source[1].endswith(".png") and "width=" not in tag[0]:
            with Image.open(files[source[1]]) as image:
                width, height = (round(n / density(image)) for n in image.size)
            attributes += f' width="{width}" height="{height}"'
        return tag[0].replace("<img ", f"<img {attributes} ", 1)

    if "body" in context:
        body = re.sub(r"<img [^>]*>", add_attributes, context["body"])
        context["body"] = WRONG_ROLES.sub("", body)


def density(image):
    """Return pixels of an image per pixel of the page, from the dpi that Matplotlib writes."""
    return max(image.info.get("dpi", (100,))[0] / 100, 1)


def reduce_files(app, exception):
    """Make the PNG files smaller and remove the icon script, once everything is written."""
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir, "_static", "scripts").glob("fontawesome.js*"):
        path.unlink()  # no page loads it
    for path in Path(app.outdir, "_images").glob("*.png"):
        with Image.open(path) as image:
            if image.mode != "P":
                image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
                    path, optimize=True
                )


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", reduce_files)
    return {"parallel_read_safe": True}
