"""``lima curate``: recipe + raw files -> data sets, the rejected candidates, the funnel, the attribution (paper, section 2).

Every source goes the same way: read, pair and filter by header (`sources`, `stackexchange`); clean and apply the rules
(`steps_of`); choose, by drawing strata until the quota is full; split; write (`write_sets`). The order of rows and of files
makes no difference, and the same seed gives the same bytes: strata are drawn by a seeded generator, and every other choice
depends on ids alone.

All steps have one form: an item goes in; it comes out as it is, changed, or dropped. What is dropped comes out as a `Reject`,
and later steps pass it on. Dumps are read in this process, in several, or on a Ray cluster (`open_map`); the outcome is the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from operator import attrgetter
from pathlib import Path

from lima import console
from lima.curate.candidate import (
    SPLITS,
    Candidate,
    Count,
    Funnel,
    Item,
    Problem,
    RawCandidate,
    Split,
    Step,
    Stratum,
    as_prompt,
    fill,
    generator,
    split,
)
from lima.curate.card.card import write_card
from lima.curate.card.sections import CardOptions
from lima.curate.choose.duplicates import Duplicates, Leaks, Match
from lima.curate.review import Reviews
from lima.curate.rules import RULES, TEXT_RULES, UNFILTERED, RuleSettings, first_problem, raw_problem
from lima.curate.settings import CurateSettings
from lima.curate.sources.base import Context, SourceSettings
from lima.curate.text.personal import Personal, personal_warning
from lima.errors import LimaError, SettingsConflict
from lima.files import files_below, fingerprint, read_json, text_hash, write_json, write_jsonl, write_text
from lima.records import Example, Reject, attribution
from lima.runs import Map, Run, open_map, open_run

SCRATCH = "scratch"
MALFORMED = ("malformed", "torn-row", "not-text")
"""Rules of rows that are not what their writer meant, however good their text may be."""


@dataclass
class Curated:
    """What a curation found, before it is written."""

    funnel: Funnel = field(default_factory=Funnel)
    sets: dict[Split, list[Example]] = field(default_factory=lambda: {name: [] for name in SPLITS})
    rejected: list[Reject] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)
    """By source, how many examples its quota lacks."""


def curate(settings: CurateSettings) -> Curated:
    """Curate every source of the recipe and write the outcome to ``settings.out``.

    Raises:
        LimaError: nothing to read, a source's own errors; nothing accepted and, with ``strict``, a source
            that runs dry or malformed rows: then ``rejected.jsonl`` and ``funnel.json`` are there to say why.
    """
    if not settings.sources:
        raise LimaError(
            "the recipe names no sources. Begin with a shipped one: lima curate stackexchange ..."
        )
    if settings.dry_run:
        return _show_plan(settings)
    _refuse_others_sets(settings)
    with open_run(settings.out / "run.json", "curate", settings) as run:
        refuse_changed_input(run, settings)
        reviews = _reviews(settings)
        with open_map(settings.engine, settings.workers) as map_:
            curated = _Pipeline(settings, settings.out / SCRATCH, map_).run(reviews)
        written = write_reasons(curated, settings)
        curated.funnel.show(settings.sources, RULES)
        if reviews is not None:
            written += _write_reviews(reviews, settings.out / "marks.json")
            if reviews.waiting and not any(curated.sets.values()):
                again = f"decide in {reviews.path}, then run the same command again"
                console.done([reviews.path, *written], next_command=again)
                return curated
        check(curated, settings)
        if settings.audit:
            written += _audit(settings, curated)
        written = [*write_sets(curated, settings), *written]
        counts = {name: len(curated.sets[name]) for name in wanted(settings)}
        run.finish(input=input_fingerprint(settings), **counts, rejected=len(curated.rejected))
        shutil.rmtree(settings.out / SCRATCH, ignore_errors=True)
    _warn(curated, settings)
    console.done(
        written, next_command=console.command("inspect", settings.out / f"{wanted(settings)[0]}.jsonl")
    )
    return curated


def _refuse_others_sets(settings: CurateSettings) -> None:
    """A set that no run of curate wrote here, such as an imported one, is somebody's data: it is not written over."""
    files = [settings.out / f"{name}.jsonl" for name in SPLITS]
    found = [] if (settings.out / "run.json").exists() else [file for file in files if file.exists()]
    if found:
        raise LimaError(
            f"{found[0]}: not made by this command, which would write over it. Choose another --out."
        )


