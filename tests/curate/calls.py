"""Calls of the package's functions, seen by the interpreter's profiler: nothing is replaced by another thing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lima

PACKAGE = str(Path(lima.__file__).parent) + "/"
Act = Callable[[Mapping[str, Any]], None]


class Stop(BaseException):
    """As a key or a signal stops a program."""


@contextmanager
def watched(acts: Mapping[str, Act]) -> Iterator[None]:
    """Within the block each act gets the arguments of the function that it is for, before that runs.

    Args:
        acts: by a function's file and name, such as ``curate/rules.py first_problem``. What an act raises, the call raises;
            then no more is seen, since the interpreter takes the profiler off.
    """
    names = {name.rpartition(" ")[2] for name in acts}

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_name in names:
            act = acts.get(f"{frame.f_code.co_filename.removeprefix(PACKAGE)} {frame.f_code.co_name}")
            if act is not None:
                act(frame.f_locals)

    with _profiled(profile):
        yield


@contextmanager
def files_run() -> Iterator[set[str]]:
    """The files of the package of which a function runs within the block."""
    found: set[str] = set()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found.add(frame.f_code.co_filename.removeprefix(PACKAGE))

    with _profiled(profile):
        yield found


def stopping(after: int) -> Act:
    """Stops the program at the call behind this many."""
    calls = 0

    def act(arguments: Mapping[str, Any]) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Stop

    return act


@contextmanager
def _profiled(profile: Callable[[FrameType, str, object], None]) -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
