r"""LaTeX in a Markdown text -> MathML: ``$x$``, ``$$x$$``, ``\(x\)``, ``\[x\]`` and ``\begin{align}``.

The rules for brackets are our own: those of the plugin take time that grows with the square of the text. So is the one for
``$$`` behind a line of text, where people and models write most of their formulas: the plugin wants a blank line before. A formula in
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
CLOSING = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
BLOCKS = ("\\[", "$$")
"""Opening marks of formulas that stand by themselves."""


FORMULAS = "formulas"
"""Where a rendering's environment collects the sources of the formulas that became MathML, in order."""
ALIGNED = re.compile(r"\\(begin|end)\s*\{(?:align|aligned|eqnarray|gather|gathered|multline|equation)\*?\}")
"""Environments of rows. The converter knows some, and numbers the rows of ``align``, which the text does not."""
OF_ROWS = re.compile(r"(\\\\)\*?\s*\[-?[\d.]+\s*(?:pt|em|ex|mm|cm|in)\]|\\(?:nonumber|notag)\b")
"""What LaTeX shows nothing of, and the converter the letters: the distance to the next row, and a row without a number."""
LABEL = re.compile(r"\\label\s*\{[^{}]*\}")
"""A name for references, which LaTeX does not show."""
LONGEST_LINE = 60
"""Longer formulas get a box of their own that scrolls."""


def add_formulas(markdown: MarkdownIt) -> None:
    """Teach a Markdown parser the ways in which models write formulas."""
    dollarmath_plugin(markdown, allow_labels=False, allow_space=False, allow_digits=False)
    amsmath_plugin(markdown)
    markdown.disable("math_block")  # it takes "$$a$$ and $$b$$" for one formula
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
    latex = LABEL.sub("", OF_ROWS.sub(lambda found: found[1] or "", latex))
    known = ALIGNED.sub(r"\\\1{split}", latex).replace("{dcases}", "{cases}")
    try:
        found = convert(known, display=display)
    except Exception:  # the converter raises errors of many kinds at LaTeX that it does not know
        return None
    shown = html.unescape(re.sub(r"<[^>]*>", "", found))
    written = re.sub(r"\\(begin|end)\s*\{[a-z]+\*?\}(\{[lcr|]*\})?|\\[a-zA-Z]+", "", latex)
    is_whole = _signs(written) <= _signs(shown) and "<mi>&</mi>" not in found  # a column that it did not make
    return found if is_whole else None


def _signs(text: str) -> Counter[str]:
    return Counter(sign for sign in unicodedata.normalize("NFKC", text) if sign.isalnum())


def _inline_rule(state: StateInline, silent: bool) -> bool:
    opening = state.src[state.pos : state.pos + 2]
    closing = CLOSING.get(opening)
    if closing is None:
        return False
    end = state.src.find(closing, state.pos + 2, state.pos + 2 + LONGEST_FORMULA)
    content = state.src[state.pos + 2 : end] if end >= 0 else ""
    if not content.strip():
        return False
    if opening == "$$" and _is_money(content, state.src[end + 2 : end + 3]):
        state.pending += "" if silent else opening  # or the rule for one dollar begins at the second
        state.pos += 2
        return True
    if not silent:
        token = state.push("bracket_formula", "math", 0)
        token.content = content
        token.markup = opening
    state.pos = end + 2
    return True


def _is_money(between: str, after: str) -> bool:
    """Whether two ``$$`` in a line of text are not those of a formula.

    >>> _is_money("x^2", "."), _is_money(" or ", "$"), _is_money("a and b", "c")
    (False, True, True)
    """
    goes_on = after == "$" or (after.isascii() and after.isalnum())
    return between.strip() != between or between[0] == "$" or goes_on


def _block_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""``\[`` or ``$$`` at the start of a line to its counterpart at the end of one, with anything between."""
    opening = _line(state, start)[:2]
    if state.is_code_block(start) or opening not in BLOCKS:
        return False
    reach = state.eMarks[min(end, start + MOST_LINES) - 1]
    if state.src.find(CLOSING[opening], state.bMarks[start] + state.tShift[start] + 2, reach) < 0:
        return False
    for last in range(start, min(end, start + MOST_LINES)):
        text = _line(state, last)[2 if last == start else 0 :]
        if opening == "$$" and "$$" in text[:-1]:
            return False
        if text.endswith(CLOSING[opening]):
            break
    else:
        return False
    content = "\n".join(_line(state, number) for number in range(start, last + 1))[2:-2]
    if silent or not content.strip():
        return bool(content.strip())
    token = state.push("bracket_formula", "math", 0)
    token.content = content
    token.markup = opening
    token.block, token.map = True, [start, last + 1]
    state.line = last + 1
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()


def _render(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    latex, is_block = token.content.strip(), token.block or token.markup in BLOCKS
    found = to_mathml(latex, "block" if is_block else "inline")
    if found is None:
        shown = f'<code class="formula">{html.escape(latex)}</code>'
    else:
        env[FORMULAS].append(latex)
        box = "wide aligned" if ALIGNED.search(latex) else "wide"
        shown = (
            f'<span class="{box}" tabindex="0">{found}</span>'
            if len(latex) > LONGEST_LINE or is_block
            else found
        )
    return f"<p>{shown}</p>\n" if token.block else shown
