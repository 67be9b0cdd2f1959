r"""LaTeX in a Markdown text -> MathML: ``$x$``, ``$$x$$``, ``\(x\)``, ``\[x\]`` and ``\begin{align}``.

The rules for brackets are our own: those of the plugin take time that grows with the square of the text. A formula in
whose MathML a letter or digit is missing (the converter drops what follows a ``%``) is shown as its source.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

LONGEST_FORMULA = 2_000
MOST_LINES = 60
CLOSING = {"\\(": "\\)", "\\[": "\\]"}


FORMULAS = "formulas"
"""Where a rendering's environment collects the sources of the formulas that became MathML, in order."""
LONGEST_LINE = 60
"""Longer formulas get a box of their own that scrolls."""


def add_formulas(markdown: MarkdownIt) -> None:
    """Teach a Markdown parser the ways in which models write formulas."""
    dollarmath_plugin(markdown, allow_labels=False, allow_space=False, allow_digits=False)
    amsmath_plugin(markdown)
    markdown.inline.ruler.before("escape", "bracket_formula", _inline_rule)
    markdown.block.ruler.before(
        "fence", "bracket_formula", _block_rule, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    for name in ("math_inline", "math_block", "amsmath", "bracket_formula"):
        markdown.add_render_rule(name, _render)


def to_mathml(latex: str, display: str) -> str | None:
    """MathML for one formula; None where the converter does not know it, or leaves something out."""
    if len(latex) > LONGEST_FORMULA:
        return None
    try:
        found = convert(latex, display=display)
    except Exception:  # the converter raises errors of many kinds at LaTeX that it does not know
        return None
    shown = html.unescape(re.sub(r"<[^>]*>", "", found))
    written = re.sub(r"\\(begin|end)\s*\{[a-z]+\*?\}(\{[lcr|]*\})?|\\[a-zA-Z]+", "", latex)
    return found if _signs(written) <= _signs(shown) else None


def _signs(text: str) -> Counter[str]:
    return Counter(sign for sign in unicodedata.normalize("NFKC", text) if sign.isalnum())


def _inline_rule(state: StateInline, silent: bool) -> bool:
    opening = state.src[state.pos : state.pos + 2]
    closing = CLOSING.get(opening)
    if closing is None:
        return False
    end = state.src.find(closing, state.pos + 2, state.pos + 2 + LONGEST_FORMULA)
    if end < 0:
        return False
    if not silent:
        token = state.push("bracket_formula", "math", 0)
        token.content = state.src[state.pos + 2 : end]
        token.markup = opening
    state.pos = end + 2
    return True


def _block_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""``\[`` at the start of a line to ``\]`` at the end of one, with anything between."""
    if state.is_code_block(start) or not _line(state, start).startswith("\\["):
        return False
    for last in range(start, min(end, start + MOST_LINES)):
        if _line(state, last).endswith("\\]"):
            break
    else:
        return False
    if silent:
        return True
    token = state.push("bracket_formula", "math", 0)
    token.content = "\n".join(_line(state, number) for number in range(start, last + 1))[2:-2]
    token.markup = "\\["
    token.block, token.map = True, [start, last + 1]
    state.line = last + 1
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()


def _render(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    latex, is_block = token.content.strip(), token.block or token.markup == "\\["
    found = to_mathml(latex, "block" if is_block else "inline")
    if found is None:
        shown = f'<code class="formula">{html.escape(latex)}</code>'
    else:
        env[FORMULAS].append(latex)
        shown = (
            f'<span class="wide" tabindex="0">{found}</span>'
            if len(latex) > LONGEST_LINE or is_block
            else found
        )
    return f"<p>{shown}</p>\n" if token.block else shown
