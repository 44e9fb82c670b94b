"""Energy and time of builds beside each other and all opponents, as a page.

    snn-deploy build --target reference --out build/hybrid …
    python benchmarks/energy.py 'LocNet: hybrid integers=build/hybrid' …

Each word is NETWORK: VARIANT=FOLDER, a folder that a build wrote. Scores are those of
its report.json. Integers run again, the first two samples in program.snn, on
``reference`` (every integer target has the same spikes), placed on Loihi's cores for
hops, time and SANA-FE; a float simulation has the figures of its report.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from snn_deploy.calibration.opponents.standing import Against
from snn_deploy.calibration.report.beside_lines import duration
from snn_deploy.calibration.report.measure import KEPT, Shown, measure
from snn_deploy.calibration.report.numbers import band, energy, shorten
from snn_deploy.calibration.report.report import Report
from snn_deploy.targets.contract import find_target
from snn_deploy.targets.loihi.target import LOIHI1_CORE, LOIHI1_CORES
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.passes.place.place import place
from snn_deploy.toolchain.verdict.compare import FLOAT

RESULT = Path(__file__).parent / "results" / "energy.md"
NONE = "–"
HEAD = """# Energy and time, beside every opponent

By `python benchmarks/energy.py`, from builds of the networks named below; nothing is
measured. Integers ran again, two samples each, and were placed on Loihi's cores. Energy
is the chip's dynamic energy of an inference: the proxy's (published constants times
counts, with its band) and, of integers, SANA-FE's (simulated). What encoder and decoder
take on the host is left out on both sides, since the conventional network (ANN) has
these layers too. What the columns mean, and where the constants are from:
docs/opponents.md.
"""
Variants = dict[str, Report]


def page(networks: dict[str, Variants]) -> Iterator[str]:
    """The lines of it."""
    yield HEAD
    for network, variants in networks.items():
        yield f"## {network}\n"
        yield from costs(variants)
        yield from sides(variants)


def costs(variants: Variants) -> Iterator[str]:
    """What each takes, a row a variant."""
    yield table_row(
        *("", "score", "steps", "spikes", "synaptic operations", "energy: proxy"),
        *("SANA-FE", "time: published times", "SANA-FE"),
    )
    yield table_row(*["---"] * 9)
    yield from conventional(variants)
    for name, report in variants.items():
        score = report.scores[0] if report.scores else None
        total, opinion, time = (
            report.energy.total.total,
            report.second_opinion,
            report.chip_time,
        )
        yield table_row(
            name,
            NONE
            if score is None
            else f"{score.metric} {score.value:.3f} ({score.note})",
            str(report.steps),
            shorten(report.total.spikes),
            shorten(report.total.synaptic_operations),
            NONE if total is None else band(total),
            NONE
            if opinion is None or opinion.difference is None
            else f"{energy(opinion.energy)} ({opinion.difference:+.0f} %)",
            NONE
            if time is None
            else f"{duration(time.inference.value)} ({duration(time.inference.low)} to "
            f"{duration(time.inference.high)})",
            NONE if opinion is None else duration(opinion.latency),
        )
    yield ""


def conventional(variants: Variants) -> Iterator[str]:
    """What they are made of: its score, and how many operations it takes."""
    for report in variants.values():
        for score in report.scores:
            if score.name == "float ANN":
                told = f"{score.metric} {score.value:.3f} ({score.note})"
                macs = f"{shorten(report.total.macs)} multiply-accumulates"
                rest = ("by opponent, below", NONE, NONE, NONE)
                yield table_row("ANN", told, NONE, NONE, macs, *rest)
                return


def sides(variants: Variants) -> Iterator[str]:
    """Each opponent, a row; what each variant takes of it, and who loses."""
    standings = {
        name: report.opponents for name, report in variants.items() if report.opponents
    }
    rows: dict[str, dict[str, Against]] = {}
    for name, found in standings.items():
        for each in found.against:
            plain = each.name.split("-bit ")[-1]  # bits follow from the steps
            rows.setdefault(plain, {})[name] = each
    yield table_row("opponent", "batch", "memory", "it takes", *standings)
    yield table_row(*["---"] * (4 + len(standings)))
    for opponent, beside in rows.items():
        first = next(iter(beside.values()))
        told = (said(beside.get(name)) for name in standings)
        yield table_row(
            opponent, first.batch, first.memory, energy(first.energy.value), *told
        )
    yield ""
    for name, found in standings.items():
        yield f"- **{name}**: {found.sentence}."
        yield f"  {'; '.join(map(str, found.limits))}."
    yield ""


def said(against: Against | None) -> str:
    """Who takes less, by how much, and how many spikes it would take."""
    if against is None:
        return NONE
    if against.factor < 1:
        return f"wins, {1 / against.factor:.3g} times less"
    if against.spikes is None:
        return f"**loses**, {against.factor:.3g} times; even without a spike"
    fewer = 100 * (1 - against.spikes)
    return f"**loses**, {against.factor:.3g} times; {fewer:.3g} % fewer spikes"


def table_row(*cells: str) -> str:
    """A row in Markdown."""
    return f"| {' | '.join(cells)} |"


def reported(folder: Path) -> Report:
    """A build's report; of integers with SANA-FE's opinion."""
    report = Report.from_json(folder / "report.json")
    bundle = load_bundle(folder / "program.snn")
    program, samples = bundle.program, bundle.samples
    if report.kind == FLOAT or program is None or samples is None:
        return report
    with find_target("reference").load(program) as session:
        recording = session.run(samples[:KEPT])
    return measure(
        program,
        recording,
        report.energy.profile,
        source=report.source,
        scores=report.scores,
        placement=place(program, LOIHI1_CORE, LOIHI1_CORES, None),
        shown=Shown.of(samples, recording),
        opinion=True,
    )


def main() -> None:
    """Write the page."""
    networks: dict[str, Variants] = {}
    for word in sys.argv[1:]:
        name, _, folder = word.partition("=")
        network, _, variant = name.partition(": ")
        networks.setdefault(network, {})[variant] = reported(Path(folder))
    if not networks:
        sys.exit("name builds as 'NETWORK: VARIANT=FOLDER'")
    RESULT.write_text("\n".join(page(networks)), encoding="utf-8")


if __name__ == "__main__":
    main()
