"""The exported folder: any compiler takes it, and its host is the Python host."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_programs import SANITIZED, each_compiler, needs_compiler
from random_programs import identity

from snn_deploy.targets.c.compiler import compiled, compiler
from snn_deploy.targets.c.host.host import Host
from snn_deploy.targets.c.members import members_of
from snn_deploy.targets.c.project import project
from snn_deploy.targets.c.tables import held
from snn_deploy.targets.reference.target import Reference
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import UnsupportedLayer
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.functions import (
    FUNCTIONS,
    Elementwise,
    LeakyReLU,
    MaxPool2D,
)
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import Input, Output
from snn_deploy.toolchain.graph.preparation import ChannelsLast, Rescale
from snn_deploy.toolchain.graph.rearranging import Pad2D, Permute, Slice
from snn_deploy.toolchain.program.connections import DenseConnection
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    BiasEncoders,
    Decoder,
    SpikeEncoder,
    encode,
)
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

BUNDLE = Path(__file__).parent / "bundles" / "program-0.1.0.snn"
STEPS = 16
rng = np.random.default_rng(0)
pytestmark = needs_compiler
__all__ = ["each_compiler"]


def population(name: str, shape: tuple[int, ...]) -> Population:
    size = int(np.prod(shape))
    return Population(
        name=name,
        shape=shape,
        decay_u=4095,
        decay_v=200,
        threshold=640_000,
        bias=np.zeros(size, np.int32),
    )


def program(encoder: Graph, decoder: Graph | None = None, **how) -> Program:
    """One population between an encoder and a decoder."""
    p = population("only", encoder.shapes[encoder.output.name])
    return Program(
        inputs=(),
        populations=(p,),
        connections=(),
        encoder=BiasEncoder(graph=encoder, population="only", scale=60_000.0),
        decoder=Decoder(
            graph=decoder or identity(p.shape),
            population="only",
            **{"amplitude": 0.001, **how},
        ),
        timing=Timing(dt=0.001, steps=STEPS),
    )


def files_of(made: Program, samples: np.ndarray, host: str = "float"):
    """The exported files, and what the reference answers."""
    found = Reference(1).load(made).run(samples)
    return project(made, samples, found.spikes, host), found


def ran(folder: Path, files: dict[str, bytes], flags=SANITIZED, main: str = "main.c"):
    """What the compiled folder prints, and its exit code."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sources = ["network.c", "host.c", main]
    made = compiled([*compiler(), *flags], folder, [*sources, "-lm"], "main")
    done = subprocess.run([made], capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.stdout, done.returncode


def answers(text: str) -> np.ndarray:
    """(samples, numbers) of what main prints."""
    lines = [line for line in text.splitlines() if line.startswith("sample ")]
    return np.array([[float(x) for x in line.split(":")[1].split()] for line in lines])


def judge(folder: Path, made: Program, samples: np.ndarray, host: str = "float"):
    """No raster differs, and answers are the Python host's, as near as numbers are."""
    files, found = files_of(made, samples, host)
    text, code = ran(folder, files)
    assert code == 0 and "\n0 of " in text, text
    near = {"float": 1e-7, "fixed": 1e-3}[host]
    want = found.output.reshape(len(samples), -1)
    np.testing.assert_allclose(answers(text), want, rtol=near, atol=near)


def weights(*shape: int) -> dict[str, np.ndarray]:
    scale = 1 / np.sqrt(np.prod(shape[:-1]))
    return {"weight": rng.normal(0, scale, shape), "bias": rng.normal(1, 1, shape[-1])}


ENCODERS = {
    "first channels": Graph.chain(
        Input("x", shape=(2, 6, 7)),
        ChannelsLast("last"),
        Rescale("scaled", scale=np.array([2.0, 3.0]), offset=np.array([-1.0])),
        n.Conv2D(
            "conv", **weights(3, 2, 2, 4), stride=(2, 1), padding=((1, 0), (0, 1))
        ),
        Output("y"),
    ),
    "groups and dilation": Graph.chain(
        Input("x", shape=(7, 8, 4)),
        Pad2D("pad", padding=((1, 0), (2, 1))),
        n.Conv2D("conv", **weights(2, 3, 2, 6), groups=2, dilation=(2, 1)),
        n.AvgPool2D("pool", pool=(2, 2), stride=(2, 1), padding=((1, 0), (0, 1))),
        Output("y"),
    ),
    "transposed": Graph.chain(
        Input("x", shape=(3, 4, 4)),
        n.ConvTranspose2D(
            "up",
            **weights(3, 3, 2, 6),
            stride=(2, 3),
            padding=((1, 0), (0, 2)),
            groups=2,
        ),
        n.Upsample2D("twice", factor=(2, 1)),
        n.AvgPool2D(
            "pool", pool=(3, 3), stride=(2, 2), padding=((1, 1),) * 2, inside=True
        ),
        Output("y"),
    ),
    "moved": Graph.chain(
        Input("x", shape=(4, 5, 3)),
        Permute("turned", axes=(2, 0, 1)),
        Slice("cut", start=(1, 0, 2), stop=(3, 4, 5)),
        n.Reshape("flat", shape=(24,)),
        n.Dense("dense", **weights(24, 9)),
        n.BatchNorm(
            "norm",
            gamma=rng.normal(1, 0.1, 9),
            beta=rng.normal(0, 0.1, 9),
            mean=rng.normal(0, 0.1, 9),
            variance=rng.uniform(0.5, 2, 9),
            epsilon=1e-3,
        ),
        n.Dense("again", **weights(9, 12)),
        Output("y"),
    ),
    "branches": Graph(
        (
            Input("x", shape=(5,)),
            n.Dense("a", ("x",), **weights(5, 6)),
            n.Dense("b", ("x",), **weights(5, 6)),
            n.Add("sum", ("a", "b")),
            n.Concat("both", ("sum", "a", "x")),
            Output("y", ("both",)),
        )
    ),
}
NUMBERS = {  # decoders that are made of sums and comparisons
    "linear": (n.Dense("dense", **weights(12, 4)),),
    "rectified": (n.Dense("dense", **weights(12, 4)), n.ReLU("r", amplitude=0.5)),
    "ceiling": (n.Dense("dense", **weights(12, 4)), n.ReLU("r", ceiling=0.7)),
    "leaky": (LeakyReLU("leak", slope=np.full(1, 0.25)),),
    "largest": (
        n.Reshape("picture", shape=(2, 3, 2)),
        MaxPool2D("pool", pool=(2, 2), stride=(1, 1), padding=((1, 0), (0, 1))),
    ),
    "argmax": (n.Reshape("rows", shape=(3, 4)), n.Argmax("best")),
}
FLOATS = {
    "sigmoid": (n.Sigmoid("s"),),
    "tanh": (n.Tanh("t"),),
    "softmax": (n.Dense("d", **weights(12, 4)), n.Softmax("s")),
    "rows": (n.Reshape("r", shape=(3, 4)), n.LogSoftmax("l")),
    "functions": tuple(Elementwise(name, function=name) for name in FUNCTIONS),
}


def samples_of(graph: Graph, count: int = 3) -> np.ndarray:
    """In 0 … 1, with 8 bits."""
    return np.random.default_rng(1).integers(0, 257, (count, *graph.input.shape)) / 256


@pytest.mark.parametrize("host", ["float", "fixed"])
@pytest.mark.parametrize("name", ENCODERS)
def test_encoders(name, host, tmp_path):
    graph = ENCODERS[name]
    graph.check()
    judge(tmp_path, program(graph), samples_of(graph), host)


@pytest.mark.parametrize("host", ["float", "fixed"])
@pytest.mark.parametrize("name", NUMBERS)
def test_decoders(name, host, tmp_path):
    decoder = Graph.chain(Input("x", shape=(12,)), *NUMBERS[name], Output("y"))
    made = program(identity((12,)), decoder, settle=0.003, gain=1.5)
    judge(tmp_path, made, samples_of(identity((12,))), host)


@pytest.mark.parametrize("name", FLOATS)
def test_functions_are_of_floating_point_alone(name, tmp_path):
    decoder = Graph.chain(Input("x", shape=(12,)), *FLOATS[name], Output("y"))
    made = program(identity((12,)), decoder)
    judge(tmp_path, made, samples_of(identity((12,))))
    with pytest.raises(UnsupportedLayer, match="not computed in fixed.*--host float"):
        project(made, None, None, "fixed")


@pytest.mark.parametrize("how", [{"tau_syn": 0.004}, {"settle": 0.002}])
def test_what_is_read_step_by_step(how, tmp_path):
    """A weighted mean, and a leaky integrator with a layer before and behind it."""
    nodes = (
        n.Dense("dense", **weights(12, 4)),
        n.LI("li", tau_rc=0.005),
        n.Dense("more", **weights(4, 3)),
        n.Tanh("tanh"),
    )
    decoder = Graph.chain(Input("x", shape=(12,)), *nodes, Output("y"))
    decoder = decoder if "settle" in how else None
    made = program(identity((12,)), decoder, **how)
    judge(tmp_path, made, samples_of(identity((12,))))
    with pytest.raises(UnsupportedLayer, match="--host float"):
        project(made, None, None, "fixed")


def test_several_populations_are_fed_and_read(tmp_path):
    first, second = population("a", (4,)), population("b", (3,))
    graph = Graph.chain(
        Input("x", shape=(4,)), n.Dense("d", **weights(4, 3)), Output("y")
    )
    made = Program(
        inputs=(),
        populations=(first, second),
        connections=(),
        encoder=BiasEncoders(
            parts=(
                BiasEncoder(
                    graph=identity((4,)), population="a", scale=np.arange(4) * 20_000.0
                ),
                BiasEncoder(graph=graph, population="b", scale=90_000.0),
            )
        ),
        decoder=Decoder(
            graph=identity((7,)),
            population="b",
            amplitude=0.001,
            others=(("a", 0.002),),
        ),
        timing=Timing(dt=0.001, steps=STEPS),
    )
    made.check()
    judge(tmp_path, made, samples_of(identity((4,))))


@pytest.mark.parametrize("host", ["float", "fixed"])
@pytest.mark.parametrize("coding", ["rate", "latency", "events"])
def test_spikes_that_the_host_sends(coding, host, tmp_path):
    """Behind preprocessing; what comes of them is right where all of them are."""
    graph = Graph.chain(
        Input("x", shape=(2, 3)), ChannelsLast("last"), n.Flatten("flat"), Output("y")
    )
    weight = np.diag(np.full(6, 254)).astype(np.int16)
    relay = replace(population("relay", (6,)), threshold=64)
    made = Program(
        inputs=(SpikeInput(name="in", shape=(6,)),),
        populations=(relay,),
        connections=(
            DenseConnection(source="in", target="relay", weight=weight, exponent=7),
        ),
        encoder=SpikeEncoder(
            population="in", coding=coding, max_rate=700.0, graph=graph
        ),
        decoder=Decoder(graph=identity((6,)), population="relay", amplitude=0.001),
        timing=Timing(dt=0.001, steps=STEPS),
    )
    samples = samples_of(graph, 4)
    if coding == "events":
        samples = (rng.random((4, STEPS, 2, 3)) < 0.4).astype(np.float64)
    judge(tmp_path, made, samples, host)


PRINTS = """#include "host.h"
#include <stdio.h>
#include "samples.h"
static snn_network net;
static host_state host;
int main(void)
{
    for (uint32_t k = 0; k < SAMPLES; k++) {
        if (!host_start(&host, &net, samples[k], SNN_STEPS))
            return 1;
        for (uint32_t i = 0; i < SNN_ONLY_SIZE; i++)
            printf("%u ", (unsigned)net.bias_only[i]);
    }
    return 0;
}
"""


def test_fixed_point_is_the_same_integer_unless_it_is_near_to_a_half(tmp_path):
    """As near as ``deviation`` says; and then it is one unit away at most."""
    graph = ENCODERS["first channels"]
    made, samples = program(graph), samples_of(graph, 40)
    files, _ = files_of(made, samples, "fixed")
    text, _ = ran(tmp_path, {**files, "print.c": PRINTS.encode()}, main="print.c")
    got = np.array(text.split(), np.int64).reshape(len(samples), -1)
    stimulus = encode(made.encoder, samples, STEPS, 0.001)
    want, exact = stimulus.bias["only"], stimulus.current["only"] * 60_000
    unit = 1 << (held(want).astype(np.int64) & 7)
    found = ((got >> 3) - 4096) * (1 << (got & 7))
    from_half = np.abs(np.abs(exact / unit % 1) - 0.5) * unit
    deviation = Host(made, members_of(made), "fixed").deviation
    assert 0 < deviation < 0.02
    far = from_half > deviation
    assert far.mean() > 0.99
    np.testing.assert_array_equal(found[far], want[far])
    assert (np.abs(found - want) <= unit).all()


def test_a_sample_beyond_what_is_held_is_refused(tmp_path):
    """By the core's biases, or by fixed point; NaN too."""
    made = program(identity((3,)))
    for host, value in (("float", "10"), ("float", "nan"), ("fixed", "40000")):
        files = project(made, None, None, host)
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        sources = ["network.c", "host.c", "main.c", "-lm"]
        run = compiled([*compiler(), *SANITIZED], tmp_path, sources, "main")
        done = subprocess.run(
            [run], input=f"0.5 0.25 1\n{value} 0 0", capture_output=True, text=True
        )
        assert done.returncode == 2 and "sample 1 cannot be run" in done.stderr
        assert done.stdout.startswith("sample 0: ")


# --- the command ---------------------------------------------------------------------


@pytest.mark.usefixtures("each_compiler")
@pytest.mark.parametrize("host", ["float", "fixed"])
def test_a_bundle_becomes_a_program(host, run_cli, tmp_path, capsys):
    out = tmp_path / "out"
    words = ("export", BUNDLE, "--format", "c", "--host", host, "--out", out)
    assert run_cli(*words) == 0
    assert "next: cd" in capsys.readouterr().err
    text, code = ran(out, {})
    assert code == 0 and "0 of 8 rasters differ" in text


def test_a_spike_too_many_is_told(run_cli, tmp_path):
    out = tmp_path / "out"
    assert run_cli("export", BUNDLE, "--format", "c", "--out", out) == 0
    text = (out / "network.c").read_text()
    assert text.count("v > 768768") == 1
    (out / "network.c").write_text(text.replace("v > 768768", "v > 768000"))
    printed, code = ran(out, {})
    assert code == 1 and "\n0 of " not in printed


def test_cmake_builds_it_too(run_cli, tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("there is no cmake; apt-get install cmake")
    out = tmp_path / "out"
    assert run_cli("export", BUNDLE, "--format", "c", "--out", out) == 0
    for words in (("-B", "build"), ("--build", "build")):
        subprocess.run(["cmake", *words], cwd=out, check=True, capture_output=True)
    assert subprocess.run([out / "build" / "main"], capture_output=True).returncode == 0


def test_a_bundle_without_samples_reads_its_own(run_cli, tmp_path):
    bundle = load_bundle(BUNDLE)
    plain, out = tmp_path / "plain.snn", tmp_path / "out"
    save_bundle(plain, Bundle(program=bundle.program))
    assert run_cli("export", plain, "--format", "c", "--out", out) == 0
    assert not (out / "samples.h").exists()
    text, code = ran(out, {})
    assert (text, code) == ("", 0)


def test_the_same_bundle_gives_the_same_bytes(run_cli, tmp_path):
    for name in "ab":
        words = ("export", BUNDLE, "--format", "c", "--out", tmp_path / name)
        assert run_cli(*words) == 0
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
        assert str(tmp_path) not in file.read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("graph-0.1.0.snn", "--format", "c"), "written of a built Program"),
        (("program-0.1.0.snn", "--format", "nir", "--host", "fixed"), "has no host"),
        (("program-0.1.0.snn", "--format", "onnx"), "nir, netx and c"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(words, says, run_cli, tmp_path, capsys):
    name, *others = words
    out = tmp_path / "out"
    assert run_cli("export", BUNDLE.parent / name, *others, "--out", out) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_file_in_the_way_is_one_sentence(run_cli, tmp_path, capsys):
    out = tmp_path / "out"
    out.write_text("mine")
    assert run_cli("export", BUNDLE, "--format", "c", "--out", out) == 2
    assert "Folder" in capsys.readouterr().err and out.read_text() == "mine"


def test_hostile_names_are_no_more_than_text(tmp_path):
    name = '*/ "); #error\n|\\'
    made = program(identity((3,)))
    renamed = replace(
        made,
        populations=(replace(made.populations[0], name=name),),
        encoder=replace(made.encoder, population=name),
        decoder=replace(made.decoder, population=name),
    )
    judge(tmp_path, renamed, samples_of(identity((3,))))
    rows = (tmp_path / "README.md").read_text().splitlines()
    assert len([row for row in rows if "#error" in row]) == 1
