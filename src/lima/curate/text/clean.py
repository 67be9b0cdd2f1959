"""The HTML of a post -> plain text that a language model can learn from (paper, section 2.1).

Links, images and other HTML go, code blocks and lists stay. `clean` also gives the prose alone, without
code, for the rules that look at words, and logs every visible word that it left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lima.curate.text.gaps import ADDRESS, Removal
from lima.curate.text.layout import Block, Style, joined
from lima.curate.text.markup import Post
from lima.curate.text.phrases import PICTURE, WORDS
from lima.curate.text.trim import INLINE_CODE, ends_open, settled, trimmed

OF_IMAGES = re.compile(
    rf"\A \W* (?: this\ one | this\ is | here (?: ['’]s | \ is | \ are ) | these ) \b | \b (?: in | on | at | see | from ) \s (?: the | this | that | these | following ) \s (?: \w+ \s )? {PICTURE} \b"
    rf" | \b {PICTURE} \s (?: such\ as\ this | shows | above | below | is\ from )"
    r" | \b (?: as\ you\ can\ see | looks? \s like \s this | as\ shown | shown\ (?: here | below | above ) )",
    WORDS,
)
"""Words about an image, in a post that had one."""
FENCED_CODE = re.compile(r"^(`{3,})[^\n]*\n.*?(?:^\1[ \t]*$|\Z)|```.*?```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Cleaned:
    """The text of a post, and what of it is prose."""

    text: str
    prose: str
    """The text without code, which may hold any word; lines of quotations begin with ``>``."""
    images: int = 0
    """Images that were left out."""
    holes: int = 0
    """Places that point to something left out: "like this:" before an image, a link named "here"."""
    removed: tuple[Removal, ...] = ()
    """Visible text that was left out, each with the step that took it."""
    blocks: tuple[Block, ...] = ()
    """What the text is made of."""

    @property
    def code(self) -> str:
        """The code alone."""
        return "\n".join(
            block.text
            if block.kind == "code"
            else "\n".join(found.group() for found in INLINE_CODE.finditer(block.text))
            for block in self.blocks
        )

    @property
    def steps(self) -> list[str]:
        """The steps that took more than addresses, each once, as an example's ``transforms`` name them."""
        names = dict.fromkeys(removal.step for removal in self.removed if removal.step != ADDRESS)
        return [f"cut: {name}" for name in names]


def clean(html: str, style: Style = "markdown", *, trim: bool = True) -> Cleaned:
    """Turn the HTML of one post into text.

    Args:
        html: the body.
        style: how blocks and code are shown.
        trim: whether sentences that only point to an address, closing formulas and the like go (`text.trim`). Without,
            every address that is missed counts as a hole.

    >>> clean("<p>Use <code>ls</code>:</p><ul><li>fast</li><li>old</li></ul>").text
    'Use `ls`:\\n\\n* fast\\n* old'
    """
    post = Post(style, trim)
    post.read(html)
    blocks, announced, holes = settled(post.layout.blocks, trim)
    cut: list[Removal] = []
    if trim:
        blocks, cut = trimmed(blocks)
    if not blocks and trim and post.layout.blocks:  # nothing but pointers: a hole rather than nothing
        plain = clean(html, style, trim=False)
        return replace(plain, holes=max(1, plain.holes))
    prose = "\n".join([block.prose for block in blocks if block.prose])
    holes += post.holes
    if not holes:
        holes += ends_open(blocks) or bool(post.images and OF_IMAGES.search(prose))
    removed = (*post.removed, *announced, *cut)
    return Cleaned(joined(blocks, style), prose, post.images, holes, removed, tuple(blocks))


def prose_of(markdown: str) -> str:
    """The text without its fenced and inline code, for sources that are no HTML.

    >>> prose_of("Run `I` now.")
    'Run   now.'
    """
    return INLINE_CODE.sub(" ", FENCED_CODE.sub(" ", markdown))
