"""What every report page promises: one file, no network, readable by everyone."""

import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from PIL import Image

from adaptive_middleware import pictures
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.errors import AdaptiveError, CalibrationError
from adaptive_middleware.pictures import calibration_report, leaderboard_report
from adaptive_middleware.pictures.style import ROLES
from tests.calibration.world import answers, examples
from tests.pictures.reading import Read, read
from tests.pictures.rows import HOSTILE, TOKENS, row


def opened(page: Path) -> Read:
    return read(page.read_text("utf-8"))


def test_a_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not opened(page).named("script", "link", "img", "iframe", "object", "base")
    assert all(
        value.startswith("#")
        for tag in opened(page).tags
        for name, value in tag.attributes.items()
        if name in {"src", "href", "xlink:href"}
    )
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "@import" not in text
    assert "http:" not in text
    assert "https:" not in text
    assert "default-src 'none'" in text


def test_every_picture_has_a_name_a_description_and_a_table(page: Path) -> None:
    found = opened(page)
    pictures = found.named("svg")
    named = {tag.attributes["id"]: tag.name for tag in found.tags if "id" in tag.attributes}
    for picture in pictures:
        assert picture.attributes["role"] == "img"
        title, description = picture.attributes["aria-labelledby"].split()
        assert (named[title], named[description]) == ("title", "desc")
    assert all(len(text) > 30 for text in found.text("desc"))
    tables = [tag for tag in found.named("table") if "details" in tag.inside]
    assert len(tables) == len(pictures) > 1


def test_ids_are_unique_and_every_reference_finds_its_own(page: Path) -> None:
    ids = opened(page).ids()
    assert len(ids) == len(set(ids))
    text = page.read_text("utf-8")
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', text)) <= set(ids)


def test_headings_never_skip_a_level(page: Path) -> None:
    levels = [int(tag.name[1]) for tag in opened(page).tags if re.fullmatch("h[1-6]", tag.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_scroll_in_a_box_of_their_own_and_have_headers(page: Path) -> None:
    found = opened(page)
    boxes = [tag for tag in found.named("div") if tag.attributes.get("class") == "scroll"]
    assert len(boxes) == len(found.named("table")) == len(found.named("caption"))
    assert all(tag.attributes["tabindex"] == "0" and tag.attributes["aria-label"] for tag in boxes)
    assert {tag.attributes.get("scope") for tag in found.named("th")} == {"col", "row"}


def test_a_page_fits_a_phone_and_follows_the_colour_scheme(page: Path) -> None:
    text = page.read_text("utf-8")
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in text
    assert "prefers-color-scheme: dark" in text
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]+|[a-z]+)", drawings)) <= {"none", "var", "url"}
    assert set(re.findall(r"font-family: ([^;\"]+)", drawings)) == {"inherit"}
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(ROLES)


