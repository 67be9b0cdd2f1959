"""Several readers of one engine: their answers grow in one batch, and are those that each would get alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lima.errors import LimaError
from lima.generate.settings import ChatSettings
from lima.generate.systems.local import LocalSystem
from lima.records import Message

ASKED = ["Hello there, how are you?", "Good", "Tell me of the sea.", "What now? And then?"]
LENGTH = 30


@pytest.fixture
def system(tuned_folder: Path) -> LocalSystem:
    settings = ChatSettings(system="x", max_new_tokens=LENGTH, temperature=0)
    return LocalSystem(
        str(tuned_folder), settings, talks=3
    )  # fewer places than readers: one waits for a place


def say(system: LocalSystem, text: str) -> str:
    return "".join(system.say([Message(role="user", content=text)], 0))


def counted(system: LocalSystem, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers grew in each of the engine's steps from now on."""
    assert system.talking is not None
    step, sizes = system.talking.step, []

    def counting() -> Any:
        made = step()
        sizes.append(len(made))
        return made

    monkeypatch.setattr(system.talking, "step", counting)
    return sizes


def at_once(work: Callable[[str], Any]) -> list[Any]:
    ready = threading.Barrier(len(ASKED))

    def one(text: str) -> Any:
        ready.wait()
        return work(text)

    with ThreadPoolExecutor(len(ASKED)) as pool:
        return list(pool.map(one, ASKED))


def test_readers_share_steps_and_get_their_own_answers(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [say(system, text) for text in ASKED]
    sizes = counted(system, monkeypatch)
    assert at_once(lambda text: say(system, text)) == alone
    assert max(sizes) == 3
    assert len(sizes) < 0.7 * sum(sizes)


def test_a_reader_who_leaves_makes_room(system: LocalSystem) -> None:
    with closing(system.say([Message(role="user", content=ASKED[0])], 0)) as pieces:
        next(pieces)
        assert system.talking is not None
        assert system.talking.running == 1
    assert not system.talking.busy
    assert say(system, ASKED[1])


def test_a_failure_is_told_to_all_and_the_next_begins_anew(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = say(system, ASKED[0])
    assert system.talking is not None
    step, everyone = system.talking.step, len(ASKED)

    def broken() -> Any:
        assert system.talking is not None
        if system.talking.running + system.talking.waiting == everyone:
            monkeypatch.setattr(system.talking, "step", step)
            raise RuntimeError("out of memory")
        time.sleep(0.001)
        return []

    monkeypatch.setattr(system.talking, "step", broken)

    def failing(text: str) -> bool:
        with pytest.raises(LimaError, match="out of memory"):
            say(system, text)
        return True

    assert all(at_once(failing))
    assert say(system, ASKED[0]) == before
