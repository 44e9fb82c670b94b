"""GPUs that TensorFlow sees, asked in a process of its own."""

from __future__ import annotations

from typing import Any


def visible_gpus() -> dict[str, Any]:
    """TensorFlow's version, and its GPUs' names."""
    import tensorflow as tf

    found = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append(details.get("device_name") or device.name)
    return {"version": tf.__version__, "gpus": found}