@dataclass(frozen=True)
class _Shared:
    """What the sources of a run share."""

    curated: Curated
    duplicates: Duplicates
    leaks: Leaks
    personal: Personal


class _Pipeline:
    """Takes the sources through the steps, one after the other: each is compared with what the ones before it gave."""

    def __init__(self, settings: CurateSettings, scratch: Path, map_: Map = map) -> None:
        self._settings, self._scratch, self._map = settings, scratch, map_
        self._warn = cache(console.warn)
        self.curated = Curated()
        self._shared = _Shared(
            self.curated,
            Duplicates(settings.duplicates),
            Leaks(settings.leaks),
            Personal(settings.pii, settings.pii_regions),
        )

    def run(self, reviews: Reviews | None) -> Curated:
        """Choose and split the candidates of every source."""
        for name, source in self._settings.sources.items():
            context, quotas = self.context(name), quotas_of(source)
            quota = sum(quotas.values())
            if reviews is not None and source.review:
                accepted = self._picked(source, context, quota, reviews)
            else:
                accepted = [candidate for _, candidate in self._chosen(source, context, quota)]
            if len(accepted) < quota:
                self.curated.short[name] = quota - len(accepted)
            examples = source.complete([candidate.example for candidate in accepted], context)
            groups = [candidate.group for candidate in accepted]
            random = generator(context.seed, name, "split")
            for part, rows in split(examples, groups, quotas, random).items():
                self.curated.sets[part] += rows
        return self.curated

    def context(self, name: str) -> Context:
        """What a source needs of the run."""
        settings, source, curated = self._settings, self._settings.sources[name], self.curated
        personal = self._shared.personal
        return Context(
            name=name,
            path=settings.input / source.path if source.path else settings.input,
            scratch=self._scratch,
            seed=settings.seed,
            style=settings.style,
            count=lambda stratum: curated.funnel.at(name, personal.text(stratum)),
            reject=lambda reject: curated.rejected.append(personal.reject(reject)),
            map=self._map,
            site=settings.site,
            include_meta=settings.include_meta,
            unknown_sites=settings.unknown_sites,
            warn=self._warn,
        )

    def _chosen(self, source: SourceSettings, context: Context, quota: int) -> list[tuple[str, Candidate]]:
        """Draw until the quota is full; strata and candidates in the order of the draw."""
        strata = source.strata(context)
        draw = _Draw(self._shared, context, {stratum.name: stratum.limit for stratum in strata})
        steps, random = (
            steps_of(source.rules, self._shared.personal),
            generator(context.seed, context.name, "strata"),
        )
        with console.progress(f"{context.name}: examples", quota, "accepted") as bar:
            passing = partial(draw.passing, steps=steps)
            for _ in fill(strata, passing, quota, tau=source.tau, random=random):
                bar.advance(1)
        return list(draw.chosen.values())

    def _picked(
        self, source: SourceSettings, context: Context, quota: int, reviews: Reviews
    ) -> list[Candidate]:
        """Offer a multiple of the quota to a person and take what was accepted.

        What is offered depends only on the number of rejections: further ones add to the end.
        """
        pool = self._chosen(source, context, quota * source.review_factor + reviews.rejections)
        picked, left = reviews.pick([candidate for _, candidate in pool], quota)
        rules = {reject.id: reject.rule for reject in left}
        for stratum, candidate in pool:
            if rule := rules.get(candidate.id):
                count = context.count(stratum)
                count.accepted -= 1
                count.rejected[rule] += 1
        self._shared.duplicates.forget([candidate.example for _, candidate in pool if candidate.id in rules])
        self.curated.rejected += left
        return picked


