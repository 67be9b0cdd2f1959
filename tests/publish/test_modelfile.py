"""Chat templates in Ollama's language: what is written around texts is that of the Jinja template."""

from collections.abc import Mapping, Sequence

from tests.conftest import byte_tokenizer
from transformers import PreTrainedTokenizerFast

from lima.chat import chat_template
from lima.publish.gguf import _unmarked
from lima.publish.modelfile import FIRST, REPLY, RULE, SECOND, Render, modelfile, surroundings
from lima.template import with_marks

CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def rendering(template: str) -> tuple[Render, PreTrainedTokenizerFast]:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>", "<|eot|>"]})
    tokenizer.chat_template = template

    def render(messages: Sequence[Mapping[str, str]], heading: bool) -> str:
        given = [dict(message) for message in messages]
        return str(
            tokenizer.apply_chat_template(
                given, chat_template=_unmarked(tokenizer), tokenize=False, add_generation_prompt=heading
            )
        )

    return render, tokenizer


def test_the_paper_s_format() -> None:
    found = surroundings(rendering(chat_template("<|eot|>"))[0], "<s>")
    assert found is not None
    assert (found.head, found.system) == ("", ("", "\n\n"))
    assert (found.user, found.assistant) == (("", "<|eot|>"), ("", "<|eot|>"))
    assert found.text([RULE, FIRST, REPLY, SECOND]) == (
        "A rule\n\nFirst question<|eot|>First answer<|eot|>Second question<|eot|>"
    )


def test_chatml_with_a_system_message_of_its_own() -> None:
    found = surroundings(rendering(CHATML)[0], "")
    assert found is not None
    assert found.head == "<|im_start|>system\nBe kind.<|im_end|>\n"
    assert found.user == ("<|im_start|>user\n", "<|im_end|>\n")
    assert found.assistant == ("<|im_start|>assistant\n", "<|im_end|>\n")
    text = modelfile("m.gguf", found, ["<|im_end|>"])
    assert text.startswith(
        'FROM ./m.gguf\nTEMPLATE """{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n'
        "{{ else }}<|im_start|>system\nBe kind.<|im_end|>\n{{ end }}{{ range $i, $_ := .Messages }}"
        '{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
    )
    assert 'PARAMETER stop "<|im_end|>"\n' in text


def test_a_template_that_numbers_its_turns_has_no_form() -> None:
    numbered = "{% for message in messages %}{{ loop.index }}: {{ message['content'] }}<|im_end|>{% endfor %}"
    assert surroundings(rendering(numbered)[0], "") is None


def test_a_template_that_refuses_system_messages() -> None:
    plain = CHATML.replace("<|im_start|>system\nBe kind.<|im_end|>\n", "").replace(
        "<|im_start|>{{",
        "{% if message['role'] == 'system' %}{{ raise_exception('none') }}{% endif %}<|im_start|>{{",
    )
    found = surroundings(rendering(plain)[0], "")
    assert found is not None
    assert found.system is None
    assert ".System" not in found.go()


def test_marks_for_trainers_are_taken_out() -> None:
    _, tokenizer = rendering(CHATML)
    tokenizer.chat_template = with_marks(tokenizer)
    assert "generation" in tokenizer.chat_template.replace("add_generation_prompt", "")
    assert _unmarked(tokenizer) == CHATML