def test_text_is_escaped_and_what_no_page_can_hold_is_replaced(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert "\x00" not in text
    said = " ".join(content for _, content in opened(page).texts)
    assert "</title><script>alert('&')</script> $x^2_\\frac$ \ufffd \ufffd 漢字" in said


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_the_web_guidelines_do() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_but_the_rules_reads_as_text_in_both_schemes(scheme: int) -> None:
    paper = ROLES["paper"][scheme]
    ratios = {role: contrast(pair[scheme], paper) for role, pair in ROLES.items()}
    assert {role for role, ratio in ratios.items() if ratio < 4.5} == {"paper", "rule"}


@pytest.mark.parametrize(
    ("fixture", "names"),
    [
        (
            "calibration_page",
            {
                "coverage",
                "reliability",
                "reliability-finished",
                "reliability-partial",
                "reliability-question",
                "scores",
            },
        ),
        (
            "leaderboard_page",
            {
                "accuracy-1-math",
                "share-1-math",
                "accuracy-2-p3",
                "accuracy-3-title-script-alert-script-x-2-frac",
                "share-3-title-script-alert-script-x-2-frac",
            },
        ),
    ],
)
def test_each_picture_is_also_a_file_of_its_own(
    fixture: str, names: set[str], request: pytest.FixtureRequest
) -> None:
    page: Path = request.getfixturevalue(fixture)
    files = {file.name for file in (page.parent / "pictures").iterdir()}
    assert files == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    for name in names:
        root = ET.parse(page.parent / "pictures" / f"{name}.svg").getroot()  # noqa: S314 - our own file
        assert root.attrib["role"] == "img"
        with Image.open(page.parent / "pictures" / f"{name}.png") as image:
            points = [float(side) for side in root.attrib["viewBox"].split()[2:]]
            assert image.size == pytest.approx([2 * 96 / 72 * side for side in points], abs=1)
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")}


def test_the_same_numbers_give_the_same_bytes_whatever_style_the_user_has_set(
    tmp_path: Path, calibration: Calibration
) -> None:
    def report(out: Path) -> dict[str, bytes]:
        leaderboard_report(out / "leaderboard", title="T", rows=TOKENS)
        rows = answers(12, 4, seed=3)
        calibration_report(out / "calibration", title="T", facts=[], calibration=calibration, held_out=rows)
        return contents(out)

    plain = report(tmp_path / "plain")
    with mpl.rc_context({"lines.linewidth": 9, "axes.grid": False, "font.size": 30}):
        assert report(tmp_path / "styled") == plain
    assert len(plain) == (1 + 2 * 2) + (1 + 3 * 2)


def test_a_new_report_replaces_the_old_one_and_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    leaderboard_report(tmp_path, title="first", rows=TOKENS[:1])
    page = leaderboard_report(tmp_path, title="second", rows=TOKENS[:1])
    assert opened(page).text("h1") == ["second"]
    assert {file.name for file in tmp_path.iterdir()} == {"notes.txt", "pictures", "report.html"}


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AdaptiveError, match="the report cannot be written"):
        leaderboard_report(tmp_path / "file", title="T", rows=TOKENS[:1])
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_file_that_cannot_be_replaced_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(AdaptiveError, match="the report cannot be written"):
        leaderboard_report(tmp_path, title="T", rows=TOKENS[:1])
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_no_examples_are_refused_before_anything_is_written(tmp_path: Path, calibration: Calibration) -> None:
    with pytest.raises(CalibrationError, match="no examples"):
        calibration_report(tmp_path / "out", title="T", facts=[], calibration=calibration, held_out=[])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_answers_that_all_end_alike_and_few_problems_are_drawn_without_claims(
    tmp_path: Path, calibration: Calibration, right: float
) -> None:
    rows = [e for e in examples(40, seed=2) if e.kind == "finished" and e.success == right][:4]
    page = calibration_report(tmp_path, title="T", facts=[], calibration=calibration, held_out=rows)
    said = " ".join(opened(page).text("desc"))
    assert "AUROC" not in said
    assert "too few problems for intervals" in said
    assert "nan" not in page.read_text("utf-8")


def test_names_wider_than_the_chart_leave_the_chart_its_room(tmp_path: Path) -> None:
    rows = [row("r", f"{'W' * 200}; {n}", 0.5, n, share_at_equal_accuracy=0.5) for n in (1.0, 2.0)]
    page = leaderboard_report(tmp_path, title="T", rows=rows)
    assert len(opened(page).named("svg")) == 2


def test_drawing_leaves_the_drawing_library_as_it_was(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    leaderboard_report(tmp_path, title="T", rows=TOKENS[:1])
    assert dict(mpl.rcParams) == before


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_no_window_library_and_no_global_figure_is_ever_loaded() -> None:
    done = run("import sys, adaptive_middleware.pictures; print('matplotlib.pyplot' in sys.modules)")
    assert done.stdout.strip() == "False"


def test_the_import_names_the_extra_where_the_library_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"adaptive-middleware\[report\]") as raised:
        runpy.run_path(str(Path(pictures.__file__)))
    assert raised.value.name == "matplotlib"


def test_without_the_library_the_import_names_the_extra_in_one_line() -> None:
    done = run("import sys; sys.modules['matplotlib'] = None; import adaptive_middleware.pictures")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: matplotlib is not installed")
    assert "pip install 'adaptive-middleware[report]'" in last


def test_a_title_keeps_what_can_be_shown(calibration_page: Path) -> None:
    shown: Sequence[str] = opened(calibration_page).text("h1")
    assert "".join(shown) == f"A calibration {HOSTILE}".replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
