"""Text from models -> HTML that cannot do anything: Markdown, code and maths rendered on the server, then sanitised.

A rater must read what a judge model reads. So line breaks stay, HTML, entities and link definitions are shown as text,
a link shows its address, and a rendering that lacks a letter or a digit of its source gives way to the source itself.
What Markdown makes goes through an allow-list (nh3). Nothing is loaded from elsewhere: an image becomes a link.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLinkText
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.newline import newline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from lima.annotate.formulas import FORMULAS, add_formulas

LONGEST_MARKDOWN = 50_000
"""Longer texts are shown as they are: some Markdown takes time that grows with the square of its length."""
DEEPEST_NESTING = 20
CACHED_TEXTS = 16_384

LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
"""Line breaks that an editor shows and a page would not."""
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
HEAPED_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5,}"
)
"""More marks on one letter than any script has: they would cover the page."""
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
    "li": {"value"},
    "ul": {"dir"},
    "ol": {"dir"},
    "div": {"tabindex"},
    "span": {"tabindex"},
    "math": {"display"},
    "mo": {"stretchy", "fence", "form", "lspace", "rspace"},
    "mi": {"mathvariant"},
    "mtable": {"columnalign", "rowspacing"},
    "mspace": {"width"},
    "mfrac": {"linethickness"},
}
CODE_CLASSES = set(STANDARD_TYPES.values())
STAND_OUT = ("paragraph_open", "heading_open", "list_item_open")
"""Blocks that can be made to stand out. A paragraph in a tight list has no tag of its own: its item has."""
OUR_CLASSES = {
    "suspect",
    "code",
    "plain",
    "formula",
    "control",
    "right",
    "center",
    "scroll",
    "wide",
    "aligned",
    "language",
    "address",
}


@lru_cache(maxsize=CACHED_TEXTS)
def to_html(text: str, suspect: frozenset[int] = frozenset()) -> Markup:
    """Render one model's (or user's) text. The result is safe to place in a page, and shows every word of the text.

    Args:
        text: Markdown.
        suspect: lines, counted from 0, whose blocks are to stand out.
    """
    text = _plain(text)
    if len(text) > LONGEST_MARKDOWN or _is_blank(text):
        return as_written(text, suspect)
    env: EnvType = {FORMULAS: []}
    markdown = _markdown()
    tokens = markdown.parse(text, env)
    for token in tokens if suspect else ():
        if token.type in STAND_OUT and token.map and not suspect.isdisjoint(range(*token.map)):
            token.attrJoin("class", "suspect")
    rendered = sanitise(_visible(str(markdown.renderer.render(tokens, markdown.options, env))))
    if _words(text) == _words_shown(rendered, env[FORMULAS]):
        return Markup(rendered)
    return as_written(text, suspect)


@lru_cache(maxsize=CACHED_TEXTS // 8)
def as_written(text: str, suspect: frozenset[int] = frozenset()) -> Markup:
    """The text itself, character by character, safe to place in a page; some lines stand out."""
    text = _plain(text)
    lines = html.escape(text).split("\n")
    for number in suspect & set(range(len(lines))):
        lines[number] = f'<span class="suspect">{lines[number]}</span>'
    shown = _visible("\n".join(lines))
    if _is_blank(text):
        shown = INVISIBLE.sub(_numbered, shown)
    return Markup(sanitise(f'<pre class="plain">{shown}</pre>'))


def _plain(text: str) -> str:
    """The text with line breaks of one kind, and without characters that pages cannot hold."""
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", LINE_ENDS.sub("\n", text))


def _is_blank(text: str) -> bool:
    """Whether a text has characters and none of them can be seen."""
    return bool(text.strip()) and not INVISIBLE.sub("", text).strip()


def _words(text: str) -> str:
    """The letters and digits of a text, in order. Marks, signs and spaces may be markup."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFD", text))


def _words_shown(fragment: str, formulas: Sequence[str]) -> str:
    """The letters and digits on the page; a formula, which checks itself, stands for its source."""
    sources = iter(formulas)
    fragment = re.sub(r"<math.*?</math>", lambda _: html.escape(next(sources, "")), fragment, flags=re.DOTALL)
    fragment = re.sub(r'<li value="(\d+)"[^>]*>', r"\1 ", fragment)
    fragment = re.sub(r'<span class="control">.*?</span>', "", fragment)
    return _words(html.unescape(re.sub(r"<[^>]*>", "", fragment)))


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


