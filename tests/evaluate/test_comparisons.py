"""The study is blind, its sides are balanced, and nothing that was left out is silent."""

import math
from pathlib import Path

import pytest
from tests.evaluate.conftest import FIRST, SECOND, MakeStudy, answer, prompt, write_inputs

from lima.errors import InputError, LimaError, SettingsConflict
from lima.evaluate.comparisons import compare
from lima.evaluate.protocol import with_own_words
from lima.evaluate.settings import CompareSettings
from lima.evaluate.study import KEY_FILES, Study
from lima.files import read_json, read_jsonl, sha256, write_json, write_jsonl
from lima.records import Reject


def test_no_file_that_a_rater_reads_names_a_system(make_study: MakeStudy) -> None:
    study = make_study()
    readable = [p for p in study.folder.rglob("*") if p.is_file() and p.name not in KEY_FILES]
    assert {p.name for p in readable} >= {"protocol.yaml", "comparisons.jsonl", "items.jsonl"}
    for path in readable:
        text = path.read_text()
        assert FIRST not in text, path
        assert SECOND not in text, path
        assert "first.jsonl" not in text, path


def test_the_key_leads_back_to_every_text(make_study: MakeStudy) -> None:
    study, origins = make_study(9), {}
    key = study.read_key()
    for row in study.read_comparisons():
        a, b = key[row.id].a, key[row.id].b
        assert a is not None
        assert b is not None
        assert {a.system, b.system} == {FIRST, SECOND}
        origins[a.completion_id], origins[b.completion_id] = row.a, row.b
    for item in study.read_items():
        origin = key[item.id].content
        assert origin is not None
        assert origins[origin.completion_id] == item.content
    assert len(origins) == 18  # 9 prompts x 2 systems
    assert len(key) == 9 + 18


def test_samples_pair_with_their_like(make_study: MakeStudy) -> None:
    study = make_study(4, samples=3)
    pairs = [row for row in study.read_key().values() if row.a and row.b]
    assert len(pairs) == 4 * 3
    assert all(row.a and row.b and row.a.sample == row.b.sample for row in pairs)
    assert len({(row.prompt_id, row.a.sample) for row in pairs if row.a}) == 12


def test_sides_are_balanced_and_neither_id_nor_place_tells_them(make_study: MakeStudy) -> None:
    study = make_study(2_000)
    key, rows = study.read_key(), study.read_comparisons()
    first_is_a = [key[row.id].a.system == FIRST for row in rows]  # type: ignore[union-attr]
    spread = 4 * math.sqrt(2_000 / 4)  # four standard deviations of a fair coin: 89
    assert abs(sum(first_is_a) - 1_000) < spread
    low_half_of_ids = sum(first_is_a[:1_000])
    assert abs(low_half_of_ids - 500) < spread / math.sqrt(2)
    even_prompts = [a for a, row in zip(first_is_a, rows, strict=True) if int(key[row.id].prompt_id[-3:]) % 2]
    assert abs(sum(even_prompts) - len(even_prompts) / 2) < spread / math.sqrt(2)


