"""Speed and memory of every target on the same networks, in one run on one machine.

Run: python benchmarks/speed.py --model faces.h5 --data caltech101-faces [--quick]
Writes benchmarks/results/speed.json and docs/speed.png. Without --model and --data, the
LocNet that ships and generated scenes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import Job, Result, measure, table
from networks import Case, autoencoder, large_locnet, locnet_like, stack
from profile_reference import profile
from profile_reference import table as floors
from speed_plot import draw
from trained_network import trained_locnet

ROOT = Path(__file__).parent.parent
RESULTS, PLOT = ROOT / "benchmarks/results/speed.json", ROOT / "docs/speed.png"
OURS = "reference"
SLOW = ("loihi-emulator", "lava Sparse", "nengo-dl")
TARGETS = (OURS, *SLOW, "lava Conv")
PLACES = {"batch 32, two cores": (32, 2), "batch 1, one core": (1, 1)}
STEPS = 64
NEURONS = (10**3, 10**4, 10**5, 10**6)
MOST_NEURONS = 10**5  # of a slow target: about a minute
ACTIVITY = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # aimed at; what comes is noted
LENGTHS = (16, 64, 256, 1024)  # steps
BATCHES = (1, 4, 16, 64, 256)
LIBRARIES = ("numpy", "numba", "nengo", "nengo-loihi", "nengo-dl", "tensorflow")


def main() -> None:
    given = arguments()
    effort = dict(rounds=given.rounds, turn_s=given.turn, limit_s=given.limit)
    cases = [locnet_like()]
    if not given.quick:
        faces = trained_locnet(given.model, given.data)
        cases = [faces, large_locnet(), *cases, autoencoder()]
    before = os.getloadavg()
    compared: list[Result] = []
    for case in cases:
        for samples, cpus in PLACES.values():
            compared += shown(measure(jobs(case, TARGETS, samples, cpus), **effort))
    grown = {
        name: [r for group in groups for r in shown(measure(group, **effort))]
        for name, groups in series(given.quick)
    }
    profiles = [profile(case) for case in cases]
    print(floors(profiles))
    found = {
        "command": " ".join(["speed.py", *(Path(a).name for a in sys.argv[1:])]),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "load_average": {"before": before, "after": os.getloadavg()},
        "ratios": ratios(compared),
        "targets": table(compared),
        "series": {name: table(results) for name, results in grown.items()},
        "profiles": profiles,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    draw(found, given.plot)
    print(json.dumps(found["ratios"], indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=float, default=0.5, help="s, at least")
    parser.add_argument("--limit", type=float, default=10.0, help="s for a target")
    parser.add_argument("--quick", action="store_true", help="one network, few turns")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, default=PLOT)
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.turn, given.limit = 1, 0.1, 1.0
    return given


def jobs(
    case: Case, targets: Sequence[str], samples: int, cpus: int, steps: int = STEPS
) -> list[Job]:
    """One for each target."""
    given = dict(case=case, samples=samples, cpus=cpus, steps=steps)
    return [Job(target=name, **given) for name in targets]


def series(quick: bool) -> Iterator[tuple[str, list[list[Job]]]]:
    """What grows, and the jobs to be measured side by side; networks of ``stack``."""
    sizes = NEURONS[:1] if quick else NEURONS
    yield (
        "neurons",
        [
            jobs(stack(n, 0.02), (OURS, *SLOW) if n <= MOST_NEURONS else (OURS,), 1, 1)
            for n in sizes
        ],
    )
    if quick:
        return
    names = (OURS, "loihi-emulator")
    yield "activity", [jobs(stack(10**4, a), names, 1, 1) for a in ACTIVITY]
    case = stack(10**4, 0.05)
    yield "steps", [jobs(case, (OURS,), 1, 1, steps) for steps in LENGTHS]
    yield "batch", [jobs(case, (OURS,), samples, 2) for samples in BATCHES]


def ratios(results: Sequence[Result]) -> list[dict[str, Any]]:
    """How many times as long as ours the others take; Lava with its faster process."""
    found = []
    for ours in (r for r in results if r.target == OURS):
        beside = {
            r.target: r.ms / ours.ms
            for r in results
            if (r.network, r.samples, r.cpus) == (ours.network, ours.samples, ours.cpus)
            and r.ms
        }
        lava = [ratio for name, ratio in beside.items() if name.startswith("lava")]
        place = next(k for k, v in PLACES.items() if v == (ours.samples, ours.cpus))
        found.append(
            {
                "network": ours.network,
                "place": place,
                "activity": round(ours.activity, 4),
                "reference_ms": round(ours.ms, 5),
                "loihi-emulator": round(beside.get("loihi-emulator", 0.0), 1) or None,
                "lava": round(min(lava, default=0.0), 1) or None,
                "nengo-dl": round(beside.get("nengo-dl", 0.0), 1) or None,
            }
        )
    return found


def shown(results: list[Result]) -> list[Result]:
    """The results, printed."""
    for r in results:
        line = f"{r.network:24} {r.target:15} {r.samples:4} × {r.steps:4}, {r.cpus} CPU"
        times = f"{r.ms:9.4f} ms, {r.peak_mib:6.0f} MiB, {100 * r.activity:4.1f} %"
        print(line, r.refused or times, "" if r.equal is None else f"equal: {r.equal}")
    sys.stdout.flush()
    return results


def machine() -> Mapping[str, Any]:
    """Processor, memory, system."""
    lscpu = subprocess.run(["lscpu", "--json"], capture_output=True, check=True)
    rows = json.loads(lscpu.stdout)["lscpu"]
    known = {row["field"].rstrip(":"): row["data"] for row in rows}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        **{name: known[name] for name in ("Model name", "CPU(s)", "L2 cache")},
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
    }


def versions() -> Mapping[str, str]:
    """Of Python and the libraries that are timed."""
    names = ("snn-deploy", *LIBRARIES, "lava-nc")
    return {"python": platform.python_version(), **{n: version(n) for n in names}}


if __name__ == "__main__":
    main()
