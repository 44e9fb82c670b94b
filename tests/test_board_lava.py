"""Loihi 2's door: stock processes that say what the Program says, or a refusal.

There is no board here and no lava-loihi. The same network, without the adapters that
lava-loihi has, runs on the CPU by Lava's public models and is held to the
specification; what would run on a chip is asked of ``Loihi2HwCfg`` itself.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from random_programs import identity, simulate_oracle

from snn_deploy.targets.contract import list_targets
from snn_deploy.targets.lava.chip import ChipSession, LavaLoihi2, choose_board
from snn_deploy.toolchain.errors import DoesNotFit, TargetUnavailable
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import (
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
    SparseConnection,
)
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    Decoder,
    SpikeEncoder,
    Stimulus,
)
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing

needs_lava = pytest.mark.skipif(
    find_spec("lava") is None,
    reason="lava-nc 0.10.0 is not installed; it needs Python 3.10",
)

ON_CPU = """
import pickle, sys
from pathlib import Path
import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from snn_deploy.targets.lava.chip_network import ChipNetwork
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    program, stimulus = pickle.loads((folder / "given").read_bytes())
    for i, p in enumerate(program.members):
        spikes = np.zeros((stimulus.samples, stimulus.steps, p.size), bool)
        stimulus.spikes.get(p.name, spikes).tofile(folder / f"{i}.spikes")
        if p.name in stimulus.bias:
            stimulus.bias[p.name].astype(np.int32).tofile(folder / f"{i}.bias")
    ChipNetwork(
        program,
        folder,
        lambda m: Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=m),
        lambda port, shape: port,
        lambda port, shape: port,
    ).run(stimulus.samples, stimulus.steps)
