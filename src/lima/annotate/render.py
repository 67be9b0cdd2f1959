"""Text from models -> HTML that cannot do anything: Markdown, code and maths rendered on the server, then sanitised.

Raw HTML in a text is shown as text. What Markdown makes goes through an allow-list (nh3) all the same. Nothing
is loaded from elsewhere: an image becomes a link.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from lima.annotate.formulas import add_formulas

LONGEST_MARKDOWN = 50_000
"""Longer texts are shown as they are: some Markdown takes time that grows with the square of its length."""
DEEPEST_NESTING = 20
CACHED_TEXTS = 16_384

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

MATH_TAGS = re.findall(
    r"\w+",
    "math mrow mi mo mn ms mtext mspace msup msub msubsup mfrac msqrt mroot mover munder munderover "
    "mtable mtr mtd mstyle mpadded mphantom menclose",
)
TEXT_TAGS = re.findall(
    r"\w+",
    "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code span div em strong s a "
    "table thead tbody tr th td sub sup",
)
ATTRIBUTES = {
    "a": {"href", "title"},
    "ol": {"start"},
    "math": {"display"},
    "mo": {"stretchy", "fence", "form", "lspace", "rspace"},
    "mi": {"mathvariant"},
    "mtable": {"columnalign", "rowspacing"},
    "mspace": {"width"},
    "mfrac": {"linethickness"},
}
CODE_CLASSES = set(STANDARD_TYPES.values())
OUR_CLASSES = {"code", "plain", "formula", "control", "right", "center"}


@lru_cache(maxsize=CACHED_TEXTS)
def to_html(text: str) -> Markup:
    """Render one model's (or user's) text. The result is safe to place in a page."""
    text = CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
    if len(text) > LONGEST_MARKDOWN:
        return Markup(sanitise(f'<pre class="plain">{_visible(html.escape(text))}</pre>'))
    return Markup(sanitise(_visible(_markdown().render(text))))


def sanitise(fragment: str) -> str:
    """Keep the tags, attributes and classes that our own renderer makes, and nothing else."""
    return nh3.clean(
        fragment,
        tags={*MATH_TAGS, *TEXT_TAGS},
        clean_content_tags={"script", "style"},
        attributes={**ATTRIBUTES, **{tag: ATTRIBUTES.get(tag, set()) | {"class"} for tag in _CLASSED}},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}},
    )


_CLASSED = ("pre", "code", "span", "div", "td", "th")


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name != "class":
        return value
    kept = [one for one in value.split() if one in OUR_CLASSES or (tag == "span" and one in CODE_CLASSES)]
    return " ".join(kept) or None


def _visible(fragment: str) -> str:
    """Direction controls shown by their number: unseen, they could reorder what a rater reads."""
    return BIDI_CONTROLS.sub(lambda found: f'<span class="control">U+{ord(found[0]):04X}</span>', fragment)


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST_NESTING})
    markdown.enable(["table", "strikethrough"])
    add_formulas(markdown)
    for name, rule in RULES.items():
        markdown.add_render_rule(name, rule)
    return markdown


def _fence(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else ""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return f'<pre class="code"><code>{html.escape(token.content)}</code></pre>'
    coloured = highlight(token.content, lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code"><code>{coloured}</code></pre>'


def _image(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    label = html.escape(token.content or "image")
    return f'<a href="{html.escape(str(token.attrs.get("src", "")))}">{label} (image)</a>'


def _cell(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    align = re.search(r"(right|center)", str(token.attrs.get("style", "")))
    return f'<{token.tag} class="{align[1]}">' if align else f"<{token.tag}>"


def _heading(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Two levels lower: the page's own headings stand above those of a text."""
    slash = "/" if tokens[index].nesting < 0 else ""
    return f"<{slash}h{min(6, int(tokens[index].tag[1]) + 2)}>"


RULES: dict[str, Any] = {
    "fence": _fence,
    "image": _image,
    "heading_open": _heading,
    "heading_close": _heading,
    "td_open": _cell,
    "th_open": _cell,
}
