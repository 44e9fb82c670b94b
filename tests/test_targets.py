"""The contract: what holds for every target, installed here or plugged in.

A target whose library is missing is skipped, with the reason that it gives itself.
What a target cannot do stands in its limits, and is refused with that reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_programs import identity, presentations, programs, simulate_oracle

from snn_deploy.targets import contract
from snn_deploy.targets.contract import (
    GROUP,
    Session,
    Target,
    find_target,
    list_targets,
)
from snn_deploy.toolchain.bundle.serialize import to_tree
from snn_deploy.toolchain.errors import DataError, DoesNotFit, TargetUnavailable
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import (
    LIF,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Input,
    Node,
    Output,
)
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.place.limits import CHIP
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.arithmetic import V_LIMIT
from snn_deploy.toolchain.program.connections import (
    ConvTransposeConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    Decoder,
    SpikeEncoder,
    decode,
    encode,
)
from snn_deploy.toolchain.program.program import Population, Program, Timing
from snn_deploy.toolchain.program.recording import Recording

PLUGIN = Path(__file__).parent / "plugin"
PLUGGED = "tiny-chip"
NAMES = sorted({entry.name for entry in entry_points(group=GROUP)} | {PLUGGED})
KINDS = {"float simulation", "integer emulation", "hardware"}
EXAMPLES = {
    "reference": 60,
    PLUGGED: 30,
    "loihi-emulator": 15,
    "lava": 2,
    "c": 12,
    "cortex-m": 3,
}
SLOW = ("lava", "nengo-dl", "nengo-dl-rounded")  # quick ones: test_lava, test_nengo_dl
STEPS = 20
MARK = "SNN_DEPLOY_TEST_RUN"  # in the environment of every process that we start
pytestmark = pytest.mark.filterwarnings("ignore:Overflow in")  # wrapping is meant


def plug_in(folder: Path, distribution: str, name: str, value: str) -> None:
    """Install an entry point of a distribution into a folder, as pip would note it."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value}\n")


@pytest.fixture(scope="module", autouse=True)
def tiny_chip(tmp_path_factory) -> Iterator[None]:
    """The distribution in tests/plugin, installed."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    folder = tmp_path_factory.mktemp("plugin")
    for name, value in project["entry-points"][GROUP].items():
        plug_in(folder, project["name"], name, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.syspath_prepend(PLUGIN)
        yield


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After the suite no process that it started, or that those started, is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, uuid.uuid4().hex)
        yield
        deadline = time.monotonic() + 15
        while (left := processes(os.environ[MARK])) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert not left


def processes(mark: str) -> list[str]:
    """Command lines of all processes with this mark, wherever they hang; Linux."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes()
            if marked and int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_bytes().decode())
        except OSError:  # another's, or gone by now
            continue
    return found


class Open:
    """Sessions of one target, each Program's kept for all tests of the module."""

    def __init__(self, name: str) -> None:
        self.target = find_target(name)
        self.kept: dict[str, Session] = {}

    def __call__(self, name: str) -> Session:
        """The session of a program in PROGRAMS; skips where the limits exclude it."""
        program = PROGRAMS[name]
        reasons = excluded(self.target, program)
        if reasons:
            pytest.skip(f"not within its limits: {reasons[0]}")
        if name not in self.kept:
            self.kept[name] = self.target.load(program)
        return self.kept[name]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in NAMES
    ],
)
def opened(request, nothing_is_left) -> Iterator[Open]:
    """Opens sessions of each target in turn."""
    sessions = Open(request.param)
    try:
        if sessions.target.kind == "hardware":
            sessions.target.load(BARE).close()
        for problem in sessions.target.problems(PROGRAMS["dense"]):
            pytest.skip(f"not within its registers: {problem}")
        sessions.kept["dense"] = sessions.target.load(PROGRAMS["dense"])
    except TargetUnavailable as missing:
        pytest.skip(str(missing))
    yield sessions
    for session in sessions.kept.values():
        session.close()


# --- programs ----------------------------------------------------------------------


