"""The new source of docs/extending.md runs as it is printed."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from lima.curate.candidate import Candidate, Funnel
from lima.curate.sources.base import Context

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def test_the_source_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(code.splitlines()) <= 36
    (tmp_path / "faq_source.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = importlib.import_module("faq_source")
    (tmp_path / "shop.faq").write_text("Q: Where is it?\nA: On its way.\nQ: Who are you?\nA: A shop.\n")
    funnel = Funnel()
    context = Context(
        name="faq", path=tmp_path, scratch=tmp_path, seed=0, style="markdown",
        count=lambda stratum: funnel.at("faq", stratum), reject=lambda reject: None,
    )  # fmt: skip
    (stratum,) = names.Faq(train=2).strata(context)
    found = [item for item in stratum.candidates if isinstance(item, Candidate)]
    assert [(c.id, c.answer) for c in found] == [("faq/shop/0", "On its way."), ("faq/shop/1", "A shop.")]
    assert funnel.total("faq").eligible == 2
