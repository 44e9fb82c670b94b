"""A simulator in a process of its own, which takes turns: a helper of peers.py.

It is told a job as a line of JSON, sets up, runs once, and says so; then it runs for as
many seconds as each further line says, and says how long a run took.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], Any]
LEARNING_RATE = 1e-4


def main() -> None:
    talk = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    job = json.loads(sys.stdin.readline())
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["cpus"]])
    begin = time.perf_counter()
    run, notes = SETUPS[job["task"]](job)
    run()
    notes["first_s"] = time.perf_counter() - begin
    print(json.dumps(notes), file=talk, flush=True)
    for line in sys.stdin:
        runs, start = 0, time.perf_counter()
        while not runs or time.perf_counter() - start < float(line):
            run()
            runs += 1
        spent = time.perf_counter() - start
        print(json.dumps({"s": spent / runs}), file=talk, flush=True)


def forward(job: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """All steps of a batch; spikes of the last population or all, in job["spikes"]."""
    program, stimulus = pickle.loads(Path(job["case"]).read_bytes())
    if job["simulator"] == "reference":
        from snn_deploy.targets.reference.target import Reference

        session = Reference().load(program)
        found = session.simulate(stimulus)
        _save(job, [found[p.name] for p in program.populations])
        return lambda: found.update(session.simulate(stimulus)), _versions("snn-deploy")
    import torch
    from peer_networks import currents, fresh, network, spikes_of

    torch.set_num_threads(job["cpus"])
    x = currents(program, stimulus)
    if job["simulator"] == "thrindex":
        from peer_thrindex import sequential

        model: torch.nn.Module = sequential(program).eval()
    else:
        model = network(program, job["simulator"]).eval()
        with torch.inference_mode():
            fresh(model)
            _save(job, spikes_of(model, x))
    fast = torch.compile(model) if job["compiled"] else model

    def run() -> None:
        with torch.inference_mode():
            fresh(model)
            fast(x)

    return run, _versions("torch", job["simulator"])


def training(job: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """Forward, backward, update of a batch of LocNet."""
    program, _ = pickle.loads(Path(job["case"]).read_bytes())
    import torch
    from peer_networks import Trained, fresh

    torch.manual_seed(0)
    torch.set_num_threads(job["cpus"])
    shape = job["picture"]
    model = Trained(program, job["simulator"], shape[2])
    learn = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    x = torch.rand(job["samples"], shape[2], *shape[:2])
    y = torch.rand(job["samples"], 4)
    fast = torch.compile(model) if job["compiled"] else model

    def run() -> None:
        fresh(model)
        learn.zero_grad()
        loss = torch.nn.functional.mse_loss(fast(x, job["steps"]), y)
        loss.backward()
        learn.step()

    return run, _versions("torch", job["simulator"])


def cotraining(job: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """Ours, or Keras' own of the ANN; see cotraining_epoch.py."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    from cotraining_epoch import ann_step, spiking_step

    tf.config.threading.set_intra_op_parallelism_threads(job["cpus"])
    make = ann_step if job["simulator"] == "keras ANN" else spiking_step
    return make(job["network"], job["samples"]), _versions("tensorflow", "numba")


def _save(job: dict[str, Any], spikes: list[Any]) -> None:
    if job.get("spikes"):
        np.savez_compressed(job["spikes"], *(s[:2] for s in spikes))


def _versions(*names: str) -> dict[str, Any]:
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "this tree"
    return {"versions": found}


SETUPS = {"forward": forward, "training": training, "cotraining": cotraining}

if __name__ == "__main__":
    main()
