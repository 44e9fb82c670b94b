"""Mutants of protocol buffers, field by field; lengths stay right around a change.

Encoding: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from fuzzing.mutants import bytes_of

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WHOLE = (0, 1, 2, 3, 7, 16, 127, 128, 1 << 20, 1 << 31, 1 << 40, 10**12, (1 << 63) - 1)
NEGATIVE = ((1 << 64) - 1, (1 << 64) - 2, 1 << 63)
Message = list[list[Any]]
"""Fields in order: number, wire type, and value; of a message inside a Message."""
Schema = Callable[[Any, int], Any]
"""What kind of message a field of a kind holds; None: it holds something else."""


def parsed(content: bytes, kind: Any, inside: Schema) -> Message:
    """The fields of a message, which must be in order."""
    found = []
    for number, wire, value in _fields(content):
        below = inside(kind, number) if wire == BYTES else None
        if below is not None:
            value = parsed(value, below, inside)
        found.append([number, wire, value])
    return found


def _fields(content: bytes) -> Iterator[tuple[int, int, Any]]:
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = content[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(content):
        key = varint()
        wire = key & 7
        if wire == VARINT:
            yield key >> 3, wire, varint()
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(wire) or varint()
        yield key >> 3, wire, content[place : place + size]
        place += size


def encoded(message: Message) -> bytes:
    """The bytes of a message."""
    parts = []
    for number, wire, value in message:
        parts.append(_varint(number << 3 | wire))
        if wire == VARINT:
            parts.append(_varint(value))
            continue
        content = encoded(value) if isinstance(value, list) else value
        if wire == BYTES:
            parts.append(_varint(len(content)))
        parts.append(content)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def message_of(message: Message, rng: Random, words: list[bytes]) -> Message:
    """A field or three otherwise than they were.

    Args:
        message: of the seed, which stays.
        words: texts that stand in such files.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        message = _changed(message, rng, words)
    return message


def _changed(message: Message, rng: Random, words: list[bytes]) -> Message:
    """A copy along the path to the change, which may be deep inside."""
    if not message:
        return [[rng.randrange(1, 16), VARINT, rng.choice(WHOLE)]]
    changed = list(message)
    place = rng.randrange(len(changed))
    number, wire, value = changed[place]
    if isinstance(value, list) and rng.random() < 0.85:
        changed[place] = [number, wire, _changed(value, rng, words)]
        return changed
    kind = rng.randrange(7)
    if kind == 0:
        del changed[place]
    elif kind == 1:
        changed[place:place] = changed[place : place + 1] * rng.choice((1, 1, 200))
    elif kind == 2:
        other = rng.randrange(len(changed))
        changed[place], changed[other] = changed[other], changed[place]
    elif kind == 3:
        changed[place] = [rng.randrange(1, 21), wire, value]
    elif kind == 4:
        changed[place] = [number, *_other(rng, words)]
    else:
        changed[place] = [number, wire, _value(value, rng, words)]
    return changed


def _other(rng: Random, words: list[bytes]) -> tuple[int, Any]:
    if rng.random() < 0.5:
        return VARINT, rng.choice(WHOLE + NEGATIVE)
    return BYTES, rng.choice(words)


def _value(value: Any, rng: Random, words: list[bytes]) -> Any:
    """Another one of its kind."""
    if isinstance(value, int):
        near = value + rng.choice((-1, 1)) if value else 1
        return rng.choice((near, rng.choice(WHOLE), rng.choice(NEGATIVE)))
    if isinstance(value, list):
        return bytes_of(encoded(value), rng)
    if len(value) in (4, 8) and rng.random() < 0.5:
        rest = b"\x80\x7f", b"\xc0\x7f", b"\xff\x7f", b"\0\0", b"\xff\xff"  # inf, nan …
        return bytes(len(value) - 2) + rng.choice(rest)
    return rng.choice((rng.choice(words), bytes_of(value, rng), value * 2))
