"""A bundle comes back as it was saved."""

from __future__ import annotations

import os
import zipfile
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import identity, programs

from snn_deploy.toolchain.bundle import serialize
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import BundleError, ModelError
from snn_deploy.toolchain.graph import (
    functions,
    neurons,
    nodes,
    preparation,
    rearranging,
)
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.program import connections, correction, host, program
from snn_deploy.toolchain.program.connections import DenseConnection
from snn_deploy.toolchain.program.host import Decoder, SpikeEncoder
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

rng = np.random.default_rng(0)


def every_node() -> Graph:
    """A Graph that holds each kind of node."""
    kernel, ones = rng.normal(size=(3, 3, 2, 2)), np.ones(2)
    pair = ((1, 1), (1, 1))
    return Graph(
        (
            nodes.Input("in", shape=(4, 4, 2)),
            nodes.Conv2D("conv", ("in",), weight=kernel, bias=ones, padding=pair),
            nodes.BatchNorm(
                "norm",
                ("conv",),
                gamma=ones,
                beta=-ones,
                mean=ones / 3,
                variance=ones,
                epsilon=1e-3,
            ),
            nodes.LIF("lif", ("norm",), amplitude=0.01, tau_ref=0.003),
            nodes.Lowpass("filter", ("lif",), tau_syn=0.005),
            nodes.AvgPool2D("pool", ("filter",), pool=(2, 2), stride=(2, 2)),
            nodes.Upsample2D("up", ("pool",), factor=(2, 2)),
            nodes.ConvTranspose2D(
                "deconv", ("up",), weight=kernel, bias=ones, padding=pair
            ),
            nodes.IF("if", ("deconv",)),
            nodes.Add("add", ("if", "up")),
            nodes.Concat("concat", ("add", "lif")),
            nodes.Reshape("reshape", ("concat",), shape=(8, 8)),
            nodes.Flatten("flat", ("reshape",)),
            nodes.Dense(
                "dense",
                ("flat",),
                weight=rng.normal(size=(64, 3)).astype(np.float32).astype(float),
                bias=np.zeros(3),
            ),
            nodes.SoftLIF("soft", ("dense",), sigma=0.02),
            nodes.ReLU("relu", ("soft",)),
            nodes.Sigmoid("sigmoid", ("relu",)),
            nodes.Output("out", ("sigmoid",), settle=0.01, tau_syn=0.005),
        )
    )


def small_program() -> Program:
    return Program(
        inputs=(SpikeInput(name="events", shape=(3,)),),
        populations=(
            Population(
                name="p",
                shape=(2,),
                decay_u=4095,
                decay_v=100,
                threshold=640,
                bias=np.array([5, -7], np.int32),
            ),
        ),
        connections=(
            DenseConnection(
                source="events",
                target="p",
                weight=np.array([[2, -4], [6, 0], [254, -254]], np.int16),
            ),
        ),
        encoder=SpikeEncoder(population="events", coding="events"),
        decoder=Decoder(graph=identity((2,)), population="p", amplitude=0.001),
        timing=Timing(dt=0.001, steps=4),
    )


def small_bundle() -> Bundle:
    return Bundle(
        program=small_program(),
        metadata={"command": "snn-deploy build", "tools": {"numpy": "1.26"}},
        samples=rng.random((2, 4, 3)),
        golden={"p": rng.random((2, 4, 2)) < 0.5, "events": np.ones((2, 4, 3), bool)},
    )


