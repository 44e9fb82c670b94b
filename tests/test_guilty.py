"""The guilty layer is named, what is said of it is so, and its remedy helps."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from drawn_networks import layered
from random_programs import synapses
from small_networks import save, stripes

from snn_deploy import calibrating, deploy
from snn_deploy.calibration.guilt.alone import Bench
from snn_deploy.calibration.guilt.guilt import Guilt, bench_of, find_guilt
from snn_deploy.calibration.readout import distance
from snn_deploy.pipeline.calibrate import simulated
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.targets.contract import find_target
from snn_deploy.tasks.built import read_built
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.quantize.layers import layers
from snn_deploy.toolchain.program.program import Program

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
DEPTH = 4


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("damage")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A network of four populations and its data."""
    folder = tmp_path_factory.mktemp("guilty")
    x, y = stripes(240)
    save(folder / "net.snn", layered(x, np.eye(3)[y], DEPTH))
    np.savez(folder / "data.npz", x=x, y=y)
    return folder


@contextmanager
def unmended(module: ModuleType) -> Iterator[None]:
    """Without a search for what mends findings, which test_findings.py is on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "mended", lambda findings, *_: findings)
        yield


@pytest.fixture(scope="module")
def built(folder) -> Callable[..., Path]:
    """``built(**chosen)``: the bundle of a build with these settings, made once."""

    @functools.cache
    def build(**chosen: object) -> Path:
        settings = replace(Settings(steps=64), **chosen)
        files = folder / "net.snn", folder / "data.npz"
        with unmended(deploy):
            made = deploy.build("reference", *files, settings=settings)
        out = folder / "-".join(map(str, ["built", *chosen.values()]))
        deploy.write(made, out)
        return out / "program.snn"

    return build


@pytest.fixture(scope="module")
def bundle(built) -> Path:
    return built()


@pytest.fixture(scope="module")
def program(bundle) -> Program:
    return load_bundle(bundle).program


@pytest.fixture(scope="module")
def samples(bundle) -> np.ndarray:
    return load_bundle(bundle).samples[:12].astype(float)


def guilt_of(program: Program, samples: np.ndarray) -> Guilt:
    with find_target("reference").load(program) as session:
        recording = session.run(samples)
    return find_guilt(program, samples, recording, simulated)


def test_the_damaged_layer_is_named_first(program, samples, damage):
    """The whole of it, on trained networks, is benchmarks/guilty.py."""
    healthy = {each.name: each.rates for each in guilt_of(program, samples).layers}
    hits, trials = 0, 20
    for seed in range(trials):
        done = damage.drawn(program, np.random.default_rng(seed))
        guilt = guilt_of(damage.damaged(program, done), samples)
        hits += guilt.layers[0].name == done.layer
        (layer,) = (each for each in guilt.layers if each.name == done.layer)
        assert done.kind != "silent" or layer.silent == 1
        ratio = layer.rates.mean / healthy[layer.name].mean
        assert done.kind != "saturated" or ratio > 4
    assert hits >= 0.95 * trials


@pytest.mark.parametrize("number", [0, -1])
def test_a_fine_tuned_network_is_held_to_what_it_was_trained_as(
    program, samples, damage, number
):
    """A layer that is so loses nothing; one that is not, all that the answers lose."""
    name = program.populations[number].name
    spoilt = damage.damaged(program, damage.Damage(name, "silent", 0.01))
    with find_target("reference").load(spoilt) as session:
        recording = session.run(samples)
    guilt = find_guilt(spoilt, samples, recording, simulated, trained=program)
    with find_target("reference").load(program) as session:
        trained = session.run(samples).output
    first, *others = guilt.layers
    assert first.name == name
    assert first.lost == distance(recording.output, trained) > 0.1
    assert [each.lost for each in others] == [0.0] * (DEPTH - 1)


def test_a_layer_does_not_inherit_guilt(program, samples, damage):
    """The first layer is dead: those behind it are as innocent as before."""
    before = {each.name: each for each in guilt_of(program, samples).layers}
    first = program.populations[0].name
    done = damage.Damage(first, "silent", 0.001)
    after = guilt_of(damage.damaged(program, done), samples)
    assert after.layers[0].name == first and after.layers[0].silent == 1
    for each in after.layers[1:]:
        assert each.lost == before[each.name].lost
        assert each.alone == before[each.name].alone
        assert each.together.error > before[each.name].together.error


def test_figures_are_those_of_a_loop(program, samples):
    """What a layer alone fires and its integers hold, worked out neuron by neuron."""
    bench: Bench = bench_of(program, samples, 64, simulated)
    layer = layers(program.graph)[-1]
    name = layer.population.name
    (c,) = program.incoming(name)
    population, alone = program[name], bench.tried(layer)
    train = bench.train(c.source)
    ideal = bench.flow.values[c.source].reshape(len(samples), -1)
    rate = train.mean(axis=1) / 0.001 * program[c.source].amplitude
    one_spike = program[c.source].amplitude / 0.064
    assert np.abs(rate - ideal).max() <= one_spike * (1 + 1e-9)
    share = train[:, 16:-1].mean(axis=1)
    weight = np.zeros((share.shape[1], population.size))
    for source, target, held in synapses(c):
        weight[source, target] += held
    lasting = 4096 / (1 + population.decay_u)
    units = population.thresholds * 0.001
    wanted = (share @ weight * lasting + population.bias) / units
    np.testing.assert_allclose(alone.held, population.correction.removed(wanted))
    float_weight = layer.synapses[0].node.weight
    value = share / 0.001 * program[c.source].amplitude
    np.testing.assert_allclose(
        alone.current, value @ float_weight + layer.synapses[0].node.bias
    )


def test_what_is_lost_is_told_apart(built, program, samples):
    """By rounding with few bits, by spiking with many; nothing with neither."""
    fine = guilt_of(program, samples).losses
    assert fine.rounding < 0.001 < fine.spiking
    assert fine.whole == pytest.approx(fine.spiking, rel=0.2)
    coarse = load_bundle(built(weight_bits=2)).program
    losses = guilt_of(coarse, samples).losses
    assert losses.rounding > 0.3
    for each in guilt_of(coarse, samples).layers:
        assert each.noise.weights is None or each.noise.weights < 12
    for each in guilt_of(program, samples).layers:
        assert each.noise.weights is None or each.noise.weights > 30


@pytest.mark.parametrize(
    ("bad", "remedy"),
    [
        ({"weight_bits": 2}, "build it with --weight-bits 8"),
        pytest.param(
            *({"max_rate": 10.0}, "build it with no --max-rate"),
            marks=pytest.mark.slow,
        ),
        pytest.param({"steps": 12}, "build it with --steps", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_remedy_leaves_what_it_says(built, folder, bad, remedy):
    """It is followed: the layer loses what was foretold, to a tenth of what it lost
    before, and the whole network loses less."""
    data = folder / "data.npz"
    with unmended(calibrating):
        before = calibrating.calibrate(built(**bad), data).guilt
    first = before.layers[0]
    assert first.remedy is not None and first.remedy.change.startswith(remedy)
    better = dict(bad)
    if remedy.endswith("--steps"):
        better["steps"] = int(first.remedy.change.split()[-1])
    else:
        del better[next(iter(bad))]
    there = read_built(built(**better))
    asked = there.examples(there.read(data), before.samples, drawn=True)
    found = guilt_of(there.program, asked.x)
    (after,) = (each for each in found.layers if each.name == first.name)
    assert after.lost < 0.6 * first.lost
    assert abs(after.lost - first.remedy.lost) < 0.1 * first.lost
    assert found.losses.whole < before.losses.whole


def test_spikes_that_are_sent_have_their_row(built):
    """Values above 1 are clipped, which no rate can mend."""
    clipped = built(encoder="spikes")
    program, samples = load_bundle(clipped).program, load_bundle(clipped).samples
    rows = {each.name: each for each in guilt_of(program, samples[:8]).layers}
    assert set(rows) == {p.name for p in program.members}
    loud = {e.name: e for e in guilt_of(program, 3 * samples[:8]).layers}
    assert loud["x"].lost > 10 * rows["x"].lost


def test_a_program_without_its_float_network_is_refused(program, samples):
    with pytest.raises(ModelError, match="no float network.*build it again"):
        bench_of(replace(program, graph=None), samples, 8, simulated)


def test_the_verb_prints_the_list(built, folder, run_cli, capsys):
    words = ("calibrate", built(weight_bits=2), "--force")
    assert run_cli(*words, "--data", folder / "data.npz", "--samples", 16) == 0
    text = capsys.readouterr().out
    for part in ("what helps", "weights", "the whole network loses", "accuracy: float"):
        assert part in text, part
    assert run_cli(*words, "--json", "--samples", 8) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["guilt"]["samples"] == 8 and told["metric"] == "accuracy"
    names = [layer["name"] for layer in told["guilt"]["layers"]]
    assert sorted(names) == [f"layer{i}.relu" for i in range(DEPTH)]


def test_the_verb_ends_with_1_where_the_answers_are_worth_nothing(
    built, folder, run_cli, capsys
):
    bad = built(max_rate=3.0)
    words = ("calibrate", bad, "--data", folder / "data.npz")
    assert run_cli(*words) == 1
    assert "error: " in capsys.readouterr().out
    assert run_cli(*words, "--force") == 0
    assert run_cli("run", bad, "--target", "reference") == 1
    assert run_cli("run", bad, "--target", "reference", "--force") == 0


def test_in_a_network_of_branches_the_damaged_layer_is_named(damage):
    rng = np.random.default_rng(0)

    def dense(name: str, source: str, outputs: int = 12) -> n.Dense:
        weight = rng.normal(size=(12, outputs)) / 3
        return n.Dense(name, (source,), weight=weight, bias=np.full(outputs, 0.1))

    graph = Graph(
        (
            n.Input("x", shape=(12,)),
            *(dense("d0", "x"), n.ReLU("a", ("d0",))),
            *(dense("d1", "a"), n.ReLU("b", ("d1",))),
            *(dense("d2", "b"), dense("d3", "a"), n.Add("sum", ("d2", "d3"))),
            *(n.ReLU("c", ("sum",)), dense("d4", "c", 3), n.Output("y", ("d4",))),
        )
    )
    samples = rng.random((24, 12))
    program, _ = deploy.compile_program(graph, samples, Settings(), deploy.Steps())
    for name in "abc":
        for kind, factor in (("saturated", 20.0), ("silent", 0.001), ("2 bits", 1.0)):
            done = damage.Damage(name, kind, factor)
            found = guilt_of(damage.damaged(program, done), samples).layers
            assert found[0].name == name, (done, found)
