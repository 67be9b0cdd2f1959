"""The HTML of a post -> plain text that a language model can learn from (paper, section 2.1).

Links, images and other HTML go, code blocks and lists stay. `clean` also gives the prose alone, without
code, for the rules that look at words. One expression cuts the HTML into tags and texts; nothing recurses, and
nothing takes more than linear time, whatever the input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape

from lima.curate.text.layout import Layout, Style, joined

TAG = re.compile(
    r"""<(/?)([a-zA-Z][^\s/<>]*+)((?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+|[^<>]*+)>"""  # a quoted value may hold a ">"
)
"""Closing or not, name and attributes. A ``<`` that opens no whole tag is text."""
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = ("p", "div", "section", "article", "dl", "dt", "dd", "table", "thead", "tbody", "center", *HEADINGS)
UNSEEN = ("script", "style")
DROPPED = (*UNSEEN, "del", "s", "strike")
"""Elements whose text goes with them: not for reading, or struck out by the author."""
POINTERS = {"here", "this", "that", "link", "this link", "this page", "this one", "this article", "this post"}
"""Names of links that say nothing once the address is gone."""
BARE_URL = re.compile(r"(?:https?://|www\.)[^\s<>()]*[^\s<>().,;:!?'\"]")
EMPTY_BRACKETS = re.compile(r"\(\s*+[,;:]?+\s*+\)|\[\s*+\]|<\s*+>")
SPACED_BRACKETS = re.compile(rf"(?<![ \t])[ \t]*+(?:{EMPTY_BRACKETS.pattern})")
SPACE_BEFORE_STOP = re.compile(r" ([,.;!?])(?=\s|$)")
FENCED_CODE = re.compile(r"^(`{3,})[^\n]*\n.*?(?:^\1[ \t]*$|\Z)|```.*?```", re.DOTALL | re.MULTILINE)
INLINE_CODE = re.compile(r"(`+)[^`\n]+\1")
LANGUAGE = re.compile(r"""\bclass\s*=\s*["']?[^"'>]*?\blang(?:uage)?-([\w+#-]+)""")
START = re.compile(r"""\bstart\s*=\s*["']?(\d{1,9})\b""")
ORDINALS = {"st", "nd", "rd", "th"}
BREAK = "\0"
"""A ``<br>`` until white space is tidied; no text holds it."""


@dataclass(frozen=True)
class Cleaned:
    """The text of a post, and what of it is prose."""

    text: str
    prose: str
    """The text without code, which may hold any word."""
    images: int = 0
    """Images that were left out."""
    holes: int = 0
    """Places that point to something left out: "like this:" before an image, a link named "here"."""


def clean(html: str, style: Style = "markdown") -> Cleaned:
    """Turn the HTML of one post into text.

    >>> clean("<p>Use <code>ls</code>:</p><ul><li>fast</li><li>old</li></ul>").text
    'Use `ls`:\\n\\n* fast\\n* old'
    """
    post = _Post(style)
    post.read(html.replace(BREAK, ""))
    blocks = post.layout.blocks
    prose = "\n".join([block.prose for block in blocks if block.prose])
    return Cleaned(joined(blocks, style), prose, post.images, post.holes)


def prose_of(markdown: str) -> str:
    """The text without its fenced and inline code, for sources that are no HTML.

    >>> prose_of("Run `I` now.")
    'Run   now.'
    """
    return INLINE_CODE.sub(" ", FENCED_CODE.sub(" ", markdown))


class _Post:
    """Reads tags and texts; what is in the line that is being read goes to the layout when its block ends."""

    def __init__(self, style: Style) -> None:
        self.layout = Layout(style)
        self.images = self.holes = 0
        self._markdown = style == "markdown"
        self._shown: list[str] = []
        self._prose: list[str] | None = None  # the line without code, where that is not the line itself
        self._anchor: int | None = None  # where the open link's text begins in the line
        self._dropped = 0
        self._unseen = ""  # the open element whose content is no HTML
        self._code: list[str] | None = None
        self._pre: str | None = None  # the language of the code block being read, "" when unknown
        self._heading = 0
        self._row: list[str] | None = None
        self._script: tuple[str, list[str]] | None = None  # "^" or "_", and its text

    def read(self, html: str) -> None:
        """Read a whole post."""
        parts = iter(TAG.split(_without_comments(html) if "<!--" in html else html))
        self._text(next(parts))
        for slash, name, attributes, text in zip(parts, parts, parts, parts, strict=True):
            name = name.lower()
            handle = CLOSE.get(name) if slash else OPEN.get(name)
            if handle is not None and not (self._unseen and (not slash or name != self._unseen)):
                handle(self, name, attributes)
                if attributes and attributes[-1] == "/" and not slash:
                    self._close_empty(name)
            if text and not (text.isspace() and self._nothing_open()):
                self._text(text)
        self._end()

    def _nothing_open(self) -> bool:
        """Whether the line is empty, so that white space would be dropped later."""
        return not self._shown and self._code is None and self._script is None

    def _close_empty(self, name: str) -> None:
        """``<p/>`` is opened and closed."""
        if name in CLOSE:
            CLOSE[name](self, name, "")

    def _end(self) -> None:
        """What was never closed is still text: code, a raised number, a table's row."""
        if self._pre is not None:
            self._close_pre()
        elif self._code is not None:
            self._close_code()
        if self._row is not None:
            self._close_cell()
            self._close_row()
        self._flush()

    def _text(self, data: str) -> None:
        if self._dropped:
            return
        if "&" in data:
            data = unescape(data).replace(BREAK, "")
        if self._code is not None:
            self._code.append(data)
        elif self._script is not None:
            self._script[1].append(data)
        else:
            if "http" in data or "www." in data:
                data, links = BARE_URL.subn("", data)
                if links and not data.strip():
                    self._note_hole()
            self._add(data, data)

    def _add(self, shown: str, prose: str) -> None:
        if self._prose is None and prose is not shown:
            self._prose = self._shown.copy()
        self._shown.append(shown)
        if self._prose is not None:
            self._prose.append(prose)

    def _flush(self, *_: str) -> None:
        """End the block that is being read."""
        if self._script is not None:
            self._close_script()
        if not self._shown:
            return
        text, prose = self._take()
        if not text:
            return
        if self._heading and self._markdown:
            text = "#" * max(2, self._heading) + " " + text.replace("\n", " ")
        self.layout.add(text, prose)

    def _take(self) -> tuple[str, str]:
        """The line that is being read, tidied, and its prose."""
        shown, prose = self._shown, self._prose
        self._shown, self._prose = [], None
        text = _inline("".join(shown))
        return text, text if prose is None else _inline("".join(prose))

    def _note_hole(self) -> None:
        """What is left out here was announced by a colon."""
        blocks = self.layout.blocks
        before = "".join(self._shown).replace(BREAK, " ").rstrip() or (blocks[-1].text if blocks else "")
        self.holes += before.endswith(":")

    def _open_block(self, name: str, attributes: str) -> None:
        self._flush()
        self._heading = HEADINGS.get(name, 0)

    def _close_block(self, *_: str) -> None:
        self._flush()
        self._heading = 0

    def _open_list(self, name: str, attributes: str) -> None:
        self._flush()
        start = START.search(attributes)
        self.layout.open_list(name == "ol", int(start.group(1)) if start else 1)

    def _close_list(self, *_: str) -> None:
        self._flush()
        self.layout.close_list()

    def _open_item(self, *_: str) -> None:
        self._flush()
        self.layout.open_item()

    def _open_quote(self, *_: str) -> None:
        self._flush()
        self.layout.open_quote()

    def _close_quote(self, *_: str) -> None:
        self._flush()
        self.layout.close_quote()

    def _drop(self, name: str, attributes: str) -> None:
        self._dropped += 1
        if name in UNSEEN:
            self._unseen = name

    def _end_drop(self, *_: str) -> None:
        self._dropped = max(0, self._dropped - 1)
        self._unseen = ""

    def _image(self, *_: str) -> None:
        self.images += 1
        self._note_hole()

    def _break(self, *_: str) -> None:
        if self._code is not None:
            self._code.append("\n")
        else:
            self._add(BREAK, BREAK)

    def _open_link(self, *_: str) -> None:
        self._anchor = len(self._shown)

    def _close_link(self, *_: str) -> None:
        if self._anchor is not None:
            named = " ".join("".join(self._shown[self._anchor :]).replace(BREAK, " ").split()).lower()
            self.holes += named in POINTERS
            self._anchor = None

    def _open_pre(self, name: str, attributes: str) -> None:
        self._close_pre()
        self._flush()
        self._pre, self._code = _language(attributes), []

    def _close_pre(self, *_: str) -> None:
        if self._pre is None:
            return
        code = "".join(self._code or []).strip("\n").rstrip()
        language, self._pre, self._code = self._pre, None, None
        if code.strip():
            fence = "```" if "```" not in code else "````"
            opening = fence + language if self._markdown else fence
            self.layout.add(f"{opening}\n{code}\n{fence}", "")

    def _open_code(self, name: str, attributes: str) -> None:
        if self._pre is None:
            self._code = self._code or []
        else:
            self._pre = self._pre or _language(attributes)

    def _close_code(self, *_: str) -> None:
        if self._pre is None and self._code is not None:
            code, self._code = "".join(self._code), None
            self._add(self._inline_code(code), " ")

    def _inline_code(self, code: str) -> str:
        if not code.strip():
            return code
        if not self._markdown:
            return f"```{code}```"
        return f"`` {code} ``" if "`" in code else f"`{code}`"

    def _open_script(self, name: str, attributes: str) -> None:
        if self._code is None:
            self._close_script()
            self._script = ("^" if name == "sup" else "_", [])

    def _close_script(self, *_: str) -> None:
        """``10<sup>3</sup>`` without its mark would be another number."""
        if self._script is None:
            return
        mark, text = self._script[0], "".join(self._script[1])
        self._script = None
        shown = text
        if text.strip() and text.strip().lower() not in ORDINALS and self._markdown:
            shown = f"{mark}{text}" if len(text) == 1 or text.isalnum() else f"{mark}({text})"
        self._add(shown, text)

    def _open_row(self, *_: str) -> None:
        self._close_row()
        self._flush()
        self._row = []

    def _close_cell(self, *_: str) -> None:
        if self._script is not None:
            self._close_script()
        if self._row is not None:
            self._row.append(self._take()[0])

    def _close_row(self, *_: str) -> None:
        if self._row is None:
            return
        cells, self._row = self._row, None
        if not any(cells):
            return
        blocks = self.layout.blocks
        text = " | ".join(cell.replace("\n", " ") for cell in cells)
        rule = "\n|" + " --- |" * len(cells) if not (blocks and blocks[-1].text.startswith("| ")) else ""
        self.layout.add(f"| {text} |{rule}" if self._markdown else text, text, tight=True)


Handler = Callable[[_Post, str, str], None]
OPEN: Mapping[str, Handler] = {
    **dict.fromkeys(BLOCKS, _Post._open_block),
    **dict.fromkeys(DROPPED, _Post._drop),
    **dict.fromkeys(("ul", "ol"), _Post._open_list),
    **dict.fromkeys(("sup", "sub"), _Post._open_script),
    "li": _Post._open_item,
    "blockquote": _Post._open_quote,
    "tr": _Post._open_row,
    "img": _Post._image,
    "br": _Post._break,
    "hr": _Post._flush,
    "a": _Post._open_link,
    "pre": _Post._open_pre,
    "code": _Post._open_code,
}
CLOSE: Mapping[str, Handler] = {
    **dict.fromkeys((*BLOCKS, "li"), _Post._close_block),
    **dict.fromkeys(DROPPED, _Post._end_drop),
    **dict.fromkeys(("ul", "ol"), _Post._close_list),
    **dict.fromkeys(("sup", "sub"), _Post._close_script),
    **dict.fromkeys(("td", "th"), _Post._close_cell),
    "blockquote": _Post._close_quote,
    "tr": _Post._close_row,
    "a": _Post._close_link,
    "pre": _Post._close_pre,
    "code": _Post._close_code,
}


def _without_comments(html: str) -> str:
    head, *others = html.split("<!--")
    return head + "".join(part.partition("-->")[2] for part in others)


def _inline(text: str) -> str:
    """One block's text with its white space, and the holes that removed links left, tidied."""
    if ("(" in text or "[" in text or "<" in text) and EMPTY_BRACKETS.search(text):
        text = SPACED_BRACKETS.sub("", text)
    if BREAK in text:
        text = "\n".join([" ".join(line.split()) for line in text.split(BREAK)]).strip()
    else:
        text = " ".join(text.split())
    if " ," in text or " ." in text or " ;" in text or " !" in text or " ?" in text:
        text = SPACE_BEFORE_STOP.sub(r"\1", text)
    return text


def _language(attributes: str) -> str:
    """The language that Stack Exchange notes as ``class="lang-py"``."""
    found = LANGUAGE.search(attributes)
    return found.group(1) if found and found.group(1) not in ("none", "default") else ""
