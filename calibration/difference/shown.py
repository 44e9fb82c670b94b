"""A Difference in sections of rows: on the terminal, in Markdown, HTML and JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...toolchain.visible import visible, visible_json
from ..report.numbers import energy, shorten
from .difference import Difference, FigurePair

OVERALL = (
    *("spikes", "synaptic_operations", "mean_rate.hz", "silent", "saturated"),
    *("neurons", "synapses", "macs", "energy", "latency", "cores", "chips"),
    "wall_time",
)
"""Figures of the whole network that are shown wherever they differ, after scores."""
OF_LAYERS = ("spikes", "synaptic_operations", "mean_rate.hz", "energy")
NOTHING = "–"
LONG = 300  # characters of a fact that are shown


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table under a title; ``note`` says what it leaves out."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def sections(found: Difference) -> tuple[Section, ...]:
    """What is worth reading, in words; without rows nothing differs."""
    return (*_rules(found), _overall(found), _layers(found), _facts(found))


def _rules(found: Difference) -> Iterator[Section]:
    if found.judgements:
        rows = tuple(
            (
                "FAILS" if each.holds else "passes",
                each.rule,
                f"{each.a:.6g}",
                f"{each.b:.6g}",
            )
            for each in found.judgements
        )
        yield Section(title="Fail if", header=("", "rule", "A", "B"), rows=rows)


def _facts(found: Difference) -> Section:
    rows = [
        (fact.name, _short(fact.a), _short(fact.b))
        for fact in found.facts
        if not fact.same
    ]
    same = len(found.facts) - len(rows)
    return Section(
        title="Model, data, configuration, versions",
        header=("", "A", "B"),
        rows=tuple(rows),
        note=f"{same} the same",
    )


def _short(text: str | None) -> str:
    if text is None:
        return NOTHING
    return text if len(text) <= LONG else f"{text[:LONG]}…"


def _overall(found: Difference) -> Section:
    whole = [pair for pair in found.figures if not pair.layer]
    scores = [pair for pair in whole if " of " in pair.name]
    by_name = {pair.name: pair for pair in whole}
    listed = scores + [by_name[name] for name in OVERALL if name in by_name]
    rows = tuple(
        (
            pair.name,
            written(pair.quantity, pair.a),
            written(pair.quantity, pair.b),
            _changed(pair),
        )
        for pair in listed
    )
    shown = {pair.name for pair in listed}
    rest = sum(not pair.same for pair in whole if pair.name not in shown)
    return Section(
        title="The whole network",
        header=("", "A", "B", "change"),
        rows=rows,
        note=f"{rest} further figures differ; --format json has all" if rest else "",
    )


def _layers(found: Difference) -> Section:
    table: dict[str, dict[str, FigurePair]] = {}
    for pair in found.figures:
        if pair.layer and pair.quantity in OF_LAYERS:
            table.setdefault(pair.layer, {})[pair.quantity] = pair
    rows = [
        (layer, *(_beside(pairs.get(quantity)) for quantity in OF_LAYERS))
        for layer, pairs in table.items()
        if not all(pair.same for pair in pairs.values())
    ]
    same = len(table) - len(rows)
    return Section(
        title="Layers, B and its change from A",
        header=("layer", "spikes", "synaptic operations", "mean Hz", "energy"),
        rows=tuple(rows),
        note=f"{same} layers the same" if same else "",
    )


def _beside(pair: FigurePair | None) -> str:
    if pair is None or pair.a is None or pair.b is None:
        where = "" if pair is None else " in A" if pair.b is None else " in B"
        return f"only{where}" if where else NOTHING
    figure = written(pair.quantity, pair.b).removesuffix(" Hz")  # of the header
    return f"{figure} {_changed(pair)}"


def _changed(pair: FigurePair) -> str:
    """In per cent where that says something, of a score as it is."""
    if pair.change is None:
        return NOTHING
    if pair.same:
        return "="
    if pair.percent is None or " of " in pair.name:
        return f"{pair.change:+.3g}"
    return f"{pair.percent:+.1f} %"


def written(quantity: str, value: float | None) -> str:
    """A figure with its unit, about three digits."""
    if value is None:
        return NOTHING
    last = quantity.split(".")[-1]
    if quantity.startswith("energy") and last not in ("low", "high"):
        return energy(value)
    if last == "hz":
        return f"{value:.4g} Hz"
    if last in ("seconds", "wall_time", "latency", "dt", "presentation"):
        return f"{value:.4g} s"
    return shorten(value) if value >= 1000 else f"{value:.4g}"


def print_difference(found: Difference, console: Console) -> None:
    """On the terminal; fits 80 columns unless names are long."""
    for side, path in (("A", found.a), ("B", found.b)):
        console.print(Text(f"{side}  {visible(path)}"))
    for section in sections(found):
        console.print()
        note = f"  ({section.note})" if section.note else ""
        console.print(Text.assemble((section.title, "bold"), note))
        if section.rows:
            console.print(_terminal_table(section))
        else:
            console.print(Text("  nothing differs"))


def _terminal_table(section: Section) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    words = section.header[-1] == "B"  # columns of words, not of figures
    for number, header in enumerate(section.header):
        right = number > 0 and not words
        table.add_column(
            Text(header), justify="right" if right else "left", overflow="fold"
        )
    for row in section.rows:
        style = "red" if row[0] == "FAILS" else None
        table.add_row(*(Text(visible(cell)) for cell in row), style=style)
    return table


def as_json(found: Difference) -> str:
    """All facts and figures, those that are the same too."""
    return visible_json({"fails": found.fails, **asdict(found)})


def as_markdown(found: Difference) -> str:
    """For a pull request."""
    lines = [f"**A** {_plain(found.a)}  ", f"**B** {_plain(found.b)}", ""]
    for section in sections(found):
        lines += [f"### {section.title}", ""]
        if section.rows:
            lines += [_row(section.header), _row(["---"] * len(section.header))]
            lines += [_row([_plain(cell) for cell in row]) for row in section.rows]
        else:
            lines.append("Nothing differs.")
        if section.note:
            lines += ["", f"{section.note[0].upper()}{section.note[1:]}."]
        lines.append("")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown and HTML take as it is."""
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", escape(visible(text), quote=False))


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
  padding: 0 1rem }}
