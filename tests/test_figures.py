"""The numbers behind a page's figures, against the recording that they are of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_programs import identity
from shown_networks import NETWORKS, shown

from snn_deploy.calibration.report.figures.curve import (
    LIKENESS,
    LOST,
    SAVED,
    CurvePoint,
    Judge,
    curve,
    early_exit,
)
from snn_deploy.calibration.report.figures.grid import grid
from snn_deploy.calibration.report.figures.histogram import rate_histograms
from snn_deploy.calibration.report.figures.predictions import SIDE, mask_png, png_of
from snn_deploy.calibration.report.figures.raster import EVENTS, raster
from snn_deploy.calibration.report.report import Report
from snn_deploy.targets.contract import find_target
from snn_deploy.targets.loihi.target import LOIHI1_CORE, LOIHI1_CORES
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.passes.place.place import place
from snn_deploy.toolchain.program.host import Decoder
from snn_deploy.toolchain.program.recording import Recording

DT = 0.001  # s


def recorded(spikes: np.ndarray) -> Recording:
    """A recording of one population's spikes, (samples, steps, neurons)."""
    return Recording(
        target="reference",
        kind="integer emulation",
        dt=DT,
        steps=spikes.shape[1],
        counts={"a": spikes.sum(axis=1)},
        spikes={"a": spikes},
        output=spikes.mean(axis=1) / DT,
        wall_time=0.0,
    )


def drawn(samples: int, steps: int, neurons: int, rate: float = 0.3) -> np.ndarray:
    return np.random.default_rng(0).random((samples, steps, neurons)) < rate


@given(st.integers(1, 3), st.integers(1, 200), st.integers(1, 300), st.floats(0, 1))
def test_a_raster_is_bounded_and_says_how_much_it_leaves_out(
    samples, steps, neurons, rate
):
    recording = recorded(drawn(samples, steps, neurons, rate))
    found = raster(recording, ["a"])
    assert found is not None
    (layer,) = found.layers
    shown_spikes = sum(len(train.steps) for train in layer.trains)
    assert found.shown == shown_spikes <= EVENTS
    assert found.spikes == recording.counts["a"][0].sum()
    for train in layer.trains:
        real = np.flatnonzero(recording.spikes["a"][0, :, train.neuron])
        assert train.steps == tuple(real[: len(train.steps)])


def test_a_raster_of_many_layers_stays_bounded():
    spikes = drawn(1, 400, 50, 1.0)
    one = recorded(spikes)
    names = [f"layer{i}" for i in range(40)]
    many = replace(
        one,
        spikes={name: spikes for name in names},
        counts={name: one.counts["a"] for name in names},
    )
    found = raster(many, names)
    assert found is not None and 0 < found.shown <= EVENTS
    assert len(found.layers) == 40


def test_histograms_hold_every_neuron_once():
    bundle = load_bundle(shown("classes") / "program.snn")
    program = bundle.program
    with find_target("reference").load(program) as session:
        recording = session.run(bundle.samples, record="counts")
    for found in rate_histograms(program, recording):
        counts = recording.counts[found.layer].mean(axis=0)
        assert sum(found.neurons) == len(counts)
        assert found.silent == (counts == 0).sum() <= found.neurons[0]
        rates = counts / (recording.steps * recording.dt)
        assert found.edges[0] == 0 and found.edges[-1] >= rates.max()


def decoder(settle: float = 0.0) -> Decoder:
    """The mean rate of four neurons, Hz."""
    return Decoder(graph=identity((4,)), population="a", amplitude=1.0, settle=settle)


def test_the_curve_ends_where_the_run_ends():
    recording = recorded(drawn(5, 60, 4))
    judge = Judge("mean", 1, lambda answers: float(answers.mean()))
    found = curve(recording, decoder(settle=0.010), judge)
    assert found is not None
    assert found.points[0].steps == 11 and found.points[-1].steps == 60
    read = recording.spikes["a"][:, 10:].mean() / DT
    assert found.points[-1].score == pytest.approx(read)
    assert found.points[-1].spikes == recording.counts["a"].sum() / 5
    for point in found.points:  # a run of so many steps answers the same
        short = recorded(recording.spikes["a"][:, : point.steps])
        again = curve(short, decoder(settle=0.010), judge)
        assert again is None or again.points[-1].score == point.score


