"""Target c: not one spike differs, and no compiler or sanitizer has a word to say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_programs import (
    SANITIZED,
    STRICT,
    biased,
    each_compiler,
    needs_compiler,
    together,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_programs import identity, programs, simulate_oracle, stimuli

from snn_deploy.targets.c import compiler, process
from snn_deploy.targets.c.sizes import sizes_of
from snn_deploy.targets.c.source import Source
from snn_deploy.targets.c.target import C
from snn_deploy.targets.reference.target import Reference
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.errors import DataError, TargetUnavailable
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import (
    LIF,
    Conv2D,
    Dense,
    Flatten,
    Input,
    Node,
    Output,
)
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import (
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
    SparseConnection,
)
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    BoolArray,
    Decoder,
    SpikeEncoder,
    Stimulus,
    encode,
)
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

ROOT = Path(__file__).parent.parent
TOGETHER = 6  # drawn Programs that are compiled at once
pytestmark = needs_compiler
__all__ = ["each_compiler"]


def assert_equal(got: Mapping[str, BoolArray], want: Mapping[str, BoolArray]) -> None:
    """Same populations, same spikes; otherwise name the first that differs."""
    assert set(got) == set(want)
    for name, spikes in want.items():
        differ = np.argwhere(got[name] != spikes)
        assert not len(differ), f"{name}: {len(differ)} differ, first at {differ[0]}"


def judge(program: Program, stimulus: Stimulus, flags=SANITIZED) -> dict:
    """The oracle's spikes, which C fires too, without a warning or a finding."""
    want = simulate_oracle(program, stimulus)
    with C(flags).load(program) as session:
        assert_equal(session.simulate(stimulus), want)
    return want


def population(name: str, size: int, **other) -> Population:
    """A plain one, of what is said."""
    plain = {
        "shape": (size,),
        "decay_u": 4095,
        "decay_v": 200,
        "threshold": 64_000,
        "bias": np.zeros(size, np.int32),
    }
    return Population(name=name, **{**plain, **other})


def fed(*populations: Population, connections=(), steps: int = 20) -> Program:
    """The first population is fed by samples, the last is read."""
    first, last = populations[0], populations[-1]
    return Program(
        inputs=(),
        populations=populations,
        connections=tuple(connections),
        encoder=BiasEncoder(
            graph=identity(first.shape), population=first.name, scale=100_000.0
        ),
        decoder=Decoder(
            graph=identity(last.shape), population=last.name, amplitude=0.001
        ),
        timing=Timing(dt=0.001, steps=steps),
    )


def dense(source: str, target: str, shape: tuple[int, int], **other) -> DenseConnection:
    rng = np.random.default_rng(len(source) + 7 * len(target))
    weight = (rng.integers(-60, 128, shape) * 2).astype(np.int16)
    return DenseConnection(
        **{"source": source, "target": target, "weight": weight, **other}
    )


# --- any Program ---------------------------------------------------------------------


@settings(
    deadline=None,
    max_examples=4,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), recurrent=st.booleans(), steps=st.integers(1, 25))
def test_not_one_spike_differs(data, recurrent, steps):
    drawn = [
        data.draw(programs(recurrent=recurrent, delays=True, encoder="bias"))
        for _ in range(TOGETHER)
    ]
    program = together(drawn)
    judge(program, biased(program, 2, steps))


