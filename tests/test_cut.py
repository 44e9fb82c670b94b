"""Cutting finds what trying every shape finds, and counts far fewer boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import programs
from test_place import LOIHI1, chain

from snn_deploy.toolchain.passes.place.cut import Cutter, Overfull, image_of
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.load import Load, Tilings
from snn_deploy.toolchain.passes.place.tiling import Tiling, box_shapes
from snn_deploy.toolchain.program.arithmetic import IntArray
from snn_deploy.toolchain.program.connections import ConvConnection
from snn_deploy.toolchain.program.program import Program

LIMITS = st.builds(
    CoreLimits,
    compartments=st.integers(1, 40),
    input_axons=st.integers(1, 400),
    output_axons=st.integers(1, 400),
    synapse_bits=st.integers(64, 30_000),
)


@settings(deadline=None, max_examples=150)
@given(programs(), LIMITS)
def test_no_shape_of_boxes_is_better(program: Program, limits: CoreLimits) -> None:
    """Every shape with every box counted: as many cores and axons, or runs of fewer."""
    cutter, load = Cutter(program, limits), Load(program)
    try:
        cutter.cut()
    except Overfull as failure:
        after = cutter.tilings
        assert best_boxes(program, load, failure.population, limits, after) is None
        return
    after = {}
    for p in reversed(program.populations):
        found = cutter.tilings[p.name]
        best = best_boxes(program, load, p.name, limits, after)
        assert best is not None
        boxes = found.image == image_of(program, p)
        assert found == best if boxes else found.cores < best.cores
        after[p.name] = found


def best_boxes(
    program: Program, load: Load, name: str, limits: CoreLimits, after: Tilings
) -> Tiling | None:
    """Of all shapes the first with the fewest cores, among these the fewest axons."""
    image, best = image_of(program, program[name]), (0, 0)
    chosen = None
    for shapes in box_shapes(image, program[name].size):
        for shape in shapes:
            tiling = Tiling.of(name, image, shape)
            counts = dict(load.usage(tiling, {**after, name: tiling}))
            if any(c.max() > getattr(limits, key) for key, c in counts.items()):
                continue
            axons = counts["input_axons"].sum() + counts["output_axons"].sum()
            if chosen is None or (tiling.cores, axons) < best:
                best, chosen = (tiling.cores, axons), tiling
    return chosen


def test_shapes_that_do_not_fit_are_told_from_one_box(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A layer deep in a residual network, where synapse memory binds."""
    weight = np.full((3, 3, 256, 256), 254, np.int16)
    deep = ConvConnection(
        source="in",
        target="a",
        weight=weight,
        shape=(14, 14, 256),
        padding=((1, 1), (1, 1)),
    )
    asked: list[int] = []
    counted = Load.usage

    def usage(
        load: Load, tiling: Tiling, tilings: Tilings
    ) -> Iterator[tuple[str, IntArray]]:
        asked.append(tiling.cores)
        return counted(load, tiling, tilings)

    monkeypatch.setattr(Load, "usage", usage)
    cutter = Cutter(chain(deep), replace(LOIHI1, synapse_bits=2**18))
    assert cutter.cut()["a"].cores == 256
    shapes = asked.count(1)
    assert shapes > 400
    assert len(asked) - shapes < 10  # of which every box was counted
