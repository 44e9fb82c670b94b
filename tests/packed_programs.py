"""Programs packed by the specification itself, without a target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from random_programs import Drawn, presentations, programs, simulate_oracle

from snn_deploy.toolchain.bundle.acceptance import Acceptance, worker_text
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.program.host import encode
from snn_deploy.toolchain.program.program import Program


def packed(program: Program, samples: np.ndarray, steps: int) -> Bundle:
    """A packed bundle whose golden spikes are the specification's."""
    stimulus = encode(program.encoder, samples, steps, program.timing.dt)
    return Bundle(
        program=program,
        samples=samples,
        golden={**stimulus.spikes, **simulate_oracle(program, stimulus)},
        acceptance=Acceptance(
            bias=stimulus.bias, rate=None, output=None, worker=worker_text()
        ),
    )


@st.composite
def packed_programs(draw: Drawn) -> Bundle:
    """Of any Program: recurrent ones, delays, every kind of encoder."""
    recurrent, delays = draw(st.booleans()), draw(st.booleans())
    program = draw(programs(recurrent=recurrent, delays=delays))
    return packed(program, *draw(presentations(program)))


def saved(folder: Path, bundle: Bundle, name: str = "x.snn") -> Path:
    """Its file."""
    save_bundle(folder / name, bundle)
    return folder / name
