"""A set of examples -> the sections of its card: sentences, tables and bars, not yet Markdown or HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from lima.curate.card.diversity import MOST, Vectors, diversity, effective_number
from lima.curate.card.licences import licence_counts, terms_text
from lima.curate.card.style import openers, shares
from lima.curate.choose.duplicates import (
    Duplicates,
    DuplicateSettings,
    Leaks,
    LeakSettings,
    full_text,
    near_duplicates,
    template_of,
)
from lima.curate.text.personal import KINDS, WORDS, Kind, count_personal
from lima.records import Example

CHARACTERS_PER_TOKEN = 3.7
"""Of the released set's answers, with LLaMA's tokenizer: 3.73 (their characters by the paper's token counts)."""
PAPER: dict[str, tuple[int, int, int]] = {
    "Stack Exchange (STEM)": (200, 117, 523),
    "Stack Exchange (Other)": (200, 119, 530),
    "wikiHow": (200, 12, 1811),
    "Reddit (r/WritingPrompts)": (150, 34, 274),
    "Super-Natural Instructions": (50, 236, 92),
    "Authored (group A)": (200, 40, 334),
}
"""Table 1 of the paper, training rows: examples, mean tokens of prompts, mean tokens of answers."""
FORUM = "Stack Exchange"
SETS = {"stem": "Stack Exchange (STEM)", "other": "Stack Exchange (Other)"}
KNOWN = {
    "wikihow": "wikiHow",
    "reddit": "Reddit (r/WritingPrompts)",
    "super-ni": "Super-Natural Instructions",
    "authored": "Authored (group A)",
}
BIN_EDGES = (0, 250, 500, 1000, 2000, 4000, 8000, 16000)
TOP = 12
ALIKE_TEXTS_MIN, ALIKE_SHARE = 20, 0.4
"""From this many texts on, a Vendi score below this share of their number means repetition. The released set has 0.72 (prompts) and 0.57 (answers)."""
SHOWN = 3
SHOWN_CHARACTERS = 900

Row = list[str]


@dataclass(frozen=True)
class Section:
    """One part of the card."""

    key: str
    title: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Row] = ()
    bars: Sequence[tuple[str, int]] = ()
    bars_title: str = ""
    warning: str = ""
    """What a reader must know first."""
    samples: Sequence[Example] = ()


@dataclass(frozen=True)
class CardOptions:
    """What the sections need besides the examples."""

    seed: int = 0
    duplicates: DuplicateSettings = field(default_factory=DuplicateSettings)
    leaks: LeakSettings = field(default_factory=LeakSettings)
    terms: str | None = None
    """The terms under which the raw data were obtained."""
    embeddings: Vectors | None = None
    """One row an example, in their order, for the diversity."""


def sections(examples: Sequence[Example], options: CardOptions) -> list[Section]:
    """All sections for which there is something to say."""
    random = np.random.default_rng(options.seed)
    found = [
        composition(examples),
        lengths(examples),
        licences(examples, options.terms),
        *([categories(examples)] if any(e.meta.category for e in examples) else []),
        diversity_section(examples, random, options.embeddings),
        *([style(examples)] if any(not e.is_prompt for e in examples) else []),
        repetition(examples, options),
        *([personal(counts)] if (counts := count_personal(examples)) else []),
    ]
    chosen = sorted(random.choice(len(examples), min(SHOWN, len(examples)), replace=False))
    return [
        *found,
        Section("examples", "Examples", "Drawn at random.", samples=[examples[i] for i in chosen]),
    ]


def composition(examples: Sequence[Example]) -> Section:
    """Table 1 of the paper for this set."""
    groups = _grouped(examples, _table_row)
    paper: dict[str, tuple[int, int, int]] = dict(PAPER)
    if (
        FORUM in groups and not groups.keys() & SETS.values()
    ):  # the released set does not say which set an exchange is in
        paper = {FORUM: _together(*SETS.values())} | {
            n: r for n, r in PAPER.items() if n not in SETS.values()
        }
    if not groups.keys() & paper.keys():  # somebody's own data: six rows of nothing would say nothing
        paper = {}
    rows = [_composition_row(name, groups.get(name, []), paper.get(name)) for name in {**paper, **groups}]
    rows.append(_composition_row("total", examples, _together(*PAPER)))
    return Section(
        "composition",
        "Composition",
        "As table 1 of the paper, whose numbers stand beside it. Tokens of this set are estimated at "
        f"{CHARACTERS_PER_TOKEN} characters each.",
        ["source", "examples", "tokens in", "tokens out", "paper: examples", "tokens in", "tokens out"],
        rows,
    )


