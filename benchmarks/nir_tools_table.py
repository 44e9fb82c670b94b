"""How far our spikes are from those of the tools that wrote the NIR files in the tests.

    python benchmarks/nir_tools_table.py

Writes ``results/nir_tools.md`` from ``tests/nir_tools/``, which ``nir_tools.py`` made.
Two numbers a population: spikes that differ where the whole network runs, and where
each population is sent the tool's own spikes of those before it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from nir_tools_cases import CASES, FOLDER, counted  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "nir_tools.md"


def rows() -> list[str]:
    """A line a network."""
    found = []
    for name, case in CASES.items():
        cells = []
        for own in (False, True):
            parts = counted(name, case.timing, own)
            cells.append(", ".join(f"{d} of {s}" for d, s, _ in parts.values()))
        t = case.timing
        how = f"{t.dt:g} s, {t.grid}, {t.reset}"
        if t.tau_ref:
            how += f", refractory {t.tau_ref:g} s"
        found.append(f"| {name} | {how} | {' | '.join(cells)} | {case.why} |")
    return found


def main() -> None:
    """Write the file."""
    made = json.loads((FOLDER / "made.json").read_text())["versions"]
    versions = ", ".join(f"{tool} {version}" for tool, version in made.items())
    lines = [
        "# NIR files of other tools",
        "",
        f"Written and run by {versions}.",
        "50 steps, float32 there, float64 here.",
        "`python benchmarks/nir_tools_table.py` writes this page.",
        "",
        "Spikes that differ, and the tool's own, of each population; without a delay",
        "between layers, as in the tools. First of the whole network, then with each",
        "population sent the tool's own spikes of those before it.",
        "",
        "| network | read with | differ, of spikes | differ, each alone | why |",
        "|---|---|---|---|---|",
        *rows(),
    ]
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
