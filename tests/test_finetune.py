"""Hybrid fine-tuning: it learns, keeps to its budgets, stops, and goes on."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import DataError, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of

tf = pytest.importorskip("tensorflow", reason="fine-tuning is TensorFlow's")
from bright_spot import RECIPE, network, task  # noqa: E402

from snn_deploy.models.cotraining.budget import Budget  # noqa: E402
from snn_deploy.models.cotraining.finetune import finetune  # noqa: E402
from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.rate_control import Band, deviation, share_out  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402
from snn_deploy.models.data.boxes import iou  # noqa: E402
from snn_deploy.models.training import losses  # noqa: E402


def weights_of(net: HybridNetwork) -> list[np.ndarray]:
    return [variable.numpy() for variable in net.trainable_variables]


@pytest.mark.parametrize(
    ("semantics", "gradient", "times"),
    [  # "rate" counts spikes at random: some error stays
        ("loihi", "rate", 3),
        ("loihi", "time", 3),
        pytest.param("float", "rate", 3, marks=pytest.mark.slow),
        pytest.param("rate", "rate", 2, marks=pytest.mark.slow),
    ],
)
def test_training_makes_the_loss_small(semantics, gradient, times):
    net, seen = network(gradient), []
    recipe = replace(RECIPE, semantics=semantics, epochs=6)
    finetune(net, task(), task(), recipe, progress=seen.append)
    assert [p.epoch for p in seen] == list(range(7))
    assert seen[-1].best.score > seen[0].score / times  # −mse
    assert seen[-1].label == "−mse"


def test_best_weights_are_kept_and_deploy_with_their_score():
    net, seen = network(compiled=True), []
    end = finetune(net, task(), task(), RECIPE, progress=seen.append)
    assert end.best.score == max(p.score for p in seen)
    assert seen[end.best_epoch].score == end.best.score
    x, y = task()
    program = quantize(net.to_graph(), x, steps=24, scales=net.scales)
    with find_target("reference").load(program) as session:
        recording = session.run(x)
    score = -float(np.mean((recording.output - y) ** 2))
    assert score == pytest.approx(end.best.score, rel=1e-4)
    spikes = sum(int(count.sum()) for count in recording.counts.values())
    best = seen[end.best_epoch]
    rate = spikes / len(x) / net.neurons / 0.024
    assert rate == pytest.approx(best.rate, rel=1e-4)
    visited = sum(
        int(recording.counts[c.source].sum(0) @ c.fan_out) for c in program.connections
    )
    assert visited / len(x) == pytest.approx(best.synops, rel=1e-4)


@pytest.mark.parametrize(
    "gradient", ["rate", pytest.param("time", marks=pytest.mark.slow)]
)
def test_resumed_training_ends_with_the_very_same_weights(tmp_path, gradient):
    recipe = replace(RECIPE, budget=Budget(max_rate_hz=30.0))

    def augment(x, y, rng):
        return x * rng.uniform(0.9, 1.1, (len(x), 1, 1, 1)).astype("f4"), y

    def keep(progress):
        if progress.epoch == 2:  # what a kill would leave
            shutil.copy(file, left)

    file, left = tmp_path / "c.npz", tmp_path / "left.npz"
    args = (task(), task(), recipe)
    whole, again = network(gradient, True), network(gradient, True)
    end = finetune(whole, *args, checkpoint=file, augment=augment, progress=keep)
    seen = []
    resumed = finetune(
        again,
        *args,
        checkpoint=left,
        resume=True,
        augment=augment,
        progress=seen.append,
    )
    assert [p.epoch for p in seen] == [3, 4]
    assert resumed == end
    for a, b in zip(weights_of(whole), weights_of(again)):
        np.testing.assert_array_equal(a, b)


def test_resume_refuses_a_missing_checkpoint_and_another_recipe(tmp_path):
    file = tmp_path / "c.npz"
    with pytest.raises(DataError, match="resume: name the checkpoint"):
        finetune(network(), task(), task(), RECIPE, resume=True)
    with pytest.raises(ModelError, match="no checkpoint to resume from"):
        finetune(network(), task(), task(), RECIPE, checkpoint=file, resume=True)
    short = replace(RECIPE, epochs=1)
    finetune(network(), task(), task(), short, checkpoint=file)
    with pytest.raises(ModelError, match="another epochs"):
        finetune(network(), task(), task(), RECIPE, checkpoint=file, resume=True)
    x, y = task()
    for net, data, message in (
        (network("time"), (x, y), "another network"),
        (network(), (x, y + 1), "another data"),
        (other_weights(), (x, y), "another initial weights"),
    ):
        with pytest.raises(ModelError, match=message):
            finetune(net, data, data, short, checkpoint=file, resume=True)
    with pytest.raises(ModelError, match="another settle"):
        finetune(
            *(network(), task(), task(), short),
            checkpoint=file,
            resume=True,
            identity={"settle": 2},
        )
    numbers = dict(np.load(file))
    np.savez(file, **{k: v for k, v in numbers.items() if k != "weights/000"})
    with pytest.raises(ModelError, match="damaged checkpoint"):
        finetune(network(), task(), task(), short, checkpoint=file, resume=True)


def other_weights() -> HybridNetwork:
    net = network()
    (first, *_) = net.trainable_variables
    first.assign(first * 0.5)
    return net


def test_training_that_runs_away_stops_and_writes_nothing(tmp_path):
    recipe = replace(RECIPE, learning_rate=1e30)
    with pytest.raises(DataError, match="is not finite.* lower the learning rate"):
        finetune(network(), task(), task(), recipe, checkpoint=tmp_path / "c.npz")
    assert not list(tmp_path.iterdir())


def test_training_stops_when_nothing_gets_better():
    net, seen = network(), []
    recipe = replace(RECIPE, epochs=9, learning_rate=1e-30, patience=2)
    finetune(net, task(), task(), recipe, progress=seen.append)
    assert len(seen) == 3


def test_bands_pull_only_rates_outside_them():
    net = network()
    low = tf.fill((2, 144), 10.0)
    rates = {"A": low, "B": tf.fill((2, 16), 100.0)}
    band = Band(low=50.0, high=50.0, weight=2.0)
    found = deviation(net, rates, Band(weight=0.0), {"A": band})
    assert float(found) == pytest.approx(2 * (40 / 50) ** 2)
    assert float(deviation(net, rates, Band(0.0, 200.0, 1.0), {})) == 0
    spread = tf.reshape(tf.range(32.0), (2, 16))
    high = Band(low=0.0, high=10.0, weight=1.0, percentile=100.0)
    found = deviation(net, {"A": 0 * low, "B": spread}, high, {})
    assert float(found) == pytest.approx((21 / 10) ** 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"semantics": "exact"},
            "semantics 'exact' is unknown; there are: loihi, float, rate",
        ),
        ({"loss": "l3"}, "loss 'l3' is unknown; there are: mse, smooth_l1"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"epochs": -1}, "epochs is -1"),
        ({"budget": Budget(max_rate_hz=-1.0)}, "max_rate_hz is -1.0; .* greater than"),
        ({"budget": Budget(min_score=math.nan)}, "min_score is nan; it must be a num"),
        ({"patience": -1}, "patience is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"label_smoothing": 0.1}, "the loss mse; labels are smoothed for cross_ent"),
        ({"label_smoothing": 2, "loss": "cross_entropy"}, "label_smoothing is 2; 0"),
        ({"teaching": 1.5}, "teaching is 1.5"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"steps": 10**23}, "steps is 1e\\+23; at most 1000000 are run"),
        ({"steps": 10**6, "batch": 10**5}, "GiB are needed .*use fewer steps, or a"),
        ({"band": Band(low=9, high=3)}, "from 9 to 3 Hz"),
        ({"band": Band(percentile=101)}, "percentile is 101"),
    ],
)
def test_recipe_refuses_what_cannot_be_trained_with(change, message):
    with pytest.raises(DataError, match=message):
        finetune(network(), task(), task(), replace(RECIPE, **change))


def test_finetune_refuses_samples_without_outputs():
    x, y = task()
    with pytest.raises(DataError, match="validation samples: 32 of them and 3"):
        finetune(network(), (x, y), (x, y[:3]), RECIPE)


def test_box_loss_falls_as_boxes_meet():
    wanted = tf.constant([[0.2, 0.2, 0.6, 0.6]])
    far, near, exact = (
        float(losses.box_loss(wanted + shift, wanted)) for shift in (0.5, 0.1, 0.0)
    )
    assert far > near > exact == pytest.approx(0, abs=1e-6)
    boxes = np.array([[0.2, 0.2, 0.6, 0.6]])
    assert losses.find_loss("iou").score(boxes + 0.1, boxes) == pytest.approx(
        float(iou(boxes + 0.1, boxes)[0])
    )


def test_mask_loss_and_dice():
    wanted = np.zeros((1, 4, 4, 1), np.float32)
    wanted[:, :2] = 1
    loss = losses.find_loss("bce_dice")
    right, wrong = np.clip(wanted, 0.01, 0.99), np.clip(1 - wanted, 0.01, 0.99)
    assert float(loss.value(tf.constant(right), tf.constant(wanted))) < 0.05
    assert float(loss.value(tf.constant(wrong), tf.constant(wanted))) > 1
    assert loss.score(right, wanted) == 1 and loss.score(wrong, wanted) == 0
    assert loss.score(0 * wanted, 0 * wanted) == 1


def test_crossentropy_takes_numbers_and_one_hot():
    logits = tf.constant([[2.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    loss = losses.find_loss("cross_entropy")
    numbers, hot = np.array([0, 1]), np.eye(3, dtype=np.float32)[[0, 1]]
    a = loss.value(logits, tf.constant(numbers))
    b = loss.value(logits, tf.constant(hot))
    assert float(a) == pytest.approx(float(b))
    assert loss.score(logits.numpy(), numbers) == 0.5
    assert loss.score(logits.numpy(), hot) == 0.5


def test_smoothed_labels_want_no_certain_answer():
    smooth = losses.find_loss("cross_entropy", 0.3).value
    wanted, sure = tf.constant([0]), tf.constant([[20.0, 0.0, 0.0]])
    best = tf.math.log([[0.8, 0.1, 0.1]])  # 1 − 0.3 + 0.1, and 0.1 for each other
    assert float(smooth(best, wanted)) < float(smooth(sure, wanted))
    two = tf.math.log([[0.15 / 0.85]])  # through the sigmoid: 0.15 of the second
    assert float(smooth(two, wanted)) < float(smooth(two - 9, wanted))


@pytest.mark.parametrize("classes", [1, 3])
def test_distillation_is_least_at_the_teachers_own_logits(classes):
    rng = np.random.default_rng(0)
    taught = rng.normal(size=(5, classes)).astype(np.float32)
    least = float(losses.distillation(tf.constant(taught), tf.constant(taught), 2.0))
    other = tf.constant(taught + rng.normal(size=taught.shape).astype(np.float32))
    assert float(losses.distillation(other, tf.constant(taught), 2.0)) > least


@pytest.mark.parametrize(("loss", "changed"), [("mse", False), ("cross_entropy", True)])
def test_with_a_teacher_the_network_comes_nearer_to_it(loss, changed):
    """Taught alone, it never sees what is wanted; changed samples are taught too."""
    x, y = task()
    seen = []

    def teacher(samples):
        seen.append(samples)
        return np.stack([samples.mean((1, 2, 3)), samples[:, 2:4].mean((1, 2, 3))], -1)

    def augment(x, y, rng):
        return x[:, :, ::-1], y

    def likeness(output, _):
        away = output - teacher(x)
        if loss == "cross_entropy":  # a sum that all logits share says nothing
            away = away - away.mean(1, keepdims=True)
        return -float((away**2).mean())

    net, wanted = network(), {"mse": y, "cross_entropy": np.zeros(len(x), int)}[loss]
    recipe = replace(RECIPE, loss=loss, teaching=1.0, temperature=1.0, epochs=6)
    before = likeness(forward(net, x, 24).output.numpy(), None)
    seen.clear()
    end = finetune(
        *(net, (x, wanted), (x, wanted), recipe),
        teacher=teacher,
        augment=augment if changed else None,
        judge=("likeness", likeness),
    )
    assert end.best.score > 0.5 * before
    assert (RECIPE.batch in map(len, seen)) == changed  # else all at once, before


def test_values_are_learned_alike_in_any_unit():
    x, y = task()
    recipe = replace(RECIPE, epochs=1, unit=1000.0)
    small, large = network(), network()
    for variable, other in zip(small.trainable_variables, large.trainable_variables):
        if "read" in variable.name:
            other.assign(1000.0 * variable)
    losses_ = []
    for net, wanted, unit in ((small, y, 1.0), (large, 1000 * y, 1000.0)):
        end = finetune(net, (x, wanted), (x, wanted), replace(recipe, unit=unit))
        losses_.append(end.loss)
    assert losses_[0] == pytest.approx(losses_[1], rel=0.05)


def test_populations_share_the_spikes_equally():
    sizes = {"small": 10, "middle": 1000, "large": 9000}
    rates = share_out(sizes, 60.0, most=400.0)
    assert rates["small"] == 400.0  # an equal share would be 20 kHz
    assert rates["middle"] * 1000 == pytest.approx(rates["large"] * 9000)
    spent = sum(rates[name] * size for name, size in sizes.items())
    assert spent == pytest.approx(60.0 * sum(sizes.values()))


def test_rate_semantics_count_whole_spikes_right_on_average():
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.Dense("a", ("x",), weight=np.eye(4), bias=np.zeros(4)),
            n.LIF("A", ("a",), amplitude=0.01),
            n.Output("y", ("A",), settle=0.008),
        )
    )
    x = np.repeat([[0.5, 1.2, 2.0, 5.0]], 4000, axis=0)
    net = HybridNetwork(graph, scales_of(graph, x))
    seen = forward(net, x, 24, "rate")
    rates, counts = seen.rates["A"].numpy(), seen.output.numpy() / 0.01 * 0.016
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-4)  # in 16 steps
    np.testing.assert_allclose(counts.mean(0), rates[0] * 0.016, atol=0.04)
    assert counts.std(0).max() > 0.1
