"""A sweep's file: what it names is what is tried, and what is wrong is one sentence."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_cases import space_of

from snn_deploy.commands.build import build
from snn_deploy.commands.sweep import asked, checks
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.sweeps.point import Outcome
from snn_deploy.sweeps.search import Listed, listed
from snn_deploy.sweeps.space import Range, Space
from snn_deploy.sweeps.study import Study
from snn_deploy.sweeps.workers import opened
from snn_deploy.toolchain.errors import DataError, TargetUnavailable

SPACE = """
model = "net.snn"
task = "classes"
scale = [0.5, 0.25]
seed = 3
objectives = ["score", "energy"]

[space]
steps = [16, "auto"]
weight-bits = { low = 3, high = 5 }
max-rate = ["default", 100]
"""


def test_a_grid_is_every_combination_and_the_last_option_is_the_quickest(tmp_path):
    space = space_of(tmp_path, SPACE)
    assert space.count == 2 * 3 * 2 and space.search == "grid"
    points = [space.options(chosen) for chosen in listed(space)]
    fixed = {"model": "net.snn", "task": "classes", "scale": "0.5,0.25"}
    assert points[0] == {**fixed, "steps": "16", "weight-bits": "3"}
    assert points[1] == {**points[0], "max-rate": "100"}
    assert points[-1]["steps"] == "auto" and points[-1]["weight-bits"] == "5"
    assert len({tuple(point.items()) for point in points}) == 12


def test_a_point_is_the_build_that_the_command_line_makes_of_it(tmp_path):
    space = space_of(tmp_path, SPACE)
    *_, last = listed(space)
    made = asked({"target": "lava", **space.options(last)})
    assert made.settings == Settings(auto_steps=True, weight_bits=5, max_rate=100.0)
    assert made.preprocessing.scale == (0.5, 0.25) and made.reading.kind == "classes"
    assert made.target == "lava" and made.model == Path("net.snn")


def test_a_file_beside_the_space_is_meant(tmp_path):
    (tmp_path / "net.snn").write_bytes(b"")
    fixed = space_of(tmp_path, SPACE).fixed
    assert fixed["model"] == str(tmp_path / "net.snn")


def test_yaml_says_the_same(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    text = """
    model: net.snn
    task: classes
    scale: [0.5, 0.25]
    seed: 3
    objectives: [score, energy]
    space:
      steps: [16, auto]
      weight-bits: {low: 3, high: 5}
      max-rate: [default, 100]
    """
    assert space_of(tmp_path, text, ".yaml") == space_of(tmp_path, SPACE)


def test_every_setting_of_a_build_can_vary(tmp_path):
    known = checks(tmp_path)
    left_out = {"out", "samples", "force", "stop-after", "json", "from-sweep"}
    every = {option[2:] for param in build.params for option in param.opts}
    assert left_out <= every and not left_out & set(known)
    settings = "steps dt encoder tau-syn max-rate min-potential calibrate budget"
    assert {*settings.split(), "weight-bits", "target", "device"} <= set(known)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = 3", r"no table \[space\]"),
        ("[space]", r"no table \[space\]"),
        ("space = 3", r"no table \[space\]"),
        ("[space]\nstep = [1]", "'step' is unknown in .space.; there are: .*steps"),
        ("speed = 1\n[space]\nsteps = [1]", "'speed' is unknown .*search"),
        ("steps = 8\n[space]\nsteps = [1]", "steps is named twice"),
        ("[space]\ndata = ['a', 'b']", "'data' in .space.: it stands once"),
        ("[space]\nsteps = []", "steps is an empty list"),
        ("[space]\nsteps = [0]", "steps is 0; .*0 is not in the range"),
        ("[space]\nsteps = [1.5]", "steps is 1.5; .*not a valid integer"),
        ("[space]\nsteps = [true]", "steps is True"),
        ("[space]\nsteps = [[1]]", r"steps is \[1\]; a number, a word"),
        ("[space]\nmin-potential = [nan]", "min-potential is nan; .*finite"),
        ("[space]\ncalibrate = ['best']", "calibrate is 'best'.*fast"),
        ("[space]\ncalibrate = {low=1, high=2}", "calibrate is 1"),
        ("[space]\nsteps = {low=1}", "range steps lacks low or high"),
        ("[space]\nsteps = {low=1, high=2, by=1}", "'by' is unknown"),
        ("[space]\nsteps = {low=4, high=2}", "goes from 4 to 2"),
        ("[space]\nsteps = {low=1, high=99, log=true}", "need a count"),
        ("[space]\nsteps = {low=1, high=9999999}", "steps is long; give it a count"),
        ("[space]\nsteps = {low=1, high=9, count=1}", "count is a whole number"),
        ("[space]\ntau-syn = {low=0, high=1, log=true}", "low is above 0"),
        ("[space]\ntau-syn = {low=0, high=1}", "tau-syn is a range; give it a count"),
        ("search = 'best'\n[space]\nsteps = [1]", "search is 'best'; one of grid"),
        ("points = 3\n[space]\nsteps = [1]", "a grid has all of its points"),
        ("samples = 0\n[space]\nsteps = [1]", "samples is 0"),
        ("seed = 1.0\n[space]\nsteps = [1]", "seed is 1.0"),
        ("objectives = ['speed']\n[space]\nsteps = [1]", "objectives are"),
        ("objectives = []\n[space]\nsteps = [1]", "objectives are"),
        ("objectives = 3\n[space]\nsteps = [1]", "objectives are 3"),
        ("[space", "cannot be read"),
        (f"[space]\nsteps = [{'0x' + 'f' * 5000}]", "steps is a int"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, text, said):
    with pytest.raises(DataError, match=said) as raised:
        space_of(tmp_path, text)
    assert "\n" not in str(raised.value) and str(tmp_path) in str(raised.value)


def test_a_few_lines_of_yaml_that_say_a_billion_words(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    inside = "x"
    for name in "abcdefghi":
        inside = (
            f"&{name} [{inside}{f', *{chr(ord(name) - 1)}' * 8 if name > 'a' else ''}]"
        )
    with pytest.raises(DataError, match=r"model is \[\[\[\.\.\.\]"):
        space_of(tmp_path, f"model: {inside}\nspace: {{steps: [1]}}", ".yaml")


def test_yaml_that_takes_minutes_is_too_long(tmp_path):
    flat = f"space: {{steps: [{'[' * 100 + ']' * 100}{',1' * 9000}]}}"
    with pytest.raises(DataError, match="more than 16384 bytes"):
        space_of(tmp_path, flat, ".yaml")


def test_a_name_too_long_for_a_file(tmp_path):
    found = space_of(tmp_path, f'model = "{"é" * 300}"\n[space]\nsteps = [1]')
    assert found.fixed["model"] == "é" * 300


def test_a_file_that_is_none(tmp_path):
    for name in ("missing.toml", "folder.toml", "space.txt"):
        (tmp_path / "folder.toml").mkdir(exist_ok=True)
        (tmp_path / "space.txt").write_text("")
        with pytest.raises(DataError, match=f"{name}.*(cannot be read|ends in)"):
            from snn_deploy.sweeps.reading import read_space

            read_space(tmp_path / name, checks(tmp_path), ())


@pytest.mark.parametrize("library", ["optuna", "distributed", "yaml"])
def test_a_library_that_is_missing_is_one_sentence(tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    space = Space(fixed={}, varied={"steps": (8, 16)}, search="bayes")
    with pytest.raises(TargetUnavailable, match=r"'snn-deploy\[sweep\]'") as raised:
        if library == "optuna":
            Study(space, {})
        elif library == "yaml":
            space_of(tmp_path, "", ".yaml")
        else:
            with opened(1, None):
                pass
    assert "\n" not in str(raised.value)


SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    st.sampled_from(["default", "auto", "fast", "grid", "score", 16, 0.005]),
)
KEYS = st.sampled_from(["low", "high", "log", "count", "by"])
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS | st.lists(SCALARS, max_size=1), max_size=3),
    st.dictionaries(KEYS, SCALARS, max_size=4),
)
NAMES = st.sampled_from([*checks(Path()), "points", "x"])
TABLES = st.fixed_dictionaries(
    {},
    optional={
        **{n: VALUES for n in ("points", "seed", "search", "objectives", "scale")},
        "space": st.dictionaries(NAMES, VALUES, max_size=3) | SCALARS,
    },
)


@settings(deadline=None)
@given(TABLES)
def test_whatever_a_file_holds_it_is_a_space_or_one_sentence(table):
    """YAML is a superset of JSON, in which any table can be written."""
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    with tempfile.TemporaryDirectory() as folder:
        try:
            space = space_of(Path(folder), json.dumps(table), ".yaml")
        except DataError as error:
            assert "\n" not in str(error) and len(str(error)) < 1200
            return
    assert space.varied and (space.count >= 1)
    assert json.loads(json.dumps(space.noted())) == space.noted()


@settings(deadline=None)
@given(
    st.floats(1e-6, 1e6),
    st.floats(1.001, 1e6),
    st.booleans(),
    st.floats(0, 1),
)
def test_a_range_stays_within_its_ends(low, times, log, share):
    found = Range(low=low, high=low * times, log=log)
    value = found.at(share)
    assert low <= value <= low * times
    assert value in (found.low, found.high, float(f"{value:.4g}"))


def test_a_range_with_a_count_is_a_list(tmp_path):
    text = "[space]\nmax-rate = {low=100, high=900, log=true, count=3}\n"
    text += "steps = {low=8, high=64, log=true, count=4}"
    assert dict(space_of(tmp_path, text).varied) == {
        "max-rate": (100.0, 300.0, 900.0),
        "steps": (8, 16, 32, 64),
    }


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 5), st.booleans())
def test_random_points_differ_and_more_of_them_begin_with_the_same(more, seed, endless):
    varied = {
        "steps": (8, 16, 32, 64),
        "tau-syn": Range(low=0, high=0.01) if endless else (0.0, 0.002, 0.005),
    }

    def points(count: int) -> list[dict[str, str]]:
        space = Space(fixed={}, varied=varied, search="random", points=count, seed=seed)
        return [space.options(chosen) for chosen in listed(space)]

    found = points(more)
    assert len(found) == (more if endless else min(more, 12))
    assert len({tuple(point.items()) for point in found}) == len(found)
    assert points(max(1, more // 2)) == found[: max(1, more // 2)]


def test_finished_points_are_not_asked_for():
    space = Space(fixed={}, varied={"steps": (8, 16, 32)})
    done = Outcome(number=1, options={}, figures=None, error="no", seconds=0)
    search = Listed(space, {1: done})
    first, second, none = search.ask(), search.ask(), search.ask()
    assert none is None and (first.number, second.number) == (0, 2)
    assert second.options == {"steps": "32"} and math.isfinite(space.size)
