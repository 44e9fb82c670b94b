"""The passes by name: which run, what is checked, and what an error says."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from tiny_files import CONV, DENSE, FLATTEN, write_model, write_pictures

from snn_deploy.__main__ import main
from snn_deploy.commands.build import build
from snn_deploy.deploy import CONVERTED, TUNED, passes_for
from snn_deploy.pipeline.compilation import (
    Compilation,
    Pass,
    Settings,
    compiled,
    find_pass,
)
from snn_deploy.toolchain.errors import DataError, ModelError, UnsupportedLayer
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.quantize.quantize import scales_of

SAMPLES = np.linspace(0, 1, 12).reshape(4, 3)


def network(*middle: n.Node) -> Compilation:
    """Two populations, and what is given between them."""
    graph = Graph.chain(
        n.Input("x", shape=(3,)),
        n.Dense("first", weight=np.eye(3) * 200, bias=np.zeros(3)),
        n.ReLU("a"),
        *middle,
        n.Dense("second", weight=np.ones((3, 2)), bias=np.ones(2)),
        n.ReLU("b"),
        n.Output("y"),
    )
    return Compilation(graph=graph, samples=SAMPLES, settings=Settings(steps=12))


def test_a_network_becomes_a_program_pass_by_pass():
    names = []

    @contextmanager
    def timed(name):
        yield names.append(name)

    done = compiled(network(), passes_for(None), timed)
    assert names == list(CONVERTED)
    assert done.program is not None and done.recording is not None
    done.program.check()
    assert [o.population for o in done.overflows] == ["b"]
    assert done.program.decoder.gain != 1  # what ``readout`` chose


def test_a_fine_tuned_network_keeps_its_rates_and_its_read_out():
    prepared = compiled(network(), map(find_pass, ("fold", "legalize")))
    scales = scales_of(prepared.graph, SAMPLES)
    tuned = replace(prepared, scales=scales)
    done = compiled(tuned, passes_for(scales))
    assert set(CONVERTED) - set(TUNED) == {"equalize", "calibrate", "readout"}
    assert str(done.graph) == str(prepared.graph)
    assert done.program is not None and done.program.decoder.settle == 0


@pytest.mark.parametrize("last", CONVERTED)
def test_a_compilation_can_end_after_any_pass(last):
    done = compiled(network(), passes_for(None), last=last)
    assert (done.program is None) == (
        CONVERTED.index(last) < CONVERTED.index("quantize")
    )
    assert str(done) == str(done.program or done.graph)


def test_an_unknown_pass_is_refused_before_any_runs():
    never = Pass("never", lambda now: pytest.fail("it ran"))
    with pytest.raises(DataError, match="'forge'.*stop after one of never"):
        compiled(network(), [never], last="forge")


def test_an_error_names_its_pass_and_those_before():
    softmax = n.Softmax("odds")
    with pytest.raises(
        UnsupportedLayer, match=r"odds.* \[pass legalize, after fold, equalize\]"
    ):
        compiled(network(softmax), passes_for(None))


def test_what_a_pass_makes_is_checked():
    def forget(now: Compilation) -> Compilation:
        return replace(now, graph=Graph(now.graph.nodes[1:]))

    passes = [find_pass("fold"), Pass("forget", forget)]
    with pytest.raises(ModelError, match=r"Input.* \[pass forget, after fold\]"):
        compiled(network(), passes)


def test_a_graph_that_is_wrong_as_read_is_no_pass_s_fault():
    start = replace(network(), graph=Graph(()))
    with pytest.raises(ModelError, match="one is allowed$"):
        compiled(start, passes_for(None))


def test_stop_after_prints_the_network_and_writes_nothing(
    monkeypatch, capsys, tmp_path
):
    model = write_model(tmp_path / "tiny.h5", CONV, FLATTEN, DENSE)
    pictures = write_pictures(tmp_path / "pictures")
    words = ["--model", str(model), "--data", str(pictures), "--target", "reference"]
    monkeypatch.chdir(tmp_path)

    def printed(last: str) -> tuple[int, str, str]:
        command = ["snn-deploy", "build", *words, "--stop-after", last]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    code, legal, _ = printed("legalize")
    assert code == 0 and legal.startswith("image: Input() → 8×12×3\n")
    assert ": IF(" in legal
    code, program, _ = printed("quantize")
    assert code == 0 and "\ntiming: 64 steps of 0.001 s\n" in program
    code, nothing, error = printed("forge")
    assert (code, nothing) == (2, "") and "one of fold, equalize" in error
    assert not (tmp_path / "build").exists()


def test_help_names_every_pass():
    (option,) = (o for o in build.params if o.name == "last")
    assert all(name in option.help for name in CONVERTED)
