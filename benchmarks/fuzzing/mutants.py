"""Mutants of what files are made of: bytes, trees of JSON, TOML, arrays and zips.

Each function takes what a seed holds and a ``Random``, and leaves the seed as it is.
"""

from __future__ import annotations

import io
import json
import marshal
import math
import zipfile
from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

Tree = Any  # of JSON
RAW = {
    "\0deep": "[" * 3_000 + "]" * 3_000,
    "\0tables": '{"a":' * 3_000 + "0" + "}" * 3_000,
    "\0digits": "9" * 6_000,
    "\0infinite": "1e999",
}
"""Word of a tree → what stands in its place in the text of JSON."""
TOML_RAW = {
    **{"\0deep": "[" * 2_000 + "]" * 2_000, "\0digits": "9" * 6_000},
    **{"\0tables": "{a=" * 2_000 + "0" + "}" * 2_000, "\0infinite": "inf"},
    **{"\0hex": "0x" + "f" * 6_000, "\0date": "1979-05-27", "\0time": "07:32:00"},
    **{"\0moment": "1979-05-27T00:32:00.999999-07:00", "\0octal": "0o" + "7" * 9_000},
}
LEAVES: list[Any] = [
    *(None, True, False, "", "a", [], {}, [[]], [None], {"a": 1}, "none", "../../x"),
    *(0, 1, -1, 2, 3, 7, 255, 1 << 15, 1 << 16, 1 << 31, -(1 << 31), 1 << 32),
    *((1 << 63) - 1, -(1 << 63), 1 << 63, 1 << 64, 10**9, 10**12, 10**18, 10**30),
    *(0.0, -0.0, 0.5, 1e-9, 1e-320, 1e38, 1e39, -1e300, 1e308, 0.1, -1.5, math.nan),
    *(math.inf, -math.inf, "\ud800", "\0", "\n", "<script>", "é" * 300, "x" * 70_000),
    *("/nowhere/passwd", "1e999", "nan", "0", "-1", "__class__", "inputs", "\u202e"),
    *([0] * 5_000, [[1, 2], [3, 4]], ["a", "b"], *RAW),
]
SIZES = (0, 1, 2, 3, 4, 7, 16, 255, 4096, 1 << 20, 1 << 31, 1 << 40, 10**12, 1 << 62)
DTYPES = (
    *("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"),
    *("c16", "S3", "U2", ">f4", ">i2", "g"),
)
NUMBERS = (
    *(0, 1, -1, 2, 3, 127, -128, 255, 32767, -32768, 65535, 1 << 23, -(1 << 23)),
    *(1 << 31, -(1 << 31), 1 << 52, 1 << 62, 0.5, -0.25, 1e-30, 1e-310, 1e30, -1e38),
    *(1e300, math.nan, math.inf, -math.inf),
)


def bytes_of(content: bytes, rng: Random) -> bytes:
    """Some bytes otherwise than they were."""
    if not content:
        return rng.randbytes(8)
    changed = bytearray(content)
    place = rng.randrange(len(content))
    kind = rng.randrange(6)
    if kind == 0:
        return content[:place]
    if kind == 1:
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 2:
        del changed[place : place + rng.randint(1, 200)]
    elif kind == 3:
        changed[place] ^= 1 << rng.randrange(8)
    elif kind == 4:  # a number that says the most, or nothing
        size = rng.choice((1, 2, 4, 8))
        changed[place : place + size] = rng.choice((b"\xff", b"\x7f", b"\0")) * size
    else:  # bytes from elsewhere in the file
        other, size = rng.randrange(len(content)), rng.randint(1, 64)
        changed[place : place + size] = content[other : other + size]
    return bytes(changed)


def tree_of(tree: Tree, rng: Random, leaves: list[Any] = LEAVES) -> Tree:
    """Some leaves, keys and branches otherwise than they were."""
    root = [marshal.loads(marshal.dumps(tree))]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _change(root, rng, leaves)
    return root[0]


def _place(root: list[Tree], rng: Random) -> tuple[Any, Any]:
    """A container and the key of one of its branches."""
    place: Any = root
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = rng.choice(keys)
        below = place[key]
        if not isinstance(below, (dict, list)) or not below or rng.random() < 0.1:
            return place, key
        place = below


def _change(root: list[Tree], rng: Random, leaves: list[Any]) -> None:
    place, key = _place(root, rng)
    kind = rng.randrange(8)
    if kind <= 1:
        place[key] = marshal.loads(marshal.dumps(rng.choice(leaves)))
    elif kind == 2 and place is not root:
        del place[key]
    elif kind == 3 and isinstance(place, list):
        place[key:key] = place[key : key + 1] * rng.choice((1, 1, 2, 300))
    elif kind == 3:
        place[str(rng.choice(list(place)))[:-1]] = place[key]
    elif kind == 4:  # a branch from elsewhere
        donor, other = _place(root, rng)
        place[key] = marshal.loads(marshal.dumps(donor[other]))
    elif kind == 5 and isinstance(place, dict) and place:
        place[str(rng.choice(leaves))[:99]] = place.pop(key)
    else:
        place[key] = _nudged(place[key], rng)


