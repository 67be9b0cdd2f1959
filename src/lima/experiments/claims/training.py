"""Experiments on tuning itself: what shifts, when to stop, how hard (LIMA, sections 3 and 5, appendix B)."""

from __future__ import annotations

from lima.experiments.claims import bands
from lima.experiments.claims.bands import Check, Conclusion
from lima.experiments.claims.experiment import MARKS, Arms, Experiment, tuned
from lima.experiments.claims.findings import Findings, percent, points
from lima.experiments.claims.jobs import DataSettings, TuneJob, epochs, steps_for
from lima.experiments.claims.shift import CLASSES

CURATED = DataSettings(examples=1000, source="curated")
LONG = {"examples": 512, "steps": 320}
"""Ten epochs: the paper chooses its checkpoint among the first ten."""
EPOCHS = epochs(LONG["examples"], LONG["steps"])


def _shift_arms(job: TuneJob) -> Arms:
    return {"base + 1000": tuned(job, data=CURATED, steps=steps_for(1000), token_shift=True)}


def _shift_conclusion(found: Findings) -> Conclusion:
    def share(measure: str) -> str:
        return found.percent("base + 1000", measure)

    return Conclusion(
        [
            Check(bands.VALUES_STAY, found.value("base + 1000", "value unshifted")),
            Check(bands.END_SHIFTS, found.value("base + 1000", "end of turn shifted")),
        ],
        f"{share('value unshifted')} of the fact tokens of the tuned model are the base's own first choice, and "
        f"{share('end of turn unshifted')} of its end-of-turn tokens; of the first sentence, which is style, "
        f"{share('opener unshifted')}.",
    )


TOKEN_SHIFT = Experiment(
    name="token-shift",
    claim="Tuning changes tokens of style and leaves those of content: the base knew them.",
    source="arXiv 2312.01552, on the hypothesis of LIMA, section 1",
    paper="Not measured there. arXiv 2312.01552: most tokens are the base's first choice.",
    arms=_shift_arms,
    columns={
        **{f"{kind} unshifted": f"{kind}: base's first" for kind in CLASSES},
        **{f"{kind} shifted": f"{kind}: beyond third" for kind in CLASSES},
    },
    conclude=_shift_conclusion,
)


def _long(job: TuneJob) -> Arms:
    """One long run with the usual learning rate that is measured on its way."""
    data = DataSettings(examples=LONG["examples"])
    return {"10 epochs": tuned(job, data=data, steps=LONG["steps"], by_epoch=True)}


def _at(measure: str) -> dict[str, str]:
    return {f"{measure}@{epoch}": f"epoch {epoch}" for epoch in EPOCHS}


def _perplexity_conclusion(found: Findings) -> Conclusion:
    arm, last = "10 epochs", EPOCHS[-1]
    best = min(EPOCHS, key=lambda epoch: found.mean(arm, f"other author@{epoch}"))
    rise = found.difference((arm, f"other author@{last}"), (arm, f"other author@{best}"))
    gain = found.difference((arm, f"exact@{last}"), (arm, f"exact@{best}"))
    own = [found.mean(arm, f"same style@{epoch}") for epoch in (best, last)]
    top = max(EPOCHS, key=lambda epoch: found.mean(arm, f"exact@{epoch}"))
    return Conclusion(
        [Check(bands.PERPLEXITY, rise), Check(bands.EXACT_RISES, gain)],
        f"From epoch {best} to {last} the NLL of another author's answers goes from "
        f"{found.mean(arm, f'other author@{best}'):.2f} to {found.mean(arm, f'other author@{last}'):.2f} nats a token, and "
        f"exact answers change by {points(gain)}, with their best, {found.percent(arm, f'exact@{top}')}, after epoch {top}; on "
        f"answers in the own style the NLL goes from {own[0]:.2f} to {own[1]:.2f}.",
    )


