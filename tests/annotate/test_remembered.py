"""Figures of the console: as new as the study is small, and never behind the lead's own doing."""

from __future__ import annotations

import pytest
from tests.annotate.conftest import MakeSite, Site, form

from lima.annotate import people
from lima.annotate.compare import remembered


def vote(here: Site) -> None:
    rater = here.rater()
    rater.post("/answer", data=form(rater.get("/work").text, pairwise="tie"))


@pytest.mark.parametrize("slow", [False, True])
def test_only_slow_figures_rest_and_an_exclusion_ends_the_rest(
    site: MakeSite, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    if slow:
        monkeypatch.setattr(remembered, "SLOW_SECONDS", 0.0)
        monkeypatch.setattr(remembered, "REST", 1e9)
    here, made = site(6, overlap=0), []

    def make() -> dict[str, int]:
        made.append(1)
        return {"number": len(made)}

    here.rater()
    kept = remembered.Remembered()
    assert kept.get(here.base, make).value == {"number": 1}
    assert kept.get(here.base, make).value == {"number": 1}  # nothing has happened
    with here.base.write() as connection:
        people.record(connection, "view", here.clock(), rater_id=1)
    assert kept.get(here.base, make).value == {"number": 1 if slow else 2}
    people.remove_rater(here.base, 1, here.clock(), keep_answers=False)
    assert kept.get(here.base, make).value == {"number": 2 if slow else 3}


def test_a_vote_shows_on_the_console_at_once(site: MakeSite) -> None:
    here = site(6, overlap=0)
    lead = here.lead()
    assert ">100 %<" not in lead.get("/lead").text
    vote(here)
    assert ">100 %<" in lead.get("/lead").text
