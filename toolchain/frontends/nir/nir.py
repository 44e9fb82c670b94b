"""NIR graphs → Graph and back: what snnTorch, Norse, Sinabs, SpikingJelly … export."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...errors import ModelError, Obstacle, UnsupportedLayer
from ...graph.graph import Graph
from ...rehearsal import rehearsed
from ...visible import visible
from ..contract import ALL, Format, Imported, Timing
from ..keras.hdf5 import MAGIC as HDF5
from .export.export import to_nir
from .files import FAILURES, read_tree
from .flow import flow_of
from .network import Network, bridged, network_of
from .neurons import NEURONS, steps_of
from .notes import notes_of
from .reading import Kind, Reading, graph_of, input_form, put_input, put_outputs
from .weights import WEIGHTS

ALLOWED = "a NIR .nir, written by nir.write of nir 1.0 or newer, is allowed"
KINDS = {
    **WEIGHTS,
    **NEURONS,
    "Input": Kind(form=input_form, put=put_input),
    "Output": Kind(form=lambda reading, node, form: form, put=lambda *_: None),
}


def read_nir(
    path: str | Path, output: str | None = None, timing: Timing | None = None
) -> Graph:
    """A NIR file → Graph with a dt; ``output`` chooses one of several, or "all".

    A node has the name of NIR's, of a sub-graph ``graph.node``; what else it becomes is
    called ``node.…``. The Graph takes and gives samples in the file's own layout, and
    holds pictures (height, width, channels) behind its first nodes. A spike is worth 1.

    Args:
        timing: what NIR leaves open; None: ``Timing()``.

    Raises:
        UnsupportedLayer: nodes have no equivalent here.
        ModelError: it is missing, damaged or no NIR graph, or its numbers are not in
            order.
    """
    return imported(Path(path), output, timing or Timing()).graph


def imported(path: Path, output: str | None, timing: Timing) -> Imported:
    """The same, with what a reader must know of the reading."""
    timing.check()
    if not path.exists():
        raise ModelError(f"Model {str(path)!r}: no such file; {ALLOWED}")
    network = network_of(read_tree(path))
    _refuse_unknown(network)
    start, ends = _ends(network, output)
    network = _between(network, start, ends)
    still = [
        name
        for name, node in network.nodes.items()
        if node.kind == "Delay" and not steps_of(node, timing).any()
    ]
    network = bridged(network, still)
    timed = {
        name
        for name, node in network.nodes.items()
        if node.kind == "Delay" and steps_of(node, timing).all()
    }
    linear = {name for name, node in network.nodes.items() if node.kind in WEIGHTS}
    flow = flow_of(network, start, timed, linear)
    reading = Reading(network, flow, timing)
    reading.learn(KINDS)
    for name in flow.order:
        node = network.nodes[name]
        KINDS[node.kind].put(
            reading, node, reading.forms[name] if name == start else reading.given(name)
        )
    put_outputs(reading, ends)
    graph = graph_of(reading)
    return Imported(graph=graph, notes=notes_of(reading, still))


def _refuse_unknown(network: Network) -> None:
    """Raise UnsupportedLayer for all nodes of kinds that are not read."""
    unknown = [node for node in network.nodes.values() if node.kind not in KINDS]
    if unknown:
        raise UnsupportedLayer.of(
            Obstacle(
                id="unknown-node",
                layer=visible(node.name),
                kind=visible(node.kind)[:80],
                why="it is no kind of node that is read",
                fix=f"{', '.join(sorted(KINDS))} are allowed",
            )
            for node in unknown
        )


def _ends(network: Network, output: str | None) -> tuple[str, list[str]]:
    """The Input, and the Outputs that are read."""
    inputs = [x.name for x in network.nodes.values() if x.kind == "Input"]
    outputs = sorted(x.name for x in network.nodes.values() if x.kind == "Output")
    if len(inputs) != 1:
        raise ModelError(
            f"NIRGraph: it has {len(inputs)} Input nodes{_named(inputs)}; one is "
            "allowed, make one of several with weights of 0 for what a layer leaves out"
        )
    if output in outputs:
        return inputs[0], [output]
    if not outputs or (output not in (None, ALL)) or (not output and len(outputs) > 1):
        raise ModelError(
            f"NIRGraph: it has {len(outputs)} Output nodes{_named(outputs)}; name the "
            "one to read with --output, or all"
        )
    return inputs[0], outputs


def _named(names: Iterable[str]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:8])
    return f" ({shown})" if shown else ""


def _between(network: Network, start: str, ends: list[str]) -> Network:
    """The nodes from the Input to the Outputs that are read.

    Raises:
        ModelError: no way leads there, or something else does.
    """
    needed = network.reached(ends, back=True)
    reached = network.reached([start])
    for name in sorted(needed - reached) + [x for x in ends if x not in reached]:
        raise network.nodes[name].error(
            f"no edge leads to it from the Input {start!r}; connect it"
        )
    return network.only(needed)


def recognises(path: Path) -> bool:
    """Whether a file is called .nir, or is HDF5 with a NIR graph's group."""
    if path.suffix.lower() == ".nir":
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(len(HDF5)) != HDF5:
            return False
    try:
        return _has_graph(path)
    except FAILURES:
        return False  # damaged, which who reads it will say


@rehearsed
def _has_graph(path: Path) -> bool:
    import h5py

    with h5py.File(path, "r") as file:
        return "node" in file and "version" in file


FORMAT = Format(
    shown="a NIR .nir",
    recognises=recognises,
    read=imported,
    operations=lambda: KINDS,
    write=to_nir,
    leaves_timing_open=True,
)
