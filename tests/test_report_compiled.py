"""The report of a compiled network: bytes, instructions, and what is missing."""

from __future__ import annotations

import json

import pytest
from c_programs import needs_compiler
from shown_networks import shown
from test_cortex_m import needs_tools
from test_page import Page, at
from test_report_schema import valid

from snn_deploy.calibration.report.page.formats import formatted
from snn_deploy.calibration.report.report import Report
from snn_deploy.targets.c.sizes import sizes_of
from snn_deploy.targets.c.source import Source
from snn_deploy.targets.cortex_m.image import STACK
from snn_deploy.toolchain.bundle.bundle import load_bundle


def read(target: str) -> tuple[dict, Report]:
    """report.json of a build on this target, as JSON and as a Report."""
    path = shown("classes", target) / "report.json"
    table = json.loads(path.read_text())
    valid(table)
    return table, Report.from_json(path)


def assert_on_page(target: str) -> None:
    """Bytes and instructions stand on the page, each with its place in report.json."""
    table = json.loads((shown("classes", target) / "report.json").read_text())
    page = Page((shown("classes", target) / "report.html").read_bytes())
    places = {pointer: (form, text) for pointer, form, text in page.figures}
    asked = [
        "/firmware/flash",
        "/firmware/ram",
        "/firmware/by_layer",
        "/labels/firmware",
    ]
    if table["instructions"]:
        asked += ["/instructions", "/labels/instructions"]
    for pointer in asked:
        form, text = places[pointer]
        assert text == formatted(at(table, pointer), form)


@needs_tools
def test_of_a_board_bytes_are_counted_and_instructions_simulated(monkeypatch):
    monkeypatch.delenv("SNN_DEPLOY_BOARD", raising=False)
    table, report = read("cortex-m")
    sizes = sizes_of(Source(program_of("cortex-m")))
    assert table["labels"]["firmware"] == "counted"
    assert table["labels"]["instructions"] == "simulated"
    assert report.firmware.device == "mps2-an385 (cortex-m3), emulated by QEMU"
    assert 0 <= report.firmware.ram - STACK - sizes.ram < 64
    assert 0 < report.firmware.flash - sizes.flash < 6000
    assert report.firmware.by_layer == sizes.by_layer
    steps = report.steps * report.total.neurons
    assert len(report.instructions) == min(report.samples, 16)
    assert all(steps < each < 1000 * steps for each in report.instructions)
    for figure in ("board_time", "board_energy"):
        assert "QEMU counts" in report.unavailable[figure]
    assert_on_page("cortex-m")


@needs_compiler
def test_here_bytes_are_counted_and_instructions_are_unavailable():
    _, report = read("c")
    sizes = sizes_of(Source(program_of("c")))
    assert (report.firmware.flash, report.firmware.ram) == (sizes.flash, sizes.ram)
    assert report.instructions == ()
    assert report.unavailable["instructions"].endswith("run it on cortex-m")
    assert_on_page("c")


def test_on_a_target_without_a_compiler_there_is_nothing_of_it():
    table, report = read("reference")
    assert report.firmware is None and table["instructions"] == []
    assert "instructions" not in report.unavailable


@needs_tools
@pytest.mark.parametrize("verb", ["report", "run"])
def test_the_terminal_says_both(verb, run_cli, capsys, monkeypatch):
    monkeypatch.delenv("SNN_DEPLOY_BOARD", raising=False)
    folder = shown("classes", "cortex-m")
    words = {
        "report": ("report", folder),
        "run": ("run", folder / "program.snn", "--target", "cortex-m", "--samples", 2),
    }
    assert run_cli(*words[verb]) == 0
    said = capsys.readouterr()
    text = " ".join((said.out + said.err).split())
    assert "bytes of flash and" in text and "instructions an inference" in text


def program_of(target: str):
    """The Program of the build."""
    return load_bundle(shown("classes", target) / "program.snn").program
