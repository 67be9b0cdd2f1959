"""The HTML of a post -> blocks of text, with the code apart and a log of what was left out.

One expression cuts the HTML into tags and texts; nothing recurses, and nothing takes more than linear time, whatever the
input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import unescape

from lima.curate.text import pointing
from lima.curate.text.blocks import Layout, Mended, Removal, Style, cut_out, gone, holds_any, mend, unmarked

TAG = re.compile(
    r"""<(/?)([a-zA-Z][^\s/<>]*+)((?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+|[^<>]*+)>"""  # a quoted value may hold a ">"
)
"""Closing or not, name and attributes. A ``<`` that opens no whole tag is text."""
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = ("p", "div", "section", "article", "dl", "dt", "dd", "table", "thead", "tbody", "center", *HEADINGS)
LISTS = ("ul", "ol")
UNSEEN = ("script", "style")
DROPPED = (*UNSEEN, "del", "s", "strike")
"""Elements whose text goes with them: not for reading, or struck out by the author."""
STRUCK_OUT, DEFINITIONS = "struck-out text", "definitions of macros"
BARE_URL = re.compile(
    r"""(?:https?://|www\.|(?<![@\w./:-])(?:[a-z][\w-]*\.)+(?:com|org|net|edu|uk)/(?=[\w~]))(?:[^\s<>()\[\]]|\([^\s<>()]*\))*(?:[^\s<>()\[\].,;:!?'"*]|\([^\s<>()]*\))"""
)
HOSTS = (".com/", ".org/", ".net/", ".edu/", ".uk/")
"""An address without "http" has a host that ends like this."""
NO_LINK = re.compile(
    r"(?:https?://)?+(?:www\.)?+(?:localhost|127\.|192\.168\.|10\.\d|(?:\w*\.)?(?:example|foo|bar|(?:our|your|my|some)?(?:domain|site|server|company))\."
    r"|[\w.-]+\.(?:localhost|local|test|invalid)\b"
    r"|[\w-]+(?=[:/]|\Z))",
    re.IGNORECASE,
)
"""Addresses that lead nowhere are what a sentence is about: ``http://localhost:8080/``, ``www.example.com``."""
BRACES = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*+\})*+\})*+\}"
MACROS = re.compile(
    r"\\(?:(?:re|provide)?newcommand|DeclareMathOperator|require|g?def)(?![a-z])\*?"
    rf"(?:\s*+(?:{BRACES}|\[[^\]]*+\]|\\[a-zA-Z]++|\#\d))++\s*+"
)
FORMULA_OF_MACROS = re.compile(rf"(\${{1,2}})\s*+(?:{MACROS.pattern})++\1\s*+|{MACROS.pattern}")
LANGUAGE = re.compile(r"""\bclass\s*=\s*["']?[^"'>]*?\blang(?:uage)?-([\w+#-]+)""")
START = re.compile(r"""\bstart\s*=\s*["']?(\d{1,9})\b""")
ORDINALS = {"st", "nd", "rd", "th"}
FOOTNOTE = re.compile(r"\d{1,2}")
FOOTNOTE_BEFORE = (".", ",", ";", ":", "!", "?", '"', "”", ")")
ANNOUNCED = re.compile(
    r"(?::|\b(?:like|as|than) (?:this|these|so)\W*|\b(?:these|below|following)\W*)\Z", re.IGNORECASE
)
"""How a text ends that an image goes on with."""
RUN_IN_HEADING = re.compile(
    r"(<(?:p|li)>\s*+(?:<p>\s*+)?)<(strong|b)>(?=\w)([^<>\n]{0,60}[\w)])</\2>(?=\s++[A-Z])"
)
"""Bold words that a sentence follows without a stop between: "<b>Lids</b> The choices are"."""
STORED = re.compile(rf"{pointing.CODE}(\d+){pointing.CODE}")
NEAR = 80
"""Parts of a line before an image, and characters of each, that may announce it."""


