"""``snn-deploy diff``: what changed between two builds, and rules for CI."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import fitted, save, stripes
from test_beside import made

from snn_deploy.calibration.difference.difference import difference
from snn_deploy.calibration.difference.figures import Side, read_side
from snn_deploy.calibration.difference.rules import judged, parse_rule
from snn_deploy.calibration.difference.shown import as_html, as_markdown
from snn_deploy.toolchain.errors import DataError


@pytest.fixture(scope="module")
def builds(tmp_path_factory) -> tuple[Path, Path]:
    """The same network built for 32 steps and for 48."""
    from snn_deploy.deploy import build, write
    from snn_deploy.pipeline.compilation import Settings

    folder = tmp_path_factory.mktemp("builds")
    x, y = stripes(120)
    model = save(folder / "stripes.snn", fitted(x, np.eye(3)[y]))
    np.savez(folder / "stripes.npz", x=x, y=y)
    for name, steps in (("short", 32), ("long", 48)):
        made = build(
            "reference",
            model,
            folder / "stripes.npz",
            settings=Settings(steps=steps),
        )
        write(made, folder / name)
    return folder / "short", folder / "long"


def side(path: str = "a", layers: tuple[str, ...] = (), **figures: float) -> Side:
    return Side(path=path, facts={}, figures=figures, layers=layers)


def holds(rule: str, before: float, after: float) -> bool:
    return judged(parse_rule(rule), side(x=before), side(x=after)).holds


def test_two_builds_beside_each_other(builds, run_cli, capsys):
    assert run_cli("diff", *builds) == 0
    told = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert "steps 32 48" in lines
    assert any(re.match(r"spikes .* \+\d+\.\d %$", line) for line in lines)
    assert any(line.startswith("neurons ") for line in lines)  # the layer's name
    figures = told[: told.index("Model, data, configuration")].splitlines()[2:]
    assert max(map(len, figures)) <= 80


def test_a_build_and_itself(builds, run_cli, capsys):
    short, _ = builds
    for path in (short, short / "report.json", short / "program.snn"):
        assert run_cli("diff", short, path, "--fail-if", "spikes change") == 0
        told = capsys.readouterr().out
        assert "nothing differs" in told
        assert "FAILS" not in told


def test_json_has_every_figure_and_fact_and_they_are_those_of_the_reports(
    builds, run_cli, capsys
):
    run_cli("diff", *builds, "--format", "json")
    table = json.loads(capsys.readouterr().out)
    figures = {figure["name"]: figure for figure in table["figures"]}
    short, long = (json.loads((b / "report.json").read_text()) for b in builds)
    assert figures["spikes"]["a"] == short["total"]["spikes"]
    assert figures["spikes"]["b"] == long["total"]["spikes"]
    layer = figures["neurons.synaptic_operations"]
    assert layer["layer"] == "neurons"
    assert layer["b"] == long["layers"][0]["synaptic_operations"]
    assert figures["score"]["a"] == short["scores"][0]["value"]
    facts = {fact["name"]: fact for fact in table["facts"]}
    assert (facts["steps"]["a"], facts["steps"]["b"]) == ("32", "48")
    assert facts["tool_version"]["a"] == short["tool_version"]
    assert facts["energy.profile.name"]["a"] == "loihi1_davies2018"
    assert not table["fails"]


def test_a_rule_that_holds_ends_with_1_in_every_format(builds, run_cli, capsys):
    short, long = builds
    rule = ("--fail-if", "spikes grow 5 %")
    for form in ("terminal", "json", "markdown", "html"):
        assert run_cli("diff", short, long, *rule, "--format", form) == 1
        assert "spikes grow 5 %" in capsys.readouterr().out
        assert run_cli("diff", long, short, *rule, "--format", form) == 0
        capsys.readouterr()


def test_several_rules_and_one_that_holds(builds, run_cli, capsys):
    rules = ("score drops 1", "neurons change", "neurons.spikes grow")
    words = [word for rule in rules for word in ("--fail-if", rule)]
    assert run_cli("diff", *builds, *words) == 1
    told = capsys.readouterr().out
    assert told.count("passes") == 2
    assert told.count("FAILS") == 1


@pytest.mark.parametrize(
    ("rule", "before", "after", "wanted"),
    [
        ("x drops 0.01", 0.71, 0.70, True),
        ("x drops 0.01", 0.71, 0.701, False),
        ("x drops 0.01", 0.71, 0.80, False),
        ("x grows 5 %", 100, 105, True),
        ("x grows 5%", 100, 104.9, False),
        ("x grows 5 %", -100, -95, True),
        ("x grows 5 %", 0, 1, True),
        ("x grows 5 %", 0, 0, False),
        ("x falls", 2, 1.999, True),
        ("x falls", 2, 2, False),
        ("x changes", 2, 2, False),
        ("x changes 0", 2, 2, False),
        ("x differs 10 %", 20, 17, True),
        ("x changes 1e-3", 1, 1.01, True),
    ],
)
def test_when_a_rule_holds(rule, before, after, wanted):
    assert holds(rule, before, after) is wanted


@given(
    before=st.integers(-99, 99), after=st.integers(-99, 99), amount=st.integers(0, 99)
)
def test_what_grows_one_way_drops_the_other(before, after, amount):
    rule = f"x {{}} {amount}"
    assert holds(rule.format("grows"), before, after) == holds(
        rule.format("drops"), after, before
    )
    either = holds(rule.format("grows"), before, after) or holds(
        rule.format("drops"), before, after
    )
    assert holds(rule.format("changes"), before, after) == either


@pytest.mark.parametrize("text", ["score", "drops 1", "score drops much", "x grows -1"])
def test_what_is_no_rule(text):
    with pytest.raises(DataError, match="write 'score drops 0.01'"):
        parse_rule(text)


def test_an_unknown_quantity_is_told_with_those_there_are(builds, run_cli, capsys):
    assert run_cli("diff", *builds, "--fail-if", "spikse grow 5 %") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "has no quantity 'spikse'" in told
    assert "synaptic_operations" in told
    assert "did you mean 'spikes'" in told
    assert "neurons.spikes" in told


def test_scores_of_two_metrics_are_not_one_quantity():
    a, b = (
        Side(path=m, facts={"score": m}, figures={"score": 0.5}, layers=())
        for m in ("accuracy", "mean IoU")
    )
    with pytest.raises(DataError, match="accuracy in 'accuracy' and mean IoU"):
        judged(parse_rule("score drops 0.1"), a, b)


def test_cores_of_one_population_have_names_of_their_own(tmp_path):
    report = made()
    report.to_json(tmp_path / "report.json")
    figures = read_side(tmp_path / "report.json").figures
    assert len(report.chip_time.cores) > len(report.layers)
    for core in report.chip_time.cores:
        name = f"{core.population} chip {core.chip} core {core.number}"
        assert figures[f"chip_time.cores.{name}.synapses"] == core.synapses
    for each in report.opponents.against:
        assert figures[f"opponents.against.{each.name}.factor"] == each.factor
    assert figures["chip_time.inference"] == report.chip_time.inference.value


def test_a_program_alone_has_facts_and_no_figures(builds, tmp_path):
    alone = tmp_path / "other.snn"
    shutil.copy(builds[0] / "program.snn", alone)
    read = read_side(alone)
    assert read.figures == {}
    assert "integers neurons" in read.facts
    with pytest.raises(DataError, match="none, since there is no report"):
        judged(parse_rule("spikes grow"), read, read)


def test_one_weight_more_is_seen(builds, tmp_path):
    from snn_deploy.toolchain.bundle.bundle import load_bundle, save_bundle

    bundle = load_bundle(builds[0] / "program.snn")
    first, *others = bundle.program.populations
    bias = first.bias.copy()
    bias[0] += 1
    program = replace(bundle.program, populations=(replace(first, bias=bias), *others))
    save_bundle(tmp_path / "program.snn", replace(bundle, program=program))
    found = difference(read_side(builds[0]), read_side(tmp_path / "program.snn"))
    differing = [f.name for f in found.facts if not f.same and f.b is not None]
    assert differing == [f"integers {first.name}"]


def test_where_there_is_nothing(tmp_path, run_cli, capsys):
    assert run_cli("diff", tmp_path, tmp_path) == 2
    assert "neither report.json nor program.snn" in capsys.readouterr().err


def test_names_from_files_are_escaped_everywhere():
    name = "<script>alert(1)</script>|x\x1b[2J"
    a = side("<b>a</b>", (name,), **{f"{name}.spikes": 1.0, "spikes": 1.0})
    b = side("b", (name,), **{f"{name}.spikes": 2.0, "spikes": 2.0})
    found = difference(a, b)
    page, markdown = as_html(found), as_markdown(found)
    assert "<script" not in page
    assert "<script" not in markdown
    assert "\x1b" not in page + markdown
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    row = next(line for line in markdown.splitlines() if "alert" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 6  # five cells


def test_the_page_asks_for_nothing():
    page = as_html(difference(side(), side()))
    assert not re.search(r"<script|<link|<img|https?:|@import|url\(", page)
