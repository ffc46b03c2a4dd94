"""Sphinx extension: pages that are light, and whole without JavaScript or network.

- Formulas become MathML when the site is built; browsers draw it themselves.
- Images get their size, so that nothing jumps, and are loaded when they come into view.
- PNG files are reduced to 256 colours, which drawings do not exceed by much.
- The scripts of the explorers are loaded on the pages that have one.
- Of the theme's 2000 icons, only those that the pages use are kept in its script, style and fonts.
"""

import re
from pathlib import Path

from docutils import nodes
from fontTools import subset
from latex2mathml.converter import convert
from PIL import Image
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

ICON = re.compile(
    r',?(?:"([\w-]+)"|([\w]+)):\[\d+,\d+,\[[^\]]*\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\]'
)
ICON_SCRIPT = "_static/scripts/fontawesome.js"
ICON_STYLE = "_static/styles/pydata-sphinx-theme.css"
ICON_FONTS = "_static/vendor/fontawesome/webfonts"
# Roles that the bibliography carries and that its elements must not have.
WRONG_ROLES = re.compile(r' role="(?:list|doc-biblioentry|doc-backlink)"')


def mathml(formula, display="inline"):
    """Return a formula as MathML; raise if something in it is not understood."""
    # The converter knows align*, which is the same where nothing stands beside it.
    made = convert(formula.replace("{aligned}", "{align*}"), display=display)
    unknown = re.findall(r"<m[io]>(\\[^<]*|&)</m[io]>", made)
    if unknown:
        raise ExtensionError(f"MathML: {unknown} is not understood in the formula {formula!r}")
    return made


def visit_math(self, node):
    """Write an inline formula."""
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self, node):
    """Write a formula that stands in a line of its own, with its number."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    # Wide formulas scroll by themselves; whoever uses the keyboard must be able to get there.
    self.body.append('<div class="math-scroll" tabindex="0" role="group" aria-label="Formula">')
    self.body.append(mathml(node.astext(), "block"))
    self.body.append("</div>")
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>")
    raise nodes.SkipNode


def finish_body(app, pagename, templatename, context, doctree):
    """Give the images of a page their size; leave out roles that mislead screen readers."""
    for script in context.get("script_files", []):
        name = str(getattr(script, "filename", None) or "")
        # The search's scripts stand in the page and use what these two define.
        if name and "documentation_options" not in name and "doctools" not in name:
            script.attributes["defer"] = "defer"
    if "tag_explorer" in context.get("body", ""):
        app.add_js_file("explorers.js", loading_method="defer")
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
        body = re.sub(r"<img [^>]*>", complete, context["body"])
        context["body"] = WRONG_ROLES.sub("", body)


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
    keep_icons(out)


def keep_icons(out):
    """Remove the icons that no page uses from the theme's script, style and fonts."""
    script, style = out / ICON_SCRIPT, out / ICON_STYLE
    used = set()
    for page in [*out.glob("*.html"), *out.glob("content/*.html"), *out.glob("_static/**/*.js")]:
        if page != script:
            used.update(re.findall(r"\bfa-([a-z0-9-]+)", page.read_text(encoding="utf-8")))
    script.write_text(only_icons(script.read_text(encoding="utf-8"), used), encoding="utf-8")
    style.write_text(only_rules(style.read_text(encoding="utf-8"), used), encoding="utf-8")
    letters = set()
    for path in out.glob("_static/**/*.css"):
        text = path.read_text(encoding="utf-8")
        letters.update(int(code, 16) for code in re.findall(r'"\\([ef][0-9a-f]{3})"', text))
    for path in (out / ICON_FONTS).glob("*.woff2"):
        keep_letters(path, letters)
    for path in (out / ICON_FONTS).glob("*.ttf"):  # for browsers of before 2016
        path.unlink()


def only_icons(script, used):
    """Return Font Awesome's script without the icons that are not used."""
    kept = ICON.sub(lambda icon: icon[0] if (icon[1] or icon[2]) in used else "", script)
    return kept.replace("{,", "{")


def only_rules(style, used):
    """Return Font Awesome's style without the rules of icons that are not used."""

    def keep(rule):
        return rule[0] if used.intersection(re.findall(r"\.fa-([\w-]+)", rule[1])) else ""

    return re.sub(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\[0-9a-f]+"\}', keep, style)


def keep_letters(path, letters):
    """Reduce a font file to some letters, given as code points."""
    options = subset.Options(flavor="woff2", layout_features=[], notdef_outline=True)
    font = subset.load_font(path, options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=letters)
    cutter.subset(font)
    subset.save_font(font, path, options)


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", finish_body, priority=900)
    app.connect("build-finished", reduce_files)
    return {"parallel_read_safe": True}
