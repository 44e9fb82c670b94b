"""Raster: which neurons spiked when in one sample, as many as a page can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....toolchain.program.recording import Recording

ROWS = 60  # neurons of a layer at most
EVENTS = 3000  # spikes of all layers at most


@dataclass(frozen=True, kw_only=True)
class Train:
    """One neuron's spikes: the steps at which it spiked."""

    neuron: int
    steps: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class RasterLayer:
    """Some neurons of one population, equally far apart, the silent ones too."""

    layer: str
    neurons: int
    """Of the population."""
    spikes: int
    """Of all of its neurons in this sample."""
    trains: tuple[Train, ...]


@dataclass(frozen=True, kw_only=True)
class Raster:
    """Spikes of one sample.

    Attributes:
        sample: its number.
        steps: that were run.
        shown: spikes in ``layers``, ``EVENTS`` at most, of all.
        spikes: of all neurons in this sample.
        layers: in order of flow.
    """

    sample: int
    steps: int
    shown: int
    spikes: int
    layers: tuple[RasterLayer, ...]


def raster(
    recording: Recording, names: Sequence[str], sample: int = 0
) -> Raster | None:
    """One sample's spikes; None where the recording has only counts.

    So many neurons a layer are kept, ``ROWS`` at first, that there are no more than
    ``EVENTS`` spikes; one neuron a layer at least, whose train is cut where even these
    are too many.

    Args:
        recording: with spikes.
        names: of the populations to show, in order.
        sample: its number.
    """
    if not recording.spikes or not names:
        return None
    rows = ROWS
    while True:
        layers = tuple(_layer(recording, name, sample, rows) for name in names)
        shown = sum(len(t.steps) for layer in layers for t in layer.trains)
        if shown <= EVENTS or rows == 1:
            break
        rows = max(1, min(rows - 1, rows * EVENTS // shown))
    if shown > EVENTS:
        layers = tuple(_cut(layer, EVENTS // len(layers)) for layer in layers)
        shown = sum(len(t.steps) for layer in layers for t in layer.trains)
    return Raster(
        sample=sample,
        steps=recording.steps,
        shown=shown,
        spikes=sum(layer.spikes for layer in layers),
        layers=layers,
    )


def _layer(recording: Recording, name: str, sample: int, rows: int) -> RasterLayer:
    spikes = recording.spikes[name][sample]
    neurons = spikes.shape[1]
    taken = np.unique(np.linspace(0, neurons - 1, min(rows, neurons)).astype(int))
    return RasterLayer(
        layer=name,
        neurons=neurons,
        spikes=int(recording.counts[name][sample].sum()),
        trains=tuple(
            Train(neuron=n, steps=tuple(np.flatnonzero(spikes[:, n]).tolist()))
            for n in taken.tolist()
        ),
    )


def _cut(layer: RasterLayer, events: int) -> RasterLayer:
    (train,) = layer.trains
    short = Train(neuron=train.neuron, steps=train.steps[:events])
    return RasterLayer(
        layer=layer.layer,
        neurons=layer.neurons,
        spikes=layer.spikes,
        trains=(short,),
    )
