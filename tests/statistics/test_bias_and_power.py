"""Side, flip and length figures by hand; power against simulation."""

import numpy as np
import pytest

from lima.records import Label, Shown
from lima.statistics.bias import Bias, Showing, bias
from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.power import detectable_gap, power_of, prompts_needed


def showing(item: int, shown: Shown, label: Label, a: int = 10, b: int = 20) -> Showing:
    return Showing(item, f"prompt {item}", shown, label, 0, a, b)


def shares(found: Bias) -> dict[str, tuple[float, int]]:
    return {
        name: (result.value, result.n)
        for name in ("side", "flip", "inconsistent", "longer")
        if isinstance(result := getattr(found, name), Estimate)
    }


def test_bias_by_hand() -> None:
    """Item 1 steady for b (longer), item 2 always the first shown, item 3 side and tie, item 4 one order."""
    found = bias([
        showing(1, "ab", "b"), showing(1, "ba", "b"),
        showing(2, "ab", "a"), showing(2, "ba", "b"),
        showing(3, "ab", "tie"), showing(3, "ba", "a"),
        showing(4, "ab", "a", a=5, b=5),
    ])  # fmt: skip
    # decided: 1ab b second, 1ba b first, 2ab a first, 2ba b first, 3ba a second, 4ab a first
    assert shares(found) == {
        "side": (4 / 6, 6), "flip": (1 / 3, 3), "inconsistent": (2 / 3, 3), "longer": (3 / 5, 5),
    }  # fmt: skip
    assert (found.follows_first, found.follows_second) == (1, 0)


def test_no_decided_verdict() -> None:
    found = bias([showing(1, "ab", "tie")])
    assert isinstance(found.side, Undefined)
    assert isinstance(found.flip, Undefined)
    assert isinstance(found.longer, Undefined)


@pytest.mark.parametrize(("gap", "prompts"), [(0.05, 2190), (0.10, 542), (0.15, 237)])
def test_prompts_needed(gap: float, prompts: int) -> None:
    """(1.95996 + 0.84162)^2 (0.7 - gap^2) / gap^2, rounded up."""
    assert prompts_needed(gap) == prompts
    assert power_of(gap, prompts) == pytest.approx(0.8, abs=2e-3)


def test_detectable_gap_is_the_inverse() -> None:
    gap = detectable_gap(300)
    assert gap is not None
    assert round(100 * gap) == 13
    assert prompts_needed(gap) == pytest.approx(300, abs=1)
    assert detectable_gap(3) is None


def test_power_by_simulation() -> None:
    """Win 42.5 %, tie 30 %, loss 27.5 %: 237 prompts find the gap of 15 points in about 80 % of studies."""
    scores = np.random.default_rng(6).choice([1, 0, -1], p=[0.425, 0.3, 0.275], size=(4_000, 237))
    t = scores.mean(axis=1) / (scores.std(axis=1, ddof=1) / 237**0.5)
    assert (np.abs(t) > 1.96).mean() == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize("gap", [0.0, 0.8])
def test_impossible_gaps(gap: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most"):
        prompts_needed(gap)


def test_impossible_settings() -> None:
    with pytest.raises(ValueError, match="power is 1"):
        prompts_needed(0.1, power=1)
    with pytest.raises(ValueError, match="prompts is 0"):
        detectable_gap(0)
