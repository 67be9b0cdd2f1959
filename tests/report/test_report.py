"""The report as a file: same bytes twice, escaped, self-contained, and honest about what is not there."""

import hashlib
import json
import re
import shutil
import sys
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lima.errors import LimaError
from lima.files import read_jsonl, sha256, write_jsonl
from lima.records import Grade, Key, Preference
from lima.report.numbers.analysis import analyse
from lima.report.numbers.study import read_study
from lima.report.report import report
from lima.report.settings import ReportSettings

OUTPUTS = ("report.html", "report.json", "figures/preferences.svg", "figures/gaps.svg",
           "figures/helpfulness.svg", "figures/quality.svg", "figures/safety.svg")  # fmt: skip


def settings(study: Path, **values: object) -> ReportSettings:
    return ReportSettings.model_validate({"study": study, "rounds": 200, **values})


class Tags(HTMLParser):
    """All start tags with their attributes, and whether every element was closed."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())


def page(study: Path) -> str:
    return (study / "report.html").read_text()


def test_the_same_study_gives_the_same_bytes(reported: Path) -> None:
    before = {name: sha256(reported / name) for name in OUTPUTS}
    report(settings(reported))
    assert {name: sha256(reported / name) for name in OUTPUTS} == before


def test_the_page_is_well_formed_and_self_contained(reported: Path) -> None:
    found = Tags(page(reported))
    assert found.open == []
    assert not [tag for tag, _ in found.tags if tag in ("link", "img", "iframe", "object")]
    for _, attributes in found.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name)
            behind = target is not None and (reported / target).parent == reported / "report_rows"
            assert target is None or target.startswith("#") or (behind and (reported / target).is_file()), (
                target
            )
    assert "@import" not in page(reported)
    assert "url(http" not in page(reported)
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    anchors = [str(attributes["href"]) for tag, attributes in found.tags if tag == "a"]
    assert all(anchor[1:] in ids for anchor in anchors if anchor.startswith("#"))


def test_tables_and_figures_are_accessible(reported: Path) -> None:
    tags = Tags(page(reported)).tags
    svgs = [attributes for tag, attributes in tags if tag == "svg"]
    assert len(svgs) == 12  # six figures, wide and narrow; the ranking is drawn into its table
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in svgs)
    headers = [attributes for tag, attributes in tags if tag == "th"]
    assert all("scope" in attributes for attributes in headers)
    assert '<html lang="en">' in page(reported)


def test_without_matplotlib_the_tables_say_everything(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report(settings(study))
    with_figures = (study / "report.json").read_bytes()
    assert list((study / "figures").glob("*.svg"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as where it is not installed
    report(settings(study))
    assert (study / "report.json").read_bytes() == with_figures
    assert not list((study / "figures").glob("*.svg"))  # none of a former report is left
    assert "<svg" not in page(study)
    assert "Figures are left out: matplotlib was not installed." in page(study)
    assert "They need matplotlib: pip install" in capsys.readouterr().err
    assert Tags(page(study)).open == []


def test_texts_are_escaped(reported: Path) -> None:
    """A prompt and every judge reply of the fixture hold a script element and template braces."""
    assert page(reported).count("<script") == 1  # the page's own
    assert "&lt;script&gt;" in page(reported)
    assert "{{ 7 * 7 }}" in page(reported)


def test_the_only_script_is_the_one_that_the_policy_names_by_its_hash(reported: Path) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page(reported), re.DOTALL)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page(reported))
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")


def test_a_judges_own_words_and_settings_are_printed(reported: Path) -> None:
    assert "A plumbing check." in page(reported)
    assert "0a1b2c3d" in page(reported)


def test_figures_are_svg_that_follow_the_mode_in_the_page_only(reported: Path) -> None:
    for name in OUTPUTS[2:]:
        root = ElementTree.parse(reported / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(--" not in (reported / name).read_text()
        assert "<dc:date>" not in (reported / name).read_text()
    svg = page(reported)[page(reported).index("<svg") : page(reported).index("</svg>")]
    assert "var(--ink)" in svg
    assert not re.search(r"#[0-9a-f]{6}", svg)


def test_every_input_is_named_with_its_hash(reported: Path) -> None:
    for name in ("comparisons", "items", "key", "preferences", "grades", "raters"):
        assert sha256(reported / f"{name}.jsonl") in page(reported)
    assert sha256(reported / "protocol.yaml") in page(reported)


def test_low_coverage_is_said_first(study: Path, reported: Path) -> None:
    assert page(reported).index("Read this first") < page(reported).index('id="verdict"')
    numbers = report(settings(study, coverage=0.5))
    assert numbers.warnings == []
    assert "Read this first" not in page(study)


def test_changed_keys_are_said_first(study: Path) -> None:
    keys = list(read_jsonl(study / "key.jsonl", Key))
    write_jsonl(study / "key.jsonl", reversed(keys))
    numbers = report(settings(study, coverage=0))
    assert numbers.warnings == ["key.jsonl or systems.json changed after the study was made."]


def test_a_report_that_fails_halfway_leaves_no_numbers_alone(study: Path) -> None:
    (study / "figures").write_text("a file is in the way")
    with pytest.raises(OSError, match="figures"):
        report(settings(study))
    assert not (study / "report.json").exists()


def test_no_verdict_at_all(texts_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (texts_only / "tables.md").write_text("from a former report")
    numbers = report(settings(texts_only))
    assert not list(texts_only.glob("tables.*"))
    assert "wrote" in (said := capsys.readouterr().err)
    assert "tables." not in said
    assert numbers.findings == []
    assert "No usable verdict yet" in page(texts_only)
    assert "Nobody has answered yet" in page(texts_only)
    assert not list(texts_only.glob("figures/*.svg"))
    Tags(page(texts_only))


@pytest.mark.parametrize("absent", ["preferences.jsonl", "grades.jsonl"])
def test_only_one_kind_of_verdict(study: Path, absent: str) -> None:
    report(settings(study))
    (study / absent).write_text("")
    numbers = report(settings(study))
    assert bool(numbers.findings) == (absent == "grades.jsonl")
    assert bool(numbers.helpfulness) == (absent == "preferences.jsonl")
    assert (study / "figures" / "helpfulness.svg").exists() == (absent == "preferences.jsonl")
    Tags(page(study))


def test_all_missing_is_no_number(study: Path) -> None:
    rows = [
        row.model_copy(update={"label": None, "status": "error"})
        for row in read_jsonl(study / "preferences.jsonl", Preference)
    ]
    write_jsonl(study / "preferences.jsonl", rows)
    (study / "grades.jsonl").unlink()
    numbers = report(settings(study))
    assert "There is no usable verdict on tuned against base yet." in re.sub(
        r"</?span[^>]*>", "", page(study)
    )
    assert all(pair.result.n == 0 for pair in numbers.pairs)
    assert "NaN" not in (study / "report.json").read_text()


def test_every_json_number_has_n_level_and_method(reported: Path) -> None:
    estimates = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if "method" in value and "value" in value:
                estimates.append(value)
            for entry in value.values():
                walk(entry)
        elif isinstance(value, list):
            for entry in value:
                walk(entry)

    walk(json.loads((reported / "report.json").read_text()))
    assert len(estimates) > 100
    assert all(x["n"] >= 1 and x["level"] == 0.95 and x["method"] for x in estimates)


def test_another_level_and_first_system(study: Path) -> None:
    numbers = report(settings(study, level=0.9, system="base"))
    assert numbers.findings[0].system == "base"
    assert numbers.findings[0].baseline == "tuned"
    assert "90\u202f%" in page(study)
    assert "--level 0.9" in page(study)


def test_the_sample_is_drawn_by_id(study: Path) -> None:
    report(settings(study, samples=10))
    shown = re.findall(r'class="item" id="([^"]+)"', page(study))
    assert len(shown) == 10
    assert sum(name.startswith("cmp-") for name in shown) == 5
    report(settings(study, samples=10))
    assert re.findall(r'class="item" id="([^"]+)"', page(study)) == shown
    assert "5 of 80, drawn at random (seed 0)" in page(study)


def test_names_of_systems_are_text_and_nothing_else(study: Path) -> None:
    names = {"tuned": "--><script>alert(1)</script>", "base": "x$\\frac$ & <b>"}
    for file in ("key.jsonl", "systems.json"):
        text = (study / file).read_text()
        for plain, hostile in names.items():
            text = text.replace(f'"{plain}"', json.dumps(hostile))
        (study / file).write_text(text)
    report(settings(study))
    drawn = [path.read_text() for path in (study / "figures").glob("*.svg")]
    assert drawn
    assert not any("<script" in text for text in drawn)
    assert page(study).count("<script") == 1
    assert "alert(1)</script" not in page(study)


def test_out_may_lie_elsewhere(study: Path, tmp_path: Path) -> None:
    report(settings(study, out=tmp_path / "there"))
    assert (tmp_path / "there" / "report.html").exists()
    assert not (study / "report.html").exists()


def test_dry_run_writes_nothing(study: Path) -> None:
    before = sorted(study.rglob("*"))
    report(settings(study, dry_run=True))
    assert sorted(study.rglob("*")) == before


# -- bad input -----------------------------------------------------------------------------------------


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match=r"neither comparisons.jsonl nor items.jsonl. 'lima compare'"):
        report(settings(tmp_path))


def test_a_missing_key(study: Path) -> None:
    (study / "key.jsonl").unlink()
    with pytest.raises(LimaError, match=r"key.jsonl: no row for 'cmp-000-1'"):
        report(settings(study))


def test_rows_of_another_study(study: Path) -> None:
    stranger = Grade(id="x", item_id="item-999", rater="author:01", scale="quality", value="pass")
    write_jsonl(study / "grades.jsonl", [stranger])
    with pytest.raises(LimaError, match=r"'item-999', which items.jsonl does not have"):
        report(settings(study))


def test_a_malformed_line(study: Path) -> None:
    with (study / "preferences.jsonl").open("a") as stream:
        stream.write('{"id": "x"\n')
    with pytest.raises(LimaError, match=r"preferences.jsonl:\d+: not JSON"):
        report(settings(study))


def test_an_unknown_system(study: Path) -> None:
    with pytest.raises(LimaError, match="There are: tuned, base, scratch"):
        report(settings(study, system="nobody"))


def test_systems_json_of_the_wrong_shape(study: Path) -> None:
    (study / "systems.json").write_text('{"systems": ["tuned"]}')
    with pytest.raises(LimaError, match="each with a 'name'"):
        report(settings(study))


def test_a_study_elsewhere_gives_the_same_numbers(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other" / study.name
    shutil.copytree(study, copy)
    first, second = (analyse(read_study(folder), settings(folder)) for folder in (study, copy))
    assert first == second
