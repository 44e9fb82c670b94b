"""The verdict: how many spikes agree, and which is the first that does not."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import identity, programs, simulate_oracle, stimuli
from rich.console import Console

from snn_deploy.__main__ import main
from snn_deploy.calibration.report.divergence_picture import save_divergence
from snn_deploy.calibration.report.verdict import blame, print_verdict, to_json
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.program.connections import DenseConnection
from snn_deploy.toolchain.program.host import BoolArray, Decoder, SpikeEncoder, encode
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.program.recording import Recording
from snn_deploy.toolchain.verdict.compare import (
    Difference,
    Tolerances,
    Verdict,
    compare,
    first_difference,
)
from snn_deploy.toolchain.verdict.expected import Expected
from snn_deploy.toolchain.verdict.history import (
    AFTER,
    BEFORE,
    histories,
    membrane_history,
)

FLOW = ("in", "hidden", "out")


def recording(spikes: Mapping[str, BoolArray], target: str = "a") -> Recording:
    samples, steps, _ = spikes["in"].shape
    return Recording(
        target=target,
        kind="integer emulation",
        dt=0.001,
        steps=steps,
        counts={name: s.sum(axis=1) for name, s in spikes.items()},
        spikes=spikes,
        output=np.zeros((samples, 1)),
        wall_time=0.0,
    )


def random_spikes(seed: int = 0) -> dict[str, BoolArray]:
    rng = np.random.default_rng(seed)
    return {n: rng.random((3, 10, k)) < 0.3 for n, k in zip(FLOW, (4, 6, 2))}


def flipped(spikes: Mapping[str, BoolArray], *places: tuple) -> dict[str, BoolArray]:
    """A copy with a spike more or less at each (population, sample, step, neuron)."""
    changed = {name: s.copy() for name, s in spikes.items()}
    for name, *place in places:
        changed[name][tuple(place)] ^= True
    return changed


def differing(verdict: Verdict) -> dict[str, dict[str, int]]:
    """Other target → population → places that differ."""
    found: dict[str, dict[str, int]] = {}
    for row in verdict.populations:
        found.setdefault(row.target, {})[row.population] = row.differing
    return found


def test_equal_recordings_have_no_difference():
    spikes = random_spikes()
    verdict = compare([recording(spikes, t) for t in "abc"], FLOW)
    assert verdict.agrees and verdict.first is None
    assert verdict.targets == ("a", "b", "c")
    assert (verdict.samples, verdict.steps) == (3, 10)
    assert verdict.spikes == sum(int(s.sum()) for s in spikes.values())
    assert verdict.compared == 2 * 3 * 10 * (4 + 6 + 2)
    assert differing(verdict) == {t: dict.fromkeys(FLOW, 0) for t in "bc"}


@pytest.mark.parametrize(
    ("places", "first"),
    [
        # an earlier step comes before everything
        ([("in", 0, 5, 0), ("out", 2, 4, 1)], ("out", 4, 2, 1)),
        # then the population that comes first in the flow
        ([("out", 0, 5, 0), ("hidden", 2, 5, 5)], ("hidden", 5, 2, 5)),
        # then the sample
        ([("in", 2, 5, 0), ("in", 1, 5, 3)], ("in", 5, 1, 3)),
        # then the neuron
        ([("in", 1, 5, 3), ("in", 1, 5, 2)], ("in", 5, 1, 2)),
    ],
)
def test_the_first_difference_is_the_earliest_in_time_then_in_flow(places, first):
    a = random_spikes()
    b = flipped(a, *places)
    found = first_difference(recording(a), recording(b, "b"), FLOW)
    population, step, sample, neuron = first
    spiking, silent = "ab" if a[population][sample, step, neuron] else "ba"
    assert found == Difference(spiking, silent, population, step, sample, neuron)
    assert str(found).startswith(
        f"population {population!r}, step {step}, sample {sample}, neuron {neuron}: "
    )


def test_differing_spikes_are_counted_by_target_and_population():
    a = random_spikes()
    b = flipped(a, ("in", 0, 0, 0), ("out", 0, 0, 0), ("out", 1, 1, 1))
    c = flipped(a, ("hidden", 2, 9, 5))
    trio = [recording(a), recording(b, "b"), recording(c, "c")]
    verdict = compare(trio, FLOW)
    assert not verdict.agrees
    assert [verdict.differing(target) for target in "bc"] == [3, 1]
    assert differing(verdict) == {
        "b": {"in": 1, "hidden": 0, "out": 2},
        "c": {"in": 0, "hidden": 1, "out": 0},
    }
    assert (verdict.first.population, verdict.first.step) == ("in", 0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), flips=st.integers(1, 5))
def test_the_first_difference_is_that_of_a_plain_search(seed, flips):
    rng = np.random.default_rng(seed)
    a = random_spikes(seed)
    names = rng.choice(FLOW, flips)
    b = flipped(a, *((n, *rng.integers(a[n].shape)) for n in names))
    places = [
        (step, FLOW.index(name), sample, neuron)
        for name in FLOW
        for sample, step, neuron in np.argwhere(a[name] != b[name]).tolist()
    ]
    found = first_difference(recording(a), recording(b), FLOW)
    if not places:  # two flips of one place
        assert found is None
        return
    order = (found.step, FLOW.index(found.population), found.sample, found.neuron)
    assert order == min(places)


def chain() -> Program:
    """Spike input → hidden → out, of weights that make both fire."""
    rng = np.random.default_rng(1)

    def connection(source: str, target: str, shape: tuple[int, int]) -> DenseConnection:
        weight = 2 * rng.integers(-60, 128, shape)
        return DenseConnection(
            source=source, target=target, weight=weight.astype(np.int16)
        )

    def population(name: str, size: int) -> Population:
        return Population(
            name=name,
            shape=(size,),
            decay_u=4095,
            decay_v=100,
            threshold=12_800,
            bias=np.zeros(size, np.int32),
        )

    return Program(
        inputs=(SpikeInput(name="in", shape=(8,)),),
        populations=(population("hidden", 6), population("out", 3)),
        connections=(
            connection("in", "hidden", (8, 6)),
            connection("hidden", "out", (6, 3)),
        ),
        encoder=SpikeEncoder(population="in", max_rate=400.0),
        decoder=Decoder(graph=identity((3,)), population="out", amplitude=0.001),
        timing=Timing(dt=0.001, steps=40),
    )


def test_one_flipped_bit_of_one_weight_is_found():
    """The highest bit of one mantissa: population, step and sample are named."""
    program = chain()
    connection = program.connections[1]
    weight = connection.weight.copy()
    weight[2, 1] ^= 128
    damaged = replace(
        program,
        connections=(program.connections[0], replace(connection, weight=weight)),
    )
    damaged.check()
    samples = np.random.default_rng(2).random((3, 8))
    stimulus = encode(program.encoder, samples, 40, 0.001)
    runs = [
        recording({**stimulus.spikes, **simulate_oracle(p, stimulus)}, name)
        for p, name in ((program, "reference"), (damaged, "damaged"))
    ]
    verdict = compare(runs, FLOW)
    assert verdict.spikes > 100
    found = differing(verdict)["damaged"]
    assert found["in"] == found["hidden"] == 0 < found["out"]
    first = verdict.first
    assert first.population == "out" and first.neuron == 1
    sent = runs[0].spikes["hidden"][first.sample, : first.step, 2]
    assert sent.any()  # the changed weight's source had spiked before
    # the histories are of the intact program: of the two, the damaged one is wrong
    both = histories(program, samples, runs, first)
    assert list(both) == ["reference", "damaged"]
    (line,) = blame(first, both)
    assert "damaged is wrong here" in line


def test_recordings_of_other_runs_are_refused():
    spikes = random_spikes()
    shorter = {name: s[:, :5] for name, s in spikes.items()}
    with pytest.raises(DataError, match="'in'.*same samples and steps"):
        compare([recording(spikes), recording(shorter, "b")], FLOW)
    counts_only = replace(recording(spikes, "b"), spikes={})
    with pytest.raises(DataError, match="None of b"):
        compare([recording(spikes), counts_only], FLOW)
    with pytest.raises(DataError, match="needs two targets"):
        compare([recording(spikes)], FLOW)


# --- float simulations ---------------------------------------------------------------

GIVEN = Tolerances(rate=0.15, output=0.1)


def simulated(a: Recording, more: float = 0.0, output: float = 0.0) -> Recording:
    """A float simulation of the same, with more spikes everywhere, as a share."""
    return replace(
        a,
        target="float",
        kind="float simulation",
        counts={name: counts * (1 + more) for name, counts in a.counts.items()},
        spikes={name: np.roll(s, 1, axis=1) for name, s in a.spikes.items()},
        output=a.output + output,
    )


@pytest.mark.parametrize(
    ("more", "output", "rates_agree", "outputs_agree"),
    [
        (0.0, 0.0, True, True),
        (0.15, 0.0, True, True),
        (-0.15, 0.2, True, True),
        (0.16, 0.0, False, True),
        (-0.16, 0.0, False, True),
        (0.0, 0.21, True, False),
    ],
)
def test_float_simulations_are_held_to_tolerances(
    more, output, rates_agree, outputs_agree
):
    """Of mean rates and outputs; that their spikes differ is no difference."""
    a = replace(recording(random_spikes()), output=np.full((3, 1), -2.0))
    b = simulated(a, more * (1 - 1e-9), output * (1 - 1e-9))
    verdict = compare([a, b], FLOW, GIVEN)
    assert verdict.first is None and verdict.differing("float") > 0
    assert {row.agrees for row in verdict.populations} == {rates_agree}
    assert {row.held_to for row in verdict.populations} == {"tolerance"}
    (found,) = verdict.outputs
    assert found.agrees == outputs_agree and found.largest == 2.0
    assert found.difference == pytest.approx(output)
    assert verdict.agrees == (rates_agree and outputs_agree)


def test_tolerances_are_given_and_kept_for_every_pair_with_a_float_simulation():
    a = recording(random_spikes())
    b = simulated(a, 0.3, 0.0)
    assert compare([a, b], FLOW, Tolerances(rate=0.31)).agrees
    assert compare([b, a], FLOW, Tolerances(rate=0.31)).agrees
    assert not compare([a, b], FLOW, Tolerances(rate=0.29)).agrees
    mixed = compare([a, b, replace(a, target="c")], FLOW, GIVEN)
    assert [o.held_to for o in mixed.outputs] == ["tolerance", "equality"]


def ranges(fewest: float, most: float) -> dict[str, Expected]:
    """How often the float simulation's neurons must fire, beside what they did."""
    counts = {name: s.sum(axis=1) for name, s in random_spikes().items()}
    return {
        "float": Expected(
            fewest={name: c + fewest for name, c in counts.items()},
            most={name: c + most for name, c in counts.items()},
        )
    }


