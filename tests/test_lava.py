"""Lava: spike for spike the specification, and nothing left behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from drawing import UNSHRUNK, drawn
from hypothesis import strategies as st
from random_programs import dense, identity, programs, simulate_oracle, stimuli

from snn_deploy.targets.lava import target as lava
from snn_deploy.targets.lava.target import Lava
from snn_deploy.toolchain.errors import TargetUnavailable
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import (
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    Decoder,
    SpikeEncoder,
    Stimulus,
)
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing


def lava_runs_here():
    try:
        lava.demand(Lava())
    except TargetUnavailable:
        return False
    return True


SLOW = pytest.mark.slow
needs_lava = pytest.mark.skipif(
    not lava_runs_here(), reason="lava-nc 0.10.0 is not installed; it needs Python 3.10"
)
V_LOW = -core.V_LIMIT


def population(name, shape, *, threshold=1000, bias=0, **constants):
    size = math.prod(shape)
    return Population(
        name=name,
        shape=shape,
        threshold=threshold << 6,
        bias=np.broadcast_to(np.int32(bias), (size,)).copy(),
        **{"decay_u": 400, "decay_v": 200, **constants},
    )


def program_of(inputs, populations, connections):
    first = (*inputs, *populations)[0]
    graph = identity(first.shape)
    return Program(
        inputs=tuple(inputs),
        populations=tuple(populations),
        connections=tuple(connections),
        encoder=SpikeEncoder(population=first.name)
        if inputs
        else BiasEncoder(graph=graph, population=first.name, scale=1.0),
        decoder=Decoder(graph=graph, population=first.name, amplitude=1.0),
        timing=Timing(dt=0.001, steps=20),
    )


def two_layers():
    """A small network driven by its own biases."""
    weight = np.full((5, 3), 40, np.int16)
    return program_of(
        (),
        (population("a", (5,), bias=30_000 & ~7), population("b", (3,), threshold=20)),
        (DenseConnection(source="a", target="b", weight=weight),),
    )


def rest(samples, steps):
    """A Stimulus without any input."""
    return Stimulus(samples=samples, steps=steps, bias={}, spikes={})


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, spikes in expected.items():
        differ = np.argwhere(found[name] != spikes)
        assert not differ.size, (
            f"population {name}: {len(differ)} of {spikes.sum()} spikes differ, first "
            f"at (sample, step, neuron) {differ[0]}"
        )


def renamed(program, stimulus, prefix):
    """The same with a prefix to every name."""
    named = {
        part: tuple(replace(p, name=prefix + p.name) for p in getattr(program, part))
        for part in ("inputs", "populations")
    }
    connections = tuple(
        replace(c, source=prefix + c.source, target=prefix + c.target)
        for c in program.connections
    )
    given = {
        part: {prefix + n: x for n, x in getattr(stimulus, part).items()}
        for part in ("bias", "spikes")
    }
    return (
        replace(program, **named, connections=connections),
        replace(stimulus, **given),
    )


@st.composite
def composites(draw):
    """Three random Programs in one, some of them joined, and a Stimulus for it."""
    parts = []
    for i in range(3):
        program = draw(programs(recurrent=True, delays=True))
        parts.append(renamed(program, draw(stimuli(program)), f"n{i}."))
    rng = np.random.default_rng(0)
    bridges = []
    for (first, _), (second, _) in zip(parts, parts[1:]):
        a, b = first.populations[-1], second.populations[0]
        if draw(st.booleans()):
            bridges.append(draw(dense(rng, a.name, a.shape, b.name, b.shape)))
    samples = min(s.samples for _, s in parts)
    steps = min(s.steps for _, s in parts)
    program = program_of(
        [p for n, _ in parts for p in n.inputs],
        [p for n, _ in parts for p in n.populations],
        [c for n, _ in parts for c in n.connections] + bridges,
    )
    bias, spikes = {}, {}
    for _, s in parts:
        bias |= {name: x[:samples] for name, x in s.bias.items()}
        spikes |= {name: x[:samples, :steps] for name, x in s.spikes.items()}
    return program, Stimulus(samples=samples, steps=steps, bias=bias, spikes=spikes)


@needs_lava
@drawn(
    *(composites(), st.sampled_from(("sparse", "conv"))),
    few=2,
    many=6,
    phases=UNSHRUNK,  # shrinking takes minutes
)
def test_every_spike_is_the_specifications(composite, convolution):
    program, stimulus = composite
    with Lava(convolution).open(program) as session:  # several encoders: not checked
        found = session.simulate(stimulus)
    assert_equal(found, simulate_oracle(program, stimulus))


def edges():
    """Name → (constants of a population, its connection from 200 busy inputs)."""
    full = np.full((200, 4), core.MAX_MANTISSA, np.int16)
    few = np.zeros((200, 4), np.int16)
    few[:20] = np.array([128, 64, -64, 192])
    return {
        "q wraps at 21 bits": (dict(threshold=3000), full, 0),
        "u wraps at 23 bits": (dict(decay_u=0, threshold=9000), full, 1),
        "u + bias wraps": (
            dict(decay_u=0, bias=core.MAX_BIAS, threshold=90_000),
            full,
            0,
        ),
        "exponent -5": (dict(), few, -5),
        "exponent 7": (dict(), few, 7),
        "no current memory": (dict(decay_u=4095), few, 0),
        "no voltage memory": (dict(decay_v=4095), few, 0),
        "refractory": (dict(refractory=5, bias=3000), few, 0),
        "v_min 0": (dict(v_min=0, bias=-1000), few, 0),
        "v_min low": (dict(v_min=V_LOW, bias=-1000), few, 0),
        "v_max": (dict(v_max=2**17 - 1, threshold=2047), few, 0),
        "threshold 0": (dict(threshold=0), few, 0),
    }


@needs_lava
@pytest.mark.parametrize("convolution", [pytest.param("sparse", marks=SLOW), "conv"])
def test_edges_of_the_arithmetic(convolution):
    source = SpikeInput(name="in", shape=(200,))
    populations, connections = [], []
    for name, (constants, weight, exponent) in edges().items():
        populations.append(population(name, (4,), **constants))
        for delay in (1, 2) if name.startswith("q") else (1,):  # two into one q
            connections.append(
                DenseConnection(
                    source="in",
                    target=name,
                    weight=weight,
                    exponent=exponent,
                    delay=delay,
                )
            )
    rng = np.random.default_rng(0)
    for i, (padding, kind) in enumerate(
        (
            (((1, 1), (0, 0)), ConvConnection),
            (((0, 1), (0, 1)), ConvConnection),
            (((1, 0), (1, 1)), ConvTransposeConnection),
        )
    ):
        c = kind(
            source="in",
            target=f"image {i}",
            weight=(rng.integers(-20, 31, (2, 3, 2, 3)) * 8).astype(np.int16),
            exponent=-2,
            shape=(10, 10, 2),
            stride=(2, 1),
            padding=padding,
        )
        populations.append(population(c.target, c.target_shape, threshold=300))
        connections += [c, replace(c, delay=63)]
    program = program_of([source], populations, connections)
    spikes = rng.random((2, 80, 200)) < np.array([0.1, 0.8])[:, None, None]
    stimulus = Stimulus(samples=2, steps=80, bias={}, spikes={"in": spikes})
    with Lava(convolution).load(program) as session:
        found = session.simulate(stimulus)
    expected = simulate_oracle(program, stimulus)
    assert_equal(found, expected)
    silent = [name for name, s in expected.items() if not s.any() or s.all()]
    assert silent == [], "these populations show nothing"


@needs_lava
def test_samples_do_not_depend_on_batch_and_order_and_sessions_go_on():
    program = two_layers()
    rng = np.random.default_rng(0)
    bias = rng.integers(0, 20_000, (4, 5)).astype(np.int32)

    def stimulus(order, steps=30):
        return Stimulus(
            samples=len(order), steps=steps, bias={"a": bias[order]}, spikes={}
        )

    session = Lava().load(program)
    with session:
        together = session.simulate(stimulus([0, 1, 2, 3]))
        backwards = session.simulate(stimulus([3, 2, 1, 0]))
        alone = session.simulate(stimulus([2], steps=17))
        own_bias = session.simulate(rest(1, 20))
    with session:
        again = session.simulate(stimulus([0, 1, 2, 3]))
    session.close()
    assert_equal(together, simulate_oracle(program, stimulus([0, 1, 2, 3])))
    assert_equal(own_bias, simulate_oracle(program, rest(1, 20)))
    assert_equal(again, together)
    for name, spikes in together.items():
        assert spikes.any()
        np.testing.assert_array_equal(backwards[name][::-1], spikes)
        np.testing.assert_array_equal(alone[name][0], spikes[2, :17])


def table():
    """Process id → (parent, session) of every process that is not a zombie."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(path.parent.name)] = int(fields[1]), int(fields[3])
    return found


