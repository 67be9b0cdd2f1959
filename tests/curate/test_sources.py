"""Sources other than Stack Exchange, each on a file of its real layout made here, and on the real files."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.reading.compressed import zstd
from lima.curate.rules import UNFILTERED, RuleSettings
from lima.curate.settings import CurateSettings
from lima.curate.sources.authored import Authored
from lima.curate.sources.base import SourceSettings
from lima.curate.sources.reddit import NOTE_STEP, Reddit, plain, without_notes
from lima.curate.sources.super_ni import SuperNaturalInstructions
from lima.curate.sources.table import ColumnMap, Table
from lima.curate.sources.wikihow import WikiHow
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example, Reject

ANY = RuleSettings.model_validate(dict(UNFILTERED))


def run(path: Path, source: SourceSettings, out: Path, **values: Any) -> list[Example]:
    settings = CurateSettings(recipe="test", input=path, out=out, sources={"mine": source}, **values)
    curate(settings)
    name = next(name for name in ("train", "test") if getattr(source, name))
    return list(read_jsonl(out / f"{name}.jsonl", Example))


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_table_of_tickets(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_text(
        '\ufeffno,question,reply,stars,team\n1,"Where is it, please?",On its way.,5,shop\n2,Broken,,4,shop\n'
        "3,Who are you?,A bot.,2,web\n"
    )
    columns = ColumnMap(prompt="question", answer="reply", id="no", score="stars", category="team")
    source = Table(
        train=9, columns=columns, licence="ours", rules=Table().rules.model_copy(update={"score_min": 3})
    )
    (example,) = run(path, source, tmp_path / "out")
    assert example.id == "mine/1"
    assert [m.content for m in example.messages] == ["Where is it, please?", "On its way."]
    assert (example.meta.category, example.meta.score, example.meta.licence) == ("shop", 5.0, "ours")
    rejected = {r.id: r.rule for r in read_jsonl(tmp_path / "out/rejected.jsonl", Reject)}
    assert rejected == {"mine/2": "empty", "mine/3": "score"}


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".jsonl.gz", ".jsonl.zst"])
def test_table_of_chats(suffix: str, tmp_path: Path) -> None:
    rows = [
        {"conversations": [{"from": "human", "value": f"Q{n}"}, {"from": "gpt", "value": "A"}]}
        for n in range(3)
    ]
    data = json.dumps(rows).encode() if suffix == ".json" else lines(*rows)
    data = gzip.compress(data) if suffix.endswith(".gz") else data
    data = zstd.compress(data) if suffix.endswith(".zst") else data
    path = tmp_path / f"chats{suffix}"
    path.write_bytes(data)
    found = run(
        path, Table(train=2, format="sharegpt"), tmp_path / "out", duplicates=DuplicateSettings(jaccard=None)
    )
    assert len(found) == 2


def test_table_html_and_missing_columns(tmp_path: Path) -> None:
    path = tmp_path / "faq.jsonl"
    path.write_bytes(lines({"q": "<p>Why?</p>", "a": "<ul><li>x</li></ul>", "score": float("nan")}))
    source = Table(train=1, html=True, columns=ColumnMap(prompt="q", answer="a", score="score"))
    (example,) = run(path, source, tmp_path / "out")
    assert [m.content for m in example.messages] == ["Why?", "* x"]
    with pytest.raises(
        LimaError, match=r"no column 'prompt'. There are: q, a, score. Name yours: --sources.mine"
    ):
        run(path, Table(train=1), tmp_path / "other")


def test_columns_with_usual_names_are_found(tmp_path: Path) -> None:
    """`prompt` and `answer` are the names unless others are chosen: a file without them is read by its usual ones."""
    path = tmp_path / "faq.jsonl"
    path.write_bytes(lines({"Instruction": "Say why.", "input": "Rain?", "Public_Reply": "It is wet."}))
    (example,) = run(path, Table(train=1, rules=ANY), tmp_path / "out")
    assert [m.content for m in example.messages] == ["Say why.\n\nRain?", "It is wet."]
    chosen = Table(train=1, columns=ColumnMap(prompt="q"))
    with pytest.raises(LimaError, match="no column 'q'"):
        run(path, chosen, tmp_path / "other")


def test_a_cut_off_archive(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl.gz"
    path.write_bytes(
        gzip.compress(lines(*[{"prompt": str(n), "answer": os.urandom(20).hex()} for n in range(500)]))[:-200]
    )
    with pytest.raises(LimaError, match=r"chats.jsonl.gz: the archive is damaged or cut off"):
        run(path, Table(train=1), tmp_path / "out")


def test_super_natural_instructions(tmp_path: Path) -> None:
    instances = [{"id": f"i{n}", "input": f"text {n}", "output": [f"sum {n}"]} for n in range(5)]
    task = {
        "Definition": ["Sum up."],
        "Categories": ["Summarization"],
        "Input_language": ["English"],
        "Instances": instances,
    }
    other = {**task, "Categories": "Toxic Language Detection"}
    french = {**task, "Output_language": ["French"]}
    plain = {
        **task,
        "Categories": "Title Generation",
        "Definition": "Name it.",
        "Instances": [{"id": "p", "input": "x", "output": "y"}],
    }
    raw = tmp_path / "tasks"
    raw.mkdir()
    for name, content in {"task1": task, "task2": other, "task3": french, "task4": plain}.items():
        (raw / f"{name}.json").write_text(json.dumps(content))
    found = run(raw, SuperNaturalInstructions(train=10), tmp_path / "out")
    assert [example.id.split("/")[1] for example in found] == ["task1", "task4"], (
        "one of each generation task"
    )
    assert found[1].messages[0].content == "Name it.\n\nx"
    funnel = json.loads((tmp_path / "out/funnel.json").read_text())["sources"]["mine"]
    assert funnel["dropped_unread"] == {"category": 5, "language": 5}


STORY = "Once upon a time there was a lighthouse that nobody had ever built. " * 10


def flat_task(name: str, number: int, output: str) -> dict[str, Any]:
    return {
        "task_name": name,
        "id": f"{name}-{number}",
        "definition": "Say what floats.",
        "inputs": f"Raft {number} or stone",
        "targets": output,
    }


def test_super_natural_instructions_in_a_flat_table(tmp_path: Path) -> None:
    """As data set hubs have them: one of each task, and none of a task that chooses among labels."""
    rows = [
        flat_task(name, n, f"Raft {n} floats.") for name in ("task1_rafts", "task2_rafts") for n in range(30)
    ]
    rows += [flat_task("task3_labels", n, "yes" if n % 2 else "no") for n in range(30)]
    path = tmp_path / "train.jsonl"
    path.write_bytes(lines(*rows))
    found = run(path, SuperNaturalInstructions(train=9), tmp_path / "out")
    assert [example.meta.category for example in found] == ["task1_rafts", "task2_rafts"]
    number = found[0].id.rpartition("-")[2]
    assert [m.content for m in found[0].messages] == [
        f"Say what floats.\n\nRaft {number} or stone",
        f"Raft {number} floats.",
    ]
    funnel = json.loads((tmp_path / "out/funnel.json").read_text())["sources"]["mine"]
    assert funnel["dropped_unread"] == {"category": 30, "not_drawn": 20}
    assert (funnel["read"], funnel["eligible"]) == (90, 40)
    assert (
        run(path, SuperNaturalInstructions(train=9, distinct_min=0), tmp_path / "all")[2].meta.category
        == "task3_labels"
    )


def test_columns_of_hubs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "flan.jsonl"
    path.write_bytes(
        lines({"inputs": "Say hi.", "targets": ["Hi."], "task": "x", "definition": "Be polite."})
    )
    with pytest.raises(
        LimaError,
        match=r"columns.prompt inputs --sources.mine.columns.answer targets .*instruction definition",
    ):
        run(path, Table(train=1, rules=ANY), tmp_path / "a")
    columns = ColumnMap(prompt="inputs", answer="targets", instruction="definition")
    (example,) = run(path, Table(train=1, rules=ANY, columns=columns), tmp_path / "b")
    assert [m.content for m in example.messages] == ["Be polite.\n\nSay hi.", "Hi."]
    several = lines(
        {"inputs": "Say hi.", "targets": ["Hi.", "Hello."], "task": "x", "definition": "Be polite."}
    )
    path.write_bytes(path.read_bytes() + several)
    assert len(run(path, Table(train=1, rules=ANY, columns=columns), tmp_path / "d")) == 1
    assert "the assistant cell is a list of 2, expected text" in (tmp_path / "d/rejected.jsonl").read_text()
    path.write_bytes(lines({"inputs": "Say hi.", "targets": "Hi.", "task": "x"}))
    with pytest.raises(
        LimaError, match=r"no column 'definition'. .*columns: {prompt: inputs, answer: targets}"
    ):
        run(path, SuperNaturalInstructions(train=1), tmp_path / "c")


def test_wikihow_in_nested_rows(tmp_path: Path) -> None:
    steps = [{"headline": "Mix it.", "description": "Stir flour. " * 60}, "Bake it for an hour."]
    rows: list[dict[str, Any]] = [
        {"title": "Bake Bread", "summary": "Bread is food.", "steps": steps, "methods": None},
        {"title": "How to Tie a Knot", "methods": [{"name": "A bow", "steps": ["Make a loop."]}, {"steps": steps}, {"name": "Tips", "steps": ["Wait."]}]},
    ]  # fmt: skip
    (tmp_path / "train.jsonl").write_bytes(lines(*rows))
    found = run(tmp_path, WikiHow(train=5, rules=ANY), tmp_path / "out")
    bread, knot = (example.messages[1].content for example in found)
    assert bread.startswith("Bread is food.\n\n## Steps\n\n1. Mix it. Stir flour.")
    assert bread.endswith("2. Bake it for an hour.")
    assert knot.startswith("## A bow\n\n1. Make a loop.\n\n## Part 2\n\n1. Mix it.")
    assert "Wait." not in knot


def test_wikihow_in_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table.from_pylist(
        [{"title": "Bake Bread", "headline": "Mix.", "text": "Stir it. " * 200}]
    )
    parquet.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    (example,) = run(tmp_path, WikiHow(train=5), tmp_path / "out")
    assert example.messages[0].content == "How to Bake Bread?"


def post(number: str, title: str, score: object = 100, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "subreddit": "WritingPrompts",
        "title": title,
        "selftext": "",
        "score": score,
        "author": "ann",
        **more,
    }


def comment(number: str, link: str, body: str = STORY, score: object = 50, **more: Any) -> dict[str, Any]:
    return {"id": number, "subreddit": "WritingPrompts", "link_id": link, "parent_id": link, "body": body, "score": score, "author": "bob", **more}  # fmt: skip


def test_reddit_stories(tmp_path: Path) -> None:
    rows = [
        post("p1", "[WP] A lighthouse that nobody built"),
        comment("c1", "t3_p1", score=5, body=STORY + "low"),
        comment("c2", "t3_p1", score="60"),
        comment("c3", "t3_p1", score=99, parent_id="t1_c1"),
        comment("c4", "t3_p1", score=999, author="AutoModerator"),
        comment("c5", "t3_p1", score=998, body="[removed]"),
        post("p2", "[OT] Let us talk of pens"), comment("c6", "t3_p2"),
        post("p3", "[removed]"), post("p4", "Low", 3), post("p5", "[WP] For adults", over_18=True),
        post("p6", "[WP] Nobody answered"), post("p7", "[WP] A null score", None),
        {**post("p8", "Elsewhere"), "subreddit": "pics", "selftext": 'says "WritingPrompts"'},
    ]  # fmt: skip
    (tmp_path / "dump.zst").write_bytes(zstd.compress(lines(*rows)))
    (example,) = run(tmp_path, Reddit(train=5), tmp_path / "out")
    assert example.id == "reddit/WritingPrompts/p1"
    assert [m.content for m in example.messages] == ["A lighthouse that nobody built", STORY.strip()]
    assert (example.meta.score, example.meta.authors) == (60, ("ann", "bob"))
    funnel = json.loads((tmp_path / "out/funnel.json").read_text())["sources"]["mine"]
    assert funnel["dropped_unread"] == {
        "adults_only": 1, "no_story": 1, "notice": 1, "post_score": 2, "removed": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("title", "is_notice"),
    [
        ("[MOD POST] Welcome", True), ("The winter contest", True), ("Update: she said yes", True), ("[Update] It broke", True),
        ("Congrats, we are many", True), ("Daily prompt: a door", True), ("[WP] A lighthouse that nobody built", False),
        ("What became of the top post?", True), ("You update a lighthouse", False), ("Tell of a protester", False),
    ],
)  # fmt: skip
def test_posts_about_the_subreddit_are_no_prompts(title: str, is_notice: bool, tmp_path: Path) -> None:
    (tmp_path / "dump.jsonl").write_bytes(
        lines(
            post("p1", title),
            comment("c1", "t3_p1"),
            post("p2", "Writing Prompt: A sea"),
            comment("c2", "t3_p2", STORY[::-1]),
        )
    )
    assert len(run(tmp_path, Reddit(train=5), tmp_path / "out")) == (1 if is_notice else 2)
    assert len(run(tmp_path, Reddit(train=5, drop_notices=False), tmp_path / "all")) == 2


def test_wikihow_s_only_part_has_no_heading(tmp_path: Path) -> None:
    """The name of a part is ours; a tokeniser's blanks in the steps go."""
    step = {
        "text": "Boil the water( see step 2) for 10- 15 minutes, until it is “ hot ”. It costs at least$ 150. "
        * 20
    }
    other = {"text": "Steep the leaves in a pot, pour them off, and serve. " * 25}
    one = {"url": "https://www.wikihow.com/Boil-Water", "step_texts": [step]}
    two = {"url": "https://www.wikihow.com/Make-Tea", "step_texts": [other]}
    (tmp_path / "raw.ndjson").write_bytes(lines(one, two, two))
    boil, tea = sorted(run(tmp_path / "raw.ndjson", WikiHow(train=5), tmp_path / "out"), key=lambda e: e.id)
    assert boil.messages[1].content.startswith(
        "1. Boil the water (see step 2) for 10-15 minutes, until it is “hot”. It costs at least $150. Boil"
    )
    assert "## Part 1\n\n1. Steep" in tea.messages[1].content
    assert "## Part 2\n\n1. Steep" in tea.messages[1].content