def chain(*nodes: Callable[[str], Node], shape: tuple[int, ...]) -> Graph:
    """Input → nodes, one after the other → Output."""
    built: list[Node] = [Input("input", shape=shape)]
    for make in nodes:
        built.append(make(built[-1].name))
    return Graph((*built, Output("output", (built[-1].name,))))


def weights(seed: int, *shape: int) -> dict[str, FloatArray]:
    """Weights that make the next population fire at half its steps or less."""
    rng = np.random.default_rng(seed)
    scale = 3 / np.sqrt(np.prod(shape[:-1]))
    return {
        "weight": rng.normal(0.3 * scale, scale, shape),
        "bias": rng.normal(1, 0.5, shape[-1]),
    }


def quantized(graph: Graph, *, spikes: bool = False) -> Program:
    """The integers of a small Graph, with samples drawn from 0 … 1."""
    samples = np.random.default_rng(0).random((4, *graph.input.shape))
    legal = legalize(graph, input_spikes=spikes)
    encoder = SpikeEncoder(population="input", max_rate=500.0) if spikes else None
    return quantize(legal, samples, steps=STEPS, encoder=encoder)


def small_programs() -> dict[str, Program]:
    """One of each thing that limits speak of, and all else within everybody's."""
    lif = {"amplitude": 0.005, "tau_ref": 0.002}
    dense = chain(
        lambda x: Dense("drive", (x,), **weights(0, 6, 8)),
        lambda x: LIF("first", (x,), **lif),
        lambda x: Dense("middle", (x,), **weights(1, 8, 10)),
        lambda x: LIF("second", (x,), **lif, min_voltage=-1e9),
        lambda x: Dense("last", (x,), **weights(2, 10, 5)),
        lambda x: LIF("third", (x,), amplitude=0.01, tau_ref=0.0),
        lambda x: Dense("answer", (x,), **weights(3, 5, 3)),
        shape=(6,),
    )
    image = chain(
        lambda x: Conv2D(
            "drive", (x,), **weights(4, 3, 3, 2, 3), padding=((1, 1), (1, 1))
        ),
        lambda x: LIF("first", (x,), **lif),
        lambda x: Conv2D(
            "down", (x,), **weights(5, 3, 3, 3, 4), stride=(2, 2), padding=((0, 1),) * 2
        ),
        lambda x: LIF("second", (x,), **lif),
        shape=(6, 6, 2),
    )
    up = chain(
        lambda x: Conv2D("drive", (x,), **weights(6, 1, 1, 2, 2)),
        lambda x: LIF("first", (x,), **lif),
        lambda x: ConvTranspose2D(
            "up", (x,), **weights(7, 3, 3, 2, 2), stride=(2, 2), padding=((1, 0),) * 2
        ),
        lambda x: LIF("second", (x,), **lif),
        shape=(3, 3, 2),
    )
    plain = quantized(dense)
    loop = DenseConnection(
        source="third", target="second", weight=np.full((5, 10), -40, np.int16)
    )
    itself = replace(loop, source="second", weight=np.full((10, 10), 6, np.int16))
    return {
        "dense": plain,
        "convolution": quantized(image),
        "transposed": quantized(up),
        "spikes": quantized(dense, spikes=True),
        "delay": delayed(plain, 2),
        "long delay": delayed(plain, 5),
        "recurrent": replace(plain, connections=(*plain.connections, loop, itself)),
        "no graph": replace(plain, graph=None),
    }


def delayed(program: Program, steps: int) -> Program:
    """The same with this delay on its last connection."""
    *others, last = program.connections
    return replace(program, connections=(*others, replace(last, delay=steps)))


def bare_program() -> Program:
    """What the plainest of chips hold: one threshold, no refractory steps, no floor."""
    graph = identity((4,))
    only = Population(
        name="only",
        shape=(4,),
        decay_u=4095,
        decay_v=0,
        threshold=640,
        bias=np.zeros(4, np.int32),
        v_min=-V_LIMIT,
    )
    return Program(
        inputs=(),
        populations=(only,),
        connections=(),
        encoder=BiasEncoder(graph=graph, population="only", scale=100.0),
        decoder=Decoder(graph=graph, population="only", amplitude=0.001),
        timing=Timing(dt=0.001, steps=STEPS),
    )


