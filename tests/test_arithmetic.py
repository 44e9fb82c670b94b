"""The core's arithmetic, against Python's own integers, one neuron at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.program import Population
from snn_deploy.toolchain.program.step import step

U = st.integers(-(2**23), 2**23 - 1)
EDGES = st.sampled_from([0, 1, -1, 2**21 - 1, 2**21, -(2**21), -(2**21) - 1])
Q = st.one_of(st.integers(-(2**26), 2**26), EDGES)


def wrapped(x: int, bits: int) -> int:
    """Two's complement of bits + 1 binary digits."""
    low = x & ((1 << (bits + 1)) - 1)
    return low - (1 << (bits + 1)) if low >> bits else low


def decayed(x: int, keep: int) -> int:
    return int(math.copysign(abs(x) * keep // 4096, x))


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.sampled_from((21, 23)))
def test_wrap_is_twos_complement(x: list[int], bits: int) -> None:
    assert core.wrap(np.array(x), bits).tolist() == [wrapped(i, bits) for i in x]


@given(st.lists(U, min_size=1), st.integers(0, 4096))
def test_decay_rounds_towards_zero(x: list[int], keep: int) -> None:
    for dtype in (np.int32, np.int64):
        found = core.decay(np.array(x, dtype), keep)
        assert found.tolist() == [decayed(i, keep) for i in x]


@given(st.lists(st.floats(-600_000, 600_000), min_size=1))
def test_biases_have_twelve_bits_and_an_exponent(bias: list[float]) -> None:
    held = core.round_bias(np.array(bias))
    assert core.round_bias(held.astype(float)).tolist() == held.tolist()
    for wanted, found in zip(bias, held.tolist()):
        limited = max(-core.MAX_BIAS, min(wanted, core.MAX_BIAS))
        exponent = next(e for e in range(8) if abs(round(limited)) <= 4095 << e)
        assert found % (1 << exponent) == 0
        assert abs(found) <= core.MAX_BIAS
        assert abs(found - limited) <= 0.5 * (1 << exponent)


def test_the_largest_bias_is_held() -> None:
    assert core.round_bias(np.array([core.MAX_BIAS, -1e9])).tolist() == [
        core.MAX_BIAS,
        -core.MAX_BIAS,
    ]


@given(
    st.builds(
        Population,
        name=st.just("p"),
        shape=st.just((1,)),
        decay_u=st.integers(0, 4095),
        decay_v=st.integers(0, 4095),
        threshold=st.integers(0, 2**17 - 1).map(lambda m: m << 6),
        bias=arrays.arrays(np.int32, 1, elements=st.integers(-4095, 4095)),
        refractory=st.integers(1, 63),
        v_min=st.sampled_from((0, -(2**23) + 1, -100)),
    ),
    st.lists(st.tuples(Q, st.integers(-4095, 4095)), min_size=1, max_size=30),
    U,
    U,
)
def test_step_is_the_equations(
    p: Population, inputs: list[tuple[int, int]], u: int, v: int
) -> None:
    v = max(p.v_min, min(v, p.v_max))
    state = (np.array([u]), np.array([v]), np.array([0]))
    counter = 0
    for q, mantissa in inputs:
        bias = mantissa << 7
        u = wrapped(decayed(u, 4095 - p.decay_u) + wrapped(q, 21), 23)
        v = decayed(v, 4096 - p.decay_v) + wrapped(u + bias, 23)
        v = 0 if counter > 0 else max(p.v_min, min(v, p.v_max))
        spike = v > p.threshold
        if spike:
            v, counter = 0, p.refractory
        counter = max(counter - 1, 0)
        fired, *state = step(p, np.array([q]), np.array([bias]), *state)
        assert (fired[0], *(x[0] for x in state)) == (spike, u, v, counter)


@pytest.mark.parametrize(("tau", "expected"), [(0.0, 4095), (0.005, 741), (10.0, 0)])
def test_current_decay(tau: float, expected: int) -> None:
    assert core.current_decay(tau, 0.001) == expected


def test_voltage_decay_is_nengo_loihis() -> None:
    assert core.voltage_decay(0.02, 0.001) == 200


@given(st.integers(0, 2**21 - 1), st.integers(0, 4095))
def test_no_input_exceeds_the_worst_current(q: int, decay_u: int) -> None:
    bound = core.worst_current(np.array([q]), decay_u)[0]
    u = 0
    for _ in range(300):
        u = decayed(u, 4095 - decay_u) + q
        assert u <= bound
