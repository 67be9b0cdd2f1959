"""``lima curate``: recipe + raw files -> data sets, the rejected candidates, the funnel, the attribution (paper, section 2).

Every source goes the same way: read, pair and filter by header (`sources`, `stackexchange`); clean and apply the rules
(`steps_of`); choose, by drawing strata until the quota is full; split; write (`results`). The order of rows and of files
makes no difference, and the same seed gives the same bytes: strata are drawn by a seeded generator, and every other choice
depends on ids alone.

All steps have one form: an item goes in; it comes out as it is, changed, or dropped. What is dropped comes out as a `Reject`,
and later steps pass it on. Dumps are read in this process, in several, or on a Ray cluster (`open_map`); the outcome is the same.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from lima import console
from lima.curate.candidate import (
    SPLITS,
    Candidate,
    Count,
    Item,
    Problem,
    Split,
    Step,
    Stratum,
    fill,
    generator,
    split,
)
from lima.curate.choose.duplicates import Duplicates, Leaks, Match
from lima.curate.results import (
    Curated,
    check,
    input_fingerprint,
    personal_warning,
    ran_dry,
    refuse_changed_input,
    wanted,
    write_reasons,
    write_sets,
)
from lima.curate.review import Reviews
from lima.curate.rules import RULES, TEXT_RULES, UNFILTERED, RuleSettings, first_problem, raw_problem
from lima.curate.settings import CurateSettings, EngineName
from lima.curate.sources.base import Context, SourceSettings
from lima.curate.text.clean import prose_of
from lima.curate.text.personal import count_personal, redacted_id, redacted_text, redacted_with_cuts
from lima.errors import LimaError
from lima.extras import install
from lima.records import Example, Reject
from lima.runs import open_run

SCRATCH = "scratch"


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
    with open_run(settings.out / "run.json", "curate", settings) as run:
        refuse_changed_input(run, settings)
        reviews = _reviews(settings)
        with open_map(settings.engine, settings.workers) as map_:
            curated = _Pipeline(settings, settings.out / SCRATCH, map_).run(reviews)
        written = write_reasons(curated, settings)
        curated.funnel.show(settings.sources, RULES)
        if reviews is not None:
            reviews.write()
            if reviews.write_tally(settings.out / "marks.json"):
                written.append(settings.out / "marks.json")
            console.note(f"{reviews.path}: {reviews.waiting} candidates wait for a decision")
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
    for name, missing in curated.short.items():
        if text := ran_dry(name, missing, curated, settings):
            console.warn(text)
    for part in wanted(settings):
        if not curated.sets[part]:
            console.warn(
                f"{part}.jsonl is empty: every set gets its share of what was found, and that is less than one example. "
                "Softer thresholds or more raw files fill it."
            )
    if warning := personal_warning(curated, settings):
        console.warn(warning)
    console.done(written, next_command=console.command("inspect", settings.out / "train.jsonl"))
    return curated


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

        What is offered depends on no decision but on the number of rejections: more only adds to the end.
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
    return [
        Filter(lambda raw: raw_problem(raw, rules), raw=True),
        Decode(),
        ChoosePrompt(Filter(lambda candidate: first_problem(candidate, rules))),
    ]


def steps_of(rules: RuleSettings, personal: Personal) -> list[Step]:
    """From a raw candidate to one that passes the rules.

    The rules are applied here and nowhere else, always in the order of `RULES`: to what the raw row tells, to an answer whose
    prompt is still open, and to the whole candidate.
    """
    return [*decoding(rules), personal, Filter(lambda candidate: first_problem(candidate, rules))]


class Filter:
    """Drops candidates that have a problem; with ``raw`` those that are not decoded yet."""

    def __init__(self, problem: Callable[[Any], Problem | None], raw: bool = False) -> None:
        self._problem, self._raw = problem, raw

    def __call__(self, item: Item) -> Item:
        """The candidate, or why it is dropped."""
        if isinstance(item, Reject) or isinstance(item, Candidate) is self._raw:
            return item
        found = self._problem(item)
        return Reject(id=item.id, rule=found[0], reason=found[1]) if found else item


class Decode:
    """Turns raw rows into texts: XML, then HTML."""

    def __call__(self, item: Item) -> Item:
        """A candidate, or the reason why there is none."""
        return item if isinstance(item, Candidate | Reject) else item.decode()


class ChoosePrompt:
    """Chooses the prompt where it is still open, unless the rules drop the answer whatever the prompt."""

    def __init__(self, rules: Step) -> None:
        self._rules = rules

    def __call__(self, item: Item) -> Item:
        """The candidate with its prompt, or why it is dropped."""
        if not isinstance(item, Candidate) or item.choose is None:
            return item
        judged = self._rules(item)
        return judged if isinstance(judged, Reject) else item.choose(item)


class Personal:
    """Redacts personal data, or drops candidates that hold any, before a rule can quote them in its reason."""

    def __init__(self, how: str, regions: Sequence[str]) -> None:
        self._how, self._regions = how, tuple(regions)

    def __call__(self, item: Item) -> Item:
        """The candidate without them, or the reason why it is dropped; unchanged where they are only reported."""
        if isinstance(item, Reject):
            return self.reject(item)
        if self._how == "report" or not isinstance(item, Candidate):
            return item
        example, counts, cuts = redacted_with_cuts(item.example, item.cuts, self._regions)
        item = replace(item, cuts=cuts)
        if not counts:
            return replace(item, example=example)
        if self._how == "drop":
            found = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
            return Reject(id=example.id, rule="personal-data", reason=f"it holds {found}")
        transforms = (*example.meta.transforms, "personal data redacted")
        example = example.model_copy(
            update={"meta": example.meta.model_copy(update={"transforms": transforms})}
        )
        answer = "" if example.is_prompt else example.messages[-1].content
        return replace(item, example=example, answer=answer, prose=prose_of(answer))

    def reject(self, reject: Reject) -> Reject:
        """A reject whose id and reason, which may quote the text, hold none; unchanged where they are only reported."""
        if self._how == "report":
            return reject
        return Reject(
            id=redacted_id(reject.id, self._regions), rule=reject.rule, reason=self.text(reject.reason)
        )

    def text(self, text: str) -> str:
        """The same for a name, such as that of a category."""
        return text if self._how == "report" else redacted_text(text, self._regions)

    def kinds(self, candidate: Candidate) -> list[str]:
        """The kinds of personal data that a candidate holds."""
        return list(count_personal([candidate.example], regions=self._regions))


Map = Callable[..., Iterator[Any]]
"""As the built-in `map` of one iterable: results in the order of the items."""


@contextmanager
def open_map(engine: EngineName, workers: int, *, on_gpus: bool = False) -> Iterator[Map]:
    """A `map` with this many workers, which start on the items at once; the built-in `map` for a single worker.

    A task is a callable that can be pickled; only what it returns comes back. On a cluster every node must see the input and
    the output folder under the same paths. ``on_gpus`` gives each of Ray's tasks a GPU to itself, where the cluster has any.

    Raises:
        LimaError: Ray is not installed; a worker process died.
    """
    if engine == "ray":
        with _ray(workers, on_gpus) as ray_map:
            yield ray_map
    elif workers == 1:
        yield map
    else:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks
        pool = ProcessPoolExecutor(workers, mp_context=context)
        try:
            yield pool.map
        except BrokenExecutor:
            raise LimaError(
                "a worker process died; was memory short? The same command goes on where it was, with fewer --workers too."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ray(workers: int, on_gpus: bool) -> Iterator[Map]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise LimaError(f"--engine ray needs a package: {install('ray')}") from None
    here: dict[str, Any] = {"num_cpus": workers, "_node_ip_address": "127.0.0.1"}
    if "RAY_ADDRESS" in os.environ:
        here = {}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", **here)

    def ray_map(task: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        gpus = 1 if on_gpus and ray.cluster_resources().get("GPU") else 0
        remote = ray.remote(_call).options(num_gpus=gpus)
        return map(ray.get, [remote.remote(task, item) for item in items])

    try:
        yield ray_map
    finally:
        ray.shutdown()


def _call(task: Callable[[Any], Any], item: Any) -> Any:
    return task(item)
