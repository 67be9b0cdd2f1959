"""The page of models holds what the code does, architecture by architecture."""

from pathlib import Path

import pytest
from tests import zoo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_page_of_models_is_what_the_code_does(tmp_path: Path) -> None:
    """Each is tuned whole and with adapters, saved, loaded by plain transformers and run, or refused in one line."""
    pytest.importorskip("peft")
    found = {name: zoo.outcome(name, tmp_path / name) for name in zoo.ARCHITECTURES}
    assert zoo.PAGE.read_text(encoding="utf-8") == zoo.page(found), "run `python -m tests.zoo`"
    assert sum(one.whole == "yes" for one in found.values()) >= 25