def test_reddit_text_is_what_a_reader_sees() -> None:
    assert (
        plain("&amp;gt; Salt &amp;amp; &quot;pepper&quot;&amp;#x200B;\n\n&amp;nbsp;\n\nend")
        == '> Salt & "pepper"\n\nend'
    )
    assert plain(None) == ""


@pytest.mark.parametrize(
    "note",
    [
        "EDIT: Wow, thanks for the silver!", "More at r/lighthouses or on [my Patreon](https://x.y).", "---\n\nThanks for reading!",
        "Edit 2 - spelling\n\n***\n\nPart 2 is in a comment below.", "If you liked it, subscribe.",
    ],
)  # fmt: skip
def test_notes_of_a_story_s_author_go(note: str) -> None:
    assert without_notes(f"{STORY}\n\nShe left.\n\n{note}") == (f"{STORY}\n\nShe left.", True)
    assert without_notes(f"{note}\n\n{STORY}")[1] == (not note.startswith("---"))


@pytest.mark.parametrize(
    "end",
    [
        "She left.",
        "Note the door, he said.",
        "***\n\nThe end.",
        "Edit the file, she said, or " + "wait " * 90,
    ],
)
def test_a_story_keeps_its_end(end: str) -> None:
    assert without_notes(f"{STORY}\n\n{end}") == (f"{STORY}\n\n{end}".strip(), False)