"""


def neurons(name: str, shape: tuple[int, ...], **constants) -> Population:
    size = int(np.prod(shape))
    chosen = {
        "decay_u": 1000,
        "decay_v": 200,
        "threshold": 64_000,
        "v_min": -core.V_LIMIT,
        "bias": core.round_bias(np.linspace(-9000, 30_000, size)),
        **constants,
    }
    return Population(name=name, shape=shape, **chosen)


def program() -> Program:
    """Spikes and biases in; a loop, and every kind of connection."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return (rng.integers(-100, 127, shape) * 2).astype(np.int16)

    pairs = np.arange(12, dtype=np.int32)
    parts = (
        ConvConnection(
            source="in", target="a", weight=weights(2, 2, 1, 3), shape=(5, 4, 1)
        ),
        ConvTransposeConnection(
            source="a", target="b", weight=weights(2, 2, 3, 1), shape=(4, 3, 3)
        ),
        DenseConnection(source="b", target="c", weight=weights(20, 12), exponent=-1),
        SparseConnection(
            source="c",
            target="c",
            weight=weights(12),
            shape=(12,),
            into=(12,),
            sender=pairs,
            receiver=pairs[::-1].copy(),
        ),
    )
    connections = tuple(
        replace(c, weight=c.weight // 4 * 4) if c.exponent else c for c in parts
    )
    members = (neurons("a", (4, 3, 3)), neurons("b", (5, 4, 1)), neurons("c", (12,)))
    return Program(
        inputs=(SpikeInput(name="in", shape=(5, 4, 1)),),
        populations=members,
        connections=connections,
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(graph=identity((12,)), population="c", amplitude=1.0),
        timing=Timing(dt=0.001, steps=20),
    )


def altered(**constants) -> Program:
    """The same with other constants of population "a"."""
    it = program()
    first, *others = it.populations
    return replace(it, populations=(replace(first, **constants), *others))


@needs_lava
def test_stock_processes_give_the_specified_spikes(tmp_path: Path) -> None:
    """Of each sample, whatever ran before: the network is made anew."""
    it = program()
    it.check()
    spikes = np.random.default_rng(1).random((2, 20, 20)) < 0.3
    bias = np.stack([it["c"].bias, it["c"].bias[::-1]])
    stimulus = Stimulus(samples=2, steps=20, bias={"c": bias}, spikes={"in": spikes})
    (tmp_path / "given").write_bytes(pickle.dumps((it, stimulus)))
    subprocess.run(
        [sys.executable, "-c", ON_CPU, str(tmp_path)], check=True, timeout=100
    )
    expected = simulate_oracle(it, stimulus)
    for i, p in enumerate(it.members):
        found = np.fromfile(tmp_path / f"{i}.spikes", bool).reshape(2, 20, p.size)
        wanted = {**expected, **stimulus.spikes}[p.name]
        assert 0 < wanted.sum() < wanted.size, p.name
        np.testing.assert_array_equal(found, wanted, p.name)


REFUSED = {
    "refractory": (altered(refractory=3), "a refractory counter of 3; .* none"),
    "v_min": (altered(v_min=0), "v_min 0; Lava's LIF has -8388607 alone"),
    "v_max": (altered(v_max=(1 << 21) - 1), "v_max 2097151; .* 8388607 alone"),
    "thresholds": (
        altered(threshold=np.array([640, 6400, 640], np.int32)),
        "2 different thresholds; .* one for all",
    ),
    "q": (
        replace(
            program(),
            connections=tuple(
                replace(c, exponent=7) if c.target == "a" else c
                for c in program().connections
            ),
        ),
        "in one step, where the core's sum wraps beyond 2097151",
    ),
    "u": (altered(decay_u=0), "a current of .* wraps beyond 8388607"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_stock_lif_lacks_is_refused_by_its_register(name: str) -> None:
    """Without lava-loihi too, so that it is known at home."""
    it, says = REFUSED[name]
    with pytest.raises(DoesNotFit, match=f"'lava-loihi2': population 'a' .*{says}"):
        LavaLoihi2().load(it)


def test_biases_of_the_host_count_as_the_largest_there_are() -> None:
    """Whatever the sample is."""
    it = program()
    alone = replace(
        it,
        inputs=(),
        populations=it.populations[:1],
        connections=(),
        encoder=BiasEncoder(graph=identity((4, 3, 3)), population="a", scale=1.0),
        decoder=Decoder(graph=identity((4, 3, 3)), population="a", amplitude=1.0),
    )
    with pytest.raises(TargetUnavailable):  # 524,160 is far from 2²³
        LavaLoihi2().load(alone)


def test_longer_delays_are_refused() -> None:
    it = program()
    first, *others = it.connections
    slow = replace(it, connections=(replace(first, delay=2), *others))
    with pytest.raises(DoesNotFit, match="a delay of 2 steps; allowed is 1"):
        LavaLoihi2().load(slow)


# --- what a chip would run -----------------------------------------------------------


@needs_lava
def test_public_lava_has_no_model_for_a_neuro_core(monkeypatch, tmp_path) -> None:
    """So Loihi2HwCfg takes Python for stock processes and ours, and we say so."""
    from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
    from lava.magma.core import run_configs
    from lava.magma.core.model.py.model import AbstractPyProcessModel

    from snn_deploy.targets.lava import processes
    from snn_deploy.targets.lava.chip_network import demand_on_chip, lif
    from snn_deploy.targets.lava.network import synapses_of
    from snn_deploy.targets.lava.processes import Neurons

    class CLoihiProcessModel:
        """lava-loihi's; without it the configuration ends in a NameError."""

    monkeypatch.setattr(
        run_configs, "CLoihiProcessModel", CLoihiProcessModel, raising=False
    )
    it = program()
    stock = [
        lif(it["a"], it["a"].bias),
        *(synapses_of(c, "sparse") for c in it.connections),
    ]
    config = run_configs.Loihi2HwCfg(select_tag="fixed_pt")
    for process in stock:
        models = ProcGroupDiGraphs._find_proc_models(process)
        assert issubclass(config.select(process, models), AbstractPyProcessModel)
        says = f"{type(process).__name__} would run as Py.* on the host"
        with pytest.raises(TargetUnavailable, match=says):
            demand_on_chip([process], config)
    ours = Neurons(tmp_path, "0", it["a"])
    models = ProcGroupDiGraphs._find_proc_models_in_module(ours, processes)
    assert [model.__name__ for model in models] == ["NeuronsModel"]
    assert issubclass(models[0], AbstractPyProcessModel)


@needs_lava
def test_lif_gets_the_registers_as_they_are() -> None:
    from snn_deploy.targets.lava.chip_network import lif

    p = program()["a"]
    made = lif(p, p.bias)
    assert (int(made.du.init), int(made.dv.init)) == (p.decay_u, p.decay_v)
    assert int(made.vth.init) << 6 == p.threshold
    mantissa, exponent = made.bias_mant.init, made.bias_exp.init
    np.testing.assert_array_equal(mantissa << exponent, p.bias)
    assert np.abs(mantissa).max() <= 4095 and 0 <= exponent.min() <= exponent.max() <= 7


# --- no access -----------------------------------------------------------------------


def test_without_lava_loihi_it_says_where_to_apply_and_runs_nowhere_else() -> None:
    with pytest.raises(TargetUnavailable) as missing:
        LavaLoihi2().load(program())
    assert str(missing.value) == (
        "Target 'lava-loihi2': no access: lava-loihi (for lava-nc 0.10.0) is not "
        "installed here, and is given to members alone; apply at "
        "http://neuromorphic.intel.com or inrc_interest@intel.com (Intel Neuromorphic "
        "Research Community)"
    )


@needs_lava
def test_at_the_door_it_ends_in_one_sentence_and_not_on_the_cpu() -> None:
    """A session as it would be on the other side, with lava-loihi missing behind it."""
    it = program()
    session = ChipSession(LavaLoihi2(), it)
    stimulus = Stimulus(
        samples=1, steps=2, bias={}, spikes={"in": np.ones((1, 2, 20), bool)}
    )
    with pytest.raises(TargetUnavailable) as missing:
        session.simulate(stimulus)
    said = str(missing.value)
    assert "Lava failed (ImportError: cannot import name 'embedded_io'" in said
    assert "\n" not in said and "look at SLURM" in said


@needs_lava
def test_the_board_is_chosen_by_lavas_own_helper(monkeypatch) -> None:
    """Which refuses before anything is set, since lava-loihi is missing."""
    for address in ("", "board.test"):
        monkeypatch.setenv("NXSDKHOST", address)
        with pytest.raises(ImportError, match="Lava-Loihi is not installed"):
            choose_board()
    monkeypatch.setenv("LOIHI_GEN", "N9X9")
    with pytest.raises(ValueError, match="N9X9"):
        choose_board()


def test_a_list_says_no_access_rather_than_pip_install() -> None:
    rows = {row["target"]: row for row in list_targets()}
    row = rows["lava-loihi2"]
    assert (row["kind"], row["library"]) == ("hardware", "lava-loihi")
    assert row["installed"].startswith("no access; apply at http")