class Post:
    """Reads tags and texts; what is in the line that is being read goes to the layout when its block ends."""

    def __init__(self, style: Style, trim: bool) -> None:
        self.layout = Layout()
        self.images = self.links = self.holes = 0
        self.removed: list[Removal] = []
        self._markdown, self._trim = style == "markdown", trim
        self._shown: list[str] = []
        self._codes: list[str] = []  # inline code of the line, which nothing may change
        self._anchor: int | None = None  # where the open link's text begins in what is being read
        self._marks = False  # whether the line holds marks for `blocks.mend`
        self._linked = 0  # characters of the line that are names of links
        self._dropped = 0
        self._unseen = ""  # the open element whose content is no HTML
        self._code: list[str] | None = None
        self._pre: str | None = None  # the language of the code block being read, "" when unknown
        self._heading = 0
        self._row: list[str] | None = None
        self._script: tuple[str, list[str]] | None = None  # "^" or "_", and its text

    def read(self, html: str) -> None:
        """Read a whole post."""
        if holds_any(html, pointing.EVERY_MARK):
            html = pointing.CONTROL.sub("", html)
        if self._markdown and ("<strong>" in html or "<b>" in html):
            html = RUN_IN_HEADING.sub(r"\1**\3**", html)
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
        if "&" in data:
            data = pointing.CONTROL.sub("", unescape(data))
        if self._dropped:
            if not self._unseen and not data.isspace():
                self.removed.append(Removal(STRUCK_OUT, data))
        elif self._code is not None:
            self._code.append(data)
        elif self._script is not None:
            self._script[1].append(data)
        else:
            self._add(data)

    def _add(self, data: str) -> None:
        """Put text into the line, addresses in it marked."""
        if not data.isascii():
            data = pointing.ZERO_WIDTH.sub("", data)
        if "http" in data or "www." in data or ("/" in data and holds_any(data, HOSTS)):
            data = BARE_URL.sub(_address, data)
            self._marks = True
        self._shown.append(data)

    def _flush(self, *_: str) -> None:
        """End the block that is being read."""
        if self._script is not None:
            self._close_script()
        if not self._shown:
            return
        linked, image = self._linked, pointing.IMAGE in self._shown
        text, prose, marked = self._take()
        if not text:
            if prose is None:
                self.layout.lose("image" if image else "lost")
            return
        if not self._heading:
            self.layout.add(text, prose or "", linked=linked / len(text), marked=marked)
            return
        text = text.replace("\n", " ")
        shown = "#" * max(2, self._heading) + " " + text if self._markdown else text
        self.layout.add(shown, prose or "", "heading", linked=linked / len(text))

    def _take(self) -> tuple[str, str | None, str]:
        """The line that is being read, tidied; its prose; and the line with marks, where it has links alone.

        The prose is None where something was taken away and nothing is left.
        """
        line, marks = "".join(self._shown), self._marks
        self._shown, self._linked, self._marks = [], 0, False
        if pointing.BREAK in line:
            line = "\n".join([" ".join(part.split()) for part in line.split(pointing.BREAK)]).strip()
        else:
            line = " ".join(line.split())
        if "\\" in line:
            line = self._without_macros(line)
        marked = line if marks and not self._codes else ""
        if marks:
            mended = self._mended(line)
            if mended.removed:
                marked = "" if self._codes else mended.marked
            line = mended.text
        if not self._codes:
            return line, None if marks and not line else line, marked
        text, prose = self._filled(line), STORED.sub(" ", line)
        self._codes = []
        return text, "\n".join([" ".join(part.split()) for part in prose.split("\n")]), ""

    def _mended(self, line: str) -> Mended:
        mended = mend(line, self._trim)
        self.holes += mended.holes
        self.removed += [Removal(step, self._filled(text)) for step, text in mended.removed]
        return mended

    def _filled(self, text: str) -> str:
        """The text with its code."""
        return STORED.sub(lambda found: self._codes[int(found.group(1))], text) if self._codes else text

    def _without_macros(self, line: str) -> str:
        """MathJax's definitions are no text; the formulas that use them stay."""
        return (
            cut_out(FORMULA_OF_MACROS, line, DEFINITIONS, self.removed).strip()
            if MACROS.search(line)
            else line
        )

    def _open_block(self, name: str, attributes: str) -> None:
        if self._new_line_of_code():
            return
        self._flush()
        self._heading = HEADINGS.get(name, 0)

    def _close_block(self, *_: str) -> None:
        if self._new_line_of_code():
            return
        self._flush()
        self._heading = 0

    def _new_line_of_code(self) -> bool:
        """Blocks inside of a code block are its lines."""
        if self._pre is None or self._code is None:
            return False
        if self._code and not self._code[-1].endswith("\n"):
            self._code.append("\n")
        return True

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
        """What an image shows may have been announced by a colon."""
        self.images += 1
        blocks = self.layout.blocks
        shown = "".join(
            part[-NEAR:] for part in self._shown[-NEAR:]
        )  # not all: many images may stand in a line
        line = unmarked(shown).replace(pointing.BREAK, " ").rstrip()
        before = line or (blocks[-1].text if blocks else "")
        self.holes += bool(ANNOUNCED.search(before[-40:]))
        if self._code is None:
            self._shown.append(pointing.IMAGE)
            self._marks = True

    def _break(self, *_: str) -> None:
        if self._code is not None:
            self._code.append("\n")
        else:
            self._shown.append(pointing.BREAK)

    def _open_link(self, *_: str) -> None:
        self._anchor = len(self._target)

    @property
    def _target(self) -> list[str]:
        """What text is added to: the line, or what is raised or lowered in it."""
        return self._shown if self._script is None else self._script[1]

    def _close_link(self, *_: str) -> None:
        if self._anchor is None:
            return
        target, anchor = self._target, self._anchor
        name = " ".join(
            pointing.REMAINS.sub("", "".join(target[anchor:])).replace(pointing.BREAK, " ").split()
        )
        self._anchor = None
        if not name or self._code is not None:
            return
        before = target[anchor - 1].rstrip() if 0 < anchor <= len(target) else ""
        says_nothing = pointing.POINTER_NAME.fullmatch(name) or (
            pointing.DOCUMENTS.fullmatch(name) and pointing.DEMONSTRATIVE.search(before)
        )
        self._marks = True
        if pointing.REMARK.fullmatch(name):
            target[anchor:] = [gone(name)]
            return
        self._linked += len(name)
        self.links += 1
        mark = pointing.POINT if says_nothing else pointing.LINK
        target.insert(
            anchor, pointing.BEGIN + mark if says_nothing and ". " in name else pointing.BEGIN
        )  # in the first sentence
        target.append(mark)

    def _open_pre(self, name: str, attributes: str) -> None:
        self._close_pre()
        self._close_code()  # never closed, it is still text
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
            self.layout.add(f"{opening}\n{code}\n{fence}", "", "code")

    def _open_code(self, name: str, attributes: str) -> None:
        if self._pre is None:
            self._code = self._code or []
        else:
            self._pre = self._pre or _language(attributes)

    def _close_code(self, *_: str) -> None:
        if self._pre is None and self._code is not None:
            code, self._code = " ".join("".join(self._code).splitlines()), None
            if not code.strip():
                self._shown.append(code)
                return
            self._shown.append(f"{pointing.CODE}{len(self._codes)}{pointing.CODE}")
            self._codes.append(self._inline_code(code))

    def _inline_code(self, code: str) -> str:
        if not self._markdown:
            return f"```{code}```"
        return f"`` {code} ``" if "`" in code else f"`{code}`"

    def _open_script(self, name: str, attributes: str) -> None:
        if self._code is None:
            self._close_script()
            self._script = ("^" if name == "sup" else "_", [])

    def _close_script(self, *_: str) -> None:
        """``10<sup>3</sup>`` without its mark would be another number; small print needs none."""
        if self._script is None:
            return
        mark, text = self._script[0], "".join(self._script[1])
        self._script = None
        bare = unmarked(text)
        if mark == "^" and pointing.LINK in text and len(bare.split()) < 3 and self._trim:
            self._shown.append(gone(f"[{bare}]"))  # "machine learning^wiki": where it can be read
            self._marks = True
            return
        if mark == "^" and FOOTNOTE.fullmatch(bare) and self._is_footnote():
            text = f"[{bare}]"
        elif self._markdown and _is_index(bare):
            text = f"{mark}{bare}" if len(bare) == 1 or bare.isalnum() else f"{mark}({bare})"
        self._add(text)

    def _is_footnote(self) -> bool:
        """Whether a raised number stands behind a sentence, or before one."""
        before = "".join(self._shown[-2:]).rstrip()
        return not before or before.endswith(FOOTNOTE_BEFORE)

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
        cells, self._row = [cell.replace("\n", " ") for cell in self._row], None
        if not any(cells):
            return
        blocks, prose = self.layout.blocks, " | ".join(cells)
        if not self._markdown:
            self.layout.add(prose, prose, "row")
            return
        text = " | ".join(cell.replace("|", r"\|") for cell in cells)
        rule = "" if blocks and blocks[-1].kind == "row" else "\n|" + " --- |" * len(cells)
        self.layout.add(f"| {text} |{rule}", prose, "row")