def test_without_labels_the_curve_is_of_the_last_answers():
    found = curve(recorded(drawn(5, 60, 4)), decoder(), None)
    assert found is not None and found.metric == LIKENESS
    assert found.points[-1].score == 1


def test_counts_alone_have_no_curve_and_no_raster():
    counted = replace(recorded(drawn(2, 30, 4)), spikes={})
    assert curve(counted, decoder(), None) is None
    assert raster(counted, ["a"]) is None


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=20), st.sampled_from([1, -1]))
def test_an_early_exit_costs_little_and_saves_something(scores, better):
    points = [
        CurvePoint(steps=n + 1, score=score, spikes=float(n + 1))
        for n, score in enumerate(scores)
    ]
    place = early_exit(points, better)
    last = points[-1]
    allowed = better * last.score - LOST * abs(last.score)
    if place is not None:
        assert points[place].spikes <= (1 - SAVED) * last.spikes
        assert all(better * p.score >= allowed for p in points[place:])
        assert place == 0 or better * points[place - 1].score < allowed


def test_the_grid_is_the_placement():
    program = load_bundle(shown("masks") / "program.snn").program
    placement = place(program, LOIHI1_CORE, LOIHI1_CORES)
    found = grid(placement)
    assert found.used == len(found.cores) == len(placement.cores)
    for cell, core in zip(found.cores, placement.cores):
        assert cell.layer == core.block.population
        assert cell.used["compartments"] == (core.usage.compartments, 1024)
        assert 0 < cell.fullest <= 1


@pytest.mark.parametrize("kind", NETWORKS)
def test_predictions_are_those_of_the_run(kind):
    report = Report.from_json(shown(kind) / "report.json")
    assert report.figures is not None and report.figures.predictions is not None
    found = report.figures.predictions
    assert found.kind == kind and 0 < len(found.samples) <= 8
    for sample in found.samples:
        if kind == "classes":
            best = max(sample.outputs, key=lambda output: output.found)
            assert best.name == sample.found
            assert sample.right == (sample.found == sample.wanted)
        if kind == "boxes":
            assert [o.name for o in sample.outputs] == [
                "x_min",
                "y_min",
                "x_max",
                "y_max",
            ]
            assert sample.score is not None and 0 <= sample.score <= 1
        if kind == "masks":
            assert sample.found_mask and sample.wanted_mask
        if kind == "values":
            assert all(o.wanted is not None for o in sample.outputs)


@pytest.mark.parametrize("kind", ["classes", "values", "boxes"])
def test_losses_lead_from_the_network_to_its_spikes(kind):
    report = Report.from_json(shown(kind) / "report.json")
    assert report.figures is not None and report.figures.guilt is not None
    guilt = report.figures.guilt
    lost = [layer.lost for layer in guilt.layers]
    assert lost == sorted(lost, reverse=True)
    assert {layer.name for layer in guilt.layers} == {p.name for p in report.layers}


def test_pictures_are_small_pngs():
    import base64
    import io

    from PIL import Image

    big = np.random.default_rng(0).random((300, 200, 3))
    with Image.open(io.BytesIO(base64.b64decode(png_of(big)))) as image:
        assert image.format == "PNG" and max(image.size) == SIDE
    assert png_of(np.zeros(7)) == "" and png_of(np.zeros((5, 1, 1))) == ""
    mask = np.eye(6, dtype=int)
    with Image.open(
        io.BytesIO(base64.b64decode(mask_png(mask, ("#ff0000",))))
    ) as image:
        pixels = np.asarray(image)
    assert (pixels[..., 3] == 255 * mask).all() and (
        pixels[0, 0] == (255, 0, 0, 255)
    ).all()