def lengths(examples: Sequence[Example]) -> Section:
    """Lengths of first prompts and of answers, with a histogram of the answers."""
    answers = _answers(examples)
    groups = [("prompts", [e.turns[0].content for e in examples])] + (
        [("answers", answers)] if answers else []
    )
    rows = []
    for name, texts in groups:
        for unit, size in (("characters", len), ("words", _words)):
            sizes = [size(text) for text in texts]
            points = np.percentile(sizes, [0, 5, 50, 95, 100])
            rows.append([f"{name}, {unit}", f"{np.mean(sizes):,.0f}", *(f"{point:,.0f}" for point in points)])
    bars = []
    if answers:
        counts, _ = np.histogram([len(a) for a in answers], [*BIN_EDGES, np.inf])
        names = [f"{low:,} to {high:,}" for low, high in pairwise(BIN_EDGES)]
        bars = list(zip([*names, f"{BIN_EDGES[-1]:,} and more"], counts.tolist(), strict=True))
    return Section(
        "lengths", "Lengths", "", ["of", "mean", "least", "5 %", "median", "95 %", "most"], rows,
        bars, "Answers by characters",
    )  # fmt: skip


def licences(examples: Sequence[Example], terms: str | None = None) -> Section:
    """Examples by licence, and the terms of the raw data."""
    counts = licence_counts(examples)
    rows = [
        [name, f"{n:,}", f"{n / len(examples):.0%}"]
        for name, n in sorted(counts.items(), key=lambda i: (-i[1], i[0]))
    ]
    text = (
        f"An example whose question and answer stand under two licences counts for both. {terms_text(terms)}"
    )
    return Section("licences", "Licences", text, ["licence", "examples", "share"], rows)


def categories(examples: Sequence[Example]) -> Section:
    """Which domains are covered, and how evenly."""
    counts = Counter(f"{e.source} / {e.meta.category}" for e in examples if e.meta.category)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [[name, f"{number:,}", f"{number / len(examples):.0%}"] for name, number in ordered[:TOP]]
    if len(ordered) > TOP:
        rest = sum(number for _, number in ordered[TOP:])
        rows.append([f"{len(ordered) - TOP} more", str(rest), f"{rest / len(examples):.0%}"])
    text = (
        f"{len(ordered)} categories, as even as {effective_number([n for _, n in ordered]):.1f} equally frequent ones "
        "(exponential of the entropy)."
    )
    return Section("categories", "Domains", text, ["category", "examples", "share"], rows)


def diversity_section(
    examples: Sequence[Example], random: np.random.Generator, embeddings: Vectors | None
) -> Section:
    """How near the nearest neighbours are, and the Vendi score."""
    answers = [e.messages[-1].content for e in examples if not e.is_prompt]
    groups: list[tuple[str, Sequence[str], Vectors | None]] = [
        ("prompts", [e.turns[0].content for e in examples], None)
    ]
    groups += [("answers", answers, None)] if answers else []
    if embeddings is not None:
        groups.append(("examples, your embeddings", [""] * len(examples), embeddings))
    rows, alike = [], []
    for name, texts, vectors in groups:
        found = diversity(texts, random, vectors)
        if found.compared >= ALIKE_TEXTS_MIN and found.vendi < ALIKE_SHARE * found.compared:
            alike.append(f"the {found.compared:,} {name} are as varied as {found.vendi:,.0f} different ones")
        points = np.percentile(found.nearest, [50, 95]) if len(found.nearest) else [0.0, 0.0]
        mean = float(found.nearest.mean()) if len(found.nearest) else 0.0
        vendi = f"{found.vendi:,.0f} of {found.compared:,}"
        rows.append([name, f"{mean:.2f}", *(f"{point:.2f}" for point in points), vendi])
    text = (
        "Similarity of each text to its nearest other one (cosine of TF-IDF weights of words; 1 is the same), and the "
        "Vendi score: the effective number of different texts."
        + (f" On {MOST:,} texts drawn at random." if len(examples) > MOST else "")
    )
    warning = f"{' and '.join(alike)}: many follow few patterns, see Diversity." if alike else ""
    columns = ["of", "mean", "median", "95 %", "Vendi score"]
    return Section("diversity", "Diversity", text, columns, rows, warning=warning[:1].upper() + warning[1:])


def style(examples: Sequence[Example]) -> Section:
    """Shares of answers with measurable features, by source, and the commonest openers."""
    groups = _grouped([e for e in examples if not e.is_prompt], lambda example: example.source)
    found = {name: shares(_answers(group)) for name, group in groups.items()}
    found["all"] = shares(_answers(examples))
    names = [*groups, "all"] if len(groups) > 1 else ["all"]
    rows = [[feature, *(f"{found[name][feature]:.0%}" for name in names)] for feature in found["all"]]
    common = ", ".join(f'"{words}" ({number})' for words, number in openers(_answers(examples)))
    text = f"Shares of answers. The commonest first words: {common}."
    return Section("style", "Style", text, ["feature", *names], rows)


