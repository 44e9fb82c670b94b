"""Target cortex-m: firmware on an emulated board fires the very same spikes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_programs import biased, together
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_programs import programs, simulate_oracle
from small_networks import fitted
from test_c import assert_equal, dense, fed, locnet, pictures, population
from test_targets import PROGRAMS, processes, samples_of

from snn_deploy.deploy import Settings, Steps, compile_program
from snn_deploy.targets.c import process
from snn_deploy.targets.c.sizes import sizes_of
from snn_deploy.targets.cortex_m.boards import BOARDS, VARIABLE, Board
from snn_deploy.targets.cortex_m.image import COMPILER, INSTALL, QEMU, STACK
from snn_deploy.targets.cortex_m.target import CortexM
from snn_deploy.targets.reference.target import Reference
from snn_deploy.toolchain.errors import DoesNotFit, TargetUnavailable
from snn_deploy.toolchain.program.host import Stimulus, encode
from snn_deploy.toolchain.program.program import Program

needs_tools = pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which(QEMU) is None,
    reason=f"there is no {COMPILER} or no {QEMU}; {INSTALL}",
)
M3, M4 = BOARDS["mps2-an385"], BOARDS["mps2-an386"]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary files are made; no board is named."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.delenv(VARIABLE, raising=False)
    return folder


def judge(program: Program, stimulus: Stimulus, board: Board = M3) -> None:
    """The firmware's spikes are the oracle's."""
    with CortexM(board).load(program) as session:
        assert_equal(session.simulate(stimulus), simulate_oracle(program, stimulus))


def stimulus_of(program: Program) -> Stimulus:
    timing = program.timing
    return encode(program.encoder, samples_of(program), timing.steps, timing.dt)


def looped() -> Program:
    """Three populations; the last one inhibits the others later."""
    made = [population(name, size) for name, size in (("a", 40), ("b", 33), ("c", 7))]
    links = [
        dense("a", "b", (40, 33)),
        dense("b", "c", (33, 7), delay=3),
        replace(dense("c", "b", (7, 33), delay=5), exponent=1),
        dense("c", "a", (7, 40), delay=2),
        dense("b", "b", (33, 33), delay=1),
    ]
    return fed(*made, connections=links)


def plain() -> Program:
    return fed(population("only", 4))


# --- the same spikes -----------------------------------------------------------------


@needs_tools
@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_not_one_spike_differs_on_any_board(board):
    judge(PROGRAMS["convolution"], stimulus_of(PROGRAMS["convolution"]), board)


@needs_tools
@pytest.mark.parametrize("name", ["spikes", "transposed", "recurrent", "long delay"])
def test_nor_in_a_network_of_each_kind(name):
    judge(PROGRAMS[name], stimulus_of(PROGRAMS[name]))


@needs_tools
def test_nor_in_loops_with_delays():
    program = looped()
    stimulus = biased(program, 2, 60)
    assert all(s.any() for s in simulate_oracle(program, stimulus).values())
    judge(program, stimulus)


@needs_tools
@settings(
    deadline=None,
    max_examples=2,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), steps=st.integers(1, 25))
def test_nor_in_drawn_programs(data, steps):
    drawn = programs(recurrent=True, delays=True, encoder="bias")
    program = together([data.draw(drawn) for _ in range(4)])
    judge(program, biased(program, 2, steps))


@needs_tools
def test_locnet_fires_the_same_spikes_in_256_kilobytes_of_ram_and_1_mb_of_flash():
    program, small = locnet(16, 24), replace(M4, flash=1 << 20, ram=256 << 10)
    steps, dt = program.timing.steps, program.timing.dt
    stimulus = encode(program.encoder, pictures(16, 24)[:1], steps, dt)
    judge_beside(program, stimulus, small)


def judge_beside(program: Program, stimulus: Stimulus, board: Board = M3) -> None:
    """The firmware's spikes are those of target ``reference``; some there are."""
    with CortexM(board).load(program) as ours, Reference().load(program) as reference:
        want = reference.simulate(stimulus)
        assert any(spikes.any() for spikes in want.values())
        assert_equal(ours.simulate(stimulus), want)


@needs_tools
def test_a_trained_classifier_of_digits_fits_64_and_256_kilobytes():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    x = digits.images[..., None] / 16
    graph = fitted(x, 4 * np.eye(10)[digits.target], features=128)
    program, _ = compile_program(graph, x[:64], Settings(steps=32), Steps())
    stimulus = encode(program.encoder, x[64:66], 32, program.timing.dt)
    judge_beside(program, stimulus, replace(M3, flash=256 << 10, ram=64 << 10))


@needs_tools
@pytest.mark.parametrize("name", ["recurrent", "long delay", "transposed", "loops"])
def test_beside_reference(name):
    program = looped() if name == "loops" else PROGRAMS[name]
    given = biased(program, 2, 40) if name == "loops" else stimulus_of(program)
    judge_beside(program, given)


# --- figures -------------------------------------------------------------------------