def _nudged(value: Any, rng: Random) -> Any:
    """A little otherwise."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        by = rng.choice((-1, 1, 2, -2, 1000))
        return value + by if rng.random() < 0.5 else value * by
    if isinstance(value, str):
        cut = rng.randrange(len(value) + 1)
        return rng.choice((value[:cut], value[cut:], value * 2, value.swapcase()))
    if isinstance(value, list):
        return rng.choice((value[::-1], value[1:], value * 2, [value]))
    return [value]


YAML_RAW = {
    "\0deep": "[" * 400 + "]" * 400,  # deeper ones take PyYAML seconds
    "\0tables": "{a: " * 400 + "0" + "}" * 400,
    "\0digits": "9" * 6_000,
    "\0infinite": ".inf",
}


def json_of(tree: Tree, raws: Mapping[str, str] = RAW) -> bytes:
    """The text of a tree, with what JSON's writer would not write."""
    text = json.dumps(tree)
    if "\\u0000" in text:
        for word, raw in raws.items():
            text = text.replace(json.dumps(word), raw)
    return text.encode()


def toml_of(table: Tree) -> bytes:
    """The text of a table, everything below it in line."""
    table = table if isinstance(table, dict) else {"name": table}
    lines = (f"{json.dumps(str(k))} = {_toml(v)}" for k, v in table.items())
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        inside = (f"{json.dumps(str(k))} = {_toml(v)}" for k, v in value.items())
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return TOML_RAW.get(value) or json.dumps(value, ensure_ascii=False)
    return "nan" if value is None else repr(value)


def array_of(array: np.ndarray, rng: Random) -> np.ndarray:
    """Another shape, another type, or some numbers otherwise."""
    kind = rng.randrange(6)
    with np.errstate(all="ignore"):
        if kind == 0:
            return array.astype(rng.choice(DTYPES[:12]))
        if kind == 1:
            axes = rng.choice(([], [1], [0], [2, 1], [-1], [-1, 1], [1, -1]))
            fits = -1 in axes and (array.size or 1 not in axes)
            return array.reshape(axes) if fits else np.resize(array, axes)
        if kind == 2:
            shape = [rng.choice((0, 1, n, n + 1, 2 * n)) for n in array.shape]
            return np.resize(array, [min(n, 64) for n in shape])
        if kind == 3:
            return array.T if array.ndim > 1 else np.tile(array, rng.choice((0, 2, 9)))
        changed = array.copy().reshape(-1)
        some = slice(None) if kind == 4 else rng.randrange(changed.size or 1)
        number = np.float64(rng.choice(NUMBERS))
        changed[some] = number.astype(array.dtype) if changed.size else number
        return changed.reshape(array.shape)


def npy(array: np.ndarray) -> bytes:
    """As a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def npy_of(content: bytes, rng: Random) -> bytes:
    """A .npy file whose header says something else, or whose numbers are others."""
    size = int.from_bytes(content[8:10], "little")
    if rng.random() < 0.3:
        return bytes_of(content, rng)
    told = {
        "descr": "'<f4'",
        "fortran_order": rng.choice(("False", "False", "True", "2", "None")),
        "shape": str(tuple(rng.choice(SIZES) for _ in range(rng.randrange(4)))),
    }
    told["descr"] = repr(rng.choice((*DTYPES, "O", "V8", "<M8[s]", "x", "")))
    if rng.random() < 0.1:
        told[rng.choice(list(told))] = rng.choice(
            ("'O'", "[('a','O')]", "()", "(-1,)", "(True,)", "(1.5,)", "'|'", "x", "(")
        )
    if rng.random() < 0.05:
        told.pop(rng.choice(list(told)))
    header = "{" + ", ".join(f"{k!r}: {v}" for k, v in told.items()) + "}\n"
    if rng.random() < 0.03:
        header = "(" * rng.choice((99, 5_000)) + header
    length = len(header).to_bytes(2, "little")
    return content[:8] + length + header.encode() + content[10 + size :]


def zipped(members: Mapping[str, bytes], rng: Random | None = None) -> bytes:
    """Members as a zip; with a Random its tables may be hostile."""
    file, hostile = io.BytesIO(), rng is not None and rng.random() < 0.3
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if hostile and rng is not None and rng.random() < 0.4:
                _spoil(info, rng)
            archive.writestr(info, content, info.compress_type)
            if hostile and rng is not None and rng.random() < 0.1:
                archive.writestr(zipfile.ZipInfo(f"{name}x"), content)
    content = file.getvalue()
    if hostile and rng is not None and rng.random() < 0.5:
        tables = content.rfind(b"PK\1\2")
        return content[:tables] + bytes_of(content[tables:], rng)
    return content


def _spoil(info: zipfile.ZipInfo, rng: Random) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        info.filename = rng.choice(
            (
                "../out",
                "/nowhere/out",
                "arrays/../../x",
                "manifest.json",
                "a\\b",
                "config",
            )
        )
    elif kind == 1:
        info.compress_type = rng.choice((8, 12, 14))  # deflate, bzip2, lzma
    elif kind == 2:
        info.external_attr = rng.choice((0o120777 << 16, 0o040755 << 16, 0x10))
    else:
        info.flag_bits |= rng.choice((0x1, 0x8, 0x20, 0x40, 0x800))
