"""Reddit archives and top-post tables -> prompts of r/AskReddit, prompts and stories of r/WritingPrompts.

The paper picked these by hand among the most upvoted posts (section 2.1); here they come best first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lima.curate.candidate import Candidate, Stratum, single_turn
from lima.curate.reading.tables import candidate_files, read_table
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import Context, SourceSettings, in_strata
from lima.curate.text.clean import prose_of

SUFFIXES = (".zst", ".jsonl", ".ndjson", ".csv", ".jsonl.gz", ".ndjson.gz")
GONE = re.compile(r"\s*(?:\[\s*(?:removed|deleted)(?:\s+by\s+\w+)*\s*\])?\s*", re.IGNORECASE)
"""``[removed]``, ``[deleted by user]``, ``[ Removed by Reddit ]``, or nothing at all."""
LABEL = re.compile(r"^\s*(?:\[[A-Z]{2,3}\]\s*|(?:Writing )?Prompt\s*:\s*)")
"""``[WP]``, ``[EU]``, ``Writing Prompt:`` ...: the site's own label of a prompt."""


UNSEEN = re.compile("&#x200b;|[\u200b\u2060\ufeff]", re.IGNORECASE)
BLANK_LINES = re.compile(r"(?:[ \t]*\n){3,}")
AUTHOR_NOTE = re.compile(
    r"""
    \W* (?:
        (?: edit | eta | update | a/?n | author['’]?s?\ note | note ) \s? \d* \s* [:\-–—]
      | .* (?: \b r / \w | \b /? u/\w | patreon | my\ (?: sub (?:reddit)? | profile | blog | website | newsletter | other\ stor(?:y|ies) | book | discord )
          | subscribe | (?: part | chapter )\ (?: \d+ | two | ii )\b .* (?: below | here | comments? | reply | link ) | thanks\ for\ (?: reading | the\ (?: gold | award | silver | platinum ) )
          | thank\ you\ for\ (?: reading | the ) | if\ you\ (?: liked | enjoyed ) | hope\ you\ (?: liked | enjoyed | like | enjoy ) | constructive\ criticism | feedback\ (?: is | welcome )
          | first\ time\ (?: writing | posting ) | sorry\ for\ (?: any | the ) | on\ mobile | wow,?\ (?: thanks | thank\ you | this\ blew ) | kind\ stranger | more\ of\ my )
    )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""A paragraph in which the author speaks to readers of the site: an edit, an advert, thanks."""
NOTE_CHARACTERS_MAX = 400
"""A longer paragraph is part of the story, whatever it says."""
RULE = re.compile(r"\s*(?:[-*_=~#]\s*){3,}|\s*")
NOTICE = re.compile(
    r"""
    \W* (?: \[ \s* (?: update | meta | mod | announcement | off[-\s]?topic | contest | results? | winners? | ot ) \b | update \b \s* [:\d-]
      | (?: daily | weekly | monthly ) \s+ (?: prompt | thread | challenge ) | congrat | announc )
    | .* \b (?: contest | subreddit\ of\ the\ (?: day | week ) ) \b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""A title about the subreddit itself, or about an earlier post."""
ADDRESS = re.compile(
    r"(?:^|(?<=[.!?] ))(?:(?:hey|hi|dear|ok|okay|so|well|alright)\W+)?(?:(?:reddit|redditors)\s*(?:[,:;!]+\s*|[.-]+\s+)|reddit\s+(?=(?:what|how|why|when|who|where|which)\b))(\w?)"
    r"|(?<=\w) of reddit(?=\s*[,:;.!…-]|\s(?:who|with)\b)",
    re.IGNORECASE,
)
"""How a prompt speaks to the site: "Reddit, what is ...", "Chefs of Reddit, ..."."""
ASIDE = re.compile(
    r"""
    \s* [\[(*] \s* (?: serious (?: \s \w+ ){0,2} | nsfw | sfw | x-?post [^\])]* | (?: story | details | pics? | more ) [^\])]{0,12} inside [^\])]* | pics? \s included
        | stolen \s from [^\])]* | throwaways? [^\])*]* | difficulty [^\])]* ) [\])*]
    | (?<= [?.!] ) \s+ I['’]ll \s (?: start | go \s first ) \b [^.?!]{0,20} [.!]* \s* $
    | \s* \b (?: more \s )? (?: details | story | pics? ) \s inside \.? \s* $ | ^ throwaway \s time \W+
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""The site's own labels: "[Serious]", "(story inside)"."""
OF_THE_SITE = re.compile(
    r"\breddit|\bsubreddit|\br/\w|\bkarma\b|\bfront ?page\b|\btop posts?\b|\bx-?post|\b(?:up|down)-?vot|(?-i:\bOP\b)|\b(?:another|this|last week['’]s) (?:post|thread)\b|\b(?:a|the) (?:[\w-]+ )?thread\b",
    re.IGNORECASE,
)
"""What a prompt says of the site itself."""
ADDRESS_STEP = "address to the site's readers removed"
NOTE_STEP = "author's note to the site's readers removed"


class Reddit(SourceSettings):
    """Posts of one subreddit: with ``stories`` the best top-level comment is the answer."""

    kind: Literal["reddit"] = "reddit"
    """Which source this is."""
    subreddit: str = "WritingPrompts"
    """Only posts of this one."""
    stories: bool = True
    """Take the best top-level comment as the answer; without, the posts are bare prompts (for ``test``)."""
    labels: tuple[str, ...] = Field(default=("WP", "EU", "SP"))
    """Labels like ``[WP]`` that a story prompt may have; it is taken off. Without a label is fine too."""
    post_score_min: int = Field(default=10)
    """Posts with a lower score are dropped unread."""
    drop_notices: bool = True
    """Drop posts about the site itself: contests, announcements, updates of earlier posts, other threads. [ours]"""
    review: bool = True
    """With ``--review FILE``: only posts that a person accepts in that file. [paper: picked by hand]"""
    rules: RuleSettings = RuleSettings(
        score_min=10, length_min=500, length_max=8000, first_person=False, refers_to_others=False, title_words_min=5,
        self_contained_title=False,
    )  # fmt: skip
    """The filters; stories may well be in the first person."""

    def strata(self, context: Context) -> list[Stratum]:
        """One stratum, posts by score."""
        posts: dict[str, Mapping[str, Any]] = {}
        stories: dict[str, Mapping[str, Any]] = {}
        for path in candidate_files(context.path, SUFFIXES):
            for post in self._rows(path, context):
                if "body" in post:
                    _keep_best(stories, post)
                else:
                    posts[str(post.get("id"))] = post
        found = [self._candidate(post, stories.get(f"t3_{number}")) for number, post in posts.items()]
        wanted = [candidate for candidate in found if candidate is not None]
        context.count(self.subreddit).dropped_unread["no_story"] += len(found) - len(wanted)
        context.count(self.subreddit).read += len(found) - len(wanted)
        return in_strata(wanted, context, lambda c: (-int(c.example.meta.model_extra["post_score"]), c.id))  # type: ignore[index]

    def rows_of(self, path: Path) -> Iterator[Mapping[str, Any]]:
        """Posts and comments of the subreddit. A raw line without its name is never decoded."""
        name = self.subreddit.lower()
        if path.name.lower().endswith(".csv"):  # a table of top posts covers the subreddit in its name
            rows = (row for _, row in read_table(path)) if name in path.name.lower() else ()
            yield from rows
            return
        for _, row in read_table(path, holding=b'"' + self.subreddit.encode() + b'"'):
            if str(row.get("subreddit", "")).lower() == name:
                yield row

    def _rows(self, path: Path, context: Context) -> Iterator[Mapping[str, Any]]:
        """Those that can be used; the others are counted."""
        for row in self.rows_of(path):
            reason = _gone(row) or self._low(row) or self._notice(row)
            if reason is None:
                yield row
            elif "body" not in row:
                context.count(self.subreddit).read += 1
                context.count(self.subreddit).dropped_unread[reason] += 1

    def _low(self, row: Mapping[str, Any]) -> str | None:
        return "post_score" if "body" not in row and _score(row) < self.post_score_min else None

    def _notice(self, row: Mapping[str, Any]) -> str | None:
        if not self.drop_notices or "body" in row:
            return None
        title = " ".join(plain(row.get("title")).split())
        return "notice" if NOTICE.match(title) or OF_THE_SITE.search(unaddressed(title)) else None

    def _candidate(self, post: Mapping[str, Any], story: Mapping[str, Any] | None) -> Candidate | None:
        title = " ".join(plain(post.get("title")).split())
        label, asked = LABEL.match(title), LABEL.sub("", title)
        prompt = unaddressed(asked)
        answer, noted, text, shown = "", False, "", post
        if self.stories:
            if story is None or (
                label and "[" in label.group() and label.group().strip(" []") not in self.labels
            ):
                return None
            (answer, noted), text, shown = (
                without_notes(plain(story["body"])),
                plain(post.get("selftext")),
                story,
            )
        meta = {
            "url": f"https://www.reddit.com/comments/{post['id']}",
            "authors": [str(row["author"]) for row in (post, story) if row and row.get("author")],
            "score": _score(shown),
            "category": self.subreddit,
            "transforms": [
                "label removed",
                *([ADDRESS_STEP] if prompt != asked else []),
                *([NOTE_STEP] if noted else []),
            ],
            "post_score": _score(post),
        }
        whole = prompt if GONE.fullmatch(text) else f"{prompt}\n\n{text}"
        identifier = f"reddit/{self.subreddit}/{post['id']}"
        example = single_turn(identifier, "reddit", whole or "?", answer if self.stories else None, meta)
        recency = _created(story or post)
        return Candidate(example, answer, prose_of(answer), title=prompt, recency=recency)


def _keep_best(stories: dict[str, Mapping[str, Any]], comment: Mapping[str, Any]) -> None:
    """Top-level comments only, whose parent is the post: the highest score, then the lowest id."""
    if comment.get("parent_id") == comment.get("link_id"):
        link = str(comment.get("link_id"))
        stories[link] = min(stories.get(link, comment), comment, key=_rank)


def _rank(comment: Mapping[str, Any]) -> tuple[int, str]:
    return -_score(comment), str(comment.get("id"))


def _score(row: Mapping[str, Any]) -> int:
    """Scores come as numbers, texts or null; old dumps have ``ups``."""
    score = row.get("score")
    return _integer(row.get("ups") if score is None else score)


def _created(row: Mapping[str, Any]) -> int:
    return _integer(row.get("created_utc"))


def _integer(value: Any) -> int:
    try:
        return int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def plain(text: Any) -> str:
    """What a reader sees of a text: the archives escape it once, and its Markdown once more.

    >>> plain("&amp;gt; A &amp;amp; B&amp;#x200B;")
    '> A & B'
    """
    shown = unescape(unescape(str(text or "")))
    return BLANK_LINES.sub("\n\n", UNSEEN.sub("", shown).replace("\xa0", " ")).strip()


def unaddressed(title: str) -> str:
    """A title without what it says to the site's readers.

    >>> unaddressed("[Serious] Chefs of Reddit , what is salt for?"), unaddressed("Reddit, why is it wet?")
    ('Chefs, what is salt for?', 'Why is it wet?')
    >>> unaddressed("What is your best tip? I'll start.")
    'What is your best tip?'
    >>> unaddressed("Reddit.com looks old.")
    'Reddit.com looks old.'
    """
    text = ADDRESS.sub(lambda found: (found.group(1) or "").upper(), ASIDE.sub("", title).strip())
    if not text or text == title:
        return title
    text = re.sub(r" (?=[,;:])", "", text)
    return text[0].upper() + text[1:]


def without_notes(text: str) -> tuple[str, bool]:
    """A story without the notes and adverts that its author put before or behind it, and whether there were any."""
    parts = text.split("\n\n")
    kept = parts.copy()
    for end in (-1, 0):
        while len(kept) > 1 and (
            _is_note(kept[end]) or (len(kept) < len(parts) and RULE.fullmatch(kept[end]))
        ):
            del kept[end]
    return "\n\n".join(kept).strip(), len(kept) < len(parts)


def _is_note(paragraph: str) -> bool:
    return len(paragraph) <= NOTE_CHARACTERS_MAX and bool(AUTHOR_NOTE.match(paragraph))


def _gone(row: Mapping[str, Any]) -> str | None:
    """Why a post or comment is not to be used: removed, by a bot or a moderator, pinned or for adults only."""
    text = row.get("body") if "body" in row else row.get("title")
    if GONE.fullmatch(plain(text)):
        return "removed"
    if row.get("author") == "AutoModerator" or row.get("distinguished") == "moderator":
        return "bot_or_pinned"
    if row.get("stickied") in (True, "True"):
        return "bot_or_pinned"
    return "adults_only" if row.get("over_18") in (True, "True") else None