@needs_tools
def test_instructions_are_counted_and_the_same_each_time():
    program = looped()
    stimulus = biased(program, 2, 30)
    with CortexM().load(program) as session:
        assert session.instructions == ()
        session.simulate(stimulus)
        session.simulate(stimulus)
        first, second, *again = session.instructions
    assert 30 * 80 < first < 30 * 100_000  # an instruction a neuron and step, or more
    for was, now in ((first, again[0]), (second, again[1])):
        assert abs(was - now) <= 2 * 30  # a tick of the timer a step
    none = replace(stimulus, bias={"a": np.full((2, 40), -1, np.int32)})
    with CortexM().load(program) as session:
        session.simulate(none)
        assert session.instructions[0] < first  # what spikes is what costs


@needs_tools
def test_bytes_are_those_of_the_network_the_stack_and_little_more():
    for program in (plain(), fed(population("only", 5000))):
        with CortexM().load(program) as session:
            image, sizes = session.image, sizes_of(session.source)
        assert 0 <= image.ram - STACK - sizes.ram < 64
        assert 0 < image.flash - sizes.flash < 4096


# --- boards --------------------------------------------------------------------------


@needs_tools
def test_a_network_that_is_too_large_says_by_how_much_and_for_whom(temporary):
    program = fed(population("few", 4), population("many", 3000))
    with CortexM().load(program) as session:
        image = session.image
    small = replace(M3, ram=image.ram - 10)
    with pytest.raises(DoesNotFit) as refused:
        CortexM(small).load(program)
    assert (
        f"takes {image.ram} bytes of RAM, 10 more than the {small.ram} of board "
        "'mps2-an385'" in str(refused.value)
    )
    assert "'many': give it fewer neurons" in str(refused.value)
    with pytest.raises(DoesNotFit, match="of flash.*fewer weights"):
        CortexM(replace(M3, flash=1000)).load(program)
    assert not [*temporary.iterdir()]


@needs_tools
def test_the_environment_names_a_board(monkeypatch):
    monkeypatch.setenv(VARIABLE, "mps2-an500")
    with CortexM().load(plain()) as session:
        assert session.board.core == "cortex-m7"


def test_a_board_that_there_is_not(monkeypatch):
    monkeypatch.setenv(VARIABLE, "toaster")
    with pytest.raises(TargetUnavailable, match="'toaster', there are: mps2-an385, "):
        CortexM().load(plain())


# --- what fails ----------------------------------------------------------------------


def test_without_compiler_or_emulator_it_says_what_to_install(temporary, monkeypatch):
    monkeypatch.setenv("PATH", str(temporary))
    with pytest.raises(TargetUnavailable) as missing:
        CortexM().load(plain())
    assert f"no {COMPILER} and no " in str(missing.value)
    assert str(missing.value).endswith(INSTALL)
    assert not [*temporary.iterdir()]


def replaced(folder: Path, name: str, does: str, monkeypatch) -> None:
    """A tool of this name comes first on the path, and does this."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@needs_tools
@pytest.mark.parametrize(
    ("tool", "does", "says"),
    [
        (COMPILER, "echo 'x.c:1: error: no luck' >&2; exit 4", "exit code 4: x.c:1"),
        (QEMU, "exit 5", "ended .exit code 5"),
        (QEMU, "exec sleep 60", "says nothing for 0.5 s"),
    ],
)
def test_a_tool_that_fails_or_hangs_is_one_sentence(
    tool, does, says, temporary, tmp_path, monkeypatch
):
    replaced(tmp_path, tool, does, monkeypatch)
    monkeypatch.setattr(process, "PATIENCE", 0.5)
    with pytest.raises(TargetUnavailable, match=f"'cortex-m'.*{says}"):
        CortexM().load(plain())
    assert not [*temporary.iterdir()]


def stop(pid: int) -> None:
    """Stop a process, and wait until each of its threads stands still."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        states = {
            stat.read_text().rpartition(")")[2].split()[0]
            for stat in Path(f"/proc/{pid}/task").glob("*/stat")
        }
        if states == {"T"}:
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} does not stop: {states}")


@needs_tools
def test_an_emulator_that_takes_too_long_is_ended(monkeypatch):
    with CortexM().load(plain()) as session:
        monkeypatch.setattr(process, "PATIENCE", 0.3)
        board = session._process._process
        stop(board.pid)
        with pytest.raises(TargetUnavailable, match="says nothing for 0.3 s"):
            session.simulate(biased(plain(), 1, 20))
        assert board.poll() == -signal.SIGKILL


@needs_tools
def test_nothing_is_left_while_it_runs_and_after(temporary, monkeypatch):
    monkeypatch.setenv("SNN_DEPLOY_TEST_RUN", temporary.as_posix())
    with CortexM().load(plain()) as session:
        assert not [*temporary.iterdir()]
        assert len(processes(temporary.as_posix())) == 1
        session.simulate(biased(plain(), 1, 20))
    assert not processes(temporary.as_posix()) and not [*temporary.iterdir()]


@needs_tools
def test_the_firmware_compiles_without_a_warning(tmp_path, monkeypatch):
    """Of the files that are the board's own."""
    from snn_deploy.targets.c.compiler import WARNINGS
    from snn_deploy.targets.cortex_m import firmware

    folder = Path(firmware.__file__).parent
    for name in ("semihosting.c", "startup.c"):
        subprocess.run(
            [COMPILER, "-c", "-mcpu=cortex-m3", "-mthumb", "-std=c99", "-ffreestanding"]
            + [*WARNINGS, "-Werror", f"-I{folder}", str(folder / name), "-o", "x.o"],
            cwd=tmp_path,
            check=True,
        )