def test_what_reddit_took_away_is_no_post(tmp_path: Path) -> None:
    rows = [
        post("p1", "[ Removed by Reddit ]"), comment("c1", "t3_p1"), post("p2", "[deleted by user]"), comment("c2", "t3_p2"),
        post("p3", "[WP] A door &amp; a key"), comment("c3", "t3_p3", body="[ Removed by Reddit ]", score=900),
        comment("c4", "t3_p3", body=STORY + "\n\nEDIT: thanks", score=None, ups=40), comment("c5", "t3_p3", distinguished="moderator", score=99),
    ]  # fmt: skip
    (tmp_path / "dump.jsonl").write_bytes(lines(*rows))
    (example,) = run(tmp_path, Reddit(train=5), tmp_path / "out")
    assert [m.content for m in example.messages] == ["A door & a key", STORY.strip()]
    assert (example.meta.score, example.meta.transforms) == (40, ("label removed", NOTE_STEP))


def test_authored(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.yaml").write_text(
        "- {prompt: Help me lie., answer: I would rather not., group: A, refusal: true, tags: [malicious]}\n"
        "- {prompt: Plan my day., answer: Gladly., group: A, author: Ann}\n- {prompt: Test me., group: B}\n- {answer: no prompt, group: A}\n"
    )
    found = run(raw, Authored(train=5, group="A"), tmp_path / "out")
    assert [example.meta.tags for example in found] == [("malicious",), ()]
    assert found[1].meta.authors == ("Ann",)
    assert (found[0].meta.model_extra or {})["refusal"] is True
    (prompt,) = run(raw, Authored(test=5, group="B"), tmp_path / "test")
    assert prompt.is_prompt


