"""A Report on the terminal: one table, then what its figures are and mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...toolchain.passes.place.limits import CHIP
from ...toolchain.visible import visible
from ..energy.band import Band, Constant
from ..findings.finding import Finding
from ..overflow import MAX_Q, MAX_U, Overflow
from ..statistics import LayerStatistics, Rate
from .report import Confusion, Report, Score

HEADERS = (
    "layer",
    "neurons",
    "cores",
    "mean\nHz",
    "med.\nHz",
    "p99\nHz",
    "mean\n/step",
    "silent\n%",
    "sat.\n%",
    "spikes\n/inf.",
    "synops\n/inf.",
    "syn-\napses",
    "not 0\n%",
    "ANN\nMACs",
    "energy\nproxy",
)
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"))
MISTAKES = 3  # pairs of classes that are named
KEY = 10  # columns of the words before the lines


def print_report(
    report: Report, console: Console, next_steps: Sequence[str] = ()
) -> None:
    """Print the report; best at 100 columns or more.

    Args:
        report: what to print.
        console: where to.
        next_steps: what the caller would have the user do next, a line each.
    """
    console.print(_table(report), crop=False, soft_wrap=True)
    console.print()
    lines = Table.grid(padding=(0, 2, 0, 0))
    for name, text in _lines(report):
        lines.add_row(Text(f"{name:<{KEY - 2}}", style="bold"), Text(visible(text)))
    console.print(lines, highlight=False)
    for step in next_steps:
        line = Text.assemble((f"{'next':<{KEY}}", "bold green"), visible(step))
        console.print(line, highlight=False, soft_wrap=True)


def _table(report: Report) -> Table:
    """The layers, the core in the footer; never narrower than its figures."""
    rows = [
        _cells(report, layer, layer.name, energy.total)
        for layer, energy in zip(report.layers, report.energy.layers)
    ]
    total = _cells(report, report.total, CHIP, report.energy.total.total)
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False, show_footer=True)
    for header, cells in zip(HEADERS, zip(*rows, total)):
        words = (*header.split("\n"), *cells)
        table.add_column(
            header,
            Text(cells[-1], style="bold"),
            justify="left" if header == "layer" else "right",
            no_wrap=True,
            min_width=max(len(word) for word in words),
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _cells(
    report: Report, layer: LayerStatistics, place: str, joules: Band | None
) -> list[str]:
    """A row; ``place`` is whose utilization it has."""
    rates: tuple[Rate, ...] = (layer.mean_rate, layer.median_rate, layer.p99_rate)
    cores = report.utilization.get(place, {}).get("cores")
    return [
        visible(layer.name),
        str(layer.neurons),
        str(cores[0]) if cores else "–",
        *(three_digits(rate.hz) for rate in rates),
        f"{layer.mean_rate.per_step:.3f}",
        f"{100 * layer.silent:.0f}",
        f"{100 * layer.saturated:.0f}",
        shorten(layer.spikes),
        shorten(layer.synaptic_operations),
        shorten(layer.incoming_synapses),
        _percent(layer.nonzero_synapses, layer.incoming_synapses),
        "–" if layer.macs is None else shorten(layer.macs),
        "–" if joules is None else energy(joules.value),
    ]


def _lines(report: Report) -> list[tuple[str, str]]:
    lines = [("run", _run(report)), ("figures", _figures(report))]
    lines += zip(("energy", "", ""), _energy_lines(report))
    if report.total.spikes_per_synapse is not None:
        lines.append(("sparsity", _sparsity(report)))
    used = report.utilization.get(CHIP, {}).items()
    if used:
        lines.append(("use", " · ".join(f"{n} {u} of {m}" for n, (u, m) in used)))
    lines += [("overflow", _overflow(o)) for o in report.overflows if o.could_overflow]
    lines += [("score", line) for line in score_lines(report.scores)]
    if report.confusion is not None and report.confusion.worst:
        lines.append(("confused", _mistakes(report.confusion)))
    lines += [("chosen", str(choice)) for choice in report.calibration]
    lines += [("note", note) for note in report.notes]
    lines += finding_lines(report.findings)
    return lines


def _percent(part: int | None, whole: int) -> str:
    return "–" if part is None or not whole else f"{100 * part / whole:.0f}"


def _sparsity(report: Report) -> str:
    """Synaptic operations for each MAC of the ANN that they take the place of."""
    total = report.total
    assert total.spikes_per_synapse is not None
    a_synapse = f"{three_digits(total.spikes_per_synapse)} a synapse"
    if not total.macs:
        return f"{a_synapse} and inference; the ANN's MACs are not known here"
    return (
        f"{three_digits(total.synaptic_operations / total.macs)} synaptic operations a "
        f"MAC of the ANN that the core takes the place of, {a_synapse}; published "
        "break-even with a conventional network: 1.72 (Davidson & Furber 2021), "
        "0.15–1.38 (Dampfhoffer et al. 2022)"
    )


def _run(report: Report) -> str:
    filtered = f", synaptic filter {1e3 * report.readout_tau:g} ms"
    return (
        f"{report.target} ({report.kind}) · {report.steps} steps of "
        f"{1e3 * report.dt:g} ms = {1e3 * report.presentation:g} ms · read after "
        f"{1e3 * report.settle:g} ms{filtered if report.readout_tau else ''} · "
        f"{report.samples} samples: {report.source}"
    )


def _figures(report: Report) -> str:
    return (
        "counted: rates, spikes, synops (of the spikes that a layer sends), synapses "
        "and the ANN's MACs (into it) · estimated (proxy): energy · measured: "
        f"{report.wall_time:.2f} s for all samples on this computer"
    )


def _energy_lines(report: Report) -> list[str]:
    proxy, profile, host = report.energy, report.energy.profile, report.host
    total = proxy.total.total
    assert total is not None
    return [
        f"{proxy.title}: {energy(total.value)} an inference, band "
        f"{energy(total.low)} to {energy(total.high)}",
        f"{profile.name} ({profile.device}): "
        f"synaptic operation {_constant(profile.synaptic_operation)} · "
        f"active update {_constant(profile.active_update)} · "
        f"inactive update {_constant(profile.inactive_update)}",
        f"excluded: {', '.join(profile.excluded)}; the host computes "
        f"{shorten(host.encoder_macs)} MACs before and {shorten(host.decoder_macs)} "
        "after",
    ]


def _constant(constant: Constant | None) -> str:
    if constant is None:
        return "not published"
    return (
        f"{constant.value:g} {constant.unit} "
        f"[{constant.low:g}–{constant.high:g}, {constant.tag}]"
    )


def _overflow(o: Overflow) -> str:
    name, seen, bound, limit = "q", o.peak_q, o.bound_q, MAX_Q
    if o.bound_q <= MAX_Q:
        name, seen, bound, limit = "u", o.peak_u, o.bound_u, MAX_U
    return (
        f"{o.population}: |{name}| reached {seen} on the calibration data and could "
        f"reach {bound}; it wraps beyond {limit}"
    )


def score_lines(scores: Sequence[Score]) -> list[str]:
    """A line for each metric."""
    parts: dict[str, list[str]] = {score.metric: [] for score in scores}
    for score in scores:
        note = f", {score.note}" if score.note else ""
        parts[score.metric].append(
            f"{score.name} {score.value:.3f}{_interval(score)} ({score.label}{note})"
        )
    return [f"{metric}: {' · '.join(found)}" for metric, found in parts.items()]


def finding_lines(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Severity and words of each; layers of which the same holds are told once."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        key = finding.severity, finding.id, finding.fix
        alike.setdefault(key, []).append(finding)
    lines = []
    for (severity, _, _), (first, *others) in alike.items():
        names = ", ".join(each.layer for each in others)
        likewise = f"; likewise {names}" if others else ""
        told = replace(first, message=f"{first.message}{likewise}")
        lines.append((severity, str(told)))
    return lines


def three_digits(value: float) -> str:
    """About three digits.

    >>> [three_digits(x) for x in (0, 0.137, 13.75, 333.3)]
    ['0.00', '0.14', '13.8', '333']
    """
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{decimals}f}"


def shorten(value: float) -> str:
    """Three digits and a prefix.

    >>> [shorten(x) for x in (7, 0.5, 12_345, 2_000_000)]
    ['7', '0.50', '12.3k', '2.00M']
    """
    for scale, prefix in PREFIXES:
        if value >= scale:
            return f"{three_digits(value / scale)}{prefix}"
    return str(int(value)) if value == int(value) else three_digits(value)


def energy(joules: float) -> str:
    """Three digits and a unit.

    >>> [energy(x) for x in (0.0, 2.36e-11, 1.5e-6)]
    ['0 J', '23.6 pJ', '1.50 µJ']
    """
    for scale, unit in JOULES:
        if joules >= scale:
            return f"{three_digits(joules / scale)} {unit}"
    return "0 J" if joules == 0 else f"{joules:.1e} J"


def _interval(score: Score) -> str:
    """Its 95 % interval, where it has one."""
    if score.low is None or score.high is None:
        return ""
    return f" [{score.low:.3f}, {score.high:.3f}]"


def _mistakes(confusion: Confusion) -> str:
    """The commonest mistakes, in words."""
    return " · ".join(
        f"{true} taken for {predicted}: {count} of {total}"
        for true, predicted, count, total in confusion.worst[:MISTAKES]
    )