def same(a: Any, b: Any) -> bool:
    """Equality to the bit, of trees of dataclasses, tuples, mappings and arrays."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if is_dataclass(a):
        names = [field.name for field in fields(a)]
        return type(a) is type(b) and all(
            same(getattr(a, name), getattr(b, name)) for name in names
        )
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@pytest.fixture(params=["b.snn", "b"], ids=["zip", "directory"])
def path(request, tmp_path) -> Path:
    return tmp_path / request.param


def test_every_node_comes_back(path):
    saved = Bundle(graph=every_node(), metadata={"by": "test"})
    save_bundle(path, saved)
    loaded = load_bundle(path)
    assert same(saved, loaded)
    loaded.graph["conv"].weight[:] = 0  # the caller's own, not a view of the file


def test_samples_and_golden_spikes_come_back(path):
    saved = small_bundle()
    save_bundle(path, saved)
    assert same(saved, load_bundle(path))


@settings(max_examples=40, deadline=None)
@given(network=st.booleans().flatmap(lambda r: programs(recurrent=r, delays=r)))
def test_random_programs_come_back(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("random") / "b.snn"
    save_bundle(path, Bundle(program=network))
    assert same(network, load_bundle(path).program)


FORMS = (
    *(nodes, neurons, preparation, rearranging, functions),
    *(connections, correction, host, program),
)


def test_every_class_of_the_forms_can_be_stored():
    """A node or connection that somebody adds is in the table, or this fails."""
    not_stored = {"Taps", "Stimulus"}
    found = {
        name
        for module in FORMS
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and is_dataclass(kind)
        and kind.__module__ == module.__name__
        and not kind.__subclasses__()
    }
    assert found - not_stored == set(serialize.CLASSES) - {"Graph"}


def test_float64_that_float32_can_hold_takes_half_the_room(tmp_path):
    exact = rng.normal(size=(300, 700)).astype(np.float32).astype(np.float64)
    assert len(serialize.pack(exact)) < 0.51 * exact.nbytes
    for odd in (exact + 1e-12, np.array([1e300, np.inf, np.nan, -0.0])):
        restored = serialize.unpack(serialize.pack(odd), "float64", odd.shape)
        assert restored.tobytes() == odd.tobytes()


def test_equal_bundles_make_equal_files_and_one_array_is_stored_once(tmp_path):
    graph = every_node()
    one, other = tmp_path / "1.snn", tmp_path / "2.snn"
    save_bundle(one, Bundle(graph=graph))
    save_bundle(other, Bundle(graph=graph))
    assert one.read_bytes() == other.read_bytes()
    names = zipfile.ZipFile(one).namelist()  # kernel, 1, −1, 1/3, dense weight, bias
    assert sum(name.startswith("arrays/") for name in names) == 6


def test_saving_again_replaces_and_leaves_nothing_beside(path):
    for bundle in (small_bundle(), Bundle(graph=every_node())):
        save_bundle(path, bundle)
        assert os.listdir(path.parent) == [path.name]
    assert load_bundle(path).program is None


def test_a_failed_save_leaves_the_old_bundle(path):
    save_bundle(path, small_bundle())
    with pytest.raises(BundleError, match="no JSON"):
        save_bundle(path, Bundle(graph=every_node(), metadata={"path": Path()}))
    assert os.listdir(path.parent) == [path.name]
    assert load_bundle(path).program is not None


def test_a_directory_that_is_no_bundle_is_not_replaced(tmp_path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "one.jpg").write_text("dear")
    with pytest.raises(BundleError, match="something else of this name"):
        save_bundle(tmp_path / "photographs", small_bundle())
    assert (tmp_path / "photographs" / "one.jpg").read_text() == "dear"


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"missing.b\.snn' cannot be written"):
        save_bundle(tmp_path / "missing" / "b.snn", small_bundle())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": np.float64(1)}, r"populations\[0\].scale is .*float64"),
        ({"threshold": np.int64(640)}, "threshold is .*int64"),
        ({"shape": (np.int64(2),)}, "shape is"),
        ({"scale": float("inf")}, "scale is inf"),
    ],
)
def test_what_is_no_plain_number_is_not_saved(change, message, tmp_path):
    network = small_program()
    odd = replace(network.populations[0], **change)
    with pytest.raises(BundleError, match=message):
        bundle = Bundle(program=replace(network, populations=(odd,)))
        save_bundle(tmp_path / "b.snn", bundle)
    assert not os.listdir(tmp_path)


def test_a_bundle_holds_a_graph_or_a_program(tmp_path):
    for bundle in (Bundle(), Bundle(graph=every_node(), program=small_program())):
        with pytest.raises(BundleError, match="a graph or a program"):
            save_bundle(tmp_path / "b.snn", bundle)


def test_golden_spikes_go_with_the_program(tmp_path):
    good = small_bundle()
    for golden in ({"q": np.ones((2, 4, 2), bool)}, {"p": np.ones((1, 4, 2), bool)}):
        with pytest.raises(BundleError, match="golden spikes"):
            save_bundle(tmp_path / "b.snn", replace(good, golden=golden))


def test_a_network_that_is_not_in_order_is_not_saved(tmp_path):
    graph = every_node()
    graph["conv"].bias[0] = np.nan
    with pytest.raises(ModelError, match="NaN"):
        save_bundle(tmp_path / "b.snn", Bundle(graph=graph))


def test_a_host_that_is_not_in_order_is_not_saved(tmp_path):
    network = small_program()
    decoder = replace(network.decoder, graph=Graph(identity((2,)).nodes[:1]))
    with pytest.raises(ModelError, match="0 Output nodes"):
        bundle = Bundle(program=replace(network, decoder=decoder))
        save_bundle(tmp_path / "b.snn", bundle)


def test_an_array_of_another_kind_is_not_saved(tmp_path):
    scale = nodes.Dense("scale", ("x",), weight=np.eye(2, dtype=int), bias=np.zeros(2))
    start, end = nodes.Input("x", shape=(2,)), nodes.Output("y", ("scale",))
    with pytest.raises(BundleError, match="weight is an array of int64; .* floating"):
        save_bundle(tmp_path / "b.snn", Bundle(graph=Graph((start, scale, end))))
