"""A Verdict on the terminal: a table of targets and populations, then what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...toolchain.verdict.compare import (
    EQUALITY,
    TOLERANCE,
    Difference,
    OutputVerdict,
    Verdict,
)
from ...toolchain.verdict.history import History
from ...toolchain.visible import visible, visible_json
from .report import Score
from .terminal import score_lines

WORDS = {  # what a row is held to → the word where it agrees, and where not
    EQUALITY: ("equal", "differs"),
    TOLERANCE: ("as it should", "not as it should"),
}
BAD = {bad for _, bad in WORDS.values()}
WRONG = "red"


def print_verdict(
    verdict: Verdict,
    histories: Mapping[str, History],
    console: Console,
    scores: Sequence[Score] = (),
) -> None:
    """Print the verdict.

    Args:
        verdict: what to print.
        histories: target → the neuron of ``verdict.first`` around that step; empty
            where nothing differs.
        console: where to.
        scores: of the targets' answers.
    """
    console.print(_table(verdict), crop=False, soft_wrap=True)
    lines = [*_lines(verdict), *score_lines(scores)]
    if verdict.first is not None:
        lines.append(f"first: {verdict.first}")
    _print(lines, console)
    if verdict.first is not None and histories:
        console.print(_history_table(histories), crop=False, soft_wrap=True)
        threshold = next(iter(histories.values())).threshold
        note = f"v: before a reset; a spike where it is above {threshold}"
        _print([note, *blame(verdict.first, histories)], console)


def _print(lines: Sequence[str], console: Console) -> None:
    for line in lines:
        console.print(visible(line), highlight=False, markup=False, soft_wrap=True)


def to_json(
    verdict: Verdict, histories: Mapping[str, History], scores: Sequence[Score] = ()
) -> str:
    """The verdict, whether all agree, histories, who is wrong and scores, as JSON."""
    blamed = blame(verdict.first, histories) if verdict.first else []
    found = {
        "agrees": verdict.agrees,
        **asdict(verdict),
        "histories": {target: asdict(h) for target, h in histories.items()},
        "blame": blamed,
        "scores": [asdict(score) for score in scores],
    }
    return visible_json(found, default=np.ndarray.tolist)


def blame(first: Difference, histories: Mapping[str, History]) -> list[str]:
    """Which target does not do what the arithmetic says, from its own input spikes."""
    found = []
    for target, history in histories.items():
        (at,) = (history.step == first.step).nonzero()[0]
        due, spiked = bool(history.due[at]), bool(history.spikes[at])
        if due != spiked:
            does = "spikes" if spiked else "does not spike"
            needs = "does not" if spiked else "does"
            found.append(
                f"by the core's arithmetic, and the spikes that it received, {target} "
                f"is wrong here: it {does}, the arithmetic {needs}"
            )
    return found


def _table(verdict: Verdict) -> Table:
    rows = [
        (
            visible(row.target),
            visible(row.population),
            str(row.spikes),
            str(row.differing),
            f"{row.rate:.2f}",
            f"{row.rate_difference:+.2f}",
            "" if row.stray is None else f"{row.stray:.1f}",
            _word(row.held_to, row.agrees),
        )
        for row in verdict.populations
    ]
    difference = f"from {verdict.targets[0]}\nHz"
    return _columns(
        (
            *("target", "population", "spikes", "differing", "mean\nHz", difference),
            *("stray\nspikes", ""),
        ),
        rows,
        left={"target", "population", ""},
    )


def _columns(
    headers: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[str] = ()
) -> Table:
    """A table that is never narrower than what stands in it."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for header, cells in zip(headers, zip(*rows)):
        words = (*header.split("\n"), *cells)
        table.add_column(
            Text(header),
            justify="left" if header in left else "right",
            no_wrap=True,
            min_width=max(len(word) for word in words),
        )
    for row in rows:
        table.add_row(*map(Text, row), style=WRONG if row[-1] in BAD else None)
    return table


def _word(held_to: str, agrees: bool) -> str:
    good, bad = WORDS[held_to]
    return good if agrees else bad


def _lines(verdict: Verdict) -> list[str]:
    first = verdict.targets[0]
    run = (
        f"{verdict.spikes} spikes of {verdict.samples} samples × {verdict.steps} steps"
    )
    lines = []
    for output in verdict.outputs:
        differing = verdict.differing(output.target)
        outputs = (
            f"outputs differ by {output.difference:.3g} on average, the largest is "
            f"{output.largest:.3g}"
        )
        if output.held_to == TOLERANCE:
            lines.append(f"{first} ~ {output.target}: {_rates(verdict, output.target)}")
            lines.append(f"{first} ~ {output.target}: {outputs}: {_answers(output)}")
        elif differing:
            lines.append(
                f"{first} ≠ {output.target}: of {run}, "
                + ("1 place differs; " if differing == 1 else f"{differing} differ; ")
                + outputs
            )
        else:
            lines.append(f"{first} = {output.target}: {run}, not one differs")
    return lines


def _rates(verdict: Verdict, target: str) -> str:
    """What the rates of a float simulation were held to."""
    share = verdict.tolerances.rate
    if share is not None:
        return f"mean rates are held to {share:g} of {verdict.targets[0]}'s"
    bad = [
        row.population
        for row in verdict.populations
        if row.target == target and not row.agrees
    ]
    held = "fire as float neurons do on the spikes they were sent, by the integers"
    if not bad:
        return f"all populations {held}"
    return (
        f"{', '.join(bad)} should {held}, and have spikes beyond that (stray); weights "
        "or biases of the integers are not those of the float network"
    )


def _answers(output: OutputVerdict) -> str:
    """Whether the answers agree, and by what."""
    near = output.difference <= output.tolerance * output.largest
    found = f"{'within' if near else 'out of'} {output.tolerance:.2g} of it"
    if output.same_class is not None:
        found += f"; the same class in {output.same_class} of {output.samples} samples"
    return found


def _history_table(histories: Mapping[str, History]) -> Table:
    """The neuron's steps, with both targets' columns beside each other."""
    some = next(iter(histories.values()))
    columns = {"step": [str(step) for step in some.step]}
    for target, history in histories.items():
        columns[f"{target}\nq"] = [str(x) for x in history.q]
        columns[f"{target}\nu"] = [str(x) for x in history.u]
        columns[f"{target}\nv"] = [str(x) for x in history.v]
        columns[f"{target}\nspike"] = ["|" if x else "" for x in history.spikes]
    return _columns(list(columns), list(zip(*columns.values())))
