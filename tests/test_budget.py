"""Budgets: which epoch is kept, when training ends, what is said where none does."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.energy.terms import energy_proxy
from snn_deploy.calibration.statistics import layer_statistics
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.passes.quantize.quantize import quantize

pytest.importorskip("tensorflow", reason="fine-tuning is TensorFlow's")
from bright_spot import RECIPE, network, task  # noqa: E402

from snn_deploy.cotraining import DEVICE, energy_of  # noqa: E402
from snn_deploy.models.cotraining.budget import (  # noqa: E402
    Budget,
    Measured,
    distance,
    unmet,
)
from snn_deploy.models.cotraining.finetune import finetune  # noqa: E402
from snn_deploy.models.cotraining.meter import Meter  # noqa: E402
from snn_deploy.models.cotraining.rate_control import Band  # noqa: E402
from snn_deploy.models.cotraining.recipe import Progress  # noqa: E402


def energy(counts: dict[str, np.ndarray]) -> float:
    """µJ: 0.02 idle, 1 nJ a spike."""
    samples = len(counts["A"])
    return 0.02 + 1e-3 * sum(int(each.sum()) for each in counts.values()) / samples


@pytest.mark.parametrize(
    ("bound", "measured"),
    [
        ("max_rate_hz", "rate"),
        pytest.param("max_synops", "synops", marks=pytest.mark.slow),
        pytest.param("max_energy_uj", "energy", marks=pytest.mark.slow),
    ],
)
def test_budgets_are_kept(bound, measured):
    net, seen = network(), []
    start = measured_at_start(Budget(**{bound: 1e9}))
    most = 0.7 * getattr(start, measured)
    budget = Budget(**{bound: most})
    recipe = replace(RECIPE, epochs=12, batch=8, dual_rate=0.2, budget=budget)
    end = finetune(net, task(), task(), recipe, energy=energy, progress=seen.append)
    assert seen[0].missed and not end.missed  # as it was given, it spends too much
    kept = seen[end.best_epoch]
    assert getattr(kept, measured) <= most and kept.score == end.best.score
    within = [p.score for p in seen if getattr(p, measured) <= most]
    assert kept.score == max(within)
    assert end.over_budget is None
    assert max(p.multipliers[bound] for p in seen) > 0


def measured_at_start(budget: Budget) -> Progress:
    """How the network stands before it is trained."""
    recipe = replace(RECIPE, epochs=0, budget=budget)
    return finetune(network(), task(), task(), recipe, energy=energy)


def test_where_no_epoch_keeps_to_its_budget_the_nearest_trained_one_stays(tmp_path):
    """Resumed too; a network that was not trained is none of them."""
    file, net, seen = tmp_path / "c.npz", network(), []
    start = measured_at_start(Budget())
    recipe = replace(RECIPE, epochs=2, budget=Budget(max_rate_hz=0.01, min_score=1.0))
    args = (task(), task(), recipe)
    end = finetune(net, *args, checkpoint=file, progress=seen.append)
    assert [p.loss is None for p in seen] == [True, False, False]
    assert end.best_epoch > 0 and end.best.score != start.score
    assert distance(end.missed) == min(
        distance(recipe.budget.missed(p)) for p in seen[1:]
    )
    rate, score = (each.found for each in end.missed)
    assert (rate, score) == (end.best.rate, end.best.score)
    said = (
        f"no epoch kept to its budget; the nearest, epoch {end.best_epoch}, is kept: "
        f"--max-rate-hz is 0.01, and it has {rate:.4g}, .* % more; "
        f"--min-score is 1, and it has {score:.4g}, .* % less; allow more"
    )
    assert re.match(said, end.over_budget)
    again = network()
    done = finetune(again, *args, checkpoint=file, resume=True)
    assert done == replace(end, loss=None)
    for a, b in zip(net.trainable_variables, again.trainable_variables):
        np.testing.assert_array_equal(a, b)
    enough = replace(recipe, budget=Budget(max_rate_hz=2 * end.rate))  # as it is told
    assert finetune(network(), task(), task(), enough).over_budget is None


def test_a_network_within_its_budget_is_no_answer_where_training_leaves_it():
    """Its score is far below; a run so ended with what was not trained at all."""
    start = measured_at_start(Budget())
    tight = Budget(max_rate_hz=start.rate)  # the start keeps to it
    recipe = replace(
        *(RECIPE,), epochs=1, band=Band(low=200, weight=100), budget=tight, dual_rate=0
    )
    end = finetune(network(), task(), task(), recipe)
    assert end.rate > start.rate
    assert end.best_epoch == 1 and "epoch 1, is kept" in end.over_budget


@pytest.mark.slow
def test_a_run_that_ends_outside_its_budget_goes_on_until_it_keeps_to_it():
    start = measured_at_start(Budget())
    recipe = replace(
        *(RECIPE,),
        epochs=1,
        dual_rate=0.2,
        budget=Budget(max_rate_hz=0.85 * start.rate),
    )
    assert finetune(network(), task(), task(), recipe).over_budget
    more = finetune(network(), task(), task(), replace(recipe, more_epochs=20))
    assert more.over_budget is None
    assert 1 < more.best_epoch == more.epoch == more.epochs < 21


@pytest.mark.slow
def test_training_ends_where_all_that_is_asked_for_is_kept_to():
    start = measured_at_start(Budget())
    for least, epochs in ((2 * start.score, 0), (0.5 * start.score, 5)):  # −mse
        budget = Budget(min_score=least, max_rate_hz=1000.0)
        recipe = replace(RECIPE, epochs=12, budget=budget)
        end = finetune(network(), task(), task(), recipe)
        assert not end.missed and end.best.score >= least
        assert end.best_epoch == end.epoch <= epochs


def test_neurons_that_never_fire_may_take_too_much_energy():
    recipe = replace(RECIPE, budget=Budget(max_energy_uj=0.01))
    with pytest.raises(DataError, match="never fire take 0.02 µJ; allow more, or run"):
        finetune(network(), task(), task(), recipe, energy=energy)


def test_the_energy_that_is_bounded_is_the_reports():
    net, (x, y) = network(), task()
    program = quantize(net.to_graph(), x, steps=24, scales=net.scales)
    device = load_profile(DEVICE)
    recipe = replace(RECIPE, budget=Budget(max_energy_uj=1.0))
    energy = partial(energy_of, program, device)
    meter = Meter(net, (x, y), recipe, None, energy)
    _, found = meter.outputs()
    with find_target("reference").load(program) as session:
        counted = layer_statistics(program, session.run(x))
    proxy = energy_proxy(counted, device).total
    assert found.energy == pytest.approx(1e6 * proxy.total.value, rel=1e-9)
    updates = net.neurons * 24 * device.inactive_update.value * 1e-6  # pJ → µJ
    assert meter.idle() == pytest.approx(updates, rel=1e-9)


@given(
    st.lists(*(st.tuples(st.floats(0, 9), st.floats(-1, 1)),), min_size=2, max_size=2)
)
def test_what_is_missed_by_less_is_nearer(networks):
    """A bound that is kept to adds nothing, and none is worth more than the score."""
    budget = Budget(max_rate_hz=4.0, min_score=0.5)
    near, far = sorted(
        (
            budget.missed(Measured(score=score, rate=rate, synops=0.0))
            for rate, score in networks
        ),
        key=distance,
    )
    over, short = (
        [max(0.0, each) for each in part]
        for part in zip(*((r / 4 - 1, 1 - s / 0.5) for r, s in networks))
    )
    shares = sorted(a + b for a, b in zip(over, short))
    assert [distance(near), distance(far)] == pytest.approx(shares)
    assert (unmet(near, 1) is None) == (not near)
