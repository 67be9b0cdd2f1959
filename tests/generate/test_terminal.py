from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.generate.conftest import byte_tokenizer, tiny_llama

from lima import console
from lima import model as models_io
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.generate.chat import ChatSide, Terminal, chat
from lima.generate.engine.decoding import noise_key
from lima.generate.settings import ChatSettings, ServeSettings
from lima.generate.systems.local import LocalSystem
from lima.generate.systems.remote import RemoteSystem
from lima.records import Example, Message


@pytest.fixture
def talk(
    tuned_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    def run(*lines: str, **changes: Any) -> tuple[str, str, list[Example]]:
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        save = tmp_path / "chats.jsonl"
        chat(ChatSettings(save=save, **{"system": str(tuned_folder), "max_new_tokens": 12, **changes}))
        out, err = capsys.readouterr()
        saved = list(read_jsonl(save, Example)) if save.exists() and save.stat().st_size else []
        save.unlink(missing_ok=True)
        return out, err, saved

    return run


def contents(example: Example) -> list[str]:
    return [message.content for message in example.messages]


def test_a_conversation_is_saved_as_a_dialogue(talk: Any) -> None:
    out, err, (saved,) = talk("Hello", "And \\", "you?", "/save")
    assert [message.role for message in saved.messages] == ["user", "assistant"] * 2
    assert contents(saved)[::2] == ["Hello", "And \nyou?"]
    for answer in contents(saved)[1::2]:
        assert answer in out
    assert "saved in" in err
    assert saved.meta.model_extra == {"system": "tuned-epoch-02"}


def test_retry_draws_another_answer_and_undo_takes_back(talk: Any) -> None:
    _, _, (first,) = talk("Hello", "/save", temperature=1.0)
    _, _, (second,) = talk("Hello", "/retry", "/save", temperature=1.0)
    _, _, (back,) = talk("Something else", "/undo", "Hello", "/save", temperature=1.0)
    assert contents(first)[0] == contents(second)[0] == "Hello"
    assert contents(first)[1] != contents(second)[1]
    assert contents(back) == contents(first)


def test_save_takes_a_file_and_exit_ends(talk: Any, tmp_path: Path) -> None:
    _, err, usual = talk("Hello", f"/save {tmp_path / 'other.jsonl'}", "/exit", "not read")
    assert not usual
    (saved,) = read_jsonl(tmp_path / "other.jsonl", Example)
    assert contents(saved)[0] == "Hello"
    assert "no command" not in err


def test_a_system_message_stands_before_the_first_turn(talk: Any) -> None:
    _, _, (saved,) = talk("Hello", "/system Be kind.", "Hi", "/save")
    assert [message.role for message in saved.messages] == ["system", "user", "assistant"]
    assert contents(saved)[:2] == ["Be kind.", "Hi"]


def test_two_systems_answer_side_by_side(talk: Any, base_folder: Path) -> None:
    _, err, saved = talk("Hello", "/save", against=str(base_folder))
    assert [example.meta.model_extra for example in saved] == [
        {"system": "tuned-epoch-02"},
        {"system": "base"},
    ]
    assert "[tuned-epoch-02]" in err
    assert "[base]" in err


def test_a_message_longer_than_the_context_is_taken_back(talk: Any) -> None:
    _, err, (saved,) = talk("Hello", "x" * 400, "/save")
    assert "leave no room for an answer within 256. Your message is taken back." in err
    assert len(saved.messages) == 2


def test_a_retry_that_fails_keeps_the_answer_before_it(talk: Any, scripted: Callable[..., Any]) -> None:
    system, _ = scripted(["Good day."], [RuntimeError("the server is down")])
    _, err, (saved,) = talk("Hello", "/retry", "/save", system=system)
    assert "the server is down" in err
    assert "The answer before it stays." in err
    assert contents(saved) == ["Hello", "Good day."]


def test_a_retry_after_an_undo_draws_an_answer_that_was_not_shown(
    talk: Any, scripted: Callable[..., Any]
) -> None:
    system, asked = scripted(["Yes."])
    talk("A", "/retry", "B", "/undo", "/retry", system=system, seed=3)
    drawn = [("A", 0), ("A", 1), ("B", 0), ("A", 2)]
    assert [body["messages"][-1]["content"] for body in asked] == [text for text, _ in drawn]
    assert [body["seed"] for body in asked] == [noise_key(3, *one) % 2**31 for one in drawn]


def test_a_conversation_is_saved_once(talk: Any) -> None:
    _, err, saved = talk("Hello", "/save", "/save", "More", "/save")
    assert len({example.id for example in saved}) == len(saved) == 2
    assert "has it already" in err


def test_logits_that_are_no_numbers_take_the_message_back(talk: Any, tmp_path: Path) -> None:
    import torch

    llama, tokenizer = tiny_llama(), byte_tokenizer()
    with torch.no_grad():
        llama.model.norm.weight.fill_(3.4e38)  # a number, as others are not loaded; products with it are none
    models_io.save(llama, tokenizer, tmp_path / "nan")
    _, err, saved = talk("Hello", "/save", system=str(tmp_path / "nan"))
    assert "logits are not numbers" in err
    assert saved == []


def test_a_served_system_s_history_is_shortened_too(
    tuned_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.generate.test_server import Running

    running = Running(ServeSettings(model=str(tuned_folder), name="small"))
    try:
        settings = ChatSettings(system="x", max_new_tokens=20)
        side = ChatSide(RemoteSystem(f"{running.url}/v1#small", settings))
        for turn in range(6):
            side.messages.append(Message(role="user", content=f"{turn} " + "x" * 60))
            "".join(side.answer())
        assert len(side.messages) == 12
        assert "old messages do not fit" in capsys.readouterr().err
        side.messages.append(Message(role="user", content="x" * 400))
        with pytest.raises(LimaError, match="leave no room"):
            "".join(side.answer())
    finally:
        running.stop()


def test_input_that_is_no_utf_8_is_read(talk: Any) -> None:
    _, _, (saved,) = talk("caf\udce9", "/save")
    assert contents(saved)[0] == "caf\ufffd"


def test_mistakes_do_not_end_the_chat(talk: Any) -> None:
    _, err, saved = talk("/undo", "/nothing", "/save", "Hello", "/save", "/quit", "not read")
    assert err.count("error: nothing was said yet") == 2
    assert "no command '/nothing'" in err
    assert len(saved) == 1


def test_history_is_shortened_by_whole_turns(tuned_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ChatSettings(system="x", max_new_tokens=20)
    side = ChatSide(LocalSystem(str(tuned_folder), settings))
    side.messages = [Message(role="system", content="Be kind.")]
    for turn in range(4):
        side.messages.append(Message(role="user", content=f"{turn} " + "x" * 60))
        "".join(side.answer())
    # 256 positions: a turn is about 63 + 21 tokens, so that three turns and the system message do not fit.
    assert "2 old messages do not fit" in capsys.readouterr().err
    assert len(side.messages) == 9
    shown = list(side.messages[:-1])
    assert ChatSide._drop_oldest(shown)
    assert [message.role for message in shown[:2]] == ["system", "user"]
    assert shown[1].content.startswith("1 ")


def test_a_new_turn_runs_its_own_tokens_alone(tuned_folder: Path) -> None:
    settings = ChatSettings(system="x", max_new_tokens=20, temperature=0)
    side = ChatSide(LocalSystem(str(tuned_folder), settings))
    system = side.system
    assert isinstance(system, LocalSystem)
    side.messages.append(Message(role="user", content="Hello there, how are you?"))
    first = len(system.form.encode(side.messages))
    "".join(side.answer())
    assert system.talking is not None
    assert system.talking.prefilled == first
    side.messages.append(Message(role="user", content="Good"))
    second = len(system.form.encode(side.messages))
    "".join(side.answer())
    # All of the first prompt is reused (of its answer, what gives the same tokens when it is read again).
    assert system.talking.prefilled - first <= second - first


def test_a_system_that_fails_takes_the_message_back(talk: Any, scripted: Callable[..., Any]) -> None:
    system, _ = scripted(["half", RuntimeError("the server is down")], ["whole"])
    _, err, (saved,) = talk("Lost", "Kept", "/save", system=system)
    assert "the server is down" in err
    assert "Your message is taken back." in err
    assert contents(saved) == ["Kept", "whole"]


def test_an_answer_cannot_command_the_terminal(talk: Any, scripted: Callable[..., Any]) -> None:
    system, _ = scripted(["a\x1b]0;title\x07b\x9b2J\n\tc"])
    out, _, (saved,) = talk("Hello", "/save", system=system)
    assert "a\ufffd]0;title\ufffdb\ufffd2J\n\tc" in out
    assert not any(character in out for character in "\x1b\x07\x9b")
    assert "\x1b" in saved.messages[-1].content  # the record keeps what was said


def test_in_a_wide_terminal_two_answers_stand_beside_each_other(
    talk: Any, scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr("lima.console.results", screen)
    systems = [scripted([f"{name} ", "answers"], model=name)[0] for name in ("tuned", "base")]
    _, _, saved = talk("Hello", "/save", system=systems[0], against=systems[1])
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any("tuned answers" in line and "base answers" in line for line in lines)
    assert [contents(example)[1] for example in saved] == ["tuned answers", "base answers"]


def test_ctrl_c_while_an_answer_is_shown_stops_that_answer_alone(
    talk: Any, scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    system, _ = scripted(["half ", "never shown"], ["whole"])
    visible, pressed = console.visible, [KeyboardInterrupt()]

    def show(text: str) -> str:
        if text.startswith("half") and pressed:
            raise pressed.pop()
        return visible(text)

    monkeypatch.setattr(console, "visible", show)
    _, err, (saved,) = talk("Stop", "Hello", "/save", system=system)
    assert "(stopped)" in err
    assert contents(saved)[0] == "Stop"
    assert contents(saved)[1].startswith("half ")
    assert contents(saved)[2:] == ["Hello", "whole"]


def test_ctrl_c_before_an_answer_begins_takes_the_message_back(
    talk: Any, scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    system, _ = scripted(["whole"])
    below, pressed = Terminal._show_below, [KeyboardInterrupt()]

    def show(terminal: Terminal) -> None:
        if pressed:
            raise pressed.pop()
        below(terminal)

    monkeypatch.setattr(Terminal, "_show_below", show)
    _, _, (saved,) = talk("Stop", "Hello", "/save", system=system)
    assert contents(saved) == ["Hello", "whole"]


def test_ctrl_c_drops_what_was_typed_and_stays(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    typed: Iterator[Any] = iter(["half a \\", KeyboardInterrupt(), "Hello", "/save", EOFError()])

    def next_line(_prompt: str) -> str:
        found = next(typed)
        if isinstance(found, BaseException):
            raise found
        return str(found)

    monkeypatch.setattr("builtins.input", next_line)
    _, err, (saved,) = talk("")
    assert "/quit or Ctrl-D ends the chat" in err
    assert contents(saved)[0] == "Hello"
