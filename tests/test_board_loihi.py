"""Loihi 1's door: what NxSDK is handed is the Program, to the last register.

There is no board here and no NxSDK. A recorder (``nxsdk_recorder.py``) stands in its
place and keeps what it is handed, up to ``start``, where a board would have to answer.
``python tests/test_board_loihi.py`` writes the golden file anew.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

pytest.importorskip("nengo_loihi", reason="needs pip install 'snn-deploy[loihi]'")

from nxsdk_recorder import Board, recorder
from nxsdk_registers import (
    arrivals,
    as_matrix,
    cores,
    neurons,
    populations,
    synapses,
    table,
)
from random_programs import identity, matrix, programs, stimuli

from snn_deploy.__main__ import main
from snn_deploy.targets.contract import list_targets
from snn_deploy.targets.loihi import hardware
from snn_deploy.targets.loihi.hardware import BoardSession, Loihi
from snn_deploy.targets.loihi.registers import V_MAXES, V_MINS
from snn_deploy.toolchain.errors import DoesNotFit, TargetUnavailable
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.place import Placement
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import Decoder, SpikeEncoder, Stimulus
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

GOLDEN = Path(__file__).parent / "golden" / "loihi_board.json"
NO_BOARD = r"NxSDK or its board failed .*a recorder has no board to start"
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))


class SmallCores(Loihi):
    """Boards of chips of three cores, so small that small networks are cut."""

    limits = replace(
        Loihi.limits,
        core=CoreLimits(
            compartments=24, input_axons=3000, output_axons=3000, synapse_bits=400_000
        ),
        cores=3,
        chips=None,
    )


@pytest.fixture
def boards() -> Iterator[list[Board]]:
    with recorder() as made:
        yield made


def handed(
    boards: list[Board], program: Program, stimulus: Stimulus, target: Loihi
) -> tuple[Board, BoardSession]:
    """What NxSDK is handed of the first sample."""
    session = target.load(program)
    assert isinstance(session, BoardSession)
    boards.clear()
    with pytest.raises(TargetUnavailable, match=NO_BOARD):
        session.simulate(stimulus)
    (board,) = boards
    return board, session


# --- the Program's integers ----------------------------------------------------------


@settings(relaxed, max_examples=25)
@given(data=st.data())
def test_the_board_is_handed_the_programs_integers(boards, data) -> None:
    """Constants, weights and input spikes, whatever the Program and its cuts."""
    program = held_by_registers(data.draw(programs(recurrent=True)))
    assume(sum(len(c.synapses()[0].ravel()) for c in program.connections) < 3000)
    stimulus = data.draw(stimuli(program))
    target = data.draw(st.sampled_from((Loihi(), SmallCores())))
    try:
        board, session = handed(boards, program, stimulus, target)
    except DoesNotFit as refusal:
        assert "must leave alike" in str(refusal) or "synapse formats" in str(refusal)
        event("refused")
        return
    assert_equal(board, session, program, stimulus)
    event("handed over")


def held_by_registers(program: Program) -> Program:
    """The same with potentials and thresholds of the kind that a board has."""
    return replace(
        program,
        populations=tuple(
            replace(
                p,
                v_min=min(V_MINS, key=lambda held: abs(held - p.v_min)),
                threshold=np.maximum(p.threshold, 64)
                if np.ndim(p.threshold)
                else max(int(p.threshold), 64),
            )
            for p in program.populations
        ),
    )


def assert_equal(
    board: Board, session: BoardSession, program: Program, stimulus: Stimulus
) -> None:
    placement = session.placement
    assert [(c.parent.id - 40, c.id - 500) for c in cores(board)] == [
        (c.chip, c.number) for c in placement.cores
    ]
    places = places_of(board, placement, program)
    for placed, found in zip(placement.cores, cores(board), strict=True):
        p = program[placed.block.population]
        bias = stimulus.bias[p.name][0] if p.name in stimulus.bias else p.bias
        assert neurons(found) == [
            {
                "v_min": p.v_min,
                "v_max": p.v_max,
                "decayU": p.decay_u,
                "decayV": p.decay_v,
                "refractDelay": p.refractory,
                "enableNoise": 0,
                "threshold": p.thresholds[n],
                "bias": bias[n],
            }
            for n in placed.block.neurons
        ]
        for members in populations(found).values():
            assert len({targets for _, targets in members}) == 1
    held = synapses(board)
    wanted: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.int64(0))
    for c in program.connections:
        wanted[c.source, c.target] = wanted[c.source, c.target] + matrix(c)
    for source in program.populations:
        for to in program.populations:
            found = as_matrix(held, places[source.name], places[to.name])
            assert (found == wanted[source.name, to.name]).all(), (source, to)
    assert arrivals(board) == arriving(program, stimulus, wanted, places)


def places_of(
    board: Board, placement: Placement, program: Program
) -> dict[str, list[tuple[int, int, int]]]:
    """Chip, core and compartment of every neuron."""
    places = {p.name: [(0, 0, 0)] * p.size for p in program.populations}
    for placed, found in zip(placement.cores, cores(board)):
        for i, n in enumerate(placed.block.neurons):
            places[placed.block.population][n] = (found.parent.id, found.id, i)
    return places


def arriving(program, stimulus, wanted, places):
    """What the sample's input spikes add: a spike of our step s is NxSDK's s + 1."""
    found: dict[int, dict] = defaultdict(lambda: defaultdict(int))
    for source in program.inputs:
        for to in program.populations:
            if (source.name, to.name) not in wanted:
                continue
            full = wanted[source.name, to.name]
            sums = stimulus.spikes[source.name][0].astype(np.int64) @ full
            for step, n in np.argwhere(sums):
                found[step + 1][places[to.name][n]] += int(sums[step, n])
    return {step: dict(added) for step, added in found.items()}


def test_a_session_reads_populations_back_in_their_own_order(boards) -> None:
    """nengo-loihi puts the cores' spikes together; the order is then ours."""
    program = everything()
    session = SmallCores().load(program)
    for p in program.populations:
        blocks = [b.neurons for b in session.placement.blocks(p.name)]
        assert len(blocks) > 1 or p.name != "conv"
        found = session.probes[p.name].weight_outputs([[list(b)] for b in blocks])
        assert found.tolist() == [list(range(p.size))]


