"""The config of a Keras 2 or 3 model: the calls of its layers in order of flow.

Models inside models are laid open, and a layer that is used again is another call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import ModelError

Config = Mapping[str, Any]
MOST_CALLS = 1 << 12  # of layers and of models inside


@dataclass(frozen=True)
class Source:
    """The output of a call, by its name."""

    call: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Call:
    """A layer and what it is called on."""

    kind: str  # class name; "package>Class", "ops.Class" and "tf.function" of others
    name: str  # "layer", "layer.2" for the second call, "model/layer" inside a model
    path: tuple[str, ...]  # names of the models it lies in, and its own
    config: Config
    arguments: tuple[Any, ...] = ()  # Sources and constants
    options: Config = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the calls whose outputs it takes."""
        return tuple(x.call for x in self.arguments if isinstance(x, Source))


@dataclass(frozen=True, eq=False)
class Flow:
    """The calls of a model in order of flow."""

    calls: tuple[Call, ...]
    inputs: tuple[str, ...]  # names of calls, in the model's order
    outputs: Mapping[str, str]  # the model's name of it → call
    old: bool  # written by Keras 2

    def up_to(self, *outputs: str) -> list[Call]:
        """The calls that these outputs depend on."""
        needed = {self.outputs[output] for output in outputs}
        for call in reversed(self.calls):
            if call.name in needed:
                needed.update(call.sources)
        return [call for call in self.calls if call.name in needed]


def flow(config: Config) -> Flow:
    """The calls of a model's layers.

    Raises:
        ModelError: the model is no functional or sequential one.
    """
    reading = _Reading([])
    ends = reading.model(config, (), "", None)
    inputs = tuple(call.name for call in reading.calls if call.kind == "InputLayer")
    if "input_layers" in config:
        inputs = tuple(
            dict.fromkeys(end.layer for end in _ends(config["input_layers"]))
        )
    outputs: dict[str, str] = {}
    for name, end in zip(_output_names(config, ends), ends):
        outputs[name] = end.call
    return Flow(tuple(reading.calls), inputs, outputs, _is_old(config))


def kind_of(entry: Config) -> str:
    """Class name; of a custom class "package>Class", of a function "tf.function"."""
    kind = str(entry["class_name"])
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        return f"tf.{entry['config']['function']}"
    registered = str(entry.get("registered_name"))
    if ">" in registered:
        return registered
    module = str(entry.get("module") or "keras")
    if module.startswith(("keras.src.ops.", "keras.src.activations.")):
        return f"ops.{kind}"
    calls, base = entry.get("inbound_nodes"), {"trainable", "layers"}
    if "module" not in entry and calls and isinstance(calls[0], Mapping):
        if base.isdisjoint(entry["config"]):  # an .h5 of Keras 3: what no layer lacks
            return f"ops.{kind}"
    package = module.split(".")[0]
    return kind if package in ("keras", "tf_keras") else f"{package}>{kind}"


@dataclass(frozen=True)
class _End:
    """[name, node, tensor]: an output of a layer's call, as a config has it."""

    layer: str
    node: int
    tensor: int


def _ends(tree: Any) -> list[_End]:
    """Those in [name, node, tensor], or in lists or a dict of such, by key."""
    return list(_walk(tree))


def _walk(tree: Any) -> Iterator[_End]:
    if isinstance(tree, Mapping):
        tree = [tree[key] for key in sorted(tree)]
    if tree and isinstance(tree[0], str):
        yield _End(str(tree[0]), int(tree[1]), int(tree[2]))
    else:
        for branch in tree:
            yield from _walk(branch)


def _output_names(config: Config, ends: list[Source]) -> list[str]:
    tree = config.get("output_layers")
    if isinstance(tree, Mapping) and len(tree) == len(ends):
        return sorted(map(str, tree))
    names: list[str] = []
    for name in [end.layer for end in _ends(tree)] if tree else [e.call for e in ends]:
        uses, free = 1, name
        while free in names:
            uses += 1
            free = f"{name}.{uses}"
        names.append(free)
    return names


def _is_old(config: Config) -> bool:
    """Whether Keras 2 wrote it: its inputs have a batch_input_shape."""
    first = config["layers"][0] if config["layers"] else {}
    inner = first.get("config", {})
    return _is_old(inner) if inner.get("layers") else "batch_shape" not in inner


