"""Many samples: portions and processes change no bit of what is counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import presentations, programs
from small_networks import fitted, save

from snn_deploy import deploy, progress, trials
from snn_deploy.models.data import samples as samples_module
from snn_deploy.models.data.formats.reading import Reading
from snn_deploy.models.data.samples import Samples
from snn_deploy.progress import Progress
from snn_deploy.targets import workers
from snn_deploy.targets.contract import find_target
from snn_deploy.targets.workers import run_all
from snn_deploy.toolchain.errors import DataError, TargetUnavailable
from snn_deploy.toolchain.program.tally import KEPT, Tally, beside

FIELDS = ("sums", "most", "least", "spikes", "active", "first")


def demand_same(a: Tally, b: Tally) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@settings(deadline=None)
@given(data=st.data())
def test_a_tally_of_parts_is_the_tally_of_all(data):
    steps = data.draw(st.integers(1, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    counts = rng.integers(0, steps + 2, (data.draw(st.integers(1, 40)), 5))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(counts) - 1, 1)))))
    parts = [part for part in np.split(counts, cuts) if len(part)]
    whole = Tally.of(parts[0], steps)
    for part in parts[1:]:
        whole = whole.then(Tally.of(part, steps))
    demand_same(whole, Tally.of(counts, steps))
    assert len(whole.first) == min(KEPT, len(counts))
    left, right = (Tally.of(half, steps) for half in np.split(counts, [2], axis=1))
    demand_same(beside([left, right]), whole)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_portions_change_no_bit(data):
    program = data.draw(programs())
    given_samples, steps = data.draw(presentations(program))
    many = np.resize(given_samples, (7, *given_samples.shape[1:]))
    portion = data.draw(st.integers(1, 8))
    told: list[int] = []
    with find_target("reference").load(program) as session:
        whole = session.run(many, steps)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(workers, "PORTION", portion)
            found = run_all(session, many, steps, tell=told.append)
    assert found.samples == told[-1] == 7 and not found.spikes and not found.counts
    np.testing.assert_array_equal(found.output, whole.output)
    for member in program.members:
        demand_same(found.tally(member.name), whole.tally(member.name))


def test_samples_are_read_when_they_run():
    read: list[int] = []

    def reading(indices):
        read.append(len(indices))
        return indices[:, None].astype(float)

    many = Samples(np.arange(10), reading)
    assert len(many) == 10 and not read
    assert many[2:4].tolist() == [[2.0], [3.0]] and many[-1].tolist() == [9.0]
    assert many.mapped(lambda x: 2 * x)[8:].tolist() == [[16.0], [18.0]]
    assert read == [2, 1, 2]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a bundle of a small network, and 40 samples for it."""
    folder = tmp_path_factory.mktemp("small")
    x = np.random.default_rng(0).normal(size=(120, 4))
    y = x[:, :1] - x[:, 1:2]
    np.savez(folder / "xy.npz", x=x, y=y)
    np.savez(folder / "new.npz", x=x[:40] + 0.1, y=y[:40])
    model = save(folder / "net.snn", fitted(x, y, 24))
    made = deploy.build(
        *("reference", model, folder / "xy.npz"),
        reading=Reading(kind="values"),
        settings=deploy.Settings(steps=8),
    )
    deploy.write(made, folder)
    return folder


def ran(folder, **how):
    """report.json of a run, without times and dates, and the answers' bytes."""
    report = trials.run(
        folder / "program.snn",
        "reference",
        samples=None,
        steps=None,
        device="loihi1_davies2018",
        data=folder / "new.npz",
        predictions=folder / "answers.npz",
        **how,
    )
    found = json.loads(report.encoded())
    found.pop("wall_time")
    found["provenance"].pop("date")
    with np.load(folder / "answers.npz") as answers:
        return found, {name: answers[name].tobytes() for name in answers}


@pytest.mark.slow
def test_workers_and_portions_report_the_same_bits(small, monkeypatch):
    whole = ran(small)
    monkeypatch.setattr(workers, "PORTION", 7)
    monkeypatch.setattr(samples_module, "HELD", 5)
    assert ran(small) == whole
    assert ran(small, workers=2) == whole


def test_a_worker_s_error_names_the_sample(small, monkeypatch):
    program = trials.read_built(small / "program.snn").program
    monkeypatch.setattr(workers, "PORTION", 3)
    many = np.zeros((8, 4))
    many[7] = 1e9
    with find_target("reference").load(program) as session:
        for count in (1, 2):
            with pytest.raises(DataError, match="^sample 7: it drives"):
                run_all(session, many, 2, workers=count)


def test_a_board_has_no_workers(small, monkeypatch):
    program = trials.read_built(small / "program.snn").program
    monkeypatch.setattr(workers, "PORTION", 1)
    with find_target("reference").load(program) as session:
        monkeypatch.setattr(session.target, "kind", "hardware", raising=False)
        with pytest.raises(TargetUnavailable, match="leave out --workers"):
            run_all(session, np.zeros((2, 4)), 1, workers=2)


def test_progress_is_told_now_and_then(monkeypatch):
    now, said = [0.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    tell = Progress(100, said.append)
    for done in range(10, 101, 10):
        now[0] += 2.0
        tell(done)
    assert said[0] == "30 of 100 samples, 5 a second, 14 s left" and len(said) == 3


def test_workers_are_of_this_machine(run_cli, small, capsys):
    words = ["run", small / "program.snn", "--target", "reference", "--workers", "2"]
    assert run_cli(*words, "--host", "board") == 2
    assert "--workers are processes of this machine" in capsys.readouterr().err