# --- the golden file -----------------------------------------------------------------


def everything() -> Program:
    """Both kinds of axons, loops, thresholds of channels, biases, refractory steps."""
    first = ConvConnection(
        source="in",
        target="conv",
        weight=sevenths(3, 3, 2, 3),
        shape=(6, 5, 2),
        padding=((1, 1), (1, 1)),
        stride=(2, 1),
    )
    second = ConvConnection(
        source="conv",
        target="next",
        weight=sevenths(2, 2, 3, 2),
        shape=first.target_shape,
        exponent=-1,
    )
    out = DenseConnection(
        source="next", target="out", weight=sevenths(16, 4), exponent=2
    )
    loop = DenseConnection(source="out", target="out", weight=sevenths(4, 4))
    back = DenseConnection(source="out", target="next", weight=sevenths(4, 16))
    return program_of(
        [
            neuron("conv", first.target_shape, np.array([640, 1280, 640]), decay_u=700),
            neuron("next", second.target_shape, 6400, refractory=3, decay_v=200),
            neuron("out", (4,), core.MAX_THRESHOLD, v_min=-core.V_LIMIT),
        ],
        [first, second, out, loop, back],
        (6, 5, 2),
    )


def sevenths(*shape: int) -> np.ndarray:
    """Even mantissas, of both signs, multiples of 4."""
    return ((np.arange(np.prod(shape)) * 4 % 15 - 7).reshape(shape) * 36).astype(
        np.int16
    )