PROGRAMS = small_programs()
BARE = bare_program()
EVERYWHERE = ("dense", "convolution")  # no target here excludes these


def samples_of(program: Program, count: int = 3) -> FloatArray:
    """Samples in 0 … 1, (count, *input shape)."""
    encoder = program.encoder
    shape = (
        encoder.graph.input.shape
        if isinstance(encoder, BiasEncoder)
        else program[encoder.population].shape
    )
    return np.random.default_rng(1).random((count, *shape))


def excluded(target: Target, program: Program) -> list[str]:
    """What limits and registers say against a Program, each as words of the refusal."""
    limits = target.limits
    order = {p.name: i for i, p in enumerate(program.populations)}
    encoder = type(program.encoder).__name__
    reasons = [f"no {encoder}"] if encoder not in limits.encoders else []
    if limits.needs_graph and program.graph is None:
        reasons.append("float graph")
    for c in program.connections:
        kind = type(c).__name__
        if kind not in limits.connections:
            reasons.append(f"is a {kind}")
        if c.delay > limits.max_delay:
            reasons.append(f"delay of {c.delay} steps; allowed is {limits.max_delay}")
        if not limits.recurrent and order.get(c.source, -1) >= order[c.target]:
            reasons.append("is recurrent")
    return [*reasons, *target.problems(program)]


def fingerprint(program: Program) -> str:
    """Of every number in a Program."""
    arrays = hashlib.sha256()
    tree = to_tree(
        program,
        lambda a: arrays.update(f"{a.dtype}{a.shape}".encode() + a.tobytes()) or "",
        "Program",
    )
    arrays.update(json.dumps(tree).encode())
    return arrays.hexdigest()


def assert_same(a: Recording, b: Recording) -> None:
    """All but the time it took."""
    assert (a.target, a.kind, a.dt, a.steps) == (b.target, b.kind, b.dt, b.steps)
    for name in a.spikes:
        differs = np.argwhere(a.spikes[name] != b.spikes[name])
        assert not differs.size, f"{name}, first at {differs[0]} (sample, step, neuron)"
    assert a.spikes.keys() == b.spikes.keys()
    assert all((a.counts[name] == b.counts[name]).all() for name in a.counts)
    np.testing.assert_array_equal(a.output, b.output)


# --- every target --------------------------------------------------------------------


def test_it_says_what_it_is(opened):
    target = opened.target
    assert target.name in NAMES and target.kind in KINDS
    assert (target.limits.core is None) == (target.limits.cores is None)
    (row,) = (row for row in list_targets() if row["target"] == target.name)
    assert row["kind"] == target.kind and not row["installed"].startswith("no")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_recording_is_whole(opened, name):
    """Its fields go together, and the network fires."""
    session, program = opened(name), PROGRAMS[name]
    found = session.run(samples_of(program))
    assert (found.target, found.kind) == (opened.target.name, opened.target.kind)
    assert (found.dt, found.steps, found.samples) == (0.001, STEPS, 3)
    assert found.wall_time > 0
    names = [p.name for p in program.members]
    assert set(found.spikes) == set(found.counts) == set(names)
    for p in program.members:
        assert found.spikes[p.name].shape == (3, STEPS, p.size)
        summed = found.spikes[p.name].sum(axis=1, dtype=np.int64)
        assert found.counts[p.name].dtype == np.int64
        np.testing.assert_array_equal(found.counts[p.name], summed)
        assert 0 < summed.sum() < 3 * STEPS * p.size, p.name
    wanted = decode(program.decoder, found.spikes, 0.001)
    np.testing.assert_array_equal(found.output, wanted)