def test_a_float_simulation_is_held_to_what_its_neurons_must_fire():
    a = recording(random_spikes())
    b = simulated(a)
    inside = compare([a, b], FLOW, expected=ranges(-0.5, 0.5))
    assert inside.agrees and {row.stray for row in inside.populations} == {0.0}
    few = compare([a, b], FLOW, expected=ranges(0.1, 0.5))  # 3 samples × 4, 6, 2 of 0.1
    strays = [row.stray for row in few.populations]
    assert strays == pytest.approx([1.2, 1.8, 0.6]) and few.agrees  # up to two spikes
    many = compare([b, a], FLOW, expected=ranges(-2.0, -0.5))  # whichever is first
    assert [row.stray for row in many.populations] == pytest.approx([6.0, 9.0, 3.0])
    assert not many.agrees
    with pytest.raises(DataError, match="'float' must fire.*--rate-tolerance"):
        compare([a, b], FLOW)


def test_answers_that_are_classes_agree_where_they_are_the_same_classes():
    rng = np.random.default_rng(0)
    a = replace(recording(random_spikes()), output=rng.random((3, 4)))
    larger = replace(simulated(a), output=50 * a.output)
    other = larger.output.copy()
    other[1] = -other[1]
    for b, same in ((larger, 3), (replace(larger, output=other), 2)):
        wide = ranges(-1, 1)
        (found,) = compare([a, b], FLOW, expected=wide, classes=True).outputs
        assert (found.same_class, found.agrees) == (same, same == 3)
        (found,) = compare([a, b], FLOW, expected=wide).outputs
        assert (found.same_class, found.agrees) == (None, False)


