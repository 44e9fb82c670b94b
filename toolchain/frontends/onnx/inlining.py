"""Functions that a model brings along, put in place of their calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from ...errors import ModelError
from .model import OWN, Function, OnnxModel, Operator, Reference

MOST = 1 << 17  # operators and calls
DEEPEST = 50  # calls inside calls
LONGEST_NAME = 200  # letters


def inlined(model: OnnxModel) -> tuple[Operator, ...]:
    """The operators of a model, none of which calls a function of its own.

    Neurons, which our own export writes as functions, stay what they are.

    Raises:
        ModelError: functions call each other in a circle, or become too many.
    """
    if not model.functions:
        return model.operators
    functions = {key: f for key, f in model.functions.items() if key[0] != OWN}
    return tuple(_expand(model.operators, functions, 0, count()))


def _expand(
    operators: tuple[Operator, ...],
    functions: Mapping[tuple[str, str], Function],
    depth: int,
    serial: Iterator[int],
) -> Iterator[Operator]:
    for operator in operators:
        number = next(serial)
        if number > MOST or depth > DEEPEST:
            raise ModelError(
                f"Model: with its functions it has more than {MOST} operators, or "
                f"calls more than {DEEPEST} deep; export it without functions"
            )
        function = functions.get((operator.domain, operator.kind))
        if function is None:
            yield operator
        else:
            body = _body(operator, function, number)
            yield from _expand(body, functions, depth + 1, serial)


def _body(call: Operator, function: Function, number: int) -> tuple[Operator, ...]:
    """The function's operators with the caller's tensors and attributes.

    A name inside has the caller's before its own, a tensor the call's number. An
    output that is an input is handed through.
    """
    names = dict(zip(function.inputs, (*call.inputs, *[""] * len(function.inputs))))
    handed = []
    for inner, outer in zip(function.outputs, call.outputs):
        if inner in names:
            handed.append((names[inner], outer))
        elif outer:
            names[inner] = outer

    def named(tensor: str) -> str:
        return names.get(tensor, f"{number}:{tensor}") if tensor else ""

    given = {**function.defaults, **call.attributes}
    copies = [
        replace(
            operator,
            name=f"{call.name}/{operator.name}"[-LONGEST_NAME:],
            inputs=tuple(map(named, operator.inputs)),
            outputs=tuple(map(named, operator.outputs)),
            attributes=_attributes(operator.attributes, given),
        )
        for operator in function.operators
    ]
    copies += [
        replace(call, kind="Identity", domain="", inputs=(a,), outputs=(b,))
        for a, b in handed
    ]
    return tuple(copies)


def _attributes(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """An operator's attributes; those its function is given, if they are given."""
    return {
        name: given[value.name] if isinstance(value, Reference) else value
        for name, value in own.items()
        if not isinstance(value, Reference) or value.name in given
    }