PERPLEXITY = Experiment(
    name="perplexity",
    claim="Held-out perplexity rises while the answers get better: it does not tell which checkpoint is good.",
    source="LIMA, appendix B, figure 9",
    paper="Perplexity of held-out answers rises from about 5 to 10 while rated quality rises from 3.90 to 4.15.",
    arms=_long,
    columns={
        f"{measure}@{epoch}": f"{words}, epoch {epoch}"
        for measure, words in (
            ("exact", "exact"),
            ("other author", "NLL, other author"),
            ("same style", "NLL, same style"),
        )
        for epoch in EPOCHS
    },
    conclude=_perplexity_conclusion,
)


def _checkpoint_conclusion(found: Findings) -> Conclusion:
    arm, last = "10 epochs", EPOCHS[-1]
    by_answers = max(EPOCHS, key=lambda epoch: found.mean(arm, f"exact dev@{epoch}"))
    by_loss = min(EPOCHS, key=lambda epoch: found.mean(arm, f"other author@{epoch}"))
    chosen = {"answers to 50 dev questions": by_answers, "perplexity": by_loss, "the last": last}
    told = "; ".join(
        f"{way}: epoch {epoch}, {found.percent(arm, f'exact@{epoch}')} exact" for way, epoch in chosen.items()
    )
    gap = found.difference((arm, f"exact@{by_answers}"), (arm, f"exact@{by_loss}"))
    return Conclusion([], f"Chosen by {told}. Answers against perplexity: {points(gap)}.")


CHECKPOINT = Experiment(
    name="checkpoint",
    claim="Choose the checkpoint by looking at answers to 50 dev prompts, not by perplexity.",
    source="LIMA, section 3",
    paper="Chosen by hand between epochs 5 and 10 of 15, on 50 dev prompts.",
    arms=_long,
    columns={**_at("exact")},
    conclude=_checkpoint_conclusion,
)


def _overfitting_arms(job: TuneJob) -> Arms:
    return {
        "gentle: 5 epochs, 3e-4": tuned(job, data=CURATED, steps=steps_for(1000, 5), learning_rate=3e-4),
        "hard: 15 epochs, 1e-3": tuned(job, data=CURATED, steps=steps_for(1000, 15), learning_rate=1e-3),
    }


def _overfitting_conclusion(found: Findings) -> Conclusion:
    gentle, hard = _overfitting_arms(TuneJob())
    gap = found.difference((gentle, "exact"), (hard, "exact"))
    return Conclusion(
        [Check(bands.OVERFIT, gap)],
        f"A gentle recipe gives {found.percent(gentle, 'exact')} exact answers, a hard one "
        f"{found.percent(hard, 'exact')} on the same 1,000 examples: {points(gap)}.",
    )


OVERFITTING = Experiment(
    name="overfitting",
    claim="On a thousand examples a model can be tuned too hard.",
    source="LIMA, section 3 (epochs 5 to 10 of 15 are kept)",
    paper="Not measured: an earlier epoch than the last was kept.",
    arms=_overfitting_arms,
    columns=MARKS,
    conclude=_overfitting_conclusion,
)


def _dropout_arms(job: TuneJob) -> Arms:
    return {
        f"dropout {rate:g}": tuned(job, data=CURATED, steps=steps_for(1000, 15), residual_dropout=rate)
        for rate in (0.0, 0.3)
    }


def _dropout_conclusion(found: Findings) -> Conclusion:
    gap = found.difference(("dropout 0.3", "exact"), ("dropout 0", "exact"))
    return Conclusion(
        [],
        f"Fifteen epochs with residual dropout rising to {percent(0.3)} give {found.percent('dropout 0.3', 'exact')} exact "
        f"answers, without it {found.percent('dropout 0', 'exact')}: {points(gap)}.",
    )


DROPOUT = Experiment(
    name="dropout",
    claim="Residual dropout, rising from layer to layer, guards a small set against over-fitting.",
    source="LIMA, section 3",
    paper="Used (0.0 rising to 0.3), not measured.",
    arms=_dropout_arms,
    columns=MARKS,
    conclude=_dropout_conclusion,
    seeds=2,
)