def test_the_tolerance_of_outputs_follows_from_rates_and_steps():
    """Neurons that fire in every second of 40 steps, one of them half as often."""
    spikes = {name: np.zeros((1, 40, 4), bool) for name in FLOW}
    for s in spikes.values():
        s[:, ::2] = True
    spikes["out"][:, ::4, 3] = False
    a = recording(spikes)
    (found,) = compare([a, simulated(a)], FLOW[1:], Tolerances(rate=1)).outputs
    slow = (3 * 20**2 + 10**2) / (70 * 40)  # spikes a step at which a spike is fired
    one_spike = 1 / (70 / 4 * math.sqrt(4))
    lost = 0.5 / 1.5 + slow / (1 + slow)
    assert found.tolerance == pytest.approx(lost + one_spike)


def test_a_population_that_is_all_but_silent_may_be_off_by_a_share_of_1_hz():
    silent = {name: np.zeros((3, 10, 2), bool) for name in FLOW}
    a, b = recording(silent), simulated(recording(silent))
    assert compare([a, b], FLOW, GIVEN).agrees
    few = {n: np.full((3, 2), 0.01 * 0.1) for n in FLOW}  # spikes in 10 ms: 0.1 Hz
    assert compare([a, replace(b, counts=few)], FLOW, GIVEN).agrees
    more = {n: np.full((3, 2), 0.01 * 0.2) for n in FLOW}
    assert not compare([a, replace(b, counts=more)], FLOW, GIVEN).agrees


