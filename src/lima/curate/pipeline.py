"""``lima curate``: recipe + raw files -> data sets, the rejected candidates, the funnel, the attribution.

Paper, section 2. The order of rows and of files makes no difference, and the same seed gives the same
bytes: strata are drawn by a seeded generator, and every other choice depends on ids alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from lima import console
from lima.commands import command
from lima.curate.candidate import Candidate
from lima.curate.choose.duplicates import Duplicates, Leaks, Match
from lima.curate.choose.sampling import fill, generator
from lima.curate.choose.splits import SPLITS, Split, split
from lima.curate.funnel import Count
from lima.curate.outcome import Result, check, personal_warning, ran_dry, wanted, write_reasons, write_sets
from lima.curate.review import Reviews
from lima.curate.rules import TEXT_RULES, UNFILTERED, first_problem
from lima.curate.settings import CurateSettings
from lima.curate.sources.base import SourceSettings, Work
from lima.curate.stackexchange.dumps import input_fingerprint
from lima.curate.text.clean import prose_of
from lima.curate.text.personal import count_personal, redacted
from lima.curate.workers import Engine, open_engine
from lima.errors import LimaError, SettingsConflict
from lima.files import read_json
from lima.records import Example, Reject
from lima.runs import Run, open_run

SCRATCH = "scratch"


def curate(settings: CurateSettings) -> Result:
    """Curate every source of the recipe and write the outcome to ``settings.out``.

    Raises:
        LimaError: nothing to read, a source's own errors; nothing accepted and, with ``strict``, a source
            that runs dry or malformed rows: then ``rejected.jsonl`` and ``funnel.json`` are there to tell why.
    """
    if not settings.sources:
        raise LimaError(
            "the recipe names no sources. Begin with a shipped one: lima curate stackexchange ..."
        )
    if settings.dry_run:
        return _show_plan(settings)
    with open_run(settings.out / "run.json", "curate", settings) as run:
        _refuse_changed_input(run, settings)
        reviews = _reviews(settings)
        with open_engine(settings.engine, settings.workers) as engine:
            result = _select(settings, _Place(settings.out / SCRATCH, engine), reviews)
        written = write_reasons(result, settings)
        result.funnel.show(settings.sources)
        if reviews is not None:
            reviews.write()
            console.note(f"{reviews.path}: {reviews.waiting} candidates wait for a decision")
            if reviews.waiting and not any(result.sets.values()):
                console.done(
                    [reviews.path, *written], next_command=f"edit {reviews.path}, then the same again"
                )
                return result
        check(result, settings)
        if settings.audit:
            written += _audit(settings, result)
        written = [*write_sets(result, settings), *written]
        counts = {name: len(result.sets[name]) for name in wanted(settings)}
        fingerprint = input_fingerprint(settings.input, settings.out)
        run.finish(input=fingerprint, **counts, rejected=len(result.rejected))
        shutil.rmtree(settings.out / SCRATCH, ignore_errors=True)
    for name, missing in result.short.items():
        console.warn(ran_dry(name, missing, result, settings))
    if warning := personal_warning(result, settings):
        console.warn(warning)
    console.done(written, next_command=command("inspect", settings.out / "train.jsonl"))
    return result


def _refuse_changed_input(run: Run, settings: CurateSettings) -> None:
    """A finished folder is made anew from the same raw files only."""
    if not run.finished:
        return
    before, now = read_json(run.path)["facts"]["input"], input_fingerprint(settings.input, settings.out)
    if before != now:
        raise SettingsConflict(
            f"{settings.out}: made from other raw files ({settings.input} has changed since). "
            "Choose another --out, or remove this folder."
        )


def _reviews(settings: CurateSettings) -> Reviews | None:
    if settings.review is None:
        return None
    if not any(source.review for source in settings.sources.values()):
        names = ", ".join(settings.sources)
        raise LimaError(
            f"--review: no source of the recipe is picked by hand ({names}). Say which: --sources.NAME.review True"
        )
    return Reviews(settings.review)


@dataclass(frozen=True)
class _Place:
    """Where the work is done: a folder for what need not be read again, and an engine."""

    scratch: Path | None = None
    engine: Engine | None = None


def _select(settings: CurateSettings, place: _Place, reviews: Reviews | None) -> Result:
    """Draw, judge and split the candidates of every source."""
    result = Result()
    judge = _Judge(settings)
    warn = cache(console.warn)
    for name, source in settings.sources.items():
        work = replace(_work(name, source, settings, result, place), warn=warn)
        if reviews is not None and source.review:
            accepted = _picked(source, work, judge, result, reviews)
        else:
            accepted = [candidate for _, candidate in _accepted(source, work, judge, result, source.quota)]
        if len(accepted) < source.quota:
            result.short[name] = source.quota - len(accepted)
        examples = source.complete([candidate.example for candidate in accepted], work)
        named = [
            Candidate(example, group=candidate.group)
            for example, candidate in zip(examples, accepted, strict=True)
        ]
        quotas: dict[Split, int] = {part: getattr(source, part) for part in SPLITS}
        for part, rows in split(named, quotas, generator(settings.seed, name, "split")).items():
            result.sets[part] += rows
    return result


def _work(name: str, source: SourceSettings, settings: CurateSettings, result: Result, place: _Place) -> Work:
    return Work(
        name=name,
        path=settings.input / source.path if source.path else settings.input,
        seed=settings.seed,
        style=settings.style,
        quota=source.quota,
        count=lambda stratum: result.funnel.at(name, stratum),
        reject=result.rejected.append,
        engine=place.engine,
        scans=frozenset(other.scan for other in settings.sources.values() if other.scan),
        accepted=lambda: sum(map(len, result.sets.values())),
        site=settings.site,
        include_meta=settings.include_meta,
        unknown_sites=settings.unknown_sites,
        scratch=place.scratch,
    )


@dataclass(frozen=True)
class _Personal:
    """What becomes of personal data, before any rule could quote it in a reason."""

    how: str
    regions: tuple[str, ...]

    def applied(self, candidate: Candidate) -> Candidate | Reject:
        """The candidate without it, or the reason why it is dropped; as it is where it is only reported."""
        if self.how == "report":
            return candidate
        example, counts = redacted(candidate.example, regions=self.regions)
        if not counts:
            return candidate
        if self.how == "drop":
            found = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
            return Reject(id=candidate.id, rule="personal-data", reason=f"it holds {found}")
        meta = example.meta.model_copy(
            update={"transforms": (*example.meta.transforms, "personal data redacted")}
        )
        answer = "" if example.is_prompt else example.messages[-1].content
        return replace(
            candidate,
            example=example.model_copy(update={"meta": meta}),
            answer=answer,
            prose=prose_of(answer),
        )

    def note(self, candidate: Candidate, count: Count, times: int = 1) -> None:
        """Count what an accepted example holds; -1 takes one back whose place another takes."""
        for kind in count_personal([candidate.example], regions=self.regions):
            count.notes[f"accepted with {kind}"] += times


class _Judge:
    """The rules, then the comparison with what was accepted before and with the test prompts."""

    def __init__(self, settings: CurateSettings) -> None:
        self.personal = _Personal(settings.pii, settings.pii_regions)
        self._duplicates = Duplicates(settings.duplicates)
        self._leaks = Leaks(settings.leaks)

    def problem(
        self, candidate: Candidate, source: SourceSettings, takes_place: Callable[[Candidate, str], bool]
    ) -> Reject | Match | None:
        """Why the candidate is dropped; the earlier one whose place it takes; None accepts it beside all others."""
        problem = first_problem(candidate, source.rules)
        earlier = [] if problem else list(self._duplicates.matches(candidate.example))
        if len({match.id for match in earlier}) == 1 and takes_place(candidate, earlier[0].id):
            problem = self._leaks.find(candidate.example, candidate.title)
        else:
            found = [(match.rule, match.reason) for match in earlier[:1]]
            problem = (
                problem or next(iter(found), None) or self._leaks.find(candidate.example, candidate.title)
            )
            earlier = []
        if problem is not None:
            return Reject(id=candidate.id, rule=problem[0], reason=problem[1])
        if earlier:
            return earlier[0]
        self.remember(candidate.example)
        return None

    def remember(self, example: Example) -> None:
        """It is in the data: what comes later is compared with it."""
        self._duplicates.add(example)

    def forget(self, examples: Sequence[Example]) -> None:
        """These were accepted by the rules, but not by the person who picks."""
        self._duplicates.forget(examples)


def _picked(
    source: SourceSettings, work: Work, judge: _Judge, result: Result, reviews: Reviews
) -> list[Candidate]:
    """Offer a multiple of the quota to a person and take what was accepted.

    What is offered depends on no decision but on the number of rejections: more only adds to the end.
    """
    size = source.quota * source.review_factor + reviews.rejections
    pool = _accepted(source, work, judge, result, size)
    picked, left = reviews.pick([candidate for _, candidate in pool], source.quota)
    rules = {reject.id: reject.rule for reject in left}
    for stratum, candidate in pool:
        if rule := rules.get(candidate.id):
            count = work.count(stratum)
            count.accepted -= 1
            count.rejected[rule] += 1
    judge.forget([candidate.example for _, candidate in pool if candidate.id in rules])
    result.rejected += left
    return picked


def _accepted(
    source: SourceSettings, work: Work, judge: _Judge, result: Result, quota: int
) -> list[tuple[str, Candidate]]:
    """Draw until the quota is full; whatever is decoded is counted, and what is dropped keeps its reason.

    Returns:
        Strata and candidates in the order of the draw.
    """
    strata = source.strata(work)
    draw = _Draw(work, judge, {stratum.name: stratum.limit for stratum in strata})
    with console.progress(f"{work.name}: examples", quota, "accepted") as bar:

        def accept(item: Candidate | Reject, stratum: str) -> bool:
            accepted = draw.take(item, stratum, source, result)
            bar.advance(accepted)
            return accepted

        random = generator(work.seed, work.name, "strata")
        fill(strata, quota, accept, tau=source.tau, random=random)
    return list(draw.drawn.values())


class _Draw:
    """What was drawn of a source so far, by id; of two that are nearly the same the better one stays."""

    def __init__(self, work: Work, judge: _Judge, limits: Mapping[str, int | None]) -> None:
        self.drawn: dict[str, tuple[str, Candidate]] = {}
        self._work, self._judge, self._limits = work, judge, limits

    def take(self, item: Candidate | Reject, stratum: str, source: SourceSettings, result: Result) -> bool:
        """Judge and count a candidate. Whether there is one example more: not where it takes another's place."""
        count = self._work.count(stratum)
        count.decoded += 1
        if isinstance(item, Candidate):
            item = self._judge.personal.applied(item)
        found = (
            item
            if isinstance(item, Reject)
            else self._judge.problem(item, source, partial(self._takes_place, stratum))
        )
        if isinstance(found, Reject):
            count.rejected[found.rule] += 1
            result.rejected.append(found)
            return False
        assert isinstance(item, Candidate), item
        count.accepted += 1
        self._judge.personal.note(item, count)
        if found is not None:
            self._evict(found, item, result)
        self.drawn[item.id] = (stratum, item)
        return found is None

    def _takes_place(self, stratum: str, candidate: Candidate, earlier: str) -> bool:
        """Whether a candidate is better than an earlier one of the same source and may stand for it."""
        if earlier not in self.drawn:
            return False
        other, before = self.drawn[earlier]
        return (other == stratum or self._limits[other] is None) and candidate.rank > before.rank

    def _evict(self, match: Match, better: Candidate, result: Result) -> None:
        stratum, before = self.drawn.pop(match.id)
        self._judge.forget([before.example])
        self._judge.remember(better.example)
        count = self._work.count(stratum)
        count.accepted -= 1
        self._judge.personal.note(before, count, -1)
        count.rejected[match.rule] += 1
        reason = f"nearly the same as {better.id}, which has the better score, length or date"
        result.rejected.append(Reject(id=before.id, rule=match.rule, reason=reason))


