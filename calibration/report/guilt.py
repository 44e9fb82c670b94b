"""Guilt on the terminal: the layers that lose most first, then what each one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...toolchain.visible import visible
from ..guilt.guilt import Guilt
from ..guilt.layer import LayerGuilt
from .numbers import three_digits

Columns = Sequence[tuple[str, Callable[[LayerGuilt], str]]]

RANKED: Columns = (
    ("layer", lambda layer: layer.name),
    ("neurons", lambda layer: str(layer.neurons)),
    ("lost\nalone", lambda layer: f"{layer.lost:.4f}"),
    ("of it by\nrounding", lambda layer: f"{layer.rounding:.4f}"),
    ("score\nlost", lambda layer: _or_dash(layer.score, "{:+.3f}")),
    ("silent\n%", lambda layer: f"{100 * layer.silent:.0f}"),
    ("sat.\n%", lambda layer: f"{100 * layer.saturated:.0f}"),
    ("what helps", lambda layer: _remedy(layer)),
)
DETAILS: Columns = (
    ("layer", lambda layer: layer.name),
    ("mean\nHz", lambda layer: three_digits(layer.rates.mean)),
    ("med.\nHz", lambda layer: three_digits(layer.rates.median)),
    ("p99\nHz", lambda layer: three_digits(layer.rates.p99)),
    ("max.\nHz", lambda layer: three_digits(layer.rates.maximum)),
    ("r in the\nnetwork", lambda layer: f"{layer.together.correlation:.3f}"),
    ("error", lambda layer: f"{layer.together.error:.4f}"),
    ("r\nalone", lambda layer: f"{layer.alone.correlation:.3f}"),
    ("error", lambda layer: f"{layer.alone.error:.4f}"),
    ("weights\ndB", lambda layer: _or_dash(layer.noise.weights, "{:.0f}")),
    ("currents\ndB", lambda layer: _or_dash(layer.noise.currents, "{:.0f}")),
    ("rates\ndB", lambda layer: _or_dash(layer.noise.rates, "{:.0f}")),
    ("q\nbits", lambda layer: _margin(layer, "q")),
    ("u\nbits", lambda layer: _margin(layer, "u")),
)
WORDS = {"layer", "what helps"}  # columns that are no figures


def print_guilt(guilt: Guilt, metric: str | None, console: Console) -> None:
    """Print the ranked layers.

    Args:
        guilt: what to print.
        metric: name of its scores.
        console: where to.
    """
    for columns in (RANKED, DETAILS):
        console.print(_table(guilt, columns), crop=False, soft_wrap=True)
        console.print()
    losses = guilt.losses
    lines = [
        f"the whole network loses {losses.whole:.4f} of its answers' variance: its "
        f"integers as floats {losses.rounding:.4f}, their spikes {losses.spiking:.4f} "
        f"({guilt.samples} samples of {guilt.steps} steps)",
        "lost alone: what the answers lose where this layer alone is integers and "
        "spikes, all others float; r and error: rates against the float network's; "
        "dB: signal to noise; bits: room left in q and u",
    ]
    if guilt.scores is not None:
        scores = guilt.scores
        lines.append(
            f"{metric}: float network {scores.network:.3f} · its integers as floats "
            f"{scores.rounded:.3f} · as spikes {scores.program:.3f}"
        )
    for line in lines:
        console.print(Text(line))


def _table(guilt: Guilt, columns: Columns) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for header, cell in columns:
        cells = [visible(cell(layer)) for layer in guilt.layers]
        table.add_column(
            header,
            justify="left" if header in WORDS else "right",
            no_wrap=True,
            min_width=max(map(len, [*header.split("\n"), *cells])),
        )
    for layer in guilt.layers:
        table.add_row(*(Text(visible(cell(layer))) for _, cell in columns))
    return table


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _margin(layer: LayerGuilt, name: str) -> str:
    if layer.margins is None:
        return "–"
    return f"{getattr(layer.margins, name):.1f}"


def _remedy(layer: LayerGuilt) -> str:
    remedy = layer.remedy
    return "" if remedy is None else f"{remedy.change}: {remedy.lost:.4f}"
