"""The reference target: not one spike differs from the plain loop of the oracle."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_programs import identity, programs, simulate_oracle, stimuli

from snn_deploy.targets.contract import find_target
from snn_deploy.targets.reference import links, target, tiles
from snn_deploy.targets.reference.target import Reference
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.program.arithmetic import IntArray
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    BoolArray,
    Decoder,
    SpikeEncoder,
    Stimulus,
)
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

ALWAYS, NEVER = 0.0, 1e9  # ns a block: what makes the dense way cheap, or dear
examples = settings(
    deadline=None,
    max_examples=75,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def assert_equal(got: Mapping[str, BoolArray], want: Mapping[str, BoolArray]) -> None:
    """Same populations, same spikes; otherwise name the first that differs."""
    assert set(got) == set(want)
    for name, spikes in want.items():
        assert got[name].dtype == bool and got[name].shape == spikes.shape
        differ = np.argwhere(got[name] != spikes)
        where = dict(zip(("sample", "step", "neuron"), differ[:1].ravel().tolist()))
        assert not len(differ), f"{name}: {len(differ)} spikes differ, first {where}"


@pytest.fixture(
    params=[
        (8192, None, "1"),
        (8192, ALWAYS, "1"),
        (8192, ALWAYS, "0"),
        (7, NEVER, "1"),
        (7, ALWAYS, "1"),
    ],
    ids=["as it is", "dense", "dense without VNNI", "sparse", "small and dense"],
)
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large and small tiles, sparse and dense sums: none of them changes a result."""
    size, dense_time, vnni = request.param
    monkeypatch.setenv("SNN_DEPLOY_VNNI", vnni)
    monkeypatch.setattr(tiles, "TILE_SIZE", size)
    monkeypatch.setattr(tiles, "MOST_OF_TILE", size)
    if dense_time is not None:
        monkeypatch.setattr(links, "WORD_TIME", dense_time)
        monkeypatch.setattr(links, "PIXEL_TIME", dense_time)
        monkeypatch.setattr(links, "FILL_TIME", dense_time)


@pytest.mark.usefixtures("ways")
@examples
@given(data=st.data(), recurrent=st.booleans(), delays=st.booleans())
def test_not_one_spike_differs(
    data: st.DataObject, recurrent: bool, delays: bool
) -> None:
    program = data.draw(programs(recurrent=recurrent, delays=delays))
    stimulus = data.draw(stimuli(program))
    got = Reference(threads=1).load(program).simulate(stimulus)
    assert_equal(got, simulate_oracle(program, stimulus))


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("inputs", [1, 8, 9])
@pytest.mark.parametrize("outputs", [1, 7, 8, 16, 23, 40])
@pytest.mark.parametrize("kind", [ConvConnection, ConvTransposeConnection])
@pytest.mark.parametrize(("exponent", "sizes"), [(-6, (128,)), (7, (254, 128))])
def test_every_width(
    inputs: int,
    outputs: int,
    kind: type[ConvConnection | ConvTransposeConnection],
    exponent: int,
    sizes: tuple[int, ...],
) -> None:
    """Whole vectors and what is left over; with exponent 7 the sums wrap around."""
    rng = np.random.default_rng(inputs * outputs)
    weight = rng.choice((-1, 1, 1), (3, 2, inputs, outputs))
    connection = kind(
        source="in",
        target="out",
        weight=(weight * rng.choice(sizes, weight.shape)).astype(np.int16),
        exponent=exponent,
        shape=(7, 6, inputs),
        stride=(2, 1),
        padding=((1, 0), (0, 1)),
    )
    program = between(connection, threshold=640 << exponent + 6)
    spikes = rng.random((2, 9, 42 * inputs)) < 0.3
    stimulus = Stimulus(samples=2, steps=9, bias={}, spikes={"in": spikes})
    want = simulate_oracle(program, stimulus)
    assert_equal(Reference(threads=1).load(program).simulate(stimulus), want)
    assert 0 < want["out"].mean() < 1


