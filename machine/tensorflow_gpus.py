"""GPUs that TensorFlow sees; ``python -m …`` asks it, and writes what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(file: str) -> None:
    """Write TensorFlow's version and its GPUs' names to a file."""
    import tensorflow as tf

    found = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append(details.get("device_name") or device.name)
    answer = {"version": tf.__version__, "gpus": found}
    Path(file).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