@pytest.mark.parametrize("name", PROGRAMS)
def test_integer_targets_equal_the_specification(opened, name):
    session, program = opened(name), PROGRAMS[name]
    if opened.target.kind == "float simulation":
        pytest.skip("a float simulation; see tests/test_nengo_dl.py")
    samples = samples_of(program)
    found = session.run(samples).spikes
    stimulus = encode(program.encoder, samples, STEPS, program.timing.dt)
    for population, spikes in simulate_oracle(program, stimulus).items():
        np.testing.assert_array_equal(found[population], spikes, population)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_the_limits_exclude_is_refused_with_their_reason(opened, name):
    """And nothing else is: what they do not exclude is loaded."""
    reasons = excluded(opened.target, PROGRAMS[name])
    if not reasons:
        assert opened(name).program is PROGRAMS[name]
        return
    with pytest.raises(DoesNotFit) as refusal:
        opened.target.load(PROGRAMS[name])
    assert any(reason in str(refusal.value) for reason in reasons)
    assert opened.target.name in str(refusal.value)


def test_too_many_neurons_are_refused(opened, monkeypatch):
    """On one chip; a board of many would take this machine's memory."""
    limits = replace(opened.target.limits, chips=1)
    if limits.core is None:
        pytest.skip("it has no cores")
    monkeypatch.setattr(type(opened.target), "limits", limits)
    side = limits.core.compartments
    shape = (limits.cores + 1, side)
    graph = identity(shape)
    crowd = Population(
        name="crowd",
        shape=shape,
        decay_u=4095,
        decay_v=0,
        threshold=64,
        bias=np.zeros(shape[0] * side, np.int32),
    )
    program = Program(
        inputs=(),
        populations=(crowd,),
        connections=(),
        encoder=BiasEncoder(graph=graph, population="crowd", scale=1.0),
        decoder=Decoder(graph=graph, population="crowd", amplitude=0.001),
        timing=Timing(dt=0.001, steps=1),
        graph=PROGRAMS["dense"].graph,
    )
    with pytest.raises(DoesNotFit, match=f"{limits.cores}"):
        opened.target.load(program)


def test_utilization_is_within_the_limits(opened):
    for name in EVERYWHERE:
        table = opened(name).utilization
        assert bool(table) == (opened.target.limits.core is not None)
        for resources in table.values():
            for what, (used, most) in resources.items():
                assert 0 <= used <= most, what
        assert not table or table[CHIP]["cores"][0] >= 1


def test_the_same_samples_give_the_same_recording(opened):
    """Twice in one session, and in one of another load."""
    program = PROGRAMS["dense"]
    samples = samples_of(program)
    first = opened("dense").run(samples)
    assert_same(first, opened("dense").run(samples))
    with opened.target.load(program) as another:
        assert_same(first, another.run(samples))


def test_loading_and_running_change_no_program(opened):
    program = small_programs()["dense"]
    before, samples = fingerprint(program), samples_of(program)
    given = samples.copy()
    with opened.target.load(program) as session:
        session.run(samples)
    assert fingerprint(program) == before
    np.testing.assert_array_equal(samples, given)


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_sample_depends_on_no_other(opened, name):
    session, samples = opened(name), samples_of(PROGRAMS[name])
    whole = session.run(samples)
    for order in ([2, 1, 0], [1]):
        part = session.run(samples[order])
        for population, spikes in part.spikes.items():
            np.testing.assert_array_equal(spikes, whole.spikes[population][order])
        np.testing.assert_array_equal(part.output, whole.output[order])


def test_fewer_steps_are_the_beginning_of_more(opened):
    session, samples = opened("dense"), samples_of(PROGRAMS["dense"])
    whole, part = session.run(samples), session.run(samples, 5)
    assert part.steps == 5
    for population, spikes in part.spikes.items():
        np.testing.assert_array_equal(spikes, whole.spikes[population][:, :5])


def test_counts_alone_are_the_same_in_any_portions(opened, monkeypatch):
    session, samples = opened("dense"), samples_of(PROGRAMS["dense"])
    whole = session.run(samples)
    for at_once in (2, 3):
        memory = STEPS * PROGRAMS["dense"].neurons * at_once
        monkeypatch.setattr(contract, "RASTER_BYTES", memory)
        counted = session.run(samples, record="counts")
        assert not counted.spikes
        assert_same(counted, replace(whole, spikes={}))


