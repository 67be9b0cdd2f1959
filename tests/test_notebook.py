"""The notebook of the Python API runs, and says what it was saved with: ``python tests/test_notebook.py`` saves it anew.

What depends on the processor, such as the words of a tuned model, stands in cells without the tag `stable`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "python-api.ipynb"


def executed() -> Any:
    """The notebook after all its cells ran; of outputs the printed text alone is kept."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    for cell in cells(notebook):
        cell.outputs = [one for one in cell.outputs if one.output_type == "stream" and one.name == "stdout"]
        cell.execution_count = None
        cell.metadata.pop("execution", None)
    return notebook


def cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs)


@pytest.mark.slow
def test_the_notebook_runs_and_prints_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    saved = cells(nbformat.read(NOTEBOOK, as_version=4))
    for before, after in zip(saved, cells(executed()), strict=True):
        assert bool(printed(before)) == bool(printed(after)), "save it anew"
        if "stable" in before.metadata.get("tags", []):
            assert printed(before) == printed(after)


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
