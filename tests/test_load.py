"""Counts from rows, columns and channels equal those of every tap, core by core."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import matrix, programs
from test_place import scatter

from snn_deploy.toolchain.passes.place.bound import least_usage
from snn_deploy.toolchain.passes.place.cut import image_of
from snn_deploy.toolchain.passes.place.fan_in import atoms, axon_slots, fan_in
from snn_deploy.toolchain.passes.place.load import Load
from snn_deploy.toolchain.passes.place.tiling import Tiling
from snn_deploy.toolchain.program.program import Program


@st.composite
def tilings(draw: st.DrawFn, program: Program) -> dict[str, Tiling]:
    """Any boxes, of images and of the views that cut them into runs."""
    found = {}
    for p in program.populations:
        image = image_of(program, p)
        pixels, channels = image[0] * image[1], image[2]
        views = (image, image, (1, pixels, channels), (1, 1, pixels * channels))
        view = draw(st.sampled_from(views))
        shape = draw(st.tuples(*(st.integers(1, size) for size in view)))
        found[p.name] = Tiling.of(p.name, view, shape)
    return found


@settings(deadline=None, max_examples=120)
@given(st.data())
def test_counts_are_those_of_fan_in(data: st.DataObject) -> None:
    program = data.draw(programs(recurrent=True))
    cut = data.draw(tilings(program))
    load = Load(program)
    for p in program.populations:
        counts = dict(load.usage(cut[p.name], cut))
        expected = by_every_tap(program, p.name, cut)
        for resource, numbers in expected.items():
            found = counts[resource].ravel().tolist()
            assert found == numbers, (p.name, resource)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_box_alone_counts_as_among_the_others(data: st.DataObject) -> None:
    program = data.draw(programs(recurrent=True))
    cut = data.draw(tilings(program))
    load = Load(program)
    for p in program.populations:
        tiling = cut[p.name]
        middle = tuple((parts - 1) // 2 for parts in tiling.parts)
        alone = dict(load.usage(tiling.middle, cut))
        for resource, numbers in load.usage(tiling, cut):
            assert alone[resource].tolist() == [[[numbers[middle]]]], resource


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_axons_of_any_cut_are_the_connection(data: st.DataObject) -> None:
    program = data.draw(programs(recurrent=True))
    cut = data.draw(tilings(program))
    for connection in program.connections:
        placed = np.zeros_like(matrix(connection))
        for block in cut[connection.target].blocks:
            scatter(fan_in(connection, block), placed)
        np.testing.assert_array_equal(placed, matrix(connection))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_cut_needs_less_than_the_bound(data: st.DataObject) -> None:
    program = data.draw(programs(recurrent=True))
    cut = data.draw(tilings(program))
    load = Load(program)
    for p in program.populations:
        least = least_usage(load, p.name, image_of(program, p))
        for resource, counts in load.usage(cut[p.name], cut):
            assert getattr(least, resource) <= counts.sum(), (p.name, resource)


def by_every_tap(
    program: Program, name: str, cut: dict[str, Tiling]
) -> dict[str, list[int]]:
    """Each core's use, from the axons and weights that it is built of."""
    blocks = cut[name].blocks
    fans = [[fan_in(c, block) for c in program.incoming(name)] for block in blocks]
    out = np.zeros(len(blocks), int)
    for c in program.outgoing(name):
        units = np.zeros((len(blocks), math.prod(c.source_shape) // atoms(c)), bool)
        for n, block in enumerate(blocks):
            units[n, block.neurons // atoms(c)] = True
        for target in cut[c.target].blocks:
            reached = np.unique(fan_in(c, target).source)
            out += axon_slots(c) * units[:, reached].sum(axis=1)
    return {
        "compartments": [block.size for block in blocks],
        "input_axons": [sum(len(f.source) for f in each) for each in fans],
        "output_axons": out.tolist(),
        "synapse_bits": [sum(f.synapse_bits for f in each) for each in fans],
    }