def neuron(name: str, shape: tuple[int, ...], threshold, **constants) -> Population:
    size = int(np.prod(shape))
    bias = core.round_bias(np.linspace(-core.MAX_BIAS, core.MAX_BIAS, size))
    if np.ndim(threshold):
        threshold = threshold.astype(np.int32)
    chosen = {"decay_u": 4095, "decay_v": 0, **constants}
    return Population(name=name, shape=shape, threshold=threshold, bias=bias, **chosen)


def program_of(
    members: list[Population], connections: list[Connection], shape: tuple[int, ...]
) -> Program:
    last = members[-1]
    return Program(
        inputs=(SpikeInput(name="in", shape=shape),),
        populations=tuple(members),
        connections=tuple(connections),
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(
            graph=identity(last.shape), population=last.name, amplitude=1.0
        ),
        timing=Timing(dt=0.001, steps=4),
    )


def given_spikes(program: Program) -> Stimulus:
    size = program.inputs[0].size
    spikes = (np.arange(4 * size).reshape(1, 4, size) % 11) == 0
    return Stimulus(samples=1, steps=4, bias={}, spikes={"in": spikes})


def as_text(board: Board) -> str:
    """All that NxSDK was handed; a line for each register, call and core's axons."""
    lines = [json.dumps(call) for call in board.calls]
    lines += [json.dumps(["input", *spike]) for spike in board.input_spikes]
    for found in cores(board):
        where = [found.parent.id, found.id]
        registers = table(found.registers)
        lines += [
            json.dumps([*where, n, short(registers[n])]) for n in sorted(registers)
        ]
        lines += [json.dumps([*where, *axon]) for axon in found.axons]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def short(register: Any) -> Any:
    """The values of an array alone, where it is written from its first index on."""
    if isinstance(register, dict) and sorted(register) == [*range(len(register))]:
        return [register[i] for i in range(len(register))]
    return register


def test_what_nxsdk_is_handed_is_the_golden_file(boards) -> None:
    program = everything()
    board, _ = handed(boards, program, given_spikes(program), SmallCores())
    assert len(cores(board)) > 3 and len(board.n2Chips) > 1
    assert {kind for c in cores(board) for kind, _ in c.axons} == {"discrete", "pop32"}
    assert as_text(board) == GOLDEN.read_text()


def test_the_golden_program_is_what_the_registers_say(boards) -> None:
    program = everything()
    stimulus = given_spikes(program)
    board, session = handed(boards, program, stimulus, SmallCores())
    assert_equal(board, session, program, stimulus)


# --- calls around a run --------------------------------------------------------------


def test_a_run_is_made_probed_metered_started_and_given_back(boards) -> None:
    program = everything()
    board, session = handed(boards, program, given_spikes(program), Loihi())
    calls = [name for name, _ in board.calls]
    probes = ["monitor.probe"] * len(session.placement.cores)
    assert calls == ["N2Board", *probes, "probe", *["start"] * 3, "disconnect"]
    number, chips, per_chip, _ = dict(board.calls)["N2Board"]
    assert (number, chips, per_chip) == (1, 1, [3])
    probed = [where for name, where in board.calls if name == "monitor.probe"]
    for placed, (_, _, state, key, *compartments) in zip(
        session.placement.cores, probed, strict=True
    ):
        assert (state, key) == ("cxState", "spike")
        assert compartments == list(range(placed.block.size))
    when = {"tStart": 1, "tEnd": 4, "bufferSize": 1024, "binSize": 4}
    assert dict(board.calls)["probe"] == ["ENERGY", when]
    assert session.reading is None  # nothing was run, so nothing was measured


def test_a_board_that_measures_no_power_is_asked_for_time(boards, monkeypatch) -> None:
    monkeypatch.setenv("LMTOPTIONS", "--skip-power=1")
    program = everything()
    board, _ = handed(boards, program, given_spikes(program), Loihi())
    assert dict(board.calls)["probe"][0] == "EXECUTION_TIME"