def _audit(settings: CurateSettings, result: Result) -> list[Path]:
    from lima.curate.audit import Selection, audit  # its statistics take a second to import

    def texts(ids: Collection[str]) -> dict[str, Example]:
        """Rejected examples once more, with the rules about texts switched off."""
        found: dict[str, Example] = {}
        for name, source in settings.sources.items():
            off = {rule: UNFILTERED[rule] for rule in TEXT_RULES}
            plain = source.model_copy(update={"rules": source.rules.model_copy(update=off)})
            work = replace(_work(name, plain, settings, Result(), _Place()), warn=_silent)
            for stratum in plain.strata(work):
                for item in stratum.candidates:
                    if len(found) == len(ids):
                        return found
                    if isinstance(item, Candidate) and item.id in ids:
                        found[item.id] = item.example
        return found

    accepted = [example for rows in result.sets.values() for example in rows]
    selection = Selection.of(accepted, result.rejected)
    return audit(selection, settings.audit, settings.out, settings.audit_size, settings.seed, texts)


def _silent(text: str) -> None:
    pass


def _show_plan(settings: CurateSettings) -> Result:
    """Read the headers and say from what would be drawn."""
    result = Result()
    rows: list[list[object]] = []
    for name, source in settings.sources.items():
        strata = source.strata(_work(name, source, settings, result, _Place()))
        rows += [[name, stratum.name, stratum.size] for stratum in strata]
        console.note(
            f"{name}: would draw {source.quota} examples from {sum(s.size for s in strata)} candidates"
        )
    console.table("Strata", ["source", "stratum", "candidates"], rows)
    return result