def test_loops_run_together_and_the_rest_in_order_of_flow() -> None:
    """d → (b ⇄ c) → a, declared in alphabetical order; a feeds itself."""
    edges = [("d", "b"), ("b", "c"), ("c", "b"), ("c", "a"), ("a", "a")]
    one = between(dense("in", "a"))
    program = replace(
        one,
        populations=tuple(replace(one.populations[0], name=name) for name in "abcd"),
        connections=tuple(dense(*edge) for edge in edges),
    )
    flow = [[p.name for p in group] for group in tiles.flow(program)]
    assert flow == [["d"], ["b", "c"], ["a"]]


def test_as_many_threads_as_omp_num_threads_allows(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert Reference().threads == 1
    assert Reference(threads=3).threads == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "9999")
    many = Reference().threads
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert Reference().threads == many >= 1


@settings(examples, max_examples=20)
@given(data=st.data())
def test_samples_are_independent_of_batch_order_threads_and_run(
    data: st.DataObject,
) -> None:
    program = data.draw(programs(recurrent=True, delays=True))
    stimulus = data.draw(stimuli(program))
    session = Reference(threads=1).load(program)
    together = session.simulate(stimulus)
    assert_equal(session.simulate(stimulus), together)
    assert_equal(Reference(threads=3).load(program).simulate(stimulus), together)
    backwards = np.arange(stimulus.samples)[::-1]
    turned = session.simulate(only(stimulus, backwards))
    assert_equal(turned, {n: s[backwards] for n, s in together.items()})
    for n in backwards:
        alone = session.simulate(only(stimulus, [n]))
        assert_equal(alone, {name: s[[n]] for name, s in together.items()})


@settings(examples, max_examples=20)
@given(data=st.data(), portion=st.integers(0, 5000))
def test_work_in_portions_is_the_same_work(data: st.DataObject, portion: int) -> None:
    """Compiled code returns to Python now and then, and goes on where it was."""
    program = data.draw(programs(recurrent=True, delays=True))
    stimulus = data.draw(stimuli(program))
    session = Reference(threads=1).load(program)
    whole = session.simulate(stimulus)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, "PORTION", portion)
        assert_equal(session.simulate(stimulus), whole)


def test_vnni_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Reference().load(between(dense("in", "out")))
    assert session._network.way == 0
    monkeypatch.setenv("SNN_DEPLOY_VNNI", "0")
    session = Reference().load(between(dense("in", "out")))
    assert session._network.way == 1


def only(stimulus: Stimulus, samples: Sequence[int]) -> Stimulus:
    """These samples of a stimulus."""
    return Stimulus(
        samples=len(samples),
        steps=stimulus.steps,
        bias={name: bias[samples] for name, bias in stimulus.bias.items()},
        spikes={name: spikes[samples] for name, spikes in stimulus.spikes.items()},
    )


def test_run_encodes_and_decodes() -> None:
    """A bias of 640 reaches θ = 1280 in the third step, every third step."""
    program = between(dense("in", "out"), threshold=1280)
    program = replace(
        program,
        inputs=(),
        connections=(),
        encoder=BiasEncoder(graph=identity((4,)), population="out", scale=1.0),
        populations=(replace(program.populations[0], decay_v=0),),
    )
    session = find_target("reference").load(program)
    with session:
        recording = session.run(np.full((2, 4), 640.0), steps=9)
    assert recording.counts["out"].tolist() == [[3] * 4] * 2
    assert np.flatnonzero(recording.spikes["out"][0, :, 0]).tolist() == [2, 5, 8]
    assert recording.output == pytest.approx(1000 / 3)
    assert (recording.target, recording.kind) == ("reference", "integer emulation")


@pytest.mark.parametrize(
    ("bias", "spikes", "message"),
    [
        ({}, {}, "takes spikes for ['in']"),
        ({}, {"in": np.zeros((1, 5, 9), bool)}, "needed is bool (1, 5, 3)"),
        ({}, {"in": np.zeros((1, 5, 3))}, "needed is bool (1, 5, 3)"),
        ({"in": np.zeros((1, 3), np.int32)}, None, "no population; there are: ['out']"),
        ({"out": np.zeros((2, 4), np.int32)}, None, "needed is integer (1, 4)"),
        ({"out": np.full((1, 4), 2**20)}, None, "the core holds 524160"),
    ],
)
def test_refuses_a_stimulus_for_another_program(
    bias: dict[str, IntArray], spikes: dict[str, BoolArray] | None, message: str
) -> None:
    spikes = {"in": np.zeros((1, 5, 3), bool)} if spikes is None else spikes
    stimulus = Stimulus(samples=1, steps=5, bias=bias, spikes=spikes)
    with pytest.raises(DataError, match=re.escape(message)):
        Reference().load(between(dense("in", "out", 3))).simulate(stimulus)