OURS = {"tabindex": "0", "dir": "auto"}
"""Attributes with the one value that we give them."""
_CLASSED = ("pre", "code", "span", "div", "td", "th", "p", "li", *(f"h{level}" for level in range(1, 7)))


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name in OURS:
        return OURS[name]
    if name != "class":
        return value
    kept = [one for one in value.split() if one in OUR_CLASSES or (tag == "span" and one in CODE_CLASSES)]
    return " ".join(kept) or None


def _visible(fragment: str) -> str:
    """Direction controls shown by their number, since they could reorder what a rater reads; heaped marks counted."""
    fragment = HEAPED_MARKS.sub(lambda found: f'<span class="control">{len(found[0])} marks</span>', fragment)
    return BIDI_CONTROLS.sub(_numbered, fragment)


def _numbered(found: re.Match[str]) -> str:
    return f'<span class="control">U+{ord(found[0]):04X}</span>'


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": DEEPEST_NESTING})
    markdown.enable(["table", "strikethrough"]).disable(["reference", "entity"])
    add_formulas(markdown)
    markdown.inline.ruler.at("newline", _new_line)
    for name, rule in RULES.items():
        markdown.add_render_rule(name, rule)
    return markdown


def _new_line(state: StateInline, silent: bool) -> bool:
    """As ever, and what a line is indented by stays: answers hold code without a fence too."""
    start = state.pos
    if not newline(state, silent):
        return False
    indent = state.src[start + 1 : state.pos].expandtabs(4)
    if not silent:
        state.pending += "\N{NO-BREAK SPACE}" * len(indent)
    return True


def _fence(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    info = token.info.strip()
    label = f'<div class="language">{html.escape(info)}</div>' if info else ""
    try:
        lexer = get_lexer_by_name(info.split(maxsplit=1)[0] if info else "", stripnl=False)
    except ClassNotFound:
        return f'{label}<pre class="code"><code>{html.escape(token.content)}</code></pre>'
    coloured = highlight(token.content, lexer, HtmlFormatter(nowrap=True))
    return f'{label}<pre class="code"><code>{coloured}</code></pre>'


def _image(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    label = html.escape(token.content or "image")
    return f'<a href="{html.escape(str(token.attrs.get("src", "")))}">{label}</a>{_address(token, "src")}'


def _link_close(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """The address stands behind the words, where it is not the words: a judge reads it too."""
    opening = next(
        one for one in tokens[index::-1] if one.type == "link_open" and one.level == tokens[index].level
    )
    return "</a>" if opening.markup == "autolink" else f"</a>{_address(opening, 'href')}"


def _address(token: Token, name: str) -> str:
    title = token.attrs.get("title")
    shown = normalizeLinkText(str(token.attrs.get(name, ""))) + (f' "{title}"' if title else "")
    return f' <span class="address">({html.escape(shown)})</span>'


def _list(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Its marks stand where its own words begin, whatever runs the other way around it."""
    return f'<{tokens[index].tag} dir="auto">\n'


def _list_item(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Numbers as they were written: Markdown would count for itself."""
    number, stands_out = tokens[index].info, _class_of(tokens[index])
    return f'<li value="{int(number)}"{stands_out}>' if number else f"<li{stands_out}>"


def _table(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    return '<div class="scroll" tabindex="0"><table>' if tokens[index].nesting > 0 else "</table></div>"


def _cell(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    align = re.search(r"(right|center)", str(token.attrs.get("style", "")))
    return f'<{token.tag} class="{align[1]}">' if align else f"<{token.tag}>"


def _heading(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Two levels lower: the page's own headings stand above those of a text."""
    slash = "/" if tokens[index].nesting < 0 else ""
    return f"<{slash}h{min(6, int(tokens[index].tag[1]) + 2)}{_class_of(tokens[index])}>"


def _class_of(token: Token) -> str:
    return ' class="suspect"' if token.attrs.get("class") == "suspect" else ""


RULES: dict[str, Any] = {
    "fence": _fence,
    "image": _image,
    "heading_open": _heading,
    "heading_close": _heading,
    "link_close": _link_close,
    "bullet_list_open": _list,
    "ordered_list_open": _list,
    "list_item_open": _list_item,
    "table_open": _table,
    "table_close": _table,
    "td_open": _cell,
    "th_open": _cell,
}
