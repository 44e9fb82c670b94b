"""What keras-spiking says of small layers, for the tests.

    python benchmarks/keras_spiking_energy.py tests/data/keras_spiking_energy.json

It needs TensorFlow 2.11 and keras-spiking 0.3.0, and not snn-deploy. Layers are fed
rates (Hz) of a frozen generator; energies are J of an inference of 64 steps of 1 ms.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras_spiking
import numpy as np
import tensorflow as tf

FILE = "tests/data/keras_spiking_energy.json"
COMMAND = f"python benchmarks/keras_spiking_energy.py {FILE}"
STEPS = 64
LAYERS = {
    "dense": ((784,), tf.keras.layers.Dense(128, "relu")),
    "convolution": ((8, 8, 3), tf.keras.layers.Conv2D(4, 3, activation="relu")),
    "same padding": (
        (8, 8, 3),
        tf.keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
    ),
    "transposed": (
        (8, 8, 3),
        tf.keras.layers.Conv2DTranspose(4, 3, activation="relu"),
    ),
}


def spikes(shape: tuple[int, ...]) -> np.ndarray:
    """Of each input in an inference, 0 … STEPS."""
    rng = np.random.RandomState(0)  # noqa: NPY002  a frozen stream
    return rng.randint(0, STEPS + 1, (1, *shape))


def estimated(shape: tuple[int, ...], layer: tf.keras.layers.Layer) -> dict:
    """keras-spiking's counts and energies of a layer."""
    given = tf.keras.Input(shape)
    model = tf.keras.Model(given, layer(given))
    rates = spikes(shape) / (STEPS * 0.001)
    energy = keras_spiking.ModelEnergy(model, example_data=rates)
    found = energy.layer_stats[layer]
    return {
        "shape": shape,
        "connections": int(found["connections"]),
        "neurons": int(found["neurons"]),
        "cpu": float(energy.total_energy("cpu")),
        "loihi": float(energy.total_energy("loihi", timesteps_per_inference=STEPS)),
    }


def main() -> None:
    """Write the file that is named."""
    layers = {name: estimated(*layer) for name, layer in LAYERS.items()}
    table = {
        "command": COMMAND,
        "versions": {"keras-spiking": keras_spiking.__version__},
        "steps": STEPS,
        "layers": layers,
    }
    Path(sys.argv[1]).write_text(f"{json.dumps(table, indent=1)}\n")


if __name__ == "__main__":
    main()