@settings(
    deadline=None,
    max_examples=3,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_nor_where_the_host_sends_spikes(data):
    program = data.draw(programs(recurrent=True, delays=True, encoder="spikes"))
    judge(program, data.draw(stimuli(program)))


@pytest.mark.parametrize("kind", [ConvConnection, ConvTransposeConnection])
def test_every_stride_dilation_padding_and_group(kind):
    """Of one spike input; each geometry is a population."""
    rng, connections, populations = np.random.default_rng(0), [], []
    for stride in ((1, 1), (2, 1), (3, 2)):
        for dilation in ((1, 1), (2, 3), (4, 2)):
            for groups in (1, 2):
                weight = rng.integers(-127, 128, (3, 2, 4 // groups, 6)) * 2
                c = kind(
                    source="in",
                    target=f"{stride} {dilation} {groups}",
                    weight=weight.astype(np.int16),
                    shape=(9, 8, 4),
                    stride=stride,
                    padding=((1, 2), (0, 1)),
                    groups=groups,
                    dilation=dilation,
                )
                connections.append(c)
                shape, size = c.target_shape, int(np.prod(c.target_shape))
                populations.append(
                    population(c.target, size, shape=shape, threshold=12_800)
                )
    program = sent(populations, connections, (9, 8, 4))
    want = judge(program, noise(program, 0.2))
    assert all(spikes.any() for spikes in want.values())


def sent(populations, connections, shape: tuple[int, ...]) -> Program:
    """Populations behind the spike input ``in``."""
    last = populations[-1]
    program = Program(
        inputs=(SpikeInput(name="in", shape=shape),),
        populations=tuple(populations),
        connections=tuple(connections),
        encoder=SpikeEncoder(population="in", coding="events"),
        decoder=Decoder(
            graph=identity(last.shape), population=last.name, amplitude=0.001
        ),
        timing=Timing(dt=0.001, steps=12),
    )
    program.check()
    return program


def noise(program: Program, share: float) -> Stimulus:
    size = program["in"].size
    spikes = np.random.default_rng(1).random((2, 12, size)) < share
    return Stimulus(samples=2, steps=12, bias={}, spikes={"in": spikes})


# --- the limits of every width -------------------------------------------------------


@pytest.mark.parametrize("exponent", range(-core.MAX_EXPONENT, core.MAX_EXPONENT + 1))
def test_weights_at_their_limits_with_every_exponent(exponent):
    """600 neurons that spike at once: q and u wrap around where they can."""
    grain = 2 << max(-exponent, 0)
    most = core.MAX_MANTISSA // grain * grain
    rng = np.random.default_rng(exponent + 99)
    weight = (rng.choice((-most, most, most), (600, 40))).astype(np.int16)
    one = DenseConnection(source="in", target="a", weight=weight, exponent=exponent)
    two = replace(one, target="b", weight=np.abs(weight))
    other = replace(one, target="b", exponent=0, weight=weight // grain * 2, delay=3)
    made = [population("a", 40, decay_u=0), population("b", 40, decay_u=9, decay_v=0)]
    made = [replace(p, threshold=core.MAX_THRESHOLD, v_min=-core.V_LIMIT) for p in made]
    program = sent(made, [one, two, other], (600,))
    judge(program, noise(program, 0.6), STRICT)


def test_constants_at_their_limits():
    """Each population has one thing at its end, and all of them spike or could."""
    corners = {
        "rest": {"refractory": core.MAX_REFRACTORY},
        "low": {"v_min": -core.V_LIMIT, "decay_v": 0},
        "top": {"v_max": 1, "threshold": 64},
        "just": {"v_max": 65, "threshold": 64},
        "all": {"threshold": 0},
        "never": {"threshold": core.MAX_THRESHOLD, "decay_v": 0},
        "gone": {"decay_v": 4095, "decay_u": 4094},
        "kept": {"decay_u": 0, "decay_v": 0, "v_min": -core.V_LIMIT},
        "small": {"threshold": 65_472, "decay_v": 0},
        "wide": {"threshold": 65_536, "decay_v": 0},
    }
    bias = core.round_bias(np.linspace(-core.MAX_BIAS, core.MAX_BIAS, 70))
    made = [population("first", 33, threshold=128_000)]
    made += [population(n, 70, **{"bias": bias, **c}) for n, c in corners.items()]
    connections = [dense("first", name, (33, 70)) for name in corners]
    program = fed(*made, connections=connections, steps=70)
    program.check()
    want = judge(program, biased(program, 2, 70))
    assert {name for name in corners if not want[name].any()} <= {"never", "top"}


def test_thresholds_and_biases_of_channels():
    """Of 7 channels, which no word of 32 spikes begins with again and again."""
    theta = np.array([64, 640, 6400, 64_000, 128_000, 64, 256_000], np.int32)
    by_channel = np.resize(np.array([100, -5, 3000, 4094, 0, 8190, 77], np.int32), 105)
    shape = (5, 3, 7)
    made = [
        population("first", 105, shape=shape, threshold=theta),
        population("second", 105, shape=shape, threshold=theta, bias=by_channel),
        population("third", 105, shape=shape, bias=by_channel, decay_u=7),
        population("flat", 7, threshold=theta, bias=by_channel[:7]),
    ]
    links = [dense("first", "second", (105, 105)), dense("second", "third", (105, 105))]
    program = fed(*made, connections=[*links, dense("third", "flat", (105, 7))])
    judge(program, biased(program, 3, 20))


def test_v_counts_in_coarser_units_where_that_takes_16_bits():
    """Integrate and fire without low bits: all that is added is a multiple of 2^7."""
    plain = {"decay_v": 0, "threshold": 128_000, "v_min": -128_000}
    made = [population("first", 40), population("second", 40, **plain)]
    made[1] = replace(made[1], bias=np.full(40, -128, np.int32))
    program = fed(*made, connections=[dense("first", "second", (40, 40))])
    text = Source(program).file("network.h")
    assert "int16_t v_layer" not in text and "int16_t v_second[40]" in text
    want = judge(program, biased(program, 2, 60))
    assert want["second"].any()


def test_sparse_connections_with_and_without_equal_fans():
    made = [population("first", 50), population("one", 50), population("some", 20)]
    one = SparseConnection(
        source="first",
        target="one",
        weight=np.full(50, 200, np.int16),
        exponent=3,
        sender=np.arange(50, dtype=np.int32),
        receiver=np.arange(50, dtype=np.int32)[::-1].copy(),
        shape=(50,),
        into=(50,),
    )
    sender, receiver = np.nonzero(np.random.default_rng(0).random((50, 20)) < 0.3)
    some = replace(
        one,
        target="some",
        weight=np.full(sender.size, 254, np.int16),
        sender=sender.astype(np.int32),
        receiver=receiver.astype(np.int32),
        into=(20,),
    )
    program = fed(*made, connections=[one, some])
    text = Source(program).file("network.c")
    assert len(re.findall("uint16_t starts_|uint8_t starts_", text)) == 1
    assert judge(program, biased(program, 2, 20))["some"].any()


@pytest.mark.parametrize("delay", [1, 2, 63])
def test_loops_and_delays_in_any_order_of_layers(delay):
    made = [population(name, 12, threshold=6400) for name in "abc"]
    ends = ["ab", "bc", "ca", "aa", "cc", "ba"]
    links = [dense(*pair, (12, 12), delay=delay) for pair in ends]
    links.append(replace(links[0], delay=1 + delay % 5))
    program = fed(*made, connections=links)
    judge(program, biased(program, 2, 140), STRICT)


# --- networks ------------------------------------------------------------------------


def locnet(height: int, width: int) -> Program:
    """The shipped one, for a picture of this size: its first dense layer is cut."""
    graph = load_bundle(ROOT / "models" / "networks" / "locnet.snn").graph
    inputs = (height // 8) * (width // 8) * 32

    def sized(node: Node) -> Node:
        if isinstance(node, Input):
            return replace(node, shape=(height, width, 1))
        if isinstance(node, Dense) and len(node.weight) > inputs:
            return replace(node, weight=node.weight[:inputs])
        return node

    graph = replace(graph, nodes=tuple(map(sized, graph.nodes)))
    return quantize(legalize(graph), pictures(height, width), steps=24)


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((2, *shape, 1))


@pytest.mark.parametrize("size", [(16, 24), (32, 48)])
def test_locnet_and_how_much_memory_it_takes(size):
    program = locnet(*size)
    start = time.process_time()
    source = Source(program)
    source.file("network.c")
    assert time.process_time() - start < 5
    assert sizes_of(source).ram < 160 << 10 and sizes_of(source).flash < 256 << 10
    stimulus = encode(program.encoder, pictures(*size), 24, 0.001)
    want = Reference().load(program).simulate(stimulus)
    assert sum(spikes.any() for spikes in want.values()) >= 5
    with C().load(program) as session:
        assert_equal(session.simulate(stimulus), want)


def judge_network(program: Program, samples: np.ndarray) -> None:
    """No layer is silent, no spike differs, and the answers are the same."""
    with C().load(program) as ours, Reference().load(program) as reference:
        got, want = ours.run(samples), reference.run(samples)
    assert all(counts.any() for counts in want.counts.values())
    assert_equal(got.spikes, want.spikes)
    np.testing.assert_array_equal(got.output, want.output)


def test_a_classifier_of_digits_fits_a_small_board():
    """Of the shape that ``train`` makes for 8×8 pixels: a convolution, two layers."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> dict[str, np.ndarray]:
        scale = 3 / np.sqrt(np.prod(shape[:-1]))
        weight = rng.normal(0.3 * scale, scale, shape)
        return {"weight": weight, "bias": rng.normal(1, 0.5, shape[-1])}

    graph = Graph.chain(
        Input("digit", shape=(8, 8, 1)),
        Conv2D("conv", **weights(3, 3, 1, 8), stride=(2, 2), padding=((0, 1),) * 2),
        LIF("seen", amplitude=0.005),
        Flatten("flat"),
        Dense("dense", **weights(128, 32)),
        LIF("known", amplitude=0.005),
        Dense("classes", **weights(32, 10)),
        Output("answer"),
    )
    samples = rng.random((4, 8, 8, 1))
    program = quantize(legalize(graph), samples, steps=24)
    judge_network(program, samples)
    held = sizes_of(Source(program))
    assert held.ram < 64 << 10 and held.flash < 256 << 10


@pytest.mark.slow
def test_the_autoencoder():
    """Random weights, normalised and balanced so that no layer is silent."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    from snn_deploy.deploy import Steps, compile_program
    from snn_deploy.models.data.generated.blobs import blob_data
    from snn_deploy.models.networks.cae import cae
    from snn_deploy.pipeline.compilation import Settings
    from snn_deploy.toolchain.frontends.keras.keras import from_keras

    size = (16, 24, 1)
    images = blob_data(9, 0, size).images
    tf.keras.utils.set_random_seed(0)
    model = cae(size, (4, 6, 8))
    for _ in range(20):
        model(images, training=True)
    samples = images[::18].astype(np.float64)
    quiet = Steps(lambda name, seconds: None)
    program, _ = compile_program(from_keras(model), samples, Settings(steps=24), quiet)
    judge_network(program, samples[:2])


# --- compilers -----------------------------------------------------------------------

HOSTILE = (
    "int",
    "*/ #error no /*",
    "a\\",
    "??/",
    '"; system("true"); //',
    "größe\n#error no",
    "größe #error no",
    "",
    "x" * 300,
    "x" * 299 + "y",
    "add(",
    "\ud800\x00",
)


def hostile() -> Program:
    made = [population(name, 5) for name in HOSTILE]
    links = [dense(a, b, (5, 5)) for a, b in zip(HOSTILE, HOSTILE[1:])]
    return fed(*made, connections=links)


@pytest.mark.usefixtures("each_compiler")
def test_hostile_names_are_no_more_than_comments():
    program = hostile()
    judge(program, biased(program, 1, 8), (*SANITIZED, "-trigraphs"))
    for file in ("network.h", "network.c", "serve.c"):
        assert Source(program).file(file).isascii()


@pytest.mark.usefixtures("each_compiler")
def test_no_compiler_warns_and_no_sanitizer_finds_anything():
    program = together([load_bundle(p).program for p in BUNDLES] * 2)
    judge(program, biased(program, 1, 24), SANITIZED)


BUNDLES = [ROOT / "tests" / "bundles" / "program-0.1.0.snn"]


def test_the_same_program_gives_the_same_bytes():
    code = (
        "from pathlib import Path; import hashlib\n"
        "from snn_deploy.toolchain.bundle.bundle import load_bundle\n"
        "from snn_deploy.targets.c.source import Source\n"
        f"s = Source(load_bundle({str(BUNDLES[0])!r}).program)\n"
        "print(hashlib.sha256((s.file('network.c') + s.file('network.h')).encode())"
        ".hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def plain() -> Program:
    return fed(population("only", 4))


def script(folder: Path, text: str) -> str:
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_is_not_there(temporary, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    with pytest.raises(
        TargetUnavailable, match="no-such-compiler.*apt-get install gcc"
    ):
        C().load(plain())
    monkeypatch.setenv("CC", 'gcc "')
    with pytest.raises(TargetUnavailable, match="CC is no command"):
        C().load(plain())
    assert not [*temporary.iterdir()]


@pytest.mark.parametrize(
    ("does", "says"),
    [
        (
            "echo 'x.c:1: error: no luck' >&2; exit 4",
            "exit code 4: x.c:1: error: no luck",
        ),
        ("exit 0", "exit code 0"),
        ("kill -9 $$", "exit code -9"),
    ],
)
def test_a_compiler_that_fails_leaves_nothing(
    does, says, temporary, tmp_path, monkeypatch
):
    monkeypatch.setenv("CC", script(tmp_path, does))
    with pytest.raises(TargetUnavailable, match=says):
        C().load(plain())
    assert not [*temporary.iterdir()]


def test_a_compiler_that_hangs_is_ended(temporary, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", script(tmp_path, "sleep 60 & wait"))
    monkeypatch.setattr(compiler, "PATIENCE", 0.3)
    with pytest.raises(TargetUnavailable, match="not done after 0.3 s"):
        C().load(plain())
    assert not [*temporary.iterdir()]


# --- its process ---------------------------------------------------------------------


def made(folder: Path, text: str) -> str:
    """A compiler that makes a program which does this, whatever it is given."""
    other = folder / "other.c"
    other.write_text(
        f"#include <stdio.h>\n#include <unistd.h>\nint main(void) {{ {text} }}\n"
    )
    return script(folder, f"exec cc {other} -o serve")


def test_a_process_that_ends_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", made(tmp_path, "return 3;"))
    with (
        C().load(plain()) as session,
        pytest.raises(TargetUnavailable, match="ended .exit code 3"),
    ):
        session.simulate(biased(plain(), 1, 20))


def test_a_process_that_says_nothing_is_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", made(tmp_path, "sleep(60); return 0;"))
    monkeypatch.setattr(process, "PATIENCE", 0.3)
    monkeypatch.setattr(process, "PARTING", 0.3)
    with (
        C().load(plain()) as session,
        pytest.raises(TargetUnavailable, match="says nothing for 0.3 s"),
    ):
        session.simulate(biased(plain(), 1, 20))


def test_a_process_of_half_an_answer_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", made(tmp_path, 'printf("abc"); return 3;'))
    with (
        C().load(plain()) as session,
        pytest.raises(TargetUnavailable, match="ended .exit code 3"),
    ):
        session.simulate(biased(plain(), 1, 20))


def test_nothing_is_left_while_it_runs_and_after(temporary):
    with C().load(plain()) as session:
        assert not [*temporary.iterdir()]
        session.simulate(biased(plain(), 1, 20))
    assert not [*temporary.iterdir()]


def test_biases_that_the_compiled_network_does_not_take_are_refused():
    program = fed(population("a", 3), population("b", 3))
    stimulus = biased(program, 1, 5)
    wrong = replace(stimulus, bias={"b": stimulus.bias["a"]})
    with C().load(program) as session, pytest.raises(DataError, match="takes those of"):
        session.simulate(wrong)