Handler = Callable[[Post, str, str], None]
OPEN: Mapping[str, Handler] = {
    **dict.fromkeys(BLOCKS, Post._open_block),
    **dict.fromkeys(DROPPED, Post._drop),
    **dict.fromkeys(LISTS, Post._open_list),
    **dict.fromkeys(("sup", "sub"), Post._open_script),
    "li": Post._open_item,
    "blockquote": Post._open_quote,
    "tr": Post._open_row,
    "img": Post._image,
    "br": Post._break,
    "hr": Post._flush,
    "a": Post._open_link,
    "pre": Post._open_pre,
    "code": Post._open_code,
}
CLOSE: Mapping[str, Handler] = {
    **dict.fromkeys((*BLOCKS, "li"), Post._close_block),
    **dict.fromkeys(DROPPED, Post._end_drop),
    **dict.fromkeys(LISTS, Post._close_list),
    **dict.fromkeys(("sup", "sub"), Post._close_script),
    **dict.fromkeys(("td", "th"), Post._close_cell),
    "blockquote": Post._close_quote,
    "tr": Post._close_row,
    "a": Post._close_link,
    "pre": Post._close_pre,
    "code": Post._close_code,
}


def _address(found: re.Match[str]) -> str:
    return found.group() if NO_LINK.match(found.group()) else gone(found.group())


def _is_index(text: str) -> bool:
    """A power or an index: no small print, no address and no "th"."""
    words = text.split()
    if not words or "://" in text or text.strip().lower() in ORDINALS:
        return False
    return len(words) < 3 or not any(word.isalpha() and len(word) > 2 for word in words)


def _without_comments(html: str) -> str:
    head, *others = html.split("<!--")
    return head + "".join(part.partition("-->")[2] for part in others)


def _language(attributes: str) -> str:
    """The language that Stack Exchange notes as ``class="lang-py"``."""
    found = LANGUAGE.search(attributes)
    return found.group(1) if found and found.group(1) not in ("none", "default") else ""