def dense(source: str, target: str, inputs: int = 4) -> DenseConnection:
    """All to all, to four neurons."""
    weight = np.full((inputs, 4), 2, np.int16)
    return DenseConnection(source=source, target=target, weight=weight)


def between(connection: Connection, threshold: int = 64) -> Program:
    """Spike input "in" → connection → population "out"."""
    shape = connection.target_shape
    return Program(
        inputs=(SpikeInput(name="in", shape=connection.source_shape),),
        populations=(
            Population(
                name="out",
                shape=shape,
                decay_u=700,
                decay_v=200,
                threshold=threshold,
                bias=np.zeros(int(np.prod(shape)), np.int32),
                v_min=-(2**23) + 1,
            ),
        ),
        connections=(connection,),
        encoder=SpikeEncoder(population="in", coding="events"),
        decoder=Decoder(graph=identity(shape), population="out", amplitude=1.0),
        timing=Timing(dt=0.001, steps=10),
    )


def test_a_damaged_cache_of_numba_s_changes_nothing(tmp_path):
    """An index that was cut short: all is compiled anew."""
    code = (
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from snn_deploy.targets.contract import find_target\n"
        "from snn_deploy.targets.reference import kernels\n"
        "from snn_deploy.toolchain.graph import nodes as n\n"
        "from snn_deploy.toolchain.graph.graph import Graph\n"
        "from snn_deploy.toolchain.passes.quantize.quantize import quantize\n"
        "graph = Graph.chain(n.Input('x', shape=(1,)), n.IF('a'), n.Output('y'))\n"
        "program = quantize(graph, np.full((1, 1), 250.0), steps=40)\n"
        "index = Path(kernels.simulate._cache._cache_file._index_path)\n"
        "index.parent.mkdir(parents=True, exist_ok=True)\n"
        "index.write_bytes(b'cut')\n"
        "with find_target('reference').load(program) as session:\n"
        "    print(session.run(np.full((1, 1), 250.0)).counts['a'].item())\n"
    )

    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert (done.stdout, done.returncode) == ("8\n", 0), done.stderr


def test_numba_that_may_not_compile_is_said():
    code = (
        "from snn_deploy.targets.contract import find_target\n"
        "find_target('reference').open(None)\n"
    )
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert "NUMBA_DISABLE_JIT is set, and it runs compiled code" in done.stderr


def test_an_interrupt_waits_for_no_further_sample():
    """Of thirty, of which each takes about a second and two run at a time."""
    code = (
        "import signal, numpy as np\n"
        "from snn_deploy.targets.reference.target import Reference\n"
        "from snn_deploy.toolchain.graph import nodes as n\n"
        "from snn_deploy.toolchain.graph.graph import Graph\n"
        "from snn_deploy.toolchain.passes.quantize.quantize import quantize\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "graph = Graph.chain(n.Input('x', shape=(1,)), n.IF('a'), n.Output('y'))\n"
        "program = quantize(graph, np.full((1, 1), 250.0), steps=40)\n"
        "with Reference(threads=2).load(program) as session:\n"
        "    session.run(np.full((2, 1), 250.0))\n"
        "    print('runs', flush=True)\n"
        "    session.run(np.full((60, 1), 250.0), steps=2_000_000)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=-1, stderr=subprocess.PIPE) as user:
        assert user.stdout is not None and user.stdout.readline() == b"runs\n"
        time.sleep(1.0)
        start = time.monotonic()
        user.send_signal(signal.SIGINT)
        user.communicate(timeout=120)
    assert user.returncode == -signal.SIGINT
    assert time.monotonic() - start < 8
