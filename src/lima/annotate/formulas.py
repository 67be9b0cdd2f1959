r"""LaTeX in a Markdown text -> MathML: ``$x$``, ``$$x$$``, ``\(x\)``, ``\[x\]`` and ``\begin{align}``.

The rules for brackets are our own: those of the plugin take time that grows with the square of the text.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

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


def add_formulas(markdown: MarkdownIt) -> None:
    """Teach a Markdown parser the ways in which models write formulas."""
    dollarmath_plugin(markdown, allow_space=False, allow_digits=False, renderer=_dollars)
    amsmath_plugin(markdown, renderer=lambda content: formula(content, "block"))
    markdown.inline.ruler.before("escape", "bracket_formula", _inline_rule)
    markdown.block.ruler.before(
        "fence", "bracket_formula", _block_rule, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    markdown.add_render_rule("bracket_formula", _render)


def formula(latex: str, display: str) -> str:
    """MathML for one formula; what the converter does not know stays visible as source."""
    source = f'<code class="formula">{html.escape(latex.strip())}</code>'
    if len(latex) > LONGEST_FORMULA:
        return source
    try:
        return convert(latex.strip(), display=display)
    except Exception:  # the converter raises errors of many kinds at LaTeX that it does not know
        return source


def _dollars(content: str, options: dict[str, Any]) -> str:
    return formula(content, "block" if options["display_mode"] else "inline")


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
    rendered = formula(token.content, "block" if token.markup == "\\[" else "inline")
    return f"<p>{rendered}</p>\n" if token.block else rendered