# --- the membrane's history ----------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_history_spikes_as_the_specification_does(data):
    """Of any neuron of any Program, from what was sent to it."""
    program = data.draw(programs(recurrent=True, delays=True))
    stimulus = data.draw(stimuli(program))
    spikes = {**stimulus.spikes, **simulate_oracle(program, stimulus)}
    population = data.draw(st.sampled_from([p.name for p in program.populations]))
    neuron = data.draw(st.integers(0, program[population].size - 1))
    bias = stimulus.bias.get(population)
    for sample in range(stimulus.samples):
        sent = {name: s[sample] for name, s in spikes.items()}
        given = None if bias is None else bias[sample]
        found = membrane_history(program, population, neuron, sent, given)
        np.testing.assert_array_equal(found.due, found.spikes)
        above = (found.v > found.threshold).tolist()
        assert above == found.due.tolist()
        assert len(found.step) == stimulus.steps


def test_a_history_is_cut_around_a_step():
    program = chain()
    samples = np.random.default_rng(2).random((1, 8))
    stimulus = encode(program.encoder, samples, 40, 0.001)
    spikes = {**stimulus.spikes, **simulate_oracle(program, stimulus)}
    sent = {name: s[0] for name, s in spikes.items()}
    whole = membrane_history(program, "out", 1, sent)
    for step in (0, 3, 20, 39):
        part = whole.around(step)
        first, last = max(step - BEFORE, 0), min(step + AFTER, 39)
        assert part.step.tolist() == list(range(first, last + 1))
        np.testing.assert_array_equal(part.v, whole.v[first : last + 1])
    with pytest.raises(DataError, match="'in'.*no membrane"):
        membrane_history(program, "in", 0, sent)


# --- what is shown -------------------------------------------------------------------


@pytest.fixture
def divergence():
    """A verdict on a run with one spike too many, and its histories."""
    program = chain()
    samples = np.random.default_rng(2).random((3, 8))
    stimulus = encode(program.encoder, samples, 40, 0.001)
    right = {**stimulus.spikes, **simulate_oracle(program, stimulus)}
    silent = np.argwhere(~right["out"][:, 10:30])[0] + (0, 10, 0)
    wrong = flipped(right, ("out", *silent))
    runs = [recording(right, "reference"), recording(wrong, "odd")]
    verdict = compare(runs, FLOW)
    sample, step, neuron = silent.tolist()
    assert verdict.first == Difference("odd", "reference", "out", step, sample, neuron)
    return verdict, histories(program, samples, runs, verdict.first)


def test_what_is_printed_says_who_is_wrong_and_where(divergence):
    verdict, found = divergence
    console = Console(file=io.StringIO(), width=60)
    print_verdict(verdict, found, console)
    text = console.file.getvalue()
    assert f"first: {verdict.first}" in text
    assert "odd is wrong here: it spikes, the arithmetic does not" in text
    assert "1 place differs" in text
    for step in range(verdict.first.step - BEFORE, verdict.first.step + AFTER + 1):
        assert any(line.split()[:1] == [str(step)] for line in text.splitlines())
    assert "…" not in text  # nothing is cut, however narrow the terminal