def test_wikihow_layouts(tmp_path: Path) -> None:
    separate = tmp_path / "sep" / "wikihowSep.csv"
    separate.parent.mkdir()
    separate.write_text(
        "overview,headline,text,sectionLabel,title,category\n"
        "This article shows how.,Fill a pot.,Use cold water.,Boiling,How to Boil an Egg,Food\n"
        "This article shows how.,Heat it.,It takes a while.,Boiling,How to Boil an Egg,Food\n"
        "This article shows how.,Use old eggs.,They peel well.,Tips,How to Boil an Egg,Food\n"
    )
    (example,) = run(separate, WikiHow(train=3, rules=ANY), tmp_path / "a")
    assert [m.content for m in example.messages] == [
        "How to Boil an Egg?",
        "The following answer shows how.\n\n## Boiling\n\n1. Fill a pot. Use cold water.\n2. Heat it. It takes a while.",
    ]
    assert example.meta.category == "Food"
    whole = tmp_path / "wikihowAll.csv"
    whole.write_text(
        'headline,title,text\n"\nFill.,\nHeat.",How to Boil Milk1,"This article is short.\nFill it.\n"\n'
    )
    (example,) = run(whole, WikiHow(train=3, rules=ANY), tmp_path / "b")
    assert [m.content for m in example.messages] == [
        "How to Boil Milk?",
        "The following answer is short.\nFill it.",
    ]
    bad = tmp_path / "bad.csv"
    bad.write_text("x,y\n1,2\n")
    with pytest.raises(LimaError, match=r"bad.csv:1: no article in the columns x, y"):
        run(bad, WikiHow(train=3), tmp_path / "c")


needs_data = pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")


@needs_data
def test_real_files(tmp_path: Path) -> None:
    data = Path(os.environ["LIMA_DATA"])
    steps = run(data / "wikihow" / "sections.ndjson", WikiHow(train=10), tmp_path / "wikihow")
    assert len(steps) == 10
    assert all(
        e.messages[0].content.startswith("How to ") and "\n1. " in f"\n{e.messages[1].content}" for e in steps
    )
    assert not any(" ’ re " in e.messages[1].content for e in steps)
    titles = run(
        data / "reddit" / "AskReddit.csv",
        Reddit(subreddit="AskReddit", stories=False, test=70),
        tmp_path / "reddit",
    )
    assert len(titles) == 70
    tasks = run(data / "natural_instructions", SuperNaturalInstructions(train=50), tmp_path / "tasks")
    assert {e.id.split("/")[1].split("_")[0] for e in tasks} == {
        "task1290",
        "task1572",
        "task1590",
        "task1729",
        "task639",
    }
    columns = ColumnMap(prompt="Question", answer="Answer", score="Helpful")
    first_aid = run(
        data / "wikihow" / "firstaid_wikihow.csv", Table(train=20, columns=columns), tmp_path / "faq"
    )
    assert len(first_aid) == 20