def test_equal_seeds_give_equal_bytes_and_another_seed_other_sides(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    one, two, other = make_study(name="one"), make_study(name="two"), make_study(name="other", seed=1)
    for name in ("comparisons.jsonl", "items.jsonl", "key.jsonl"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()
        assert (one.folder / name).read_bytes() != (other.folder / name).read_bytes()


def test_what_cannot_be_paired_is_listed_by_name(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "prompts.jsonl", [prompt(i) for i in range(5)])
    first = [answer(FIRST, 0, "a"), answer(FIRST, 1, "b"), answer(FIRST, 2, "", status="error")]
    second = [answer(SECOND, 0, "c"), answer(SECOND, 2, "d"), answer(SECOND, 9, "no such prompt")]
    write_jsonl(tmp_path / "a.jsonl", first)
    write_jsonl(tmp_path / "b.jsonl", second)
    settings = CompareSettings(
        answers=(tmp_path / "a.jsonl", tmp_path / "b.jsonl"),
        prompts=tmp_path / "prompts.jsonl",
        out=tmp_path / "study",
    )
    study = compare(settings)
    assert len(study.read_comparisons()) == 1  # prompt 0 alone has both
    assert len(study.read_items()) == 4  # every ok answer with a known prompt
    rejects = [(r.rule, r.id) for r in read_jsonl(study.rejects, Reject)]
    assert rejects == [
        ("no-prompt", f"{SECOND}/9/0"),
        ("status", f"{FIRST}/2/0"),
        ("unanswered", "p/003"),
        ("unanswered", "p/004"),
        ("unpaired", "p/001#0"),
        ("unpaired", "p/002#0"),
    ]
    with pytest.raises(LimaError, match="6 answers or pairs would be left out"):
        compare(settings.model_copy(update={"strict": True, "out": tmp_path / "strict"}))
    assert not (tmp_path / "strict").exists()


def test_prompts_come_from_the_record_of_the_run_that_answered_them(tmp_path: Path) -> None:
    prompts, first, second = write_inputs(tmp_path, 4)
    settings = CompareSettings(answers=(first, second), out=tmp_path / "study")
    with pytest.raises(LimaError, match="--prompts FILE"):
        compare(settings)
    with pytest.raises(LimaError, match=r"typo\.jsonl: no such file"):
        compare(settings.model_copy(update={"answers": (tmp_path / "typo.jsonl", second)}))
    record = {
        "inputs": {"prompts:0": {"path": str(prompts), "sha256": sha256(prompts)}},
        "settings": {"top_p": 0.9},
    }
    write_json(tmp_path / "first.jsonl.run.json", record)
    study = compare(settings)
    assert len(study.read_comparisons()) == 4
    assert study.read_systems().systems[0].sampling == {"top_p": 0.9}
    prompts.write_bytes(prompts.read_bytes() + b"\n")
    with pytest.raises(LimaError, match="changed since"):
        compare(settings)


def test_bad_inputs(tmp_path: Path) -> None:
    prompts, first, second = write_inputs(tmp_path, 4)

    def run(*answers: Path, names: tuple[str, ...] = ()) -> Study:
        return compare(CompareSettings(answers=answers, prompts=prompts, names=names, out=tmp_path / "study"))

    with pytest.raises(LimaError, match="two files"):
        run(first)
    with pytest.raises(LimaError, match="--names NAME NAME"):
        run(first, first)
    with pytest.raises(LimaError, match="1 names for 2 files"):
        run(first, second, names=("one",))
    write_jsonl(second, [answer(SECOND, 0, "x"), answer(SECOND, 0, "y")])
    with pytest.raises(InputError, match=r"second\.jsonl:2: a second answer to 'p/000'"):
        run(first, second)
    assert not (tmp_path / "study").exists()


def test_a_finished_study_is_not_made_again(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study()
    study.protocol.write_text(study.protocol.read_text().replace("Which answer", "Which reply"))
    make_study()
    assert "Which reply" in study.protocol.read_text()
    with pytest.raises(SettingsConflict, match="seed"):
        make_study(seed=1)


def test_own_words(tmp_path: Path) -> None:
    prompts, first, second = write_inputs(tmp_path, 4)
    own = tmp_path / "own.yaml"
    own.write_text("pairwise:\n  question: Which one is funnier?\n")
    settings = CompareSettings(answers=(first, second), prompts=prompts, protocol=own, out=tmp_path / "study")
    protocol = compare(settings).read_protocol()
    assert protocol.pairwise.question == "Which one is funnier?"
    assert set(protocol.pairwise.choices) == {"a", "b", "tie"}
    assert protocol.helpfulness.choices["6"].startswith("Insightful")
    own.write_text("quality:\n  choices: {good: x, bad: y}\n")
    with pytest.raises(LimaError, match=r"own.yaml: quality.choices must name exactly fail, pass, excellent"):
        compare(settings.model_copy(update={"out": tmp_path / "other"}))


def test_a_plan_of_one_s_own_replaces_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("plan: {overlap: 7, tests: {pairwise: [crowd]}}\n")
    plan = with_own_words(tmp_path / "own.yaml").plan
    assert (plan.overlap, plan.overlap_votes) == (7, 2)
    assert plan.tests == {"pairwise": ("crowd",), "helpfulness": ("judge",)}


def test_empty_answers_cut_ones_and_traces_of_thought_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    contents = ["<think>Let me see.</think>\n\nYes.", "<think>I never end", "  \n", "Plain."]
    write_jsonl(tmp_path / "p.jsonl", [prompt(k) for k in range(4)])
    write_jsonl(tmp_path / "a.jsonl", [answer(FIRST, k, text) for k, text in enumerate(contents)])
    short = [answer(SECOND, k, "No.") for k in range(4)]
    short[1] = short[1].model_copy(update={"finish_reason": "length"})
    write_jsonl(tmp_path / "b.jsonl", short)

    def texts(thinking: str) -> set[str]:
        settings = CompareSettings.model_validate({
            "answers": (tmp_path / "a.jsonl", tmp_path / "b.jsonl"), "prompts": tmp_path / "p.jsonl",
            "out": tmp_path / thinking, "thinking": thinking,
        })  # fmt: skip
        return {item.content for item in compare(settings).read_items()} - {"No."}

    assert texts("strip") == {"Yes.", "", "  \n", "Plain."}
    said = " ".join(capfd.readouterr().err.split())
    assert f"{FIRST}: 2 of 4 answers are empty" in said
    assert f"{FIRST}: 2 answers begin with a trace of thought; it is taken out" in said
    assert f"{SECOND}: 1 of 4 answers are cut off at the limit of tokens" in said
    assert f"{FIRST}: 1 of 4 answers are cut off" not in said
    assert [s["cut_off"] for s in read_json(tmp_path / "strip" / "systems.json")["systems"]] == [0, 1]
    assert texts("show") == set(contents)
    said = " ".join(capfd.readouterr().err.split())
    assert f"{FIRST}: 1 of 4 answers are empty" in said
    assert "judged with the answer, and counted as its length" in said