def _shape_given(config: Config) -> Any:
    """The shape that a model says its input has, samples first; None: it does not."""
    if not config.get("layers"):
        return config.get("build_input_shape")
    first = config["layers"][0]["config"]
    given = first.get("batch_shape") or first.get("batch_input_shape")
    return given or config.get("build_input_shape") or _shape_given(first)


@dataclass(frozen=True, eq=False)
class _Reading:
    """The calls read so far."""

    calls: list[Call]
    models: list[str] = field(default_factory=list)  # laid open, by their prefixes

    def model(
        self,
        config: Config,
        path: tuple[str, ...],
        prefix: str,
        given: list[Source] | None,
    ) -> list[Source]:
        """Lays a model open and gives its outputs.

        Args:
            prefix: of the names of its calls.
            given: what it is called on; None: it is the outermost.
        """
        self._count()
        self.models.append(prefix)
        if "input_layers" in config:
            return _Functional(self, config, path, prefix, given).outputs()
        if isinstance(config.get("layers"), list):
            return self._sequential(config, path, prefix, given)
        raise ModelError(
            "Keras model: it lists no layers; functional and sequential models are "
            "allowed, a subclassed one has to be rewritten as one of them"
        )

    def add(self, call: Call) -> Source:
        """One call more."""
        self._count()
        self.calls.append(call)
        return Source(call.name)

    def _count(self) -> None:
        if len(self.calls) + len(self.models) == MOST_CALLS:
            raise ModelError(
                f"Keras model: its layers are called more than {MOST_CALLS} times; not "
                "more are allowed"
            )

    def layer(
        self,
        entry: Config,
        name: str,
        path: tuple[str, ...],
        arguments: list[Any],
        options: Config,
    ) -> list[Source]:
        """Calls a layer, or lays a model open."""
        kind, config = kind_of(entry), entry["config"]
        sources = [given for given in arguments if isinstance(given, Source)]
        if kind in ("Functional", "Sequential", "Model") and "layers" in config:
            return self.model(config, path, f"{name}/", sources)
        call = Call(
            kind=kind,
            name=name,
            path=path,
            config=config,
            arguments=tuple(arguments),
            options=options,
        )
        return [self.add(call)]

    def _sequential(
        self,
        config: Config,
        path: tuple[str, ...],
        prefix: str,
        given: list[Source] | None,
    ) -> list[Source]:
        entries = config["layers"]
        begun = bool(entries) and entries[0]["class_name"] == "InputLayer"
        ends = given or []
        if given is None and not begun:
            shape = _shape_given(config)
            if not shape:
                raise ModelError(
                    "Keras model: it was never built and has no input shape; begin it "
                    "with keras.Input(shape)"
                )
            entry = {"class_name": "InputLayer", "config": {"batch_shape": shape}}
            ends = self.layer(entry, "input", ("input",), [], {})
        for entry in entries[1:] if begun and given is not None else entries:
            name = str(entry["config"]["name"])
            ends = self.layer(entry, f"{prefix}{name}", (*path, name), [*ends], {})
        return ends


