"""LocNet and its soft LIF neurons in Keras."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

from snn_deploy.models.data.generated.scenes import scenes  # noqa: E402
from snn_deploy.models.networks.locnet import fold, locnet, populations  # noqa: E402
from snn_deploy.models.networks.neurons import SoftLIF, current_for  # noqa: E402

SIZE = (16, 24, 3)


def rate(current: float, tau_rc=0.02, tau_ref=0.002, sigma=0.005) -> float:
    """Equations 4 and 5 of arXiv 1510.08829, in Hz, in as many digits as it takes."""
    with localcontext() as context:
        context.prec, context.Emin = 60, -(10**8)
        z = (Decimal(current) - 1) / Decimal(sigma)
        j = (
            Decimal(sigma) * (1 + z.exp()).ln()
            if z > -100
            else Decimal(sigma) * z.exp()
        )
        log = (1 + 1 / j).ln()
        return float(1 / (Decimal(tau_ref) + Decimal(tau_rc) * log))


@pytest.mark.parametrize("current", [-1e4, -5, 0, 0.8, 0.93, 0.95, 1, 1.02, 2, 50, 1e4])
def test_soft_lif_is_its_equation(current):
    layer = SoftLIF(amplitude=0.01)
    found = layer(tf.constant([float(current)])).numpy()[0]
    assert found == pytest.approx(0.01 * rate(current), rel=2e-6)


def test_soft_lif_has_a_gradient_everywhere():
    x = tf.Variable(np.linspace(-20, 20, 4001), dtype=tf.float32)
    with tf.GradientTape() as tape:
        y = SoftLIF()(x)
    gradient = tape.gradient(y, x).numpy()
    assert np.isfinite(gradient).all() and (gradient > 0).all()
    far = np.abs(x.numpy() - 1) > 0.1
    numeric = np.gradient(y.numpy().astype(float), x.numpy())
    np.testing.assert_allclose(gradient[far][1:-1], numeric[far][1:-1], rtol=0.05)


@pytest.mark.parametrize("hertz", [20, 50, 100, 200, 400])
def test_current_for_inverts_the_rate(hertz):
    layer = SoftLIF(sigma=1e-4)
    found = layer(tf.constant([current_for(hertz)])).numpy()[0]
    assert found == pytest.approx(hertz, rel=1e-3)


def test_soft_lif_survives_saving(tmp_path):
    layers = [tf.keras.Input((2,)), SoftLIF(0.03, 0.001, 0.02, amplitude=0.5)]
    model = tf.keras.Sequential(layers)
    model.save(tmp_path / "model.h5")
    again = tf.keras.models.load_model(tmp_path / "model.h5")
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    x = np.array([[0.5, 3.0]], np.float32)
    np.testing.assert_array_equal(again(x), model(x))


def test_locnet_has_the_papers_layers():
    model = locnet()
    kinds = [type(layer).__name__ for layer in model.layers]
    convolution = ["Conv2D", "SoftLIF"]
    dense = ["Dense", "SoftLIF"]
    assert kinds == ["InputLayer", *convolution * 6, "Flatten", *dense * 3, "Dense"]
    strides = [layer.strides for layer in model.layers if hasattr(layer, "strides")]
    assert strides == [(1, 1), (2, 2)] * 3
    assert model.output_shape == (None, 4)
    for layer in populations(model):
        assert (layer.tau_rc, layer.tau_ref, layer.sigma) == (0.02, 0.002, 0.005)


def test_the_default_fits_a_chip_many_times():
    neurons = sum(math.prod(n.output.shape[1:]) for n in populations(locnet()))
    assert neurons == 27_104 < 128 * 1024 / 4


def test_sizes_are_parameters():
    model = locnet((20, 12, 1), channels=(2, 3), widths=(5,))
    assert model.input_shape == (None, 20, 12, 1)
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [5, 4]


def test_initial_neurons_are_alive():
    images, _ = scenes(24, 0, SIZE)
    model = locnet(SIZE, (4, 6), (16,), normalised_to=100)
    outputs = [layer.output for layer in populations(model)]
    for activity in tf.keras.Model(model.input, outputs)(images, training=True):
        assert 70 < activity.numpy().mean() / 0.01 < 130  # Hz
    np.testing.assert_array_equal(model(images), 0.5)


def test_folding_keeps_what_the_network_computes():
    images, _ = scenes(8, 0, SIZE)
    trained = locnet(SIZE, (4, 6), (16,), normalised_to=100)
    plain = locnet(SIZE, (4, 6), (16,))
    rng = np.random.default_rng(0)
    trained.get_layer("box").set_weights([rng.normal(size=(16, 4)), np.zeros(4)])
    for _ in range(10):
        trained(images, training=True)  # moves the running means and variances
    fold(trained, plain)
    np.testing.assert_allclose(plain(images), trained(images), rtol=1e-4, atol=1e-5)
