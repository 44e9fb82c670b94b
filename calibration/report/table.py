"""A Report's table on the terminal: a row a layer, host and core, 80 columns or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ...toolchain.passes.place.limits import CHIP
from ...toolchain.visible import visible
from ..counts.traffic import Messages
from ..energy.band import Band
from ..statistics import LayerStatistics
from .numbers import energy, shorten, three_digits
from .report import Report

WIDTH = 80
NONE = "–"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the cells of a row are made of; of the host there are MACs and energy."""

    name: str
    macs: int | None
    energy: Band | None
    layer: LayerStatistics | None = None
    cores: int | None = None
    sent: Messages | None = None
    bits: int | None = None


@dataclass(frozen=True)
class Column:
    """Its heading, and a row's cell."""

    header: str
    cell: Callable[[Row], str]


def _figure(name: str, show: Callable[[float], str]) -> Callable[[Row], str]:
    """A figure of the layer; a dash where it has none."""

    def cell(row: Row) -> str:
        value = None if row.layer is None else getattr(row.layer, name)
        return NONE if value is None else show(value)

    return cell


def _hertz(name: str) -> Callable[[Row], str]:
    return _figure(name, lambda rate: three_digits(rate.hz))  # type: ignore[attr-defined]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _part(part: str, whole: str) -> Callable[[Row], str]:
    """One figure in per cent of another."""

    def cell(row: Row) -> str:
        some = getattr(row.layer, part, None)
        every = getattr(row.layer, whole, None)
        return NONE if some is None or not every else _percent(some / every)

    return cell


def _macs(row: Row) -> str:
    return NONE if row.macs is None else shorten(row.macs)


def _energy(row: Row) -> str:
    return NONE if row.energy is None else energy(row.energy.value)


LAYER = Column("layer", lambda row: visible(row.name))
NEURONS = Column("neurons", _figure("neurons", str))
CORES = Column("cores", lambda row: str(row.cores) if row.cores else NONE)
PER_STEP = Column(
    "spikes\n/neuron\n/step",
    _figure("mean_rate", lambda rate: f"{rate.per_step:.3f}"),  # type: ignore[attr-defined]
)
SILENT = Column("silent\n%", _figure("silent", _percent))
SPIKES = Column("spikes\nsent", _figure("spikes", shorten))
INTO = Column("synaptic\nops into\nit", _figure("incoming_operations", shorten))
MACS = Column("ANN's\nMACs\ninto it", _macs)
ENERGY = Column("energy\nproxy", _energy)
NARROW = (LAYER, NEURONS, CORES, PER_STEP, SILENT, SPIKES, INTO, MACS, ENERGY)
WIDE = (
    *(LAYER, NEURONS, CORES),
    Column("mean\nHz", _hertz("mean_rate")),
    Column("median\nHz", _hertz("median_rate")),
    Column("p99\nHz", _hertz("p99_rate")),
    *(PER_STEP, SILENT),
    Column("at top\nrate %", _figure("saturated", _percent)),
    *(SPIKES, INTO),
    Column("synaptic\nops out\nof it", _figure("synaptic_operations", shorten)),
    Column("synapses\ninto it", _figure("incoming_synapses", shorten)),
    Column("of them\nnot 0 %", _part("nonzero_synapses", "incoming_synapses")),
    MACS,
    Column("neuron\nupdates", _figure("neuron_updates", shorten)),
    Column("an event\nchip\nskips %", _part("skipped_updates", "neuron_updates")),
    Column(
        "spikes\nto cores", lambda row: shorten(row.sent.messages) if row.sent else NONE
    ),
    Column(
        "memory\nKiB",
        lambda row: NONE if row.bits is None else three_digits(row.bits / 8192),
    ),
    ENERGY,
)


def layer_table(report: Report, *, wide: bool = False) -> Table:
    """The host's and the core's rows, the core as a whole in the footer.

    It is never narrower than its figures; where it is not ``wide``, names are shortened
    to fit 80 columns.
    """
    columns = WIDE if wide else NARROW
    rows = _rows(report)
    cells = [[column.cell(row) for row in rows] for column in columns]
    widths = [
        max(map(len, (*column.header.split("\n"), *texts)))
        for column, texts in zip(columns, cells)
    ]
    if not wide:
        room = WIDTH - sum(widths[1:]) - (len(columns) - 1)
        widths[0] = min(widths[0], max(room, 8))
        cells[0] = [_shortened(name, widths[0]) for name in cells[0]]
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False, show_footer=True)
    for column, texts, width in zip(columns, cells, widths):
        table.add_column(
            column.header,
            Text(texts[-1], style="bold"),
            justify="left" if column is LAYER else "right",
            no_wrap=True,
            min_width=width,
            max_width=width,
        )
    for number in range(len(rows) - 1):
        table.add_row(*(Text(texts[number]) for texts in cells))
    return table


def _shortened(name: str, width: int) -> str:
    """The name, without its middle where it is too long.

    >>> _shortened("encoder_block_3_conv_neurons", 15)
    'encoder…neurons'
    """
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def _rows(report: Report) -> Sequence[Row]:
    """Encoder, populations, decoder, and all of the core."""
    sent = {} if report.traffic is None else _named(report.traffic.layers)
    bits = {each.name: each.bits for each in report.memory}
    rows = [
        Row(
            name=layer.name,
            macs=layer.macs,
            energy=joules.total,
            layer=layer,
            cores=_cores(report, layer.name),
            sent=sent.get(layer.name),
            bits=bits.get(layer.name),
        )
        for layer, joules in zip(report.layers, report.energy.layers)
    ]
    host = {term.name: term.energy for term in report.energy.terms}
    encoder, decoder = (
        Row(name=f"{part} (host)", macs=macs, energy=host.get(part))
        for part, macs in (
            ("encoder", report.host.encoder_macs),
            ("decoder", report.host.decoder_macs),
        )
    )
    total = Row(
        name="core in all",
        macs=report.total.macs,
        energy=report.energy.total.total,
        layer=report.total,
        cores=_cores(report, CHIP),
        sent=None if report.traffic is None else report.traffic.total,
        bits=sum(bits.values()) or None,
    )
    return [encoder, *rows, decoder, total]


def _named(rows: Sequence[Messages]) -> dict[str, Messages]:
    return {row.name: row for row in rows}


def _cores(report: Report, place: str) -> int | None:
    cores = report.utilization.get(place, {}).get("cores")
    return cores[0] if cores else None