def repetition(examples: Sequence[Example], options: CardOptions) -> Section:
    """Duplicates within the set, and leaks of given test prompts."""
    settings = options.duplicates
    seen, leaks = (
        Duplicates(settings.model_copy(update={"jaccard": None, "template": None})),
        Leaks(options.leaks),
    )
    near = _near(examples, settings)
    counts: Counter[str] = Counter()
    rows: list[Row] = []
    for place, example in enumerate(examples):
        for problem in (seen.find(example) or near.get(place), leaks.find(example)):
            if problem is not None:
                counts[problem[0]] += 1
                rows.append([example.id, problem[0], problem[1]])
        seen.add(example)
    against = (
        f"the test prompts of {', '.join(path.name for path in options.leaks.against)}"
        if options.leaks.against
        else "no test prompts"
    )
    summary = ", ".join(f"{rule} {number}" for rule, number in sorted(counts.items())) or _none_found(
        settings
    )
    text = f"Compared within the set and with {against}: {summary}."
    leaking = sum(number for rule, number in counts.items() if rule.startswith("leak"))
    warnings = [
        f"{number} {one if number == 1 else many}"
        for number, one, many in (
            (leaking, "example gives away a test prompt", "examples give away a test prompt"),
            (counts.total() - leaking, "example repeats another", "examples repeat others"),
        )
        if number
    ]
    warning = f"{' and '.join(warnings)}: see Duplicates and leaks." if warnings else ""
    columns = ["example", "rule", "why"]
    return Section("repetition", "Duplicates and leaks", text, columns, rows[:TOP], warning=warning)


def personal(counts: Mapping[Kind, int]) -> Section:
    """How many examples hold personal data, by kind."""
    rows = [[WORDS[kind], f"{counts[kind]:,}"] for kind in KINDS if kind in counts]
    found = [f"{number} {'example' if number == '1' else 'examples'} with {holds}" for holds, number in rows]
    return Section(
        "personal",
        "Personal data",
        "Found by form and check digits; names and street addresses are not looked for. A model can learn and repeat them: "
        "`lima curate --pii redact` puts placeholders in their place.",
        ["holds", "examples"],
        rows,
        warning=f"Personal data: {', '.join(found)}.",
    )


def _near(examples: Sequence[Example], settings: DuplicateSettings) -> dict[int, tuple[str, str]]:
    """By place, near-duplicates of earlier examples, and answers made from the template of an earlier one."""
    found: dict[int, tuple[str, str]] = {}
    templates = [template_of(example, settings.template_words_min) for example in examples]
    filled = [place for place, template in enumerate(templates) if template]
    searches = (
        ("near_duplicate", settings.jaccard, list(range(len(examples))), [full_text(e) for e in examples]),
        ("same_template", settings.template_used, filled, [template for template in templates if template]),
    )
    for rule, threshold, places, texts in searches:
        for pair in (
            near_duplicates(texts, threshold, settings.ngram, settings.exact_texts_max) if threshold else ()
        ):
            reason = f"{pair.similarity:.2f} of the n-grams of {examples[places[pair.first]].id}"
            found.setdefault(places[pair.second], (rule, reason))
    return found


def _none_found(settings: DuplicateSettings) -> str:
    """What was looked for in vain: "none" alone would say more than was measured."""
    looked = [
        f"no two examples share {settings.jaccard:.0%} of their {settings.ngram}-grams"
        if settings.jaccard
        else "",
        f"no two answers share {settings.template_used:.0%} of theirs when numbers and names are left out"
        if settings.template_used
        else "",
    ]
    return (
        "; ".join(filter(None, looked))
        or "no equal prompts" * settings.same_prompt
        or "nothing was looked for"
    )


def _composition_row(name: str, group: Sequence[Example], paper: tuple[int, int, int] | None) -> Row:
    ours = [f"{len(group):,}", "", ""]
    if group:
        prompts = [sum(len(m.content) for m in e.prompt) for e in group]
        answers = [len(e.messages[-1].content) for e in group if not e.is_prompt]
        ours[1:] = [_tokens(prompts), _tokens(answers) if answers else ""]
    return [name, *ours, *(map("{:,}".format, paper) if paper else ["", "", ""])]


def _together(*names: str) -> tuple[int, int, int]:
    """Rows of the paper's table as one."""
    found = [PAPER[name] for name in names]
    total = sum(n for n, _, _ in found)
    means = [round(sum(row[0] * row[place] for row in found) / total) for place in (1, 2)]
    return total, means[0], means[1]


def _tokens(characters: Sequence[int]) -> str:
    return f"{np.mean(characters) / CHARACTERS_PER_TOKEN:,.0f}"


def _table_row(example: Example) -> str:
    """The row of Table 1 that an example belongs to, or a row of its own."""
    if example.source == "stackexchange":
        part = (example.meta.model_extra or {}).get("set")
        return SETS.get(str(part), FORUM)
    return KNOWN.get(example.source, example.source)


def _grouped(examples: Sequence[Example], key: Callable[[Example], str]) -> dict[str, list[Example]]:
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(key(example), []).append(example)
    return groups


def _answers(examples: Sequence[Example]) -> list[str]:
    return [turn.content for example in examples for turn in example.turns if turn.role == "assistant"]


def _words(text: str) -> int:
    return len(text.split())