def workers(parent):
    """Session leaders that ``parent`` started."""
    return {
        pid for pid, (of, session) in table().items() if of == parent and session == pid
    }


def opened(program):
    """A session of Lava, and the process of its worker; others may run here too."""
    before = workers(os.getpid())
    session = Lava().load(program)
    (worker,) = workers(os.getpid()) - before
    return session, worker


def shared_memory(pid):
    """Files in shared memory that a process has mapped."""
    words = Path(f"/proc/{pid}/maps").read_text().split()
    return {Path(word) for word in words if word.startswith("/dev/shm/psm_")}


def assert_nothing_left(worker, memory):
    """No process of the worker's session runs, and its shared memory is freed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [pid for pid, (_, session) in table().items() if session == worker]
        if not left and not any(path.exists() for path in memory):
            return
        time.sleep(0.05)
    pytest.fail(f"left: processes {left}, shared memory {memory}")


@needs_lava
@pytest.mark.parametrize("runs", [pytest.param(0, marks=SLOW), 2])
def test_close_stops_lava_and_leaves_nothing(runs):
    session, worker = opened(two_layers())
    memory, folder = shared_memory(worker), session._worker.folder
    assert memory
    for _ in range(runs):
        session.simulate(rest(1, 5))
    start = time.monotonic()
    session.close()
    assert time.monotonic() - start < lava.PATIENCE / 2
    assert_nothing_left(worker, memory)
    assert not folder.exists()


@needs_lava
def test_a_model_that_fails_is_reported_and_leaves_nothing():
    program = two_layers()
    session, worker = opened(program)
    memory = shared_memory(worker)
    wrong = replace(rest(2, 20), bias={"a": np.zeros((2, 3), np.int32)})
    with pytest.raises(RuntimeError, match="mmap length is greater than file size"):
        session.simulate(wrong)
    assert_nothing_left(worker, memory)
    with session:
        assert_equal(
            session.simulate(rest(2, 20)), simulate_oracle(program, rest(2, 20))
        )


@needs_lava
@pytest.mark.parametrize(
    "victim", ["worker", pytest.param("process of Lava", marks=SLOW)]
)
def test_a_killed_process_is_reported_and_leaves_nothing(victim):
    session, worker = opened(two_layers())
    with session:
        memory = shared_memory(worker)
        lavas = [pid for pid, (parent, _) in table().items() if parent == worker]
        os.kill(worker if victim == "worker" else max(lavas), signal.SIGKILL)
        with pytest.raises(RuntimeError, match="killed"):
            session.simulate(rest(2, 20))
    assert_nothing_left(worker, memory)


@needs_lava
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(signal.SIGINT, marks=SLOW),
        pytest.param(signal.SIGTERM, marks=SLOW),
        signal.SIGKILL,
    ],
)
def test_nothing_is_left_when_the_program_is_ended(end):
    script = (
        "import signal, test_lava\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # even under nohup\n"
        "session = test_lava.Lava().load(test_lava.two_layers())\n"
        "print('runs', flush=True)\n"
        "session.simulate(test_lava.rest(1000, 1000))\n"
    )
    command = [sys.executable, "-c", script]
    with tempfile.TemporaryDirectory() as temporary:
        with subprocess.Popen(
            command,
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": temporary},
        ) as user:
            assert user.stdout.readline() == b"runs\n"
            time.sleep(0.5)
            (worker,) = workers(user.pid)
            memory = shared_memory(worker)
            user.send_signal(end)
            _, errors = user.communicate(timeout=30)
        assert_nothing_left(worker, memory)
        assert not os.listdir(temporary)  # Lava's sockets
    assert user.returncode == -end
    assert (b"KeyboardInterrupt" in errors) == (end == signal.SIGINT)


def test_without_lava_one_sentence_says_so(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(lava, "version", missing)
    with pytest.raises(TargetUnavailable, match=r"pip install 'snn-deploy\[lava\]'"):
        Lava().load(two_layers())


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(lava, "version", lambda name: "0.10.0")
    monkeypatch.setattr(lava, "PYTHON", (2, 7))
    with pytest.raises(TargetUnavailable, match="runs on Python 2.7"):
        Lava().load(two_layers())
