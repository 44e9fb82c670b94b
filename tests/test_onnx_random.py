"""Random ONNX models: read as onnxruntime computes them, or refused."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from random_onnx import drawn  # noqa: E402

from snn_deploy.toolchain.errors import ModelError  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.files import read_file  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.reading import read  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402

MODELS = 240


def run(model, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"x": x})[0]


def test_a_model_is_read_as_onnxruntime_computes_it_or_refused(tmp_path):
    path = tmp_path / "net.onnx"
    right = refused = 0
    for seed in range(MODELS):
        found = drawn(seed, run)
        if found is None:
            continue
        model, x, y = found
        path.write_bytes(model.SerializeToString())
        try:
            reading = read(read_file(path), None)
        except ModelError:
            refused += 1
            continue
        with np.errstate(all="ignore"):
            got = interpret(reading.graph, x)[reading.graph.output.name]
        wanted = np.moveaxis(y, 1, -1) if reading.channels_last else y
        assert got.shape == wanted.shape, seed
        there = np.isfinite(wanted)
        least = 2e-5 * max(float(np.abs(wanted[there]).max(initial=0)), 0.1)
        assert np.allclose(got[there], wanted[there], 1e-5, least), seed
        right += 1
    assert right > 3 * refused
