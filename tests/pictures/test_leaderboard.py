"""Rows of a leaderboard: how they are read, compared and drawn."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.pictures.leaderboard import Entry, Fixed, axis_of, entries, fixed_of
from adaptive_middleware.pictures.shares import compared, shares
from adaptive_middleware.pictures.style import drawn, mark
from adaptive_middleware.pictures.tradeoff import marks, tradeoff
from tests.pictures.rows import TOKENS, VERIFIED, row


@pytest.mark.parametrize(
    ("policy", "fixed"),
    [
        ("fixed:n=8", Fixed(8, "")),
        ("fixed:n=8,select=majority", Fixed(8, "majority")),
        ("fixed:n=8,select=calibrated-vote", Fixed(8, "calibrated-vote")),
        ("fixed N, argmax, PRM only; N = 8", Fixed(8, "argmax, PRM only")),
        ("fixed N as a cap, stop at success; cap 64", Fixed(64, "as a cap, stop at success")),
        ("fixed N, majority; chosen to match fixed 16, argmax", None),
        ("fixed N, all tried; chosen to match cap 64, stop at success", None),
        ("fixed N=8, argmax", Fixed(8, "argmax")),
        ("Fixed n = 16, select = argmax", Fixed(16, "argmax")),
        ("fixed:n=4,select=majority,max=4", Fixed(4, "majority")),
        ("optimal-stopping:n=8", None),
        ("prefixed:n=8", None),
        ("fixed", None),
    ],
)
def test_fixed_rows_are_known_by_their_names(policy: str, fixed: Fixed | None) -> None:
    assert fixed_of(policy) == fixed


@pytest.mark.parametrize(
    ("policy", "family"),
    [
        ("optimal-stopping:target=0.9", "optimal-stopping"),
        ("optimal stopping, PRM only, argmax: target 0.9, price 0.01", "optimal stopping, PRM only, argmax"),
        ("Beta vote, confidence 0.9, cap 16", "Beta vote"),
        ("IAS (raw score)", "IAS"),
        ("IAS, raw score; C = 0.99: cap 16", "IAS, raw score"),
        ("oracle: stops at the first right answer; cap 16", "oracle: stops at the first right answer"),
        (": nothing before it", ": nothing before it"),
    ],
)
def test_a_family_is_the_name_without_its_settings(policy: str, family: str) -> None:
    assert entries([row("r", policy, 0.5, 1.0)])[0].family == family


def test_recordings_without_tokens_are_compared_by_samples() -> None:
    assert axis_of(entries(TOKENS)) == "generated_tokens"
    assert axis_of(entries(VERIFIED)) == "samples"
    assert axis_of(entries([row("r", "p", 0.5, 3.0, generated_tokens=0)])) == "samples"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"policy": 3}, "row 1 policy is 3, not a name"),
        ({"recording": " "}, "recording is ' '"),
        ({"accuracy": 1.2}, r"accuracy is 1.2, not in \[0, 1\]"),
        ({"accuracy": float("nan")}, "accuracy is nan, not a finite number"),
        ({"accuracy": None}, "accuracy is None"),
        ({"accuracy": True}, "accuracy is True"),
        ({"accuracy_ci95": 0.5}, r"accuracy_ci95 is 0.5, not \[low, high\]"),
        ({"accuracy_ci95": [0.6, 0.4]}, "the low end is above the high one"),
        ({"samples": -1}, "samples is -1, not at least 0"),
        ({"share_at_equal_accuracy": "35 %"}, "share_at_equal_accuracy is '35 %'"),
    ],
)
def test_a_row_that_cannot_be_drawn_is_named(change: Mapping[str, Any], says: str) -> None:
    with pytest.raises(AdaptiveError, match=says):
        entries([{**row("r", "p", 0.5, 1.0), **change}])


@pytest.mark.parametrize("key", list(row("r", "p", 0.5, 1.0)))
def test_a_key_that_is_missing_is_named(key: str) -> None:
    rows = [TOKENS[0], {name: value for name, value in TOKENS[1].items() if name != key}]
    with pytest.raises(AdaptiveError, match=f"row 2 has no '{key}'"):
        entries(rows)


def test_no_rows_are_refused() -> None:
    with pytest.raises(AdaptiveError, match="no rows"):
        entries([])


ABSENT = {"recording": "gone", "policy": "absent", "accuracy": None, "accuracy_ci95": None}


def test_recordings_that_were_absent_are_left_out() -> None:
    assert entries([ABSENT, *TOKENS]) == entries(TOKENS)


def test_a_leaderboard_of_absent_recordings_is_refused() -> None:
    with pytest.raises(AdaptiveError, match="all 2 recordings of the leaderboard were absent"):
        entries([ABSENT, ABSENT])


def test_further_keys_are_ignored() -> None:
    assert entries([row("r", "p", 0.5, 1.0, note="x")]) == entries([row("r", "p", 0.5, 1.0)])


def test_two_dozen_series_are_told_apart_without_colour() -> None:
    looks = [mark(number) for number in range(24)]
    assert len({(look.marker, look.filled) for look in looks}) == 24
    assert mark(24) == mark(0)


def test_curves_take_their_marks_before_points_do() -> None:
    assert list(marks(entries(TOKENS))) == [
        "fixed N",
        "fixed N, majority",
        "agreement",
        "optimal-stopping",
        "oracle",
    ]


def axes_of(own: tuple[Entry, ...]) -> Axes:
    with drawn():
        figure = Figure()
        tradeoff(own, "name", "Title").draw(figure)
    return figure.axes[0]


def lines_of(own: tuple[Entry, ...]) -> list[list[list[float]]]:
    return [np.asarray(line.get_xydata(), dtype=float).tolist() for line in axes_of(own).lines]


def test_a_curve_joins_the_rows_of_its_selection_in_the_order_of_cost() -> None:
    curves = [np.array(line) for line in lines_of(entries(TOKENS)) if len(line) == 4]
    rising = np.array([[100, 0.35], [200, 0.4], [400, 0.5], [800, 0.7]])
    assert curves[0] == pytest.approx(rising)
    assert curves[-1] == pytest.approx(rising - [0, 0.1])


def test_points_carry_their_intervals() -> None:
    ends = [
        np.asarray(path.vertices).ravel().tolist()
        for whiskers in axes_of(entries(TOKENS)).collections
        for path in whiskers.get_paths()
    ]
    assert [240.0, 0.4, 240.0, 0.6] in ends


@pytest.mark.parametrize(
    ("costs", "scale"), [((100, 800), "log"), ((100, 500), "linear"), ((0, 800), "linear")]
)
def test_wide_costs_are_drawn_on_a_logarithmic_axis(costs: tuple[float, float], scale: str) -> None:
    own = entries([row("r", f"p{cost}", 0.5, float(cost)) for cost in costs])
    assert axes_of(own).get_xscale() == scale


def test_rows_of_unknown_cost_are_in_the_table_only() -> None:
    own = entries([*VERIFIED, row("p3", "lost", 0.9, 1.0, samples=None, generated_tokens=None)])
    picture = tradeoff(own, "name", "Title")
    assert picture.table.rows[-1] == ("lost", "90.0\u00a0%", "80.0 to 100.0\u00a0%", *["–"] * 4, "0")
    assert max(x for line in lines_of(own) for x, _ in line) == 4


def test_the_words_keep_rules_and_oracle_apart() -> None:
    said = tradeoff(entries(TOKENS), "name", "Title").finding
    assert "Best fixed N: fixed:n=8, 70.0\u00a0% (60.0 to 80.0\u00a0%) with 800 generated tokens." in said
    assert "Most accurate rule: optimal-stopping:target=0.9, 80.0\u00a0%" in said
    assert "Bound with perfect knowledge: oracle: stops at the first right answer, 90.0\u00a0%" in said


def test_shares_are_sorted_and_their_words_leave_the_oracle_out() -> None:
    own = entries(TOKENS)
    assert {name: [entry.share for entry in found] for name, found in compared(own).items()} == {
        "oracle": [0.1],
        "agreement": [0.4, 1.2],
    }
    picture = shares(own, "name", "Title")
    assert [row[1] for row in picture.table.rows] == ["10.0\u00a0%", "40.0\u00a0%", "120.0\u00a0%"]
    said = shares(own, "name", "Title").finding
    assert "at the same accuracy: 1 of 2." in said
    assert "The least: agreement:confidence=0.9, 40.0\u00a0% at 50.0\u00a0% accuracy." in said
    assert said.endswith("1 more cannot be compared: no fixed N has their accuracy.")


def test_rules_without_fixed_rows_claim_no_best_fixed_n() -> None:
    own = entries([row("r", "rule", 0.5, 1.0, share_at_equal_accuracy=1.0)])
    assert tradeoff(own, "name", "Title").finding.startswith("Most accurate rule: rule")
    assert tradeoff(entries(TOKENS[:1]), "name", "Title").finding.startswith("Best fixed N")


def test_an_oracle_alone_wins_nothing() -> None:
    own = entries([row("r", "oracle: x", 0.5, 1.0, share_at_equal_accuracy=0.5)])
    assert shares(own, "name", "Title").finding.endswith("0 of 0.")


def test_bars_end_at_the_cheapest_setting_and_points_stand_for_all() -> None:
    with drawn():
        figure = Figure()
        shares(entries(TOKENS), "name", "Title").draw(figure)
    (axes,) = figure.axes
    assert [patch.get_width() for bars in axes.containers for patch in bars] == [0.1, 0.4]
    points = [np.asarray(line.get_xydata(), dtype=float).tolist() for line in axes.lines]
    assert points[:2] == [[[0.1, 0.0], [0.4, 1.0]], [[1.2, 1.0]]]


def test_fixed_n_that_was_chosen_is_in_the_table_but_neither_a_rule_nor_a_point() -> None:
    chosen = row("math", "fixed N, argmax; chosen to match fixed 4, argmax", 0.99, 777.0)
    own = entries([*TOKENS, {**chosen, "share_at_equal_accuracy": 0.01}])
    assert own[-1].baseline
    assert not own[-1].rule
    picture = tradeoff(own, "name", "Title")
    assert picture.table.rows[-1][0] == chosen["policy"]
    assert "99.0" not in picture.finding
    assert 777.0 not in {x for line in lines_of(own) for x, _ in line}
    assert compared(own) == compared(entries(TOKENS))


@pytest.mark.parametrize(("selections", "bands"), [(3, 3), (4, 2)])
def test_of_many_curves_only_the_first_and_the_highest_show_their_bands(selections: int, bands: int) -> None:
    own = [
        row("r", f"fixed:n={n},select=s{i}", 0.1 * i + 0.01 * n, n) for i in range(selections) for n in (1, 2)
    ]
    assert len(axes_of(entries(own)).collections) == bands


@pytest.mark.parametrize(("share", "label"), [(0.5, "cheaper"), (1.0, "not cheaper")])
def test_the_legend_of_the_bars_names_only_what_occurs(share: float, label: str) -> None:
    with drawn():
        figure = Figure()
        shares(entries([row("r", "p", 0.5, 1.0, share_at_equal_accuracy=share)]), "name", "Title").draw(
            figure
        )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [label]