class _Draw:
    """What was chosen of a source so far, by id; of two that are nearly the same the better one stays."""

    def __init__(self, shared: _Shared, context: Context, limits: Mapping[str, int | None]) -> None:
        self.chosen: dict[str, tuple[str, Candidate]] = {}
        self._shared, self._context, self._limits = shared, context, limits

    def passing(self, stratum: Stratum, steps: Sequence[Step]) -> Iterator[Candidate]:
        """The candidates that add an example, on demand; what is dropped is counted and its reason kept."""
        count = self._context.count(stratum.name)
        for item in stratum.candidates:
            count.decoded += 1
            for step in steps:
                item = step(item)
            if isinstance(item, Candidate):
                yield from self._taken(item, stratum.name)
            else:
                assert isinstance(item, Reject), item
                self._drop(item, count)

    def _taken(self, candidate: Candidate, stratum: str) -> Iterator[Candidate]:
        """The candidate, unless it is nearly the same as an earlier one: then it is dropped, or takes that one's place."""
        count, found = self._context.count(stratum), self._compared(candidate, stratum)
        if isinstance(found, Reject):
            self._drop(found, count)
            return
        count.accepted += 1
        self._note(candidate, count, 1)
        if found is not None:
            self._evict(found, candidate)
        self._shared.duplicates.add(candidate.example)
        self.chosen[candidate.id] = (stratum, candidate)
        if found is None:
            yield candidate

    def _compared(self, candidate: Candidate, stratum: str) -> Reject | Match | None:
        """Why the candidate is dropped, or the earlier one whose place it takes, or None where it stands on its own."""
        earlier = list(self._shared.duplicates.matches(candidate.example))
        better = len({match.id for match in earlier}) == 1 and self._is_better(
            candidate, stratum, earlier[0].id
        )
        if earlier and not better:
            return Reject(id=candidate.id, rule=earlier[0].rule, reason=earlier[0].reason)
        leak = self._shared.leaks.find(candidate.example, candidate.title)
        if leak is not None:
            return Reject(id=candidate.id, rule=leak[0], reason=leak[1])
        return earlier[0] if earlier else None

    def _is_better(self, candidate: Candidate, stratum: str, earlier: str) -> bool:
        """Whether the candidate may take the place of an earlier one of this source, within the limits of the strata."""
        if earlier not in self.chosen:
            return False
        other, before = self.chosen[earlier]
        return (other == stratum or self._limits[other] is None) and candidate.rank > before.rank

    def _evict(self, match: Match, better: Candidate) -> None:
        stratum, before = self.chosen.pop(match.id)
        self._shared.duplicates.forget([before.example])
        count = self._context.count(stratum)
        count.accepted -= 1
        self._note(before, count, -1)
        reason = f"nearly the same as {better.id}, which has the better score, length or date"
        self._drop(Reject(id=before.id, rule=match.rule, reason=reason), count)

    def _drop(self, reject: Reject, count: Count) -> None:
        count.rejected[reject.rule] += 1
        self._shared.curated.rejected.append(reject)

    def _note(self, candidate: Candidate, count: Count, times: int) -> None:
        """Count the kinds of personal data in an accepted example; -1 takes the count back."""
        for kind in self._shared.personal.kinds(candidate):
            count.notes[f"accepted with {kind}"] += times


def quotas_of(source: SourceSettings) -> dict[Split, int]:
    """Examples that are wanted of a source, by set."""
    return {part: getattr(source, part) for part in SPLITS}


def _reviews(settings: CurateSettings) -> Reviews | None:
    if settings.review is None:
        return None
    if not any(source.review for source in settings.sources.values()):
        names = ", ".join(settings.sources)
        raise LimaError(
            f"--review: no source of the recipe is picked by hand ({names}). Say which: --sources.NAME.review"
        )
    return Reviews(settings.review, settings.pii_regions)


