"""The reference's vector operations, each beside its definition in NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.targets.reference import kernels
from snn_deploy.targets.reference.kernels_neurons import LANES
from snn_deploy.targets.reference.kernels_products import (
    KNOWN,
    MOST_WORDS,
    ROWS,
    WORD,
    Way,
    product,
)
from snn_deploy.targets.reference.records import TILE
from snn_deploy.toolchain.program.arithmetic import V_LIMIT
from snn_deploy.toolchain.program.program import Population
from snn_deploy.toolchain.program.step import step

WAYS = dict.fromkeys([*kernels.WAYS, KNOWN[-1]])  # what runs here, and plain operations
STRIDE = 24  # neurons from step to step


@pytest.mark.parametrize(("rows", "lanes"), [(1, 16), (4, 16), (8, 8)])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_products_are_exact_at_their_limits(way: Way, rows: int, lanes: int) -> None:
    """As many words as may be summed, all spikes, the largest weights of one sign."""
    multiply = product(way, rows, lanes)

    @numba.njit
    def run(q, spikes, windows, blocks, last, shift, kept):
        multiply(q, 0, STRIDE, spikes, 0, windows, 0, last, blocks, 0, shift, kept)

    rng = np.random.default_rng(0)
    pitch = 1 if rows == 1 else ROWS
    shape = (MOST_WORDS, pitch, WORD)
    for density, least in ((1.0, 127), (1.0, -127), (0.5, 1), (0.02, 1), (0.0, 1)):
        spikes = (rng.random(shape) < density).astype(np.uint8)
        blocks = np.full((MOST_WORDS, lanes, WORD), least, np.int8)
        if least == 1:
            blocks[:] = rng.integers(-127, 128, blocks.shape)
        windows = np.array([[0, 9, 5], [70, 0, 7], [8, 40, 88]], np.int32)
        if least != 1:
            windows = np.array([[0, 0, MOST_WORDS]], np.int32)
        q = rng.integers(-(2**31), 2**31, (ROWS, STRIDE)).astype(np.int32)
        for kept in (-1, 0):
            want = q[:rows, :lanes].astype(np.int64) * -kept
            for source, kernel, words in windows:
                part = spikes[source : source + words, :rows].astype(np.int64)
                weight = blocks[kernel : kernel + words].astype(np.int64)
                want += np.einsum("wmk,wck->mc", part, weight) << 14
            got = q.copy()
            flat = got.ravel(), spikes.ravel(), windows, blocks.ravel(), len(windows)
            run(*flat, np.int32(14), np.int32(kept))
            assert np.array_equal(got[:rows, :lanes], want.astype(np.int32))
            got[:rows, :lanes] = q[:rows, :lanes]
            assert np.array_equal(got, q)


@numba.njit
def advance(tile, rows, u, v, rest, n, q, stride, bias, theta, fired):
    """Steps of n neurons."""
    state = u, v, rest
    kernels.update(tile, rows, *state, 0, n, q, 0, stride, bias, 0, theta, 0, fired)


DECAYS = st.one_of(st.sampled_from((0, 1, 4094, 4095)), st.integers(0, 4095))


@settings(deadline=None, max_examples=200)
@given(
    decay_u=DECAYS,
    decay_v=DECAYS,
    refractory=st.sampled_from((1, 2, 63)),
    v_min=st.sampled_from((0, -1, -V_LIMIT)),
    v_max=st.sampled_from((1, 70_000, V_LIMIT)),
    rows=st.integers(1, ROWS),
    n=st.integers(1, 3 * LANES),
    seed=st.integers(0, 2**32 - 1),
)
def test_neurons_step_as_defined_from_any_state(
    decay_u: int,
    decay_v: int,
    refractory: int,
    v_min: int,
    v_max: int,
    rows: int,
    n: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    population = Population(
        name="p",
        shape=(n,),
        decay_u=decay_u,
        decay_v=decay_v,
        threshold=64 * rng.integers(0, [2, 2000, 2**17][seed % 3], n).astype(np.int32),
        bias=np.zeros(0, np.int32),
        refractory=refractory,
        v_min=v_min,
        v_max=v_max,
    )
    room = -(-n // LANES) * LANES
    u, v, rest, bias, theta = np.zeros((5, room), np.int32)
    rest = rest.astype(np.int8)
    u[:n] = rng.choice(
        (-(2**23), 2**23 - 1, 0, 1, -1, *rng.integers(-9999, 9999, 9)), n
    )
    u[:n] = u[:n] if decay_u < 4095 else 0
    v[:n] = np.clip(rng.integers(-V_LIMIT, V_LIMIT + 1, n), v_min, v_max)
    rest[:n] = rng.integers(0, refractory, n)
    bias[:n] = rng.choice((-524160, 524160, 0, 100), n)
    theta[:n] = population.thresholds
    q = rng.integers(-(2**31), 2**31, (rows, room)).astype(np.int32)
    fired = np.zeros((ROWS, room), np.uint8)
    bounded = bool(v_max <= population.thresholds.max())
    tile = np.zeros(1, TILE)[0]
    tile["keep_u"], tile["keep_v"] = 4095 - decay_u, 4096 - decay_v
    tile["rest"], tile["v_min"], tile["v_max"] = refractory - 1, v_min, v_max
    tile["sort"] = kernels.sort_of(decay_u, decay_v, refractory, bounded)
    state = [x[:n].astype(np.int64) for x in (u, v, rest)]
    spikes = []
    for m in range(rows):
        now, *state = step(population, q[m, :n], bias[:n].astype(np.int64), *state)
        spikes.append(now)
    memory = u, v, rest, n, q.ravel(), room, bias, theta, fired.ravel()
    advance(tile, rows, *memory)
    assert np.array_equal(fired[:rows, :n], spikes)
    assert np.array_equal(v[:n], state[1])
    if decay_u < 4095:
        assert np.array_equal(u[:n], state[0])
    if refractory > 1:
        assert np.array_equal(rest[:n], state[2])