def test_a_session_is_entered_again_and_closed_twice(opened):
    samples = samples_of(PROGRAMS["dense"])
    session = opened.target.load(PROGRAMS["dense"])
    with session as entered:
        assert entered is session
        first = session.run(samples)
    with session:
        assert_same(first, session.run(samples))
    session.close()
    session.close()


def test_what_cannot_be_run_is_refused_and_the_session_lives_on(opened):
    session, samples = opened("dense"), samples_of(PROGRAMS["dense"])
    first = session.run(samples)
    bad = samples.copy()
    bad[1] = np.nan
    for wrong, steps in ((samples[:0], 5), (samples[:, :3], 5), (bad, 5), (samples, 0)):
        with pytest.raises(DataError):
            session.run(wrong, steps)
    assert_same(first, session.run(samples))


def test_random_programs_run_as_specified_or_are_refused_as_declared(opened):
    """Any Program is loaded, and equals the specification, unless the limits say no."""
    target = opened.target
    if target.kind == "float simulation":
        pytest.skip("a float simulation; see tests/test_nengo_dl.py")
    recurrent, delays = target.limits.recurrent, target.limits.max_delay > 1

    @settings(
        max_examples=EXAMPLES.get(target.name, 10),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],  # shrinking may take minutes
        derandomize=True,
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        program = data.draw(programs(recurrent=recurrent, delays=delays))
        samples, steps = data.draw(presentations(program))
        reasons = excluded(target, program)
        if reasons:
            with pytest.raises(DoesNotFit) as refusal:
                target.load(program)
            assert any(reason in str(refusal.value) for reason in reasons)
            return
        with target.load(program) as session:
            found = session.run(samples, steps).spikes
        stimulus = encode(program.encoder, samples, steps, program.timing.dt)
        for name, spikes in simulate_oracle(program, stimulus).items():
            np.testing.assert_array_equal(found[name], spikes, name)

    check()


# --- the door ------------------------------------------------------------------------


def test_a_plugged_in_target_is_one_of_the_targets():
    assert PLUGGED in {row["target"] for row in list_targets()}
    assert type(find_target(PLUGGED)).__module__ == "tiny_chip"


def test_the_plug_in_excludes_something_of_each_kind():
    """So that this suite sees each refusal on every machine."""
    target = find_target(PLUGGED)
    refused = {name for name, p in PROGRAMS.items() if excluded(target, p)}
    assert refused == {"transposed", "long delay", "recurrent"}
    assert isinstance(PROGRAMS["transposed"].connections[0], ConvTransposeConnection)


def test_a_name_that_is_taken_is_an_error_for_both(tmp_path, monkeypatch):
    plug_in(tmp_path, "another-chip", "reference", "tiny_chip:TinyChip")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetUnavailable, match="offered twice.*tiny_chip:TinyChip"):
        find_target("reference")


BROKEN = {
    "no such module": ("nowhere:Chip", "", "nowhere"),
    "no such class": ("broken_chip:Chip", "", "Chip"),
    "a module that fails": ("broken_chip:Chip", "1 / 0", "ZeroDivisionError"),
    "a class that fails": (
        "broken_chip:Chip",
        "class Chip:\n    def __init__(self): raise OSError('no board')",
        "no board",
    ),
    "no target at all": ("broken_chip:Chip", "class Chip: pass", "is no Target"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plug_in_is_one_clear_error(name, tmp_path, monkeypatch):
    value, code, says = BROKEN[name]
    (tmp_path / "broken_chip.py").write_text(code)
    plug_in(tmp_path, "broken-chip", "broken", value)
    monkeypatch.delitem(sys.modules, "broken_chip", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetUnavailable, match="'broken'") as error:
        find_target("broken")
    assert says in str(error.value)
    sys.modules.pop("broken_chip", None)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(TargetUnavailable, match=f"reference.*{PLUGGED}"):
        find_target("brain")
