"""Metadata of a network come from anywhere: they are used, or one sentence says why."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_networks import fitted, save, stripes
from tiny_files import CONV, DENSE, FLATTEN, write_model

from snn_deploy import deploy, trials
from snn_deploy.model_files import read_model
from snn_deploy.models.data.parts import noted
from snn_deploy.models.training.metadata import write_metadata
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.tasks.task import read_task
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import ModelError, SnnDeployError
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import scales_of
from snn_deploy.toolchain.verdict.compare import Tolerances

OTHERS = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2.5, -1e300, 1e300, float("inf"), 2**62),
        *("", "x", "\x1b[2J", "\N{PILE OF POO}", [], [1], [[]], ["x"], {}, {"x": 1}),
    ]
)
relaxed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A fine-tuned network, net.snn, with all that a build reads of its metadata, and
    the Program built of it, out/program.snn."""
    folder = tmp_path_factory.mktemp("metadata")
    x, y = stripes(60)
    np.savez(folder / "xy.npz", x=x, y=y)
    graph = legalize(fitted(x, np.eye(3)[y]), 0.0)
    scales = scales_of(graph, x.astype(float), moving=True)
    task = read_task(folder / "xy.npz", graph, {})
    metadata = {
        **noted(task.data, task.parts, {}),
        "task": "classes",
        "data": "xy.npz",
        "reading": {"answer": [], "window": None, "steps": None},
        "recipe": {"crops": 1.0, "block": 1},
        "scores": {"test": {"ann_iou": 0.5}},
        "finetuned": {
            "choices": {"dt": 0.001, "steps": 8, "encoder": "bias"},
            "scales": {name: asdict(s) for name, s in scales.items()},
            "macs": {"neurons": 3072},
            "ann": [
                {"name": "ANN", "metric": "accuracy", "value": 1.0, "label": "counted"}
            ],
        },
    }
    made = built(save(folder / "net.snn", graph, **metadata), folder)
    deploy.write(made, folder / "out")
    return folder


def built(model: Path, folder: Path) -> deploy.Build:
    return deploy.build(
        *("reference", model, folder / "xy.npz"),
        settings=Settings(),
        steps=deploy.Steps(lambda name, seconds: None),
        force=True,
    )


def places(tree: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of JSON, of lists to the first three."""
    inside = tree.items() if isinstance(tree, dict) else ()
    if isinstance(tree, list):
        inside = list(enumerate(tree))[:3]
    for key, part in inside:
        yield (*where, key)
        yield from places(part, (*where, key))


def replaced(tree: Any, data: st.DataObject) -> Any:
    """The JSON with one part of it replaced, or taken away."""
    tree = copy.deepcopy(tree)
    *way, last = data.draw(st.sampled_from(sorted(places(tree), key=str)))
    place = tree
    for key in way:
        place = place[key]
    if data.draw(st.booleans()) and isinstance(place, dict):
        del place[last]
    else:
        place[last] = data.draw(OTHERS)
    json.dumps(tree)
    return tree


def one_sentence(error: SnnDeployError) -> None:
    assert str(error) and "\n" not in str(error)


@pytest.mark.slow
@relaxed
@given(st.data())
def test_any_other_value_is_used_or_refused_by_build(folder, data):
    bundle = load_bundle(folder / "net.snn")
    changed = replaced(bundle.metadata, data)
    try:
        built(save(folder / "changed.snn", bundle.graph, **changed), folder)
    except SnnDeployError as error:
        one_sentence(error)


@pytest.mark.slow
@relaxed
@given(st.data())
def test_any_other_value_is_used_or_refused_by_run_and_compare(folder, data):
    bundle = load_bundle(folder / "out" / "program.snn")
    changed = Bundle(
        program=bundle.program,
        metadata=replaced(bundle.metadata, data),
        samples=bundle.samples,
    )
    path = folder / "program.snn"
    try:
        save_bundle(path, changed)
        trials.run(
            *(path, "reference"),
            samples=None,
            steps=None,
            device="loihi1_davies2018",
            data=folder / "xy.npz",
        )
        names = ("reference", "reference")
        trials.compare(path, names, samples=2, steps=None, tolerances=Tolerances())
    except SnnDeployError as error:
        one_sentence(error)


BAD = {
    "finetuned": [1],
    "finetuned.scales": {"neurons": {"membrane": "large"}},
    "finetuned.choices": {"dt": 0.001},
    "finetuned.ann": [{"name": "ANN"}],
    "scores": {"test": {"ann_iou": None}},
    "recipe": {"crops": "many"},
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named(folder, name):
    bundle = load_bundle(folder / "net.snn")
    metadata, (first, *second) = copy.deepcopy(bundle.metadata), name.split(".")
    if second:
        metadata[first][second[0]] = BAD[name]
    else:
        metadata[first] = BAD[name]
    path = save(folder / "changed.snn", bundle.graph, **metadata)
    with pytest.raises(ModelError, match=f"its metadata are damaged .{name}.*again"):
        read_model(path)


@pytest.mark.parametrize("name", BAD)
def test_so_it_is_in_a_keras_file(tmp_path, name):
    path = write_model(tmp_path / "net.h5", CONV, FLATTEN, DENSE)
    first, *second = name.split(".")
    write_metadata(path, {first: {second[0]: BAD[name]} if second else BAD[name]})
    with pytest.raises(ModelError, match=f"its metadata are damaged .{first}"):
        read_model(path)


@pytest.mark.parametrize(
    "text", ['{"a": %s}' % ("[" * 9**5), '{"a": %s}' % ("9" * 400)]
)
def test_numbers_too_long_and_trees_too_deep_are_refused(tmp_path, text):
    path = write_model(tmp_path / "net.h5", CONV, FLATTEN, DENSE)
    with h5py.File(path, "r+") as file:
        file.attrs["snn_deploy_metadata"] = text
    with pytest.raises(ModelError, match="training metadata are damaged"):
        read_model(path)


@pytest.mark.slow
@relaxed
@given(st.data())
def test_any_other_description_of_layers_is_read_or_refused(folder, data):
    path = write_model(folder / "net.h5", CONV, FLATTEN, DENSE)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(replaced(config, data))
    try:
        read_model(path)
    except SnnDeployError as error:
        one_sentence(error)


def test_half_a_character_in_a_layer_s_name_is_refused(tmp_path):
    path = write_model(tmp_path / "net.h5", CONV, FLATTEN, DENSE)
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"].replace('"flatten"', r'"\ud800"')
        file.attrs["model_config"] = text
    with pytest.raises(ModelError, match="it is damaged .*surrogates not allowed"):
        read_model(path)
