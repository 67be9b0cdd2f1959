"""The target of atheris: ``python fuzz_rows.py CORPUS -max_total_time=20``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["lima.curate.stackexchange.reading"]):
    from tests.curate.reference import check


def one_input(data: bytes) -> None:
    """One mutated file."""
    check(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
