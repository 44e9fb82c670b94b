"""Reports: what they hold, how they are written and read, what the terminal shows."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from random_programs import identity
from rich.console import Console

from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.findings.finding import Finding
from snn_deploy.calibration.overflow import Overflow
from snn_deploy.calibration.report.measure import measure
from snn_deploy.calibration.report.report import (
    LABELS,
    SCHEMA,
    SOURCES,
    Report,
    Score,
    StepTime,
)
from snn_deploy.calibration.report.terminal import print_report, verdict
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.passes.place.limits import CHIP
from snn_deploy.toolchain.program.connections import DenseConnection
from snn_deploy.toolchain.program.host import Decoder, SpikeEncoder
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.program.recording import Recording

STEPS, SAMPLES, SIZES = 64, 5, {"in": 20, "conv_[/weird]": 5000, "dense": 1200}


def program() -> Program:
    return Program(
        inputs=(SpikeInput(name="in", shape=(20,)),),
        populations=tuple(
            Population(
                name=name,
                macs=45_000 if name == "dense" else 0,
                shape=(size,),
                decay_u=4095,
                decay_v=100,
                threshold=6400,
                bias=np.zeros(size, np.int32),
            )
            for name, size in list(SIZES.items())[1:]
        ),
        connections=tuple(
            DenseConnection(
                source=a, target=b, weight=np.zeros((SIZES[a], SIZES[b]), np.int16)
            )
            for a, b in zip(SIZES, list(SIZES)[1:])
        ),
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(
            graph=identity((1200,)), population="dense", amplitude=1.0, settle=0.016
        ),
        timing=Timing(dt=0.001, steps=STEPS),
    )


def recording() -> Recording:
    rng = np.random.default_rng(1)
    return Recording(
        target="loihi-emulator",
        kind="integer emulation",
        dt=0.001,
        steps=STEPS,
        counts={k: rng.integers(0, STEPS + 1, (SAMPLES, n)) for k, n in SIZES.items()},
        spikes={},
        output=np.zeros((SAMPLES, 1200)),
        wall_time=1.25,
    )


@pytest.fixture(scope="module")
def report() -> Report:
    return measure(
        program(),
        recording(),
        load_profile("loihi1_davies2018"),
        source="scenes, seed 1",
        scores=(
            Score(name="integer SNN", metric="mean IoU", value=0.8125, label="counted"),
            Score(name="constant box", metric="mean IoU", value=0.64, label="counted"),
        ),
        utilization={
            "dense": {"cores": (2, 128), "compartments": (1200, 131072)},
            CHIP: {"cores": (7, 128)},
        },
        overflows=(
            Overflow(
                population="dense",
                peak_q=9,
                bound_q=2**22,
                peak_u=9,
                bound_u=9,
                overflows=False,
            ),
        ),
        timings=(StepTime(name="quantize", seconds=0.5),),
    )


def shown(report: Report, width: int, **options: object) -> str:
    file = io.StringIO()
    print_report(report, Console(file=file, width=width), **options)
    return file.getvalue()


def test_a_report_says_how_its_figures_came_about(report):
    assert (report.target, report.kind) == ("loihi-emulator", "integer emulation")
    assert (report.samples, report.source) == (SAMPLES, "scenes, seed 1")
    assert (report.steps, report.dt, report.settle) == (STEPS, 0.001, 0.016)
    assert report.presentation == pytest.approx(0.064)
    assert report.energy.layers[1].name == report.layers[1].name == "conv_[/weird]"
    figures = {f.name for f in fields(Report)} - {"scores"}
    assert set(LABELS) <= figures
    assert set(LABELS) == set(SOURCES)
    assert LABELS["energy"] == "estimated"
    assert {term.mode for term in report.energy.terms} == {"estimated", "unavailable"}
    without_cores = {"traffic", "chip_time", "second_opinion"}
    assert set(report.unavailable) == {*without_cores, "skipped_updates"}


def test_a_report_survives_its_file_in_full_precision(report, tmp_path):
    path = tmp_path / "report.json"
    report.to_json(path)
    assert Report.from_json(path) == report
    table = json.loads(path.read_text())
    assert table["labels"]["layers"] == "counted"
    assert "fan-out" in table["sources"]["layers"]
    assert table["energy"]["title"] == "energy proxy, not a measurement"
    assert table["layers"][1]["mean_rate"]["hz"] == report.layers[1].mean_rate.hz
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_nothing_is_written_where_a_figure_is_not_a_number(report, tmp_path):
    score = replace(report.scores[0], value=float("nan"))
    with pytest.raises(DataError, match="NaN"):
        replace(report, scores=(score,)).to_json(tmp_path / "report.json")
    with pytest.raises(DataError, match="cannot be written"):
        report.to_json(tmp_path / "missing" / "report.json")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    code = "from pathlib import Path; import sys; from snn_deploy.calibration.report"
    code += ".report import write_files; write_files({Path(sys.argv[1]): b' ' * 4096})"
    line = 'ulimit -f 1; exec "$0" -c "$1" "$2"'
    words = ["sh", "-c", line, sys.executable, code, str(tmp_path / "report.json")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert "(File too large); make room, or name another place" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_is_refused(report, tmp_path):
    path = tmp_path / "report.json"
    replace(report, schema=SCHEMA + 1).to_json(path)
    with pytest.raises(DataError, match=f"schema is {SCHEMA + 1}.*newer snn-deploy"):
        Report.from_json(path)


@pytest.mark.parametrize(("schema", "what"), [(0, "no schema 0"), (1, "damaged")])
def test_what_is_no_report_of_its_schema_is_refused(report, tmp_path, schema, what):
    path = tmp_path / "report.json"
    replace(report, schema=schema).to_json(path)
    with pytest.raises(DataError, match=what):
        Report.from_json(path)


def test_break_even_is_read_from_the_macs_of_the_ann(report):
    a_mac = report.total.synaptic_operations / 45_000
    text = " ".join(shown(report, 110).split())
    assert f"sparsity {a_mac:.0f} synaptic operations a MAC" in text
    assert "published limits" in text
    unknown = replace(report.layers[2], macs=None)
    layers, total = (*report.layers[:2], unknown), replace(report.total, macs=None)
    alone = replace(report, layers=layers, total=total, opponents=None)
    text = shown(alone, 110)
    assert "the ANN's MACs are not known" in text and "published limits" not in text
    (row,) = (line for line in text.splitlines() if line.startswith("dense"))
    assert row.split()[-3] == "–"  # before the energy and its unit


def damage(table: dict, how: str) -> None:
    if how == "missing":
        del table["layers"][0]["silent"]
    elif how == "unknown":
        table["surprise"] = 1
    elif how == "text":
        table["dt"] = "fast"
    elif how == "truth":
        table["samples"] = True
    elif how == "label":
        table["scores"][0]["label"] = "guessed"
    elif how == "pair":
        table["utilization"][CHIP]["cores"] = [1, 2, 3]
    elif how == "null":
        table["layers"] = None
    elif how == "infinite":
        table["dt"] = -float("inf")
    elif how == "beyond floats":
        table["samples"] = 10**400


@pytest.mark.parametrize(
    "how",
    [
        *("missing", "unknown", "text", "truth", "label", "pair", "null"),
        *("infinite", "beyond floats"),
    ],
)
def test_a_damaged_report_is_one_clear_error(report, tmp_path, how):
    path = tmp_path / "report.json"
    report.to_json(path)
    table = json.loads(path.read_text())
    damage(table, how)
    path.write_text(json.dumps(table))
    with pytest.raises(DataError, match="it is damaged|cannot be read as JSON"):
        Report.from_json(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"a": 1}', "[" * 100_000])
def test_what_is_no_report_is_one_clear_error(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(DataError, match="report.json"):
        Report.from_json(path)
    with pytest.raises(DataError, match="cannot be read"):
        Report.from_json(tmp_path / "absent.json")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_shows_every_figure_whole_at_any_width(report, width):
    lines = {line.split()[0]: line.split() for line in table_of(shown(report, width))}
    dense = report.layers[2]
    joules = report.energy.layers[2].total.value
    assert lines["dense"] == [
        "dense",
        "1200",
        "2",
        f"{dense.mean_rate.per_step:.3f}",
        f"{100 * dense.silent:.0f}",
        f"{dense.spikes / 1e3:.1f}k",
        f"{dense.incoming_operations / 1e6:.0f}M",
        "45.0k",
        f"{joules * 1e3:.2f}",
        "mJ",
    ]
    assert "conv_[/weird]" in lines
    assert lines["core"][:5] == ["core", "in", "all", "6200", "7"]
    assert lines["encoder"] == ["encoder", "(host)", *"––––––", "0", "0", "J"]
    assert "…" not in shown(report, width)


def table_of(text: str) -> list[str]:
    """Its lines: between two that are empty."""
    return [line for line in text.split("\n\n")[1].splitlines() if line.strip()]


def test_the_table_fits_into_80_columns(report):
    assert max(map(len, table_of(shown(report, 80)))) <= 80
    long = "encoder_block_3_convolution_2_neurons"
    layers = tuple(
        replace(layer, name=f"{long}_{i}") for i, layer in enumerate(report.layers)
    )
    lines = table_of(shown(replace(report, layers=layers), 80))
    assert max(map(len, lines)) == 80
    assert [line.split()[0] for line in lines if "…" in line]
    assert f"{long}_0" in shown(replace(report, layers=layers), 80, wide=True)


def test_a_wide_table_has_every_figure(report):
    text = shown(report, 200, wide=True)
    lines = {line.split()[0]: line.split() for line in table_of(text)}
    dense = report.layers[2]
    assert lines["dense"][3:6] == [
        f"{rate.hz:.0f}"
        for rate in (dense.mean_rate, dense.median_rate, dense.p99_rate)
    ]
    assert lines["dense"][-9:-2] == [
        "6.00M",  # synapses
        "0",  # of them not 0
        "45.0k",
        "76.8k",  # updates
        "–",  # skipped: no spikes were kept
        "–",  # to cores: it is not placed
        f"{report.memory[1].bits / 8192:.0f}",
    ]
    words = " ".join(text.split())
    assert "Effective_ACs 0:" in words
    assert "traffic: the target places no neuron on a core" in words
    assert "synaptic operations [dynamic, estimated]" in words


def test_verdict_and_score_stand_first(report):
    first, second, *_ = shown(report, 110).splitlines()
    assert first.split()[:4] == ["verdict", "mean", "IoU", "0.812;"]
    assert second.startswith("score     mean IoU: integer SNN 0.812 (counted)")
    ann = Score(name="float ANN", metric="mean IoU", value=0.8425, label="counted")
    better = replace(report, scores=(*report.scores, ann))
    assert "mean IoU 0.812, 0.030 less than the float ANN" in verdict(better)
    assert "no score, since there are no labels" in verdict(replace(report, scores=()))
    dead = Finding(id="constant-answers", severity="error", message="all the same")
    worthless = replace(report, findings=(dead,))
    assert verdict(worthless) == "the answers are worth nothing: all the same"


def test_below_the_table_stands_what_the_figures_are(report):
    text = " ".join(shown(report, 110, next_steps=("snn-deploy compare X",)).split())
    for part in (
        "loihi-emulator (integer emulation) · 64 steps of 1 ms = 64 ms · read after",
        "5 samples: scenes, seed 1",
        "energy proxy, not a measurement: ",
        "synaptic operation 23.6 pJ [23.6–35.5, SIM]",
        "excluded: x86 cores, input and output,",
        "in 64 ms, assumed real time: 64 steps of 1 ms",
        "synaptic operations a MAC of the ANN that the core takes the place of",
        "dense: |q| reached 9 on the calibration data and could reach 4194304",
        "mean IoU: integer SNN 0.812 (counted) · constant box 0.640 (counted)",
        "next snn-deploy compare X",
    ):
        assert part in text, part


def test_findings_are_told_once_for_layers_of_which_the_same_holds(report):
    def saturated(layer: str) -> Finding:
        return Finding(
            id="saturated-layer",
            severity="warning",
            layer=layer,
            message=f"what {layer} does",
            fix="no --max-rate mends it",
        )

    dead = Finding(id="constant-answers", severity="error", message="all the same")
    found = (dead, saturated("a"), saturated("b"), saturated("c"))
    text = shown(replace(report, findings=found), 120)
    assert "error     all the same [constant-answers]" in text
    assert (
        "warning   a: what a does; likewise b, c; no --max-rate mends it "
        "[saturated-layer]" in text
    )


def test_a_report_without_cores_or_scores_prints(report):
    text = shown(replace(report, utilization={}, scores=(), overflows=()), 100)
    assert "–" in text and "\nscore " not in text


def test_reading_a_report_loads_no_framework():
    code = (
        "import sys\n"
        "import snn_deploy.calibration.report.picture\n"
        "import snn_deploy.calibration.report.terminal\n"
        "heavy = {'tensorflow', 'nengo', 'nengo_loihi', 'lava', 'matplotlib'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