def test_json_holds_all_of_it(divergence):
    verdict, found = divergence
    read = json.loads(to_json(verdict, found))
    assert read["agrees"] is False and read["targets"] == ["reference", "odd"]
    assert read["first"]["step"] == verdict.first.step
    assert [row["differing"] for row in read["populations"]] == [0, 0, 1]
    for target, history in found.items():
        assert read["histories"][target]["v"] == history.v.tolist()
    assert "odd is wrong here" in read["blame"][0]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_divergence_is_drawn(divergence, tmp_path, ending):
    path = tmp_path / f"first.{ending}"
    save_divergence(path, divergence[0].first, divergence[1])
    assert path.stat().st_size > 5000
    with pytest.raises(DataError, match="allowed endings"):
        save_divergence(tmp_path / "first.gif", divergence[0].first, divergence[1])


def test_without_a_difference_there_is_no_history():
    program = chain()
    assert histories(program, np.zeros((1, 8)), [], None) == {}
    of_input = Difference("a", "b", "in", 0, 0, 0)
    assert histories(program, np.zeros((1, 8)), [], of_input) == {}


# --- the command line ----------------------------------------------------------------

WRONG_CHIP = """
import numpy as np
from snn_deploy.targets.reference.target import Reference, ReferenceSession

class WrongChip(Reference):
    name = "wrong-chip"
    def open(self, program):
        return WrongSession(self, program)

class WrongSession(ReferenceSession):
    def simulate(self, stimulus):
        spikes = super().simulate(stimulus)
        spikes["out"][1, 20, 2] ^= True
        return spikes
"""


@pytest.fixture
def wrong_chip(tmp_path, monkeypatch):
    """A bundle of ``chain()``; and a plugged-in target that gets one spike wrong."""
    info = tmp_path / "wrong_chip-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: wrong-chip\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[snn_deploy.targets]\nwrong-chip = wrong_chip:WrongChip\n"
    )
    (tmp_path / "wrong_chip.py").write_text(WRONG_CHIP)
    monkeypatch.syspath_prepend(tmp_path)
    samples = np.random.default_rng(2).random((3, 8))
    bundle = tmp_path / "program.snn"
    save_bundle(bundle, Bundle(program=chain(), metadata={}, samples=samples))
    yield bundle
    sys.modules.pop("wrong_chip", None)


def command(monkeypatch, bundle: Path, *words: str) -> int:
    """Exit code of ``snn-deploy compare BUNDLE words…`` on the bundle's samples."""
    given = ["snn-deploy", "compare", str(bundle), "--samples", "3", *words]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_difference_ends_with_1_is_printed_and_drawn(
    wrong_chip, monkeypatch, capsys, tmp_path
):
    plot = tmp_path / "first.png"
    words = ("--targets", "reference,wrong-chip", "--plot", str(plot))
    assert command(monkeypatch, wrong_chip, *words) == 1
    shown = capsys.readouterr()
    assert "population 'out', step 20, sample 1, neuron 2" in shown.out
    assert "wrong-chip is wrong here" in shown.out
    assert plot.exists() and str(plot) in shown.err.replace("\n", "")
    assert command(monkeypatch, wrong_chip, *words, "--json") == 1
    assert json.loads(capsys.readouterr().out)["first"]["step"] == 20


def test_agreement_ends_with_0_and_draws_nothing(
    wrong_chip, monkeypatch, capsys, tmp_path
):
    plot = tmp_path / "first.png"
    words = ("--targets", "reference,reference", "--plot", str(plot))
    assert command(monkeypatch, wrong_chip, *words) == 0
    shown = capsys.readouterr()
    assert "not one differs" in shown.out and "nothing to draw" in shown.err
    assert not plot.exists()


def test_a_picture_of_another_ending_is_refused_before_anything_runs(
    wrong_chip, monkeypatch, capsys
):
    words = ("--targets", "reference,wrong-chip", "--plot", "first.gif")
    assert command(monkeypatch, wrong_chip, *words) == 2
    assert "'first.gif'" in capsys.readouterr().err