def test_each_sample_sets_its_own_biases_and_spikes(boards) -> None:
    """And nothing of the sample before is left."""
    program = everything()
    size = program["conv"].size
    bias = np.array([[64] * size, [-128] * size], np.int32)
    spikes = np.zeros((2, 4, 60), bool)
    spikes[0, 0, 0] = spikes[1, 3, 59] = True
    session = Loihi().load(program)
    for sample, step in ((0, 1), (1, 4)):
        boards.clear()
        alone = Stimulus(
            samples=1,
            steps=4,
            bias={"conv": bias[sample : sample + 1]},
            spikes={"in": spikes[sample : sample + 1]},
        )
        with pytest.raises(TargetUnavailable, match=NO_BOARD):
            session.simulate(alone)
        (board,) = boards
        assert {n["bias"] for n in neurons(cores(board)[0])} == {int(bias[sample, 0])}
        assert {spike["time"] for _, spike in board.input_spikes} == {step}


# --- refusals ------------------------------------------------------------------------


def one(**constants) -> Program:
    connection = DenseConnection(source="in", target="a", weight=sevenths(2, 3))
    threshold = constants.pop("threshold", 640)
    return program_of([neuron("a", (3,), threshold, **constants)], [connection], (2,))


REFUSED = {
    "threshold of 0": (one(threshold=0), "a threshold of 0; a board's are 64 or more"),
    "v_min": (one(v_min=-70_000), r"v_min -70000; .* next to it -65535"),
    "v_max": (one(v_max=5000), r"v_max 5000; .* next to it 2047"),
    "formats": (
        program_of(
            [neuron("a", (3,), 640)],
            [
                DenseConnection(source="in", target="a", weight=w * s, exponent=e)
                for w in [np.full((2, 3), 64, np.int16)]
                for s in (1, 3)
                for e in range(-4, 4)
            ],
            (2,),
        ),
        "16 connections into it; a board's core has 15",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_register_holds_is_refused_in_one_sentence(name) -> None:
    """Without NxSDK too, so that it is known at home."""
    program, says = REFUSED[name]
    with pytest.raises(DoesNotFit, match=says) as refusal:
        Loihi().load(program)
    assert str(refusal.value).startswith("Target 'loihi': population 'a'")


@pytest.mark.parametrize("name", REFUSED)
def test_and_nengo_loihi_would_have_stopped_there(name, boards, monkeypatch) -> None:
    """With a bare assertion, or one on the integer that it was given."""
    monkeypatch.setattr(Loihi, "problems", lambda self, program: iter(()))
    program, _ = REFUSED[name]
    session = Loihi().load(program)
    stimulus = Stimulus(
        samples=1, steps=2, bias={}, spikes={"in": np.ones((1, 2, 2), bool)}
    )
    with pytest.raises(TargetUnavailable, match="AssertionError"):
        session.simulate(stimulus)


def test_axons_that_take_other_channels_together_are_refused(
    boards, monkeypatch
) -> None:
    """Else neurons of one population, in NxSDK's sense, would have different axons."""
    first = ConvConnection(
        source="in", target="a", weight=sevenths(1, 1, 1, 4), shape=(3, 3, 1)
    )
    whole = ConvConnection(
        source="a", target="b", weight=sevenths(1, 1, 4, 4), shape=(3, 3, 4)
    )
    halves = replace(whole, target="c", weight=sevenths(1, 1, 2, 4), groups=2)
    members = [neuron(name, (3, 3, 4), 640) for name in "abc"]
    program = program_of(members, [first, whole, halves], (3, 3, 1))
    says = "'a' → 'b' and connection 'a' → 'c' take 4 and 2 channels together"
    with pytest.raises(DoesNotFit, match=says):
        Loihi().load(program)
    monkeypatch.setattr(Loihi, "problems", lambda self, program: iter(()))
    stimulus = Stimulus(
        samples=1, steps=2, bias={}, spikes={"in": np.ones((1, 2, 9), bool)}
    )
    board, _ = handed(boards, program, stimulus, Loihi())
    mixed = populations(cores(board)[0]).values()
    assert any(len({targets for _, targets in members}) > 1 for members in mixed)


@given(st.sampled_from(V_MINS), st.sampled_from(V_MAXES))
@settings(relaxed, max_examples=15)
def test_every_limit_of_the_registers_is_theirs(boards, v_min, v_max) -> None:
    if v_max > core.V_LIMIT or v_min < -core.V_LIMIT:
        return
    program = one(v_min=v_min, v_max=v_max)
    stimulus = Stimulus(
        samples=1, steps=2, bias={}, spikes={"in": np.ones((1, 2, 2), bool)}
    )
    board, session = handed(boards, program, stimulus, Loihi())
    assert_equal(board, session, program, stimulus)


def test_weights_that_are_all_0_are_integers_too(boards) -> None:
    """nengo-loihi divides by 2^(6 + exponent), which −7 would make a fraction."""
    nothing = np.zeros((2, 3), np.int16)
    for exponent in (-core.MAX_EXPONENT, 0, core.MAX_EXPONENT):
        silent = DenseConnection(
            source="in", target="a", weight=nothing, exponent=exponent
        )
        program = program_of([neuron("a", (3,), 640)], [silent], (2,))
        stimulus = Stimulus(
            samples=1, steps=2, bias={}, spikes={"in": np.ones((1, 2, 2), bool)}
        )
        board, session = handed(boards, program, stimulus, Loihi())
        assert_equal(board, session, program, stimulus)


def test_an_input_that_reaches_nothing_is_left_out(boards) -> None:
    """NxSDK's builder takes none without axons."""
    silent = ConvConnection(
        source="in",
        target="a",
        weight=np.zeros((1, 1, 2, 3), np.int16),
        shape=(2, 2, 2),
    )
    program = program_of([neuron("a", (2, 2, 3), 640)], [silent], (2, 2, 2))
    stimulus = Stimulus(
        samples=1, steps=2, bias={}, spikes={"in": np.ones((1, 2, 8), bool)}
    )
    board, session = handed(boards, program, stimulus, Loihi())
    assert not board.input_spikes
    assert_equal(board, session, program, stimulus)


# --- no access -----------------------------------------------------------------------


def test_without_nxsdk_it_says_where_to_apply_and_runs_nowhere_else() -> None:
    with pytest.raises(TargetUnavailable) as missing:
        Loihi().load(one())
    assert str(missing.value) == (
        "Target 'loihi': no access: NxSDK (0.9.0 to 1.0.0 for nengo-loihi 1.1.0) is "
        "not installed here, and is given to members alone; apply at "
        "http://neuromorphic.intel.com or inrc_interest@intel.com (Intel Neuromorphic "
        "Research Community)"
    )


def test_an_older_nxsdk_is_refused_when_it_is_loaded() -> None:
    with recorder("0.8.7") as made:
        with pytest.raises(TargetUnavailable, match=r"nxsdk>=0\.9\.0, found 0\.8\.7"):
            Loihi().load(one())
        assert not made


def test_the_versions_are_those_that_nengo_loihi_takes(boards) -> None:
    interface = sys.modules["nengo_loihi.hardware.interface"].HardwareInterface
    least, most = interface.min_nxsdk_version, interface.max_nxsdk_version
    assert f"{least} to {most}".replace("0.9 ", "0.9.0 ") in hardware.VERSIONS


def test_a_list_says_no_access_rather_than_pip_install() -> None:
    rows = {row["target"]: row for row in list_targets()}
    row = rows["loihi"]
    assert (row["kind"], row["library"]) == ("hardware", "nxsdk")
    assert row["installed"].startswith("no access; apply at http")


def test_the_command_line_ends_with_2(monkeypatch, capsys) -> None:
    """One sentence, and no report of a run anywhere else."""
    bundle = Path(__file__).parent / "bundles" / "program-0.1.0.snn"
    words = ["snn-deploy", "run", str(bundle), "--target", "loihi"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 2 and not printed.out
    assert "no access: NxSDK" in printed.err.replace("\n", " ")


if __name__ == "__main__":
    with recorder() as made:
        it = everything()
        GOLDEN.write_text(as_text(handed(made, it, given_spikes(it), SmallCores())[0]))