def _write_reviews(reviews: Reviews, marks: Path) -> list[Path]:
    """Write what is offered for review, and the marks' tally once something is decided; return the tally's path."""
    reviews.write()
    written = [marks] if reviews.write_tally(marks) else []
    console.note(f"{reviews.path}: {reviews.waiting} candidates wait for a decision")
    return written


def _warn(curated: Curated, settings: CurateSettings) -> None:
    """Warn of sources that ran dry, of empty sets and of personal data."""
    for name, missing in curated.short.items():
        if text := curated.funnel.ran_dry(name, missing, settings.input):
            console.warn(text)
    for part in wanted(settings):
        if not curated.sets[part]:
            console.warn(
                f"{part}.jsonl is empty: every set gets its share of what was found, and that is less than one example. "
                "Softer thresholds or more raw files fill it."
            )
    accepted = [example for rows in curated.sets.values() for example in rows]
    if warning := personal_warning(accepted, settings.pii_regions):
        console.warn(warning)


def _audit(settings: CurateSettings, curated: Curated) -> list[Path]:
    from lima.curate.audit import Selection, audit  # its statistics take a second to import

    def texts(ids: Collection[str]) -> dict[str, Example]:
        """Rejected examples once more, with the rules about texts switched off."""
        found: dict[str, Example] = {}
        pipeline, off = _Pipeline(settings, settings.out / SCRATCH), {r: UNFILTERED[r] for r in TEXT_RULES}
        for name, source in settings.sources.items():
            plain = source.model_copy(update={"rules": source.rules.model_copy(update=off)})
            context, steps = replace(pipeline.context(name), warn=lambda text: None), decoding(plain.rules)
            for item in chain.from_iterable(stratum.candidates for stratum in plain.strata(context)):
                if len(found) == len(ids):
                    return found
                for step in steps:
                    item = step(item)
                if isinstance(item, Candidate) and item.id in ids:
                    found[item.id] = item.example
        return found

    accepted = [example for rows in curated.sets.values() for example in rows]
    selection = Selection.of(accepted, curated.rejected)
    return audit(selection, settings.audit, settings.out, settings.audit_size, settings.seed, texts)


def _show_plan(settings: CurateSettings) -> Curated:
    """Read the headers and say from what would be drawn."""
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = _Pipeline(settings, Path(scratch))
        for name, source in settings.sources.items():
            strata = source.strata(pipeline.context(name))
            rows += [[name, stratum.name, stratum.size] for stratum in strata]
            quota, total = sum(quotas_of(source).values()), sum(stratum.size for stratum in strata)
            console.note(f"{name}: would draw {quota} examples from {total} candidates")
    console.table("Strata", ["source", "stratum", "candidates"], rows)
    return pipeline.curated


def decoding(rules: RuleSettings) -> list[Step]:
    """From a raw candidate to one with its texts; what the rules drop on the way is not decoded any further."""
    return [partial(prefiltered, rules), decoded, partial(with_prompt, rules)]


def steps_of(rules: RuleSettings, personal: Personal) -> list[Step]:
    """From a raw candidate to one that passes the rules.

    The rules are applied here and nowhere else, always in the order of `RULES`: to what the raw row shows, to an answer whose
    prompt is still open, and to the whole candidate.
    """
    return [*decoding(rules), personal, partial(judged, rules)]


def prefiltered(rules: RuleSettings, item: Item) -> Item:
    """The raw candidate, unless its row alone gives away that a rule will drop it."""
    return item if isinstance(item, Candidate | Reject) else _kept(item, raw_problem(item, rules))


def decoded(item: Item) -> Item:
    """Its raw rows as texts (XML, then HTML), or the reason why they give no candidate."""
    return item if isinstance(item, Candidate | Reject) else item.decode()


def with_prompt(rules: RuleSettings, item: Item) -> Item:
    """The candidate with its prompt, where that is still open; the rules judge the answer first, whatever the prompt."""
    if not isinstance(item, Candidate) or item.choose is None:
        return item
    found = judged(rules, item)
    return found if isinstance(found, Reject) else item.choose(item)


