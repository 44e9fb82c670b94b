"""Cut: every population of a Program into boxes that a core can hold."""

from __future__ import annotations

import math
from dataclasses import fields

from ...errors import DoesNotFit
from ...graph.nodes import Shape
from ...program.connections import WindowConnection
from ...program.program import Population, Program
from .bound import least_cores, least_usage
from .fan_in import Block
from .limits import CoreLimits, Usage
from .load import Load
from .tiling import Tiling, box_shapes, runs

ROUNDS = 8  # for loops of populations, each of whose output axons depend on the other


class Overfull(DoesNotFit):
    """A box is more than a core holds, however its population is cut."""

    def __init__(self, block: Block, resource: str, needed: int, allowed: int) -> None:
        super().__init__(
            f"Population {block.population!r}: even {block.size} neuron(s) on one core "
            f"need {needed} {resource.replace('_', ' ')}, {allowed} are allowed"
        )
        self.population, self.resource = block.population, resource
        self.needed, self.allowed = needed, allowed


class Cutter:
    """Cuts populations; what it counted is kept."""

    def __init__(self, program: Program, limits: CoreLimits) -> None:
        self.program, self.limits = program, limits
        self.load = Load(program)
        self.tilings: dict[str, Tiling] = {}

    def cut(self) -> dict[str, Tiling]:
        """A tiling of every population.

        Raises:
            Overfull: a neuron needs more than one core.
        """
        for _ in range(ROUNDS):
            for population in reversed(self.program.populations):
                self.tilings[population.name] = self._best(population)
            over = [
                failure
                for tiling in self.tilings.values()
                if (failure := self.failure(tiling)) is not None
            ]
            if not over:
                return self.tilings
        raise over[0]

    def usage(self, tiling: Tiling) -> list[Usage]:
        """What each box of a tiling uses, where the others are cut as they are."""
        counts = dict(self.load.usage(tiling, self.tilings))
        flat = {name: counts[name].ravel().tolist() for name in counts}
        return [
            Usage(**{f.name: flat[f.name][n] for f in fields(Usage)})
            for n in range(tiling.cores)
        ]

    def failure(self, tiling: Tiling) -> Overfull | None:
        """What is first over a limit."""
        return self._counted(tiling, tiling)[0]

    def _tried(self, tiling: Tiling) -> tuple[Overfull | None, int]:
        """What is over a limit, in one box or else in any, and the axons of all."""
        failure, _ = self._counted(tiling.middle, tiling)
        return (failure, 0) if failure else self._counted(tiling, tiling)

    def _counted(self, boxes: Tiling, tiling: Tiling) -> tuple[Overfull | None, int]:
        """What of a tiling's boxes is first over a limit, and the axons until then."""
        others, axons = {**self.tilings, tiling.population: tiling}, 0
        for resource, counts in self.load.usage(boxes, others):
            allowed = getattr(self.limits, resource)
            if counts.max() > allowed:
                block = boxes.blocks[int(counts.argmax())]
                return Overfull(block, resource, int(counts.max()), allowed), axons
            if resource.endswith("axons"):
                axons += int(counts.sum())
        return None, axons

    def _best(self, population: Population) -> Tiling:
        """Fewest cores, then fewest axons; where the others are cut as they are."""
        name, image = population.name, image_of(self.program, population)
        least = least_cores(least_usage(self.load, name, image), self.limits)
        tried = False
        for shapes in box_shapes(image, self.limits.compartments):
            tilings = [Tiling.of(name, image, shape) for shape in shapes]
            if tilings[0].cores < least:
                continue
            found = [(*self._tried(tiling), tiling) for tiling in tilings]
            fitting = [(axons, cut) for over, axons, cut in found if over is None]
            if fitting:
                _, fewest = min(fitting, key=lambda candidate: candidate[0])
                return self._run(image, least, fewest)
            if not tried:
                self._demand_room(name, image)
                tried = True
        raise self._finest(name, image)

    def _run(self, image: Shape, least: int, boxes: Tiling) -> Tiling:
        """Runs of pixels or neurons, where these need fewer cores than the boxes."""
        cores = least
        while cores < boxes.cores:
            grow = math.inf
            for tiling in runs(boxes.population, image, cores):
                if tiling.sizes.max() > self.limits.compartments:
                    continue
                failure, _ = self._tried(tiling)
                if failure is None:
                    return tiling
                grow = min(grow, failure.needed / failure.allowed)
            if grow == math.inf:
                return boxes
            cores = max(cores + 1, int(cores * grow))
        return boxes

    def _demand_room(self, name: str, image: Shape) -> None:
        """Raise where even single neurons have no room."""
        failure = self.failure(Tiling.of(name, image, (1, 1, 1)))
        if failure is not None:
            raise failure

    def _finest(self, name: str, image: Shape) -> Overfull:
        failure = self.failure(Tiling.of(name, image, (1, 1, 1)))
        assert failure is not None  # the finest cut was tried
        return failure


def image_of(program: Program, population: Population) -> Shape:
    """(height, width, channels) to cut along; (1, 1, neurons) where there is no image.

    Raises:
        DoesNotFit: convolutions of different output shapes end here.
    """
    images = {
        c.target_shape
        for c in program.incoming(population.name)
        if isinstance(c, WindowConnection)
    }
    if len(images) > 1:
        raise DoesNotFit(
            f"Population {population.name!r}: convolutions of shapes {sorted(images)} "
            "end in it; one shape is allowed, reshape before a population instead"
        )
    for image in images or {population.shape}:
        if len(image) == 3:
            return image
    return (1, 1, population.size)
