"""Sphinx extension: pages that are light, and whole without JavaScript or network.

- Formulas become MathML when the site is built; browsers draw it themselves.
- Images get their size, so that nothing jumps, and are loaded when they come into view.
- PNG files are reduced to 256 colours, which drawings do not exceed by much.
- Of the theme's 2000 icons, only those that the pages use are kept in its script.
"""

import re
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from PIL import Image
from sphinx.util.math import get_node_equation_number

ICON = re.compile(
    r',?(?:"([\w-]+)"|([\w]+)):\[\d+,\d+,\[[^\]]*\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\]'
)
ICON_SCRIPT = "_static/scripts/fontawesome.js"
# Nothing in the course is drawn live in the page by Thebe, and there are no comments.
UNUSED = ("thebe",)


def visit_math(self, node):
    """Write an inline formula."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self, node):
    """Write a formula that stands in a line of its own, with its number."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    # Wide formulas scroll by themselves; whoever uses the keyboard must be able to get there.
    self.body.append('<div class="math-scroll" tabindex="0" role="group" aria-label="Formula">')
    self.body.append(convert(node.astext(), display="block"))
    self.body.append("</div>")
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>")
    raise nodes.SkipNode


def describe_images(app, pagename, templatename, context, doctree):
    """Give the images of a page their size, and leave out scripts that it does not need."""
    for key in ("script_files", "css_files"):
        context[key] = [f for f in context.get(key, []) if not any(u in str(f) for u in UNUSED)]
    files = {name: Path(app.srcdir, uri) for uri, name in app.builder.images.items()}
    first = True

    def complete(tag):
        nonlocal first
        found = re.search(r'src="[^"]*_images/([^"/]+)"', tag[0])
        if not found or found[1] not in files:
            return tag[0]
        more = 'decoding="async"' if first else 'decoding="async" loading="lazy"'
        first = False
        if found[1].endswith(".png") and "width=" not in tag[0]:
            with Image.open(files[found[1]]) as image:
                width, height = (round(n / density(image)) for n in image.size)
            more += f' width="{width}" height="{height}"'
        return tag[0].replace("<img ", f"<img {more} ", 1)

    if "body" in context:
        context["body"] = re.sub(r"<img [^>]*>", complete, context["body"])


def density(image):
    """Return how many pixels of an image go on one of the page: Matplotlib notes the dpi."""
    return max(image.info.get("dpi", (100,))[0] / 100, 1)


def reduce_files(app, exception):
    """Make images and icon script smaller, once everything is written."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for path in (out / "_images").glob("*.png"):
        with Image.open(path) as image:
            if image.mode != "P":
                image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
                    path, optimize=True
                )
    script = out / ICON_SCRIPT
    pages = [*out.glob("*.html"), *out.glob("content/*.html"), *out.glob("_static/**/*.js")]
    used = set()
    for page in pages:
        if page != script:
            used.update(re.findall(r"\bfa-([a-z0-9-]+)", page.read_text(encoding="utf-8")))
    text = script.read_text(encoding="utf-8")
    script.write_text(only_icons(text, used), encoding="utf-8")


def only_icons(script, used):
    """Return Font Awesome's script without the icons that are not used."""
    kept = ICON.sub(lambda icon: icon[0] if (icon[1] or icon[2]) in used else "", script)
    return kept.replace("{,", "{")


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", describe_images, priority=900)
    app.connect("build-finished", reduce_files)
    return {"parallel_read_safe": True}