def judged(rules: RuleSettings, item: Item) -> Item:
    """The candidate, or the first rule that drops it."""
    return _kept(item, first_problem(item, rules)) if isinstance(item, Candidate) else item


def _kept(item: Candidate | RawCandidate, problem: Problem | None) -> Item:
    return Reject(id=item.id, rule=problem[0], reason=problem[1]) if problem else item


def refuse_changed_input(run: Run, settings: CurateSettings) -> None:
    """A finished folder is made anew from the same raw files only."""
    if run.finished and read_json(run.path)["facts"]["input"] != input_fingerprint(settings):
        raise SettingsConflict(
            f"{settings.out}: made from other raw files ({settings.input} has changed since). "
            "Choose another --out, or remove this folder."
        )


def input_fingerprint(settings: CurateSettings) -> str:
    """As `lima.files.fingerprint`, over all files of a folder but those of the output."""
    path, out = settings.input, settings.out
    if path.is_file():
        return fingerprint(path)
    files = [file for file in files_below(path) if out not in file.parents]
    return text_hash(*(f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in files))


def check(curated: Curated, settings: CurateSettings) -> None:
    """Raise an error where too little was found to go on.

    Raises:
        LimaError: nothing accepted; with ``strict`` malformed rows or a source that ran dry.
    """
    if not any(curated.sets.values()):
        dropped, funnel = curated.funnel.most_dropped(), settings.out / "funnel.json"
        if not dropped:
            raise LimaError(f"{settings.input}: no candidate in it. See {funnel}.")
        raise LimaError(
            f"{settings.input}: no candidate passed the rules. {dropped} "
            f"The reasons are in {settings.out / 'rejected.jsonl'}, the counts in {funnel}; "
            "'lima curate RECIPE --help' lists the thresholds."
        )
    if not settings.strict:
        return
    malformed = [reject for reject in curated.rejected if reject.rule in MALFORMED]
    if malformed:
        raise LimaError(f"{malformed[0].id}: {malformed[0].reason}, and --strict is set.")
    for name, missing in curated.short.items():
        raise LimaError(f"{name}: {missing} examples are missing from its quota, and --strict is set.")


def write_reasons(curated: Curated, settings: CurateSettings) -> list[Path]:
    """What was dropped and why, in the order of ids: also of a run that accepts nothing."""
    rejected, funnel = settings.out / "rejected.jsonl", settings.out / "funnel.json"
    write_jsonl(rejected, sorted(curated.rejected, key=attrgetter("id")))
    write_json(funnel, {"sources": curated.funnel.as_json(settings.sources)})
    return [rejected, funnel]


def write_sets(curated: Curated, settings: CurateSettings) -> list[Path]:
    """Write every set whole, in the order of ids; sets that no source asks for are left out."""
    out, written = settings.out, []
    for name in wanted(settings):
        rows = _by_id(curated.sets[name])
        write_jsonl(out / f"{name}.jsonl", map(as_prompt, rows) if name == "test" else rows)
        written.append(out / f"{name}.jsonl")
    write_text(out / "ATTRIBUTION.md", attribution([row for rows in curated.sets.values() for row in rows]))
    if settings.card:
        written += _write_card(curated, settings)
    return [*written, out / "ATTRIBUTION.md"]


def _write_card(curated: Curated, settings: CurateSettings) -> list[Path]:
    """About the training examples; about the first other set where there are none."""
    name = next(name for name in SPLITS if curated.sets[name])
    options = CardOptions(settings.seed, settings.duplicates, settings.leaks, settings.terms)
    title, rows = f"{settings.recipe}: {name}", _by_id(curated.sets[name])
    return write_card(settings.out, title, rows, settings.intended_use, options)


def _by_id(examples: Sequence[Example]) -> list[Example]:
    return sorted(examples, key=attrgetter("id"))


def wanted(settings: CurateSettings) -> list[Split]:
    """The sets that some source has a quota for."""
    return [name for name in SPLITS if any(getattr(source, name) for source in settings.sources.values())]