table {{ border-collapse: collapse }}
th, td {{ border-bottom: 1px solid #8886; padding: .2rem .8rem .2rem 0;
  text-align: left; vertical-align: top; overflow-wrap: anywhere }}
th {{ font-weight: 600 }}
td:first-child {{ min-width: 9rem }}
tr.fails td {{ color: #c1121f; font-weight: 600 }}
@media (prefers-color-scheme: dark) {{ tr.fails td {{ color: #ff7b7b }} }}
</style>
<h1>{title}</h1>
<dl><dt>A</dt><dd>{a}</dd><dt>B</dt><dd>{b}</dd></dl>
{body}
</html>
"""


def as_html(found: Difference) -> str:
    """One page, without script or network."""
    body = [_html_section(section) for section in sections(found)]
    return PAGE.format(
        title="Difference of two builds",
        a=escape(visible(found.a)),
        b=escape(visible(found.b)),
        body="\n".join(body),
    )


def _html_section(section: Section) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in section.header)
    rows = []
    for row in section.rows:
        cells = "".join(f"<td>{escape(visible(cell))}</td>" for cell in row)
        kind = ' class="fails"' if row[0] == "FAILS" else ""
        rows.append(f"<tr{kind}>{cells}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows)
    shown = f"{table}\n</tbody></table>" if rows else "<p>Nothing differs.</p>"
    note = f"<p>{escape(section.note)}</p>" if section.note else ""
    return f"<h2>{escape(section.title)}</h2>\n{shown}{note}"


WRITERS: Mapping[str, Callable[[Difference], str]] = {
    "json": as_json,
    "markdown": as_markdown,
    "html": as_html,
}
