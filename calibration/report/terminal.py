"""A Report on the terminal: verdict and score, one table, and what its figures are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...toolchain.passes.place.limits import CHIP
from ...toolchain.visible import visible
from ..findings.finding import Finding
from ..overflow import MAX_Q, MAX_U, Overflow
from ..rounding import Moved
from .beside_lines import firmware_line, opinion_lines, opponent_lines, time_line
from .energy_lines import energy_details, energy_line, measured_lines
from .numbers import three_digits
from .report import Confusion, Report, Score
from .table import layer_table

MISTAKES = 3  # pairs of classes that are named
MEANT = ("float ANN", "float SNN as written")  # what a network is held to, in scores
KEY = 10  # columns of the words before the lines
Lines = Sequence[tuple[str, str]]


def print_report(
    report: Report,
    console: Console,
    next_steps: Sequence[str] = (),
    *,
    wide: bool = False,
) -> None:
    """Print the report: verdict and score, the table, what its figures are and mean.

    Args:
        report: what to print.
        console: where to; the table takes 80 columns.
        next_steps: what the caller would have the user do next, a line each.
        wide: all columns of the table, and the energy term by term.
    """
    _print_lines(_first_lines(report), console)
    console.print()
    console.print(layer_table(report, wide=wide), crop=False, soft_wrap=True)
    console.print()
    _print_lines(_lines(report, wide), console)
    for step in next_steps:
        line = Text.assemble((f"{'next':<{KEY}}", "bold green"), visible(step))
        console.print(line, highlight=False, soft_wrap=True)


def _print_lines(lines: Lines, console: Console) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    before = ""
    for name, text in lines:
        key = "" if name == before else name
        grid.add_row(Text(f"{key:<{KEY - 2}}", style="bold"), Text(visible(text)))
        before = name
    console.print(grid, highlight=False)


def _first_lines(report: Report) -> Lines:
    """What a reader wants to know first."""
    lines = [("verdict", verdict(report))]
    lines += [("score", line) for line in score_lines(report.scores)]
    lines.append(("energy", energy_line(report.energy)))
    if report.measured is not None:
        lines += [("measured", line) for line in measured_lines(report.measured)]
    return lines


def verdict(report: Report) -> str:
    """How well it works, and whether anything is wrong, in one sentence."""
    errors = [f for f in report.findings if f.severity == "error"]
    if report.worthless:
        return f"the answers are worth nothing: {errors[0].message}"
    warnings = len(report.findings)
    wrong = f"; {warnings} warning{'s' if warnings > 1 else ''} below"
    found = wrong if warnings else "; nothing was found wrong"
    if not report.scores:
        return f"no score, since there are no labels{found}"
    ours = report.scores[0]
    said = f"{ours.metric} {ours.value:.3f}"
    for other in report.scores:
        if other.metric == ours.metric and other.name in MEANT:
            less = other.value - ours.value
            word = "less" if less >= 0 else "more"
            said += f", {abs(less):.3f} {word} than the {other.name}"
    return f"{said}{found}"


def _lines(report: Report, wide: bool) -> Lines:
    lines = [("run", _run(report)), ("figures", _figures(report))]
    lines += [("energy", x) for x in energy_details(report.energy, wide=wide)]
    if report.second_opinion is not None:
        found = opinion_lines(report.second_opinion, wide=wide)
        lines += [("opinion", line) for line in found]
    if report.chip_time is not None:
        lines.append(("time", time_line(report.chip_time)))
    if report.total.spikes_per_synapse is not None:
        lines.append(("sparsity", _sparsity(report)))
    if report.opponents is not None:
        found = opponent_lines(report.opponents, wide=wide)
        lines += [("against", line) for line in found]
    used = report.utilization.get(CHIP, {}).items()
    if used:
        lines.append(("use", " · ".join(f"{n} {u} of {m}" for n, (u, m) in used)))
    if report.firmware is not None:
        line = firmware_line(report.firmware, report.instructions)
        lines.append(("compiled", line))
    lines += [("rounding", _rounding(each)) for each in report.rounding]
    lines += [("overflow", _overflow(o)) for o in report.overflows if o.could_overflow]
    if report.confusion is not None and report.confusion.worst:
        lines.append(("confused", _mistakes(report.confusion)))
    if wide:
        lines += [("neurobench", line) for line in _metrics(report)]
        lines += [("missing", f"{k}: {why}") for k, why in report.unavailable.items()]
    lines += [("chosen", str(choice)) for choice in report.calibration]
    lines += [("note", note) for note in report.notes]
    lines += finding_lines(report.findings)
    return lines


def _metrics(report: Report) -> list[str]:
    """NeuroBench's, by their names."""
    return [
        f"{m.name} {'none' if m.value is None else f'{m.value:.6g}'}: {m.source}"
        for m in report.neurobench
    ]


def _sparsity(report: Report) -> str:
    """Synaptic operations for each MAC of the ANN that they take the place of."""
    total = report.total
    assert total.spikes_per_synapse is not None
    a_synapse = f"{three_digits(total.spikes_per_synapse)} a synapse"
    if not total.macs:
        return f"{a_synapse} and inference; the ANN's MACs are not known here"
    return (
        f"{three_digits(total.synaptic_operations / total.macs)} synaptic operations a "
        f"MAC of the ANN that the core takes the place of, {a_synapse}"
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
        "all of one inference, the mean over samples · counted: neurons, spikes, "
        "synaptic operations (every spike times the synapses that it visits) and "
        "multiply-accumulates (MACs) of the conventional network (ANN), both into the "
        "layer · estimated: energy, published constants times counts · measured: "
        f"{report.wall_time:.2f} s for all samples on this computer"
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


def _rounding(found: Moved) -> str:
    return (
        f"{found.name}: {three_digits(found.fired)} spikes an inference, "
        f"{three_digits(found.written)} as written, {three_digits(found.moved)} in one "
        "of both alone"
    )
