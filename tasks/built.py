"""A built Program with the question it answers, and samples to ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..calibration.report.figures.curve import Judge
from ..calibration.report.figures.predictions import Predictions
from ..calibration.report.report import Confusion, Score
from ..models.data.dataset import Dataset, IndexArray
from ..models.data.formats.formats import read_data
from ..models.data.formats.labels import Labels, labels_of
from ..models.data.formats.reading import Reading, completed
from ..models.data.formats.rows import row_names, rows
from ..models.data.samples import samples_of
from ..toolchain.bundle.bundle import load_bundle
from ..toolchain.errors import BundleError, DataError
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import Array, FloatArray
from ..toolchain.program.host import SpikeEncoder, parts_of
from ..toolchain.program.program import Program
from .contract import Constant, Examples, Kind, Question, find_kind
from .kinds import KINDS
from .task import SEED, in_steps, question_of


@dataclass(frozen=True, eq=False, kw_only=True)
class Built:
    """What a build left in its bundle.

    Attributes:
        program: to run.
        question: what it takes and gives.
        kind: of task; None where the build had no labels.
        stored: the samples that travel with it, and their labels.
        classes: names of the classes; None where answers are no classes.
        reading: how data are read.
        network: metadata of the network that was built.
        settings: with which, as far as they matter to what it answers.
    """

    program: Program
    question: Question
    kind: Kind | None
    stored: Dataset
    classes: tuple[str, ...] | None
    reading: Reading
    network: Mapping[str, Any]
    settings: Mapping[str, Any]

    def examples(
        self, data: Dataset, count: int | None, *, drawn: bool = False
    ) -> Examples:
        """``count`` samples, or all, as the Program takes them.

        They are the first ones, or drawn at random, the same each time.

        Raises:
            DataError: there are fewer, or they have another shape.
        """
        if count is not None and count > len(data):
            raise DataError(
                f"{data.source}: {count} samples are asked for; it holds {len(data)}"
            )
        order = np.arange(len(data))
        if drawn:
            order = np.random.default_rng(SEED).permutation(order)
        chosen = order[:count]
        question = self.question
        if question.steps:
            question = in_steps(question, data, question.steps)
        return Examples(
            x=samples_of(chosen, partial(_sent, question, data)),
            y=None if data.answers is None else data.answers[chosen],
            unit=tuple(data.names[i] for i in chosen),
            whole=np.ones(len(chosen), bool),
            classes=data.classes,
        )

    def read(self, path: Path) -> Dataset:
        """New samples, with or without labels.

        Raises:
            DataError: they cannot be read, or their answers do not suit.
        """
        kinds = [self.kind] if self.kind else map(find_kind, KINDS)
        for kind in kinds:
            if kind.recognises(path):
                return kind.read(path, self.question, self.reading)
        data = read_data(path, self.reading)
        if self.kind is not None and data.answers is not None:
            held = data.answers
            data = self.kind.checked(data, self.question)
            if not self.kind.suits(self.question, data):
                raise DataError(
                    f"{data.source}: its answers, {held.dtype} of shape "
                    f"{held.shape[1:]}, are none that this network gives, "
                    f"{self.question.output}; {self.kind.name} want {self.kind.asks}"
                )
        return data

    def constant(self, examples: Examples) -> Constant | None:
        """The trivial answer to these, which knows theirs; None without labels."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.constant(examples.y, self.question)

    def scores(
        self, data: Dataset, examples: Examples, answers: Mapping[str, Array]
    ) -> tuple[Score, ...]:
        """How well it does, where there are labels."""
        if self.kind is None or examples.y is None:
            return ()
        return self.kind.scores(examples, answers, self.question, data)

    def predictions(
        self, data: Dataset, examples: Examples, output: FloatArray
    ) -> Predictions | None:
        """The first samples with the network's answers, where there are labels."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.predictions(examples, output, self.question, data)

    def judged(self, data: Dataset, examples: Examples) -> Judge | None:
        """How answers to these are scored; None without labels."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.judged(examples, self.question, data)

    def confusion(self, examples: Examples, output: FloatArray) -> Confusion | None:
        """Which class was taken for which, where there are classes."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.confusion(examples, output, self.question)


def read_built(path: Path) -> Built:
    """The Program in a bundle, its samples and what is asked of them.

    Raises:
        BundleError: the bundle is not in order, or holds no Program or no samples.
    """
    bundle = load_bundle(path)
    program, samples = bundle.program, bundle.samples
    if program is None or samples is None:
        raise BundleError(
            f"Bundle {str(path)!r}: it holds no Program with samples; name a "
            "program.snn that `snn-deploy build` wrote"
        )
    question = _question(program, samples.shape[1:])
    reading = completed(Reading(steps=question.steps, unlabelled=True), bundle.metadata)
    source = f"Bundle {str(path)!r}"
    name, labels, classes = _noted(source, bundle.metadata, len(samples), question)
    kind = find_kind(name) if name else None
    stored = rows(source, samples, labels)
    if kind is not None and labels is not None and not kind.suits(question, stored):
        stored = rows(source, samples)
    return Built(
        program=program,
        question=question,
        kind=kind,
        stored=stored,
        classes=classes if name == "classes" else None,
        reading=replace(reading, kind=name),
        network=_mapping(bundle.metadata.get("model")),
        settings=_mapping(bundle.metadata.get("settings")),
    )


def _sent(question: Question, data: Dataset, chosen: IndexArray) -> Array:
    """Samples as they are sent."""
    return question.read(data, chosen).astype(np.float64)


def _mapping(noted: object) -> Mapping[str, Any]:
    """What a build noted; nothing where it is damaged."""
    return noted if isinstance(noted, Mapping) else {}


def _noted(
    source: str, metadata: Mapping[str, Any], count: int, question: Question
) -> tuple[str | None, Labels | None, tuple[str, ...]]:
    """Kind, labels and class names as a build notes them; nothing that is damaged."""
    name, classes = metadata.get("task"), metadata.get("classes")
    if name not in KINDS:
        return None, None, ()
    names = tuple(map(str, classes)) if isinstance(classes, list) else ()
    try:
        answers = np.array(metadata.get("labels"))
        if answers.dtype.kind not in "iufb" or answers.shape[:1] != (count,):
            return name, None, names
        shown = row_names("", count)
        answers = labels_of(source, answers, question.shape, shown, name).answers
    except (ValueError, OverflowError, DataError):
        return name, None, names
    return name, Labels(answers, name, names), names


def _question(program: Program, shape: tuple[int, ...]) -> Question:
    """As ``question_of`` has it of the network that was built."""
    decoder: Graph = program.decoder.graph
    asked, encoder = question_of(decoder), program.encoder
    if not isinstance(encoder, SpikeEncoder):
        (first, *_) = parts_of(encoder)
        assert first.graph is not None
        return replace(asked, shape=first.graph.input.shape)
    if encoder.coding == "events":
        return replace(asked, shape=shape[1:], steps=program.timing.steps)
    return replace(asked, shape=shape)
