"""What c.py measured, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

Row = dict[str, Any]
HEAD = """\
Written by `benchmarks/c.py`. The same network as spikes and as int8 ANN, both as C, on
the same emulated core ({board}, `gcc -O3 -funroll-loops`, QEMU); the ANN's codes are
those of NumPy, the spikes those of `reference`, without one exception.

Flash and RAM are *counted* (the linker's sections, with 2048 bytes of stack and the
server, about the same for both); instructions an inference are *simulated*, the mean of
{samples} test samples. They are not cycles: QEMU has no pipeline and no wait states.
`smlad` and CMSIS-NN, which make an int8 ANN faster on a Cortex-M4 or M7, are not used.
Time and energy are unavailable.

The first layer's weighted sum and the last linear layer of the spiking network are the
host's, once a sample, and not counted; *core's layers* are the ANN's instructions
without those two.
"""
TIMED = """\
## Beside `reference`, on this machine

ms a step of one sample on one core (`cc -O3 -march=native`), median of turns; the load
average before and after is beside it: where it is above 1, other work ran.
"""


def document(rows: Sequence[Row]) -> str:
    """Scores, bytes and instructions; then time on this machine."""
    first = rows[0]
    head = HEAD.format(board=first["board"], samples=len(first["snn"]["instructions"]))
    parts = [head, *_table(SCORES, map(_scores, rows)), ""]
    parts += [*_table(SIZES, map(_sizes, rows)), "", *map(_verdict, rows), ""]
    parts += [TIMED, *_table(TIMES, map(_times, rows)), ""]
    return "\n".join(parts)


SCORES = ("network", "steps", "score", "float ANN", "**int8 ANN**", "**spiking**")
SIZES = (
    *("network", "flash: int8 ANN", "spiking", "RAM: int8 ANN", "spiking"),
    *("instructions: int8 ANN", "its core's layers", "spiking", "times the ANN's"),
)
TIMES = ("network", "`c`", "`reference`", "times as slow", "C written in", "load")


def _scores(row: Row) -> list[str]:
    found = row["scores"]
    name = f"{found['metric']}, {found['samples']} samples"
    values = [_value(found[key]) for key in ("float ANN", "int8 ANN", "integer SNN")]
    return [f"{row['network']}, {row['about']}", str(row["steps"]), name, *values]


def _value(score: Sequence[float | None]) -> str:
    value, low, high = score
    return f"{value:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def _sizes(row: Row) -> list[str]:
    ann, snn = row["ann"], row["snn"]
    whole, core, spiking = instructions(row)
    return [
        row["network"],
        *(f"{x:,}" for x in (ann["flash"], snn["flash"], ann["ram"], snn["ram"])),
        *(f"{x / 1e6:.3g} M" for x in (whole, core, spiking)),
        f"{spiking / core:.1f}",
    ]


def instructions(row: Row) -> tuple[float, float, float]:
    """Of the ANN, of those of its layers that the core runs, of the spikes; means."""
    ann = row["ann"]["instructions"]
    whole, core = mean(map(sum, ann)), mean(sum(each[1:-1]) for each in ann)
    return whole, core, mean(row["snn"]["instructions"])


def _verdict(row: Row) -> str:
    """Who wins what, in a sentence."""
    _, core, spiking = instructions(row)
    ann, snn = row["ann"], row["snn"]
    pairs = {
        "instructions": (core, spiking),
        "flash": (ann["flash"], snn["flash"]),
        "RAM": (ann["ram"], snn["ram"]),
    }
    lost = [f"{w} ({s / a:.2g} times)" for w, (a, s) in pairs.items() if s > a]
    won = [f"{w} ({s / a:.2g} times)" for w, (a, s) in pairs.items() if s <= a]
    said = (
        f"the int8 ANN wins in {' and '.join(lost)}" if lost else "the ANN wins nowhere"
    )
    more = f"; the spiking network takes less {', '.join(won)}" if won else ""
    return f"- **{row['network']}**: {said}{more}."


def _times(row: Row) -> list[str]:
    timed = row["time"]
    c, ours = timed["c"]["ms"], timed["reference"]["ms"]
    before, after = timed["load_average"]
    return [
        *(row["network"], f"{c:.4f}", f"{ours:.4f}", f"{c / ours:.2f}"),
        *(f"{row['generated_s']:.2f} s", f"{before:.0f}, {after:.0f}"),
    ]


def _table(head: Sequence[str], rows: Any) -> list[str]:
    lines = [list(head), ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
