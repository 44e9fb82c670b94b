"""The results of fuzzing as a table, and what was found and mended on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fuzzing.loaders import LOADERS

HEAD = """# Fuzzing: what became of files that a fuzzer made

Written by `benchmarks/fuzz.py`, which says what an input is. Refused: one of our own
errors. Library: HDF5's or ONNX's own code crashed, hung or asked for more than 1 GiB;
the fuzzer reads without the child process that meets with that for users
(`docs/security.md`). Peak: of the fuzzer's process.

| loader | inputs | loaded | refused | library | others | peak, MiB | seconds |
|---|---|---|---|---|---|---|---|
"""
MENDED = """
## Found and mended

By the runs above and shorter ones before them. Each has a test, and the inputs that the
runs above kept were tried again.

| loader | what happened | now |
|---|---|---|
"""


def table_of(results: Mapping[str, Any]) -> str:
    """Markdown; ``results`` as fuzz.json has them."""
    rows = "".join(
        _row(key, results[key]) for key in sorted(results) if key != "mended"
    )
    groups: dict[str, int] = {}
    for key, loader in LOADERS.items():
        tried = results.get(key, {}).get("inputs", 0)
        groups[loader.group] = groups.get(loader.group, 0) + tried
    told = ", ".join(f"{group} {count:,}" for group, count in groups.items())
    mended = "".join(
        f"| {each['loader']} | {each['what']} | {each['now']} |\n"
        for each in results.get("mended", [])
    )
    return f"{HEAD}{rows}\nTogether: {told}.\n{MENDED}{mended}"


def _row(key: str, result: Mapping[str, Any]) -> str:
    outcomes = dict(result["outcomes"])
    known = [outcomes.pop(kind, 0) for kind in ("loaded", "refused")]
    library = sum(n for kind, n in outcomes.items() if kind.endswith("-library"))
    others = ", ".join(
        f"{n} {kind}"
        for kind, n in sorted(outcomes.items())
        if not kind.endswith("-library")
    )
    figures = (result["inputs"], *known, library)
    shown = " | ".join(f"{figure:,}" for figure in figures)
    end = f"{others or '0'} | {result['peak_mib']} | {result['seconds']:,}"
    return f"| {key} | {shown} | {end} |\n"
