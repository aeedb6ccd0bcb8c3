import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptive_middleware.errors import ConfigError
from adaptive_middleware.scoring.device import Computed
from adaptive_middleware.scoring.rows import Row
from bench.scoring import page, targets
from bench.scoring.__main__ import RESULTS, SHAPES, main
from bench.scoring.clients import Locked, Timer
from bench.scoring.machine import DeviceClock, HostClock, Machine, open_machine
from bench.scoring.measure import Reference, measure
from bench.scoring.report import Report, as_json
from bench.scoring.run import engine_of, run
from bench.scoring.shapes import SHAPES as KNOWN
from bench.scoring.shapes import build, precise
from bench.scoring.ways import WAYS, Models, Scored
from bench.scoring.workload import Setting, workload

CPU = torch.device("cpu")
SETTING = Setting(3, 16, 12, 3, ragged=True)


class Marks:
    """Marks of a device whose time goes on by one millisecond with each thing that is recorded."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __call__(self) -> "Marks.Mark":
        return Marks.Mark(self)

    @dataclass
    class Mark:
        marks: "Marks"
        at: int = 0

        def record(self) -> None:
            self.marks.log.append("record")
            self.at = len(self.marks.log)

        def synchronize(self) -> None:
            self.marks.log.append("wait")

        def elapsed_time(self, end_event: Any) -> Any:
            return end_event.at - self.at


@pytest.fixture(scope="module")
def gpu_like() -> Report:
    """The tiny shape with all that a GPU run does, on the CPU, timed by marks that are not a clock."""
    machine = Machine(CPU, True, 1, DeviceClock(Marks()), "a CPU that is treated as a GPU", "marks")
    return run(KNOWN["tiny"], machine, quick=False, log=lambda _: None)


def test_quick_json_has_the_documented_keys_and_the_ratios_of_tokens_by_hand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--shape", "tiny", "--device", "cpu", "--threads", "1", "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = {"incremental_vs_rescoring", "shared_prompt_vs_batch", "packed_vs_one_by_one"}
    assert found["device"] == "cpu"
    assert found["max_abs_dp"] <= 1e-5
    assert found["max_abs_dp_dtype"] == "float32"
    assert set(found["ratios"]) == names
    assert all(ratio > 0 for ratio in found["ratios"].values())
    n, p, length, steps = 4, 16, 8, 2
    rescored = n * (steps * p + length // steps * steps * (steps + 1) // 2)
    kept = p + n * length
    assert found["token_ratios"] == {
        "incremental_vs_rescoring": round(rescored / kept, 3),
        "shared_prompt_vs_batch": n * (p + length) / kept,
        "packed_vs_one_by_one": 1.0,
    }
    assert {row["case"] for row in found["rows"]} == {f"standard: N={n} P={p} L={length} S={steps} (even)"}


def test_every_way_gives_the_scores_of_float32_one_by_one() -> None:
    network = build(KNOWN["tiny"], CPU, torch.float32)
    models, load = Models(network, engine_of(network)), workload(SETTING)
    timings = measure([make(models, load) for make in WAYS.values()], HostClock(lambda: 0.0), 1)
    reference = Reference(network, SETTING.answers)
    assert len(timings) == len(WAYS)
    assert max(reference.gap(timing) for timing in timings) <= 1e-5


def test_scores_depend_on_the_context_and_are_spread() -> None:
    network = build(KNOWN["tiny"], CPU, torch.float32)
    models, load = Models(network, engine_of(network)), workload(Setting(16, 16, 12, 3))
    scored = next(WAYS["one by one"](models, load).stages())().logits
    values = torch.tensor(scored).softmax(dim=-1)[:, 1]
    assert values.std() > 0.02
    assert values.min() > 0
    assert values.max() < 1


def test_a_wrong_score_shows_as_a_difference() -> None:
    network = build(KNOWN["tiny"], CPU, torch.float32)
    models, load = Models(network, engine_of(network)), workload(SETTING)
    (timing,) = measure([WAYS["shared prompt"](models, load)], HostClock(lambda: 0.0), 1)
    swapped = Scored([list(reversed(logits)) for logits in timing.scored.logits])
    assert Reference(network, 3).gap(replace(timing, scored=swapped)) > 1e-3


def test_an_engine_that_computes_other_tokens_than_the_formulas_say_is_refused() -> None:
    network = build(KNOWN["tiny"], CPU, torch.float32)
    way = WAYS["incremental"](Models(network, engine_of(network)), workload(SETTING))
    wrong = replace(way, own=(*way.own[:-1], way.own[0]))
    with pytest.raises(ArithmeticError, match="incremental: the engine computed"):
        measure([wrong], HostClock(lambda: 0.0), 1)


def test_a_way_listed_twice_has_twice_the_rounds_and_the_median_of_all() -> None:
    ticks = iter([0, 1, 0, 2, 0, 6, 0, 7])
    network = build(KNOWN["tiny"], CPU, torch.float32)
    way = WAYS["padded batch"](Models(network, engine_of(network)), workload(SETTING))
    (timing,) = measure([way, way], HostClock(lambda: float(next(ticks))), 2)
    assert timing.rounds == ((1000.0,), (2000.0,), (6000.0,), (7000.0,))
    assert timing.ms == 4000.0


def test_the_reference_has_the_same_weights_in_float32() -> None:
    network = build(KNOWN["tiny"], CPU, torch.bfloat16)
    copy = precise(network)
    assert {weights.dtype for weights in copy.trunk.parameters()} == {torch.float32}
    pairs = zip(network.trunk.parameters(), copy.trunk.parameters(), strict=True)
    assert all(torch.equal(one.float(), other) for one, other in pairs)


def test_work_is_marked_on_both_sides_and_waited_for() -> None:
    marks = Marks()
    clock = DeviceClock(marks)
    assert clock(lambda: marks.log.append("work")) == (2.0, None)
    assert marks.log == ["record", "work", "record", "wait"]


def test_a_gpu_run_measures_every_case_and_crowd(gpu_like: Report) -> None:
    found = as_json(gpu_like)
    assert found["max_abs_dp_dtype"] == found["ratios_dtype"] == "bfloat16"
    assert gpu_like.max_abs_dp <= 1.5e-2
    assert {line.case.partition(":")[0] for line in gpu_like.rows} == {"standard", "B3", "B4 S=3"}
    assert [line.way for line in gpu_like.crowds] == ["engine", "5 ms timer", "lock"]
    assert all(line.kv_bytes == 0 for line in gpu_like.rows if "padded" in line.way)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_without_a_gpu_cuda_is_refused_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--shape", "7b", "--device", "cuda"]) == 1
    assert "sees no CUDA device here: run on a machine with an NVIDIA GPU" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="take --device cpu"):
        open_machine("cuda", 1)


def test_writing_replaces_one_block_and_leaves_the_others(tmp_path: Path, gpu_like: Report) -> None:
    old = page.rewritten("", "cpu", "135m", "the block\n")
    new = page.rewritten(old, "cuda", "7b", page.measured(gpu_like))
    assert "<!-- cpu 135m -->\nthe block\n<!-- end of cpu 135m -->" in new
    assert page.absent("cuda", "7b") not in new
    assert page.absent("cuda", "1.5b") in new
    again = page.rewritten(new, "cuda", "7b", page.absent("cuda", "7b"))
    assert again == old
    file = tmp_path / "R.md"
    assert main(["--shape", "tiny", "--write", str(file)]) == 0
    assert file.read_text(encoding="utf-8").endswith("<!-- end of cpu tiny -->\n")


def test_every_line_of_a_table_has_its_columns(gpu_like: Report) -> None:
    for text in (page.measured(gpu_like), page.absent("cuda", "7b")):
        for table in text.split("\n\n"):
            widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
            assert len(widths) <= 1


def test_the_page_says_not_run_exactly_as_the_plans_say() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    for device, shape in page.BLOCKS:
        block = text.partition(f"<!-- {device} {shape} -->\n")[2].partition("<!-- end")[0]
        assert page.command(device, shape, 1) in block
        assert "Not run." not in block or block == page.absent(device, shape)


def test_targets_are_read_from_the_lines_they_name(gpu_like: Report) -> None:
    lines = {(line.case.partition(":")[0], line.way): line for line in gpu_like.rows}
    by_about = {goal.about: goal for goal in targets.of("cuda", "7b", quick=False)}
    assert by_about["MFU of B3, shared prompt"].value(gpu_like) == lines["B3", "shared prompt"].mfu
    worst = by_about["incremental step over its floor, worst of B4"]
    assert worst.value(gpu_like) == 1 / lines["B4 S=3", "incremental"].roofline
    assert not worst.met(gpu_like)
    assert by_about["max dp, bfloat16"].met(gpu_like)


def test_a_quick_run_shows_the_targets_that_need_no_full_table(gpu_like: Report) -> None:
    quick = replace(gpu_like, rows=())
    shown = targets.of("cuda", "7b", quick=True)
    assert [goal.about for goal in shown] == ["max dp, bfloat16"]
    assert shown[0].met(quick)


def test_a_quick_run_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--shape", "tiny", "--quick", "--write"])
    assert "leave out --quick" in capsys.readouterr().err


def test_the_command_line_names_the_shapes_there_are() -> None:
    assert set(SHAPES) == set(KNOWN)


class Counting:
    """A device that notes the rows of each call."""

    def __init__(self) -> None:
        self.calls: list[list[Row]] = []

    def outputs(self, rows: Sequence[Row], /) -> Computed:
        self.calls.append(list(rows))
        return Computed(((),) * len(rows), (0,) * len(rows))

    def close(self) -> None:
        """Nothing is held."""


ROWS = [Row((index,), (0,)) for index in range(3)]


def test_the_timer_scores_in_one_call_all_rows_that_came_while_it_ran() -> None:
    device = Counting()

    def pause(_: float) -> None:
        for client in late:
            client.start()
        while len(timer._open.rows) < len(ROWS):
            time.sleep(0)

    timer = Timer(device, pause)
    late = [threading.Thread(target=timer, args=(row,)) for row in ROWS[1:]]
    timer(ROWS[0])
    for client in late:
        client.join()
    assert [sorted(row.ids for row in call) for call in device.calls] == [[(0,), (1,), (2,)]]


def test_the_lock_scores_row_by_row() -> None:
    device = Counting()
    ask = Locked(device)
    for row in ROWS:
        ask(row)
    assert device.calls == [[row] for row in ROWS]
