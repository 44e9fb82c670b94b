"""Small networks and data of every kind, drawn at random: built, scored, compared."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
from drawing import UNSHRUNK, drawn
from hypothesis import strategies as st
from small_networks import fitted, fitted_masks, save

from snn_deploy.deploy import Settings, build, write
from snn_deploy.toolchain.verdict.compare import Tolerances
from snn_deploy.trials import compare

SHAPES = {  # what is asked → the shapes its samples may have
    "classes": ((5,), (12, 2), (4, 6, 1), (6, 4, 3)),
    "values": ((5,), (12, 2), (4, 6, 1)),
    "boxes": ((8, 8, 1), (8, 12, 3)),
    "masks": ((6, 8, 1), (8, 6, 3)),
}
try:
    import nengo_loihi  # noqa: F401  here, since Hypothesis traces what it runs

    OTHER = "loihi-emulator"
except ImportError:
    OTHER = "reference"


@st.composite
def questions(draw):
    """Kind, samples, answers as files hold them, and the outputs that they want."""
    kind = draw(st.sampled_from(list(SHAPES)))
    shape = draw(st.sampled_from(SHAPES[kind]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    count = draw(st.integers(40, 80))
    x = rng.random((count, *shape)).astype(np.float32)
    flat = x.reshape(count, -1)
    if kind == "classes":
        outputs = draw(st.sampled_from((2, 3, 5)))
        y = (flat @ rng.normal(size=(flat.shape[1], outputs))).argmax(1)
        y[:outputs] = range(outputs)
        names = np.array([f"class {i}" for i in range(outputs)])
        form = draw(st.sampled_from((lambda y: y, np.eye(outputs).__getitem__)))
        form = draw(st.sampled_from((form, names.__getitem__)))
        return kind, x, form(y), np.eye(outputs)[y]
    if kind == "values":
        y = flat @ rng.normal(size=(flat.shape[1], draw(st.sampled_from((1, 3)))))
        return kind, x, y, y
    if kind == "boxes":
        low = 0.5 * flat[:, :2]
        y = np.concatenate([low, low + 0.2 + 0.3 * flat[:, 2:4]], 1)
        return kind, x, y, y
    classes = draw(st.sampled_from((2, 3)))
    y = (x[..., 0] * classes).astype(int)
    return kind, x, y, (np.eye(classes)[y] if classes > 2 else 2.0 * y[..., None] - 1)


@drawn(
    asked=questions(),
    encoder=st.sampled_from(("bias", "spikes")),
    few=3,
    many=12,
    phases=UNSHRUNK,
)
def test_any_question_is_built_scored_and_compared(asked, encoder):
    kind, x, y, wanted = asked
    graph = (fitted_masks if kind == "masks" else fitted)(x, wanted)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save(folder / "net.snn", graph, task=kind)
        np.savez(folder / "data.npz", x=x, y=y)
        chosen = Settings(steps=24, encoder=encoder)
        made = build(
            "reference", model, folder / "data.npz", settings=chosen, force=True
        )
        assert kind in made.report.notes[0]
        networks = {score.name for score in made.report.scores}
        assert {"integer SNN", "float ANN"} < networks and len(networks) == 3
        for score in made.report.scores:
            assert math.isfinite(score.value), score
            assert score.low is None or score.low <= score.value <= score.high
        write(made, folder / "out")
        json.loads((folder / "out" / "report.json").read_text())
        found = compare(
            folder / "out" / "program.snn",
            ["reference", OTHER],
            samples=2,
            steps=None,
            tolerances=Tolerances(),
        )
        assert found.verdict.agrees and found.verdict.first is None
