"""Mistakes of a user: one exception type, printed by the command line without a traceback."""

from __future__ import annotations

from pathlib import Path


class LimaError(Exception):
    """A mistake in the input or the settings. The text names the value, the place and the remedy.

    The command line prints the text in one line and exits with code 2. An impossible state is an
    ``assert`` instead, so that it shows its traceback.
    """


class InputError(LimaError):
    """Something is wrong at one line of an input file.

    >>> print(InputError("train.jsonl", 7, "no field 'messages'"))
    train.jsonl:7: no field 'messages'
    """

    def __init__(self, path: Path | str, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}")
        self.path, self.line, self.problem = Path(path), line, problem


class Busy(LimaError):
    """Another process is working in the folder."""


class SettingsConflict(LimaError):
    """A run folder exists and was made with other settings or other inputs."""