class _Functional:
    """A functional model on its way to calls in order of flow."""

    def __init__(
        self,
        reading: _Reading,
        config: Config,
        path: tuple[str, ...],
        prefix: str,
        given: list[Source] | None,
    ) -> None:
        self.reading, self.config, self.path = reading, config, path
        self.prefix, self.given = prefix, given
        self.entries = {str(entry["name"]): entry for entry in config["layers"]}
        self.found: dict[tuple[str, int], list[Source]] = {}
        self.first = {name: self._first_node(name) for name in self.entries}

    def outputs(self) -> list[Source]:
        """Calls every layer as often as it is used, when its inputs are there."""
        self._begin()
        waiting = [
            (name, number, call)
            for name, entry in self.entries.items()
            for number, call in enumerate(entry["inbound_nodes"])
        ]
        while waiting:
            left = [each for each in waiting if not self._call(*each)]
            if len(left) == len(waiting):
                self._refuse(left)
            waiting = left
        ends = _ends(self.config["output_layers"])
        return [self._output(end, outermost=True) for end in ends]

    def _begin(self) -> None:
        """The model's inputs: layers of their own, or what it is called on."""
        if self.given is None:
            for name, entry in self.entries.items():
                if not entry["inbound_nodes"]:
                    path = (*self.path, name)
                    self.found[name, 0] = self.reading.layer(entry, name, path, [], {})
            return
        inputs = _ends(self.config["input_layers"])
        if len(inputs) != len(self.given):
            raise ModelError(
                f"Keras model: {'/'.join(self.path)!r} takes {len(inputs)} input(s) "
                f"and is called on {len(self.given)}; save the model again"
            )
        for end, source in zip(inputs, self.given):
            self.found[end.layer, 0] = [source]

    def _call(self, name: str, number: int, call: Any) -> bool:
        """Whether what it is called on is there; then it is called."""
        arguments, options = _arguments(call, self.entries)
        ends = [end for end in arguments if isinstance(end, _End)]
        if not all(self._is_there(end) for end in ends):
            return False
        given = [
            self._output(each) if isinstance(each, _End) else each for each in arguments
        ]
        again = f".{number + 1}" if number else ""
        self.found[name, number] = self.reading.layer(
            self.entries[name],
            f"{self.prefix}{name}{again}",
            (*self.path, name),
            given,
            options,
        )
        return True

    def _is_there(self, end: _End) -> bool:
        return (end.layer, end.node - self.first.get(end.layer, 0)) in self.found

    def _output(self, end: _End, *, outermost: bool = False) -> Source:
        node = end.node - self.first.get(end.layer, 0)
        if outermost and self._is_new_model(end.layer):
            node = end.node - 1
        key = end.layer, node
        if key not in self.found:
            raise ModelError(
                f"Keras model: its output layer {end.layer!r} does not exist"
            )
        return self.found[key][end.tensor]

    def _refuse(self, left: list[tuple[str, int, Any]]) -> None:
        name, _, call = left[0]
        ends = [x for x in _arguments(call, self.entries)[0] if isinstance(x, _End)]
        missing = next(end.layer for end in ends if not self._is_there(end))
        raise ModelError(f"Layer {name!r}: its input {missing!r} does not exist")

    def _first_node(self, name: str) -> int:
        """The number that Keras 2 gives a model's first call: 1 where it was built."""
        entry = self.entries[name]
        if "layers" not in entry["config"] or self._is_new(entry):
            return 0
        ends = _ends(self.config["output_layers"])
        for other in self.entries.values():
            for call in other["inbound_nodes"]:
                found = _arguments(call, self.entries)[0]
                ends += [end for end in found if isinstance(end, _End)]
        return min((end.node for end in ends if end.layer == name), default=0)

    def _is_new_model(self, name: str) -> bool:
        """Keras 3 counts the calls of functional models from 1, but only in outputs."""
        entry = self.entries.get(name)
        model = entry is not None and "input_layers" in entry["config"]
        return model and self._is_new(entry)

    def _is_new(self, entry: Config | None) -> bool:
        calls = entry["inbound_nodes"] if entry else []
        return bool(calls) and isinstance(calls[0], Mapping)


def _arguments(call: Any, entries: Config) -> tuple[list[Any], dict[str, Any]]:
    """What a layer is called on, as _Ends and constants, and its other options."""
    if isinstance(call, Mapping):  # Keras 3: {"args": […], "kwargs": {…}}
        found = [each for given in call["args"] for each in _opened(given)]
        options = dict(call["kwargs"])
    else:
        found, options = _old_arguments(call, entries)
    for name in ("x", "y", "x1", "x2"):  # of functions, given by name
        if name in options:
            found += _opened(options.pop(name))
    return found, options


def _opened(given: Any) -> list[Any]:
    """A tensor of Keras 3 as its _End, those of a list or dict too; or a constant."""
    if isinstance(given, _End):
        return [given]
    if isinstance(given, Mapping):
        if given.get("class_name") == "__keras_tensor__":
            return [_End(*given["config"]["keras_history"])]
        branches = [given[key] for key in sorted(given)]
    else:
        branches = list(given) if isinstance(given, list | tuple) else []
    inside = [each for branch in branches for each in _opened(branch)]
    tensors = [each for each in inside if isinstance(each, _End)]
    return tensors if tensors else [given]


def _old_arguments(call: Any, entries: Config) -> tuple[list[Any], dict[str, Any]]:
    """Keras 2: [[name, node, tensor, {…}], …]; of a function one without a list."""
    if call and isinstance(call[0], str):
        call = [call]
    found: list[Any] = []
    options: dict[str, Any] = {}
    for name, node, tensor, named in call:
        constant = name == "_CONSTANT_VALUE"
        found.append(tensor if constant else _End(str(name), node, tensor))
        for key, value in named.items():
            named_end = isinstance(value, list) and len(value) == 3
            named_end = named_end and isinstance(value[0], str) and value[0] in entries
            options[key] = _End(*value) if named_end else value
    return found, options
