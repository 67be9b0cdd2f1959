"""Big synthetic raw files, the same bytes for the same arguments: a Stack Exchange dump, a Reddit archive, near-copies.

    python benchmarks/curation/data.py posts 2000 Posts.xml

The dump has the attributes of real ones in their order, Zipf scores, a third questions, bodies of HTML from the editor of
the sites (paragraphs, lists, code, quotes, links, images) with the lengths of real ones (about 1.8 KB a row).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from lima.curate.reading.compressed import zstd

WORDS = [
    "water",
    "heat",
    "pot",
    "stove",
    "salt",
    "steam",
    "lid",
    "minute",
    "time",
    "slow",
    "boil",
    "cool",
    "pour",
    "stir",
    "whisk",
    "simmer",
    "drain",
    "rest",
    "cut",
    "the",
    "a",
    "of",
    "to",
    "and",
    "in",
    "is",
    "that",
    "it",
    "for",
    "with",
    "on",
    "as",
    "are",
    "this",
    "be",
    "or",
    "from",
    "at",
    "by",
    "which",
    "when",
    "if",
    "you",
    "can",
    "not",
    "will",
    "one",
    "more",
    "than",
    "then",
    "so",
    "because",
    "oven",
    "dough",
    "yeast",
    "flour",
    "butter",
    "sugar",
    "cream",
    "sauce",
    "onion",
    "garlic",
    "pepper",
    "oil",
    "pan",
    "knife",
    "board",
    "bowl",
    "temperature",
    "pressure",
    "surface",
    "thick",
    "thin",
    "even",
    "gentle",
    "quick",
    "cold",
    "warm",
    "fresh",
    "dry",
    "wet",
    "large",
    "small",
    "add",
    "remove",
    "keep",
    "turn",
    "press",
    "leave",
    "serve",
]
OPENINGS = (
    "I think that", "In my kitchen", "As mentioned above,", "See the comments:", "The answer is that", "First of all,"
)  # fmt: skip
OPENING_SHARES = (0.4, 0.3, 0.03, 0.02, 0.15, 0.1)
"""Seven answers in ten speak of their author, as real ones do."""
TITLES = (
    "How do you keep the {word} from spoiling dish {number}?", "Why does the {word} stick to pan number {number}?",
    "Is there a way to tell if {word} from lot {number} is still good?", "Trouble with {word} {number}",
)  # fmt: skip
"""One in four does not stand alone, as in real dumps."""
PARAGRAPHS = 4000
BATCH = 3000


def write_posts(path: Path, megabytes: int, seed: int = 0) -> None:
    """A ``Posts.xml`` of about that size: to each question two answers."""
    random = np.random.default_rng(seed)
    paragraphs = [_paragraph(random) for _ in range(PARAGRAPHS)]
    number, size = 0, 0
    with path.open("wb") as stream:
        stream.write(b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\n<posts>\n')
        while size < megabytes * 1_000_000:
            text = "".join(_rows(random, paragraphs, number)).encode()
            size += stream.write(text)
            number += BATCH
        stream.write(b"</posts>\n")


def _rows(random: np.random.Generator, paragraphs: list[str], first: int) -> Iterator[str]:
    scores = np.minimum(random.zipf(1.8, BATCH), 10**6) - 1
    counts = random.lognormal(1.1, 0.5, BATCH) * np.where(scores >= 10, 1.4, 1)  # good answers are longer
    counts = np.clip(counts, 1, 40).astype(int)
    chosen = random.integers(0, PARAGRAPHS, int(counts.sum())).tolist()
    openings = random.choice(len(OPENINGS), BATCH, p=OPENING_SHARES).tolist()
    users = random.integers(1, 9999, BATCH).tolist()
    place = 0
    for row, (score, count) in enumerate(zip(scores.tolist(), counts.tolist(), strict=True)):
        number = first + row + 1
        body = "&#xA;&#xA;".join(paragraphs[p] for p in chosen[place : place + count])
        place += count
        body = f"&lt;p&gt;{OPENINGS[openings[row]]} number {number}.&lt;/p&gt;&#xA;&#xA;{body}"
        if row % 3 == 0:
            yield _question(number, score, body, users[row])
        else:
            yield _answer(number, number - row % 3, score, body, users[row])


def _question(number: int, score: int, body: str, user: int) -> str:
    accepted = f' AcceptedAnswerId="{number + 1}"' if number % 2 else ""
    closed = ' ClosedDate="2016-03-02T10:00:00.000"' if number % 20 == 1 else ""
    title = TITLES[number % len(TITLES)].format(word=WORDS[number % 40], number=number)
    return (
        f'  <row Id="{number}" PostTypeId="1"{accepted} CreationDate="2015-03-01T10:00:00.000" Score="{score}"'
        f' ViewCount="{number % 5000}" Body="{body}" OwnerUserId="{user}" LastActivityDate="2015-03-02T10:00:00.000"'
        f' Title="{title}" Tags="&lt;{WORDS[number % 30]}&gt;&lt;cooking&gt;" AnswerCount="2" CommentCount="1"{closed}'
        ' ContentLicense="CC BY-SA 3.0" />\n'
    )


def _answer(number: int, parent: int, score: int, body: str, user: int) -> str:
    return (
        f'  <row Id="{number}" PostTypeId="2" ParentId="{parent}" CreationDate="2015-03-01T11:00:00.000"'
        f' Score="{score}" Body="{body}" OwnerUserId="{user}" LastEditorUserId="{user}"'
        ' LastEditDate="2015-03-02T09:00:00.000" LastActivityDate="2015-03-02T10:00:00.000" CommentCount="0"'
        ' ContentLicense="CC BY-SA 3.0" />\n'
    )


def _paragraph(random: np.random.Generator) -> str:
    """A block of HTML as the dumps write it: escaped once more."""
    words = [WORDS[i] for i in random.integers(0, len(WORDS), int(random.integers(15, 90)))]
    text = " ".join(words)
    half = len(words) // 2
    kind = random.random()
    if kind < 0.6:
        link = f'<a href="https://example.org/{half}" rel="nofollow">{words[0]}</a>'
        html = f"<p>{text.capitalize()}, {link} <em>{words[1]}</em> &amp; <strong>{words[2]}</strong>.</p>"
    elif kind < 0.8:
        items = "\n".join(f"<li>{' '.join(words[i : i + 8])}</li>" for i in range(0, len(words), 8))
        html = f"<ul>\n{items}\n</ul>"
    elif kind < 0.93:
        html = (
            f"<pre><code>{' '.join(words[:half])} &lt; {words[0]};\n{' '.join(words[half:])}\n</code></pre>"
        )
    elif kind < 0.98:
        html = f"<blockquote>\n  <p>{text}, <code>{words[0]}</code>.</p>\n</blockquote>"
    else:
        html = (
            f'<p>{text} like this:</p>\n\n<p><img src="https://example.org/{half}.png" alt="{words[0]}"></p>'
        )
    return escape(html, {'"': "&quot;", "\n": "&#xA;"})


def write_reddit(path: Path, megabytes: int, seed: int = 0) -> None:
    """Submissions as Pushshift writes them, one in fifty of r/WritingPrompts; Zstandard, a window of 2 GiB."""
    random = np.random.default_rng(seed)
    options = {
        int(zstd.CompressionParameter.compression_level): 3,
        int(zstd.CompressionParameter.window_log): 31,
    }
    names = ["WritingPrompts", *(f"sub{i}" for i in range(49))]
    size = number = 0
    with zstd.ZstdFile(path, "wb", options=options) as out:
        while size < megabytes * 1_000_000:
            lines = []
            for subreddit in random.integers(0, len(names), 1000).tolist():
                number += 1
                lines.append(json.dumps(_submission(random, number, names[subreddit])) + "\n")
            text = "".join(lines).encode()
            size += len(text)
            out.write(text)


def _submission(random: np.random.Generator, number: int, subreddit: str) -> dict[str, Any]:
    text = " ".join(WORDS[i] for i in random.integers(0, len(WORDS), int(random.integers(0, 120))))
    return {
        "archived": True, "author": f"user{number % 997}", "author_flair_text": None, "brand_safe": True,
        "contest_mode": False, "created_utc": 1_420_000_000 + number, "distinguished": None,
        "domain": f"self.{subreddit}", "edited": False, "gilded": 0, "hidden": False, "id": f"{number:x}",
        "is_crosspostable": False, "is_self": True, "is_video": False, "link_flair_text": None, "locked": False,
        "media": None, "media_embed": {}, "num_comments": number % 90, "num_crossposts": 0, "over_18": False,
        "parent_whitelist_status": "all_ads", "permalink": f"/r/{subreddit}/comments/{number:x}/a_title/",
        "pinned": False, "retrieved_on": 1_430_000_000, "score": int(min(random.zipf(1.5), 10**6)),
        "secure_media": None, "secure_media_embed": {}, "selftext": text, "spoiler": False, "stickied": False,
        "subreddit": subreddit, "subreddit_id": "t5_2qh33", "subreddit_type": "public", "suggested_sort": None,
        "thumbnail": "self", "title": f"[WP] The {WORDS[number % 60]} that told a story, part {number}",
        "url": f"https://www.reddit.com/r/{subreddit}/comments/{number:x}/a_title/", "whitelist_status": "all_ads",
    }  # fmt: skip


def copied_texts(number: int, seed: int = 0) -> list[str]:
    """Texts of 200 words, one in twenty a copy of an earlier one with up to nine words changed."""
    random = np.random.default_rng(seed)
    words = [f"word{i}" for i in range(20_000)]
    weights = 1 / np.arange(1, len(words) + 1)
    draws = random.choice(len(words), (number - number // 20, 200), p=weights / weights.sum())
    texts = [" ".join(words[i] for i in row) for row in draws]
    for text in texts[: number // 20]:
        changed = text.split()
        for _ in range(int(random.integers(0, 10))):
            changed[int(random.integers(0, 200))] = f"edit{random.integers(0, 999)}"
        texts.append(" ".join(changed))
    return texts


if __name__ == "__main__":
    {"posts": write_posts, "reddit": write_reddit}[sys.argv[1]](Path(sys.argv[3]), int(sys.argv[2]))
