"""Sequential and Functional models: layers by name, and the calls that join them, in an order of computation."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, TypeAlias

from service.contract.problem import Invalid, TooComplex, UnsupportedModel
from service.keras.base import Call, Form, KerasLayer, Leaf, Ref, Shape, bounded
from service.keras.calls import Step, needed, ordered
from service.keras.history import bound, refs
from service.keras.inputs import Input, implied, read_input
from service.keras.making import custom, made, named, unsupported

MODELS: Final = frozenset({"Sequential", "Functional", "Model"})
DEEPEST: Final = 16
MOST_CALLS: Final = 5000
MOST_ENDS: Final = 64
"""Most inputs, and most outputs, of a model."""


class Model(KerasLayer):
    """A model, which may be a layer of another."""

    parameters: ClassVar[tuple[str, ...]] = ("inputs",)
    masking: ClassVar[Literal["passes", "stops"]] = "passes"

    given: tuple[Input, ...]
    steps: tuple[Step, ...]
    gives: tuple[tuple[str, Ref], ...]
    """The outputs, by the names of the layers that make them, or those that the file gives."""

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes of the model's outputs."""
        forms = self.forms(call, at)
        for _, ref in self.gives:
            if ref not in forms:
                detail = f"The model gives output {ref.output} of {ref.layer!r}, which has no such output."
                raise Invalid(detail, pointer=f"{at}/config/output_layers")
        return tuple(forms[ref].shape for _, ref in self.gives)

    def forms(self, call: Call[Any], at: str) -> dict[Ref, Form]:
        """Return the form of every tensor inside."""
        found = dict(self.bind(call, at))
        for step in self.steps:
            shapes = step.layer.outputs(self.called(step, found, Form), step.at)
            for index, shape in enumerate(shapes):
                found[step.ref(index)] = Form(bounded(shape, step.at))
        return found

    def bind(self, call: Call[Any], at: str) -> Iterator[tuple[Ref, Any]]:
        """Yield the tensors that the model is called with, under the names they have inside."""
        leaves = call.leaves
        if len(leaves) != len(self.given):
            detail = f"The model {self.name!r} has {len(self.given)} inputs; it is called with {len(leaves)}."
            raise Invalid(detail, pointer=at)
        for inside, outside in zip(self.given, leaves, strict=True):
            wanted, shape = inside.form.shape, outside.shape
            if len(wanted) != len(shape) or any(
                None not in pair and len(set(pair)) > 1 for pair in zip(wanted, shape, strict=True)
            ):
                detail = f"The input {inside.name!r} has the shape {list(wanted)}; {list(shape)} reaches it."
                raise Invalid(detail, pointer=at)
            yield Ref(inside.name, 0, 0), outside

    def called(self, step: Step, found: Mapping[Ref, Leaf], kind: type[Leaf]) -> Call[Leaf]:
        """Return a step's call with the tensors that have been made; Invalid where one never is."""

        def read(ref: Ref) -> Leaf:
            if ref not in found:
                detail = f"{step.layer.name!r} reads output {ref.output} of {ref.layer!r}, which has no such output."
                raise Invalid(detail, pointer=step.at)
            return found[ref]

        return step.call.mapped(read, kind)

    def held(self, call: Call[Any]) -> int:
        """Return the weights of every layer, each counted once."""
        forms = self.forms(call, "")
        return sum(step.layer.held(step.call.mapped(forms.__getitem__, Form)) for step in self.steps if not step.index)

    def inner(self) -> Iterator[tuple[str, KerasLayer]]:
        """Yield the layers."""
        for step in self.steps:
            if not step.index:
                yield step.at, step.layer


def layer(spec: Any, at: str, depth: int = 0) -> KerasLayer:  # noqa: ANN401  what the file holds
    """Return any layer, models among them."""
    _shallow(depth, at)
    name, _ = named(spec, at)
    if name in MODELS and not custom(spec):
        return model(spec, at, depth)
    return made(spec, at, lambda each, where: layer(each, where, depth + 1))


def _shallow(depth: int, at: str) -> None:
    """Pass layers that are not nested too deep."""
    if depth > DEEPEST:
        detail = f"The models are nested more than {DEEPEST} deep."
        raise TooComplex(detail, pointer=at)


def model(spec: Any, at: str, depth: int = 0) -> Model:  # noqa: ANN401  what the file holds
    """Return the model that `spec` describes; Trouble, with a JSON pointer, where it cannot be built."""
    _shallow(depth, at)
    kind, config = named(spec, at)
    if custom(spec):
        raise unsupported(spec, at)
    if not isinstance(config.get("layers"), list):
        detail = "A subclassed model's JSON does not say what it computes; export the model to ONNX."
        raise UnsupportedModel(detail, pointer=f"{at}/config")
    if len(config["layers"]) > MOST_CALLS:
        detail = f"The model has {len(config['layers'])} layers; the limit is {MOST_CALLS}."
        raise TooComplex(detail, pointer=f"{at}/config/layers")
    name = config.get("name") if isinstance(config.get("name"), str) else kind.lower()
    read = _sequential if kind == "Sequential" else _functional
    given, steps, gives = read(spec, config, at, depth)
    trainable = config.get("trainable", True) is not False
    return Model(name=name, kind=kind, trainable=trainable, given=given, steps=steps, gives=gives)


Parts: TypeAlias = tuple[tuple[Input, ...], tuple[Step, ...], tuple[tuple[str, Ref], ...]]
"""A model's inputs, its calls of layers in order, and its outputs by name."""


def _sequential(spec: dict[str, Any], config: dict[str, Any], at: str, depth: int) -> Parts:
    listed = [(each, f"{at}/config/layers/{index}") for index, each in enumerate(config["layers"])]
    given: Input | None = None
    if listed and named(*listed[0])[0] == "InputLayer":
        given = read_input(*listed.pop(0))
    given = given or implied(spec, config, listed, at)
    previous, steps, names = Ref(given.name, 0, 0), [], {given.name}
    for each, where in listed:
        made_layer = layer(each, where, depth + 1)
        _fresh(made_layer.name, names, where)
        step = Step(made_layer, Call({made_layer.parameters[0]: previous}, Ref), 0, 1, where)
        steps.append(step)
        previous = step.ref()
    return (given,), tuple(steps), ((previous.layer, previous),)


def _functional(spec: dict[str, Any], config: dict[str, Any], at: str, depth: int) -> Parts:
    inputs: dict[str, Input] = {}
    waiting: dict[Ref, Step] = {}
    names: set[str] = set()
    for index, each in enumerate(config["layers"]):
        where = f"{at}/config/layers/{index}"
        kind, own = named(each, where)
        name = _fresh(each.get("name") or own.get("name"), names, where)
        whole = {**each, "config": {**own, "name": name}}
        if kind == "InputLayer":
            inputs[name] = read_input(whole, where)
            continue
        for step in _calls(whole, layer(whole, where, depth + 1), where):
            waiting[step.ref()] = step
        if len(waiting) > MOST_CALLS:
            detail = f"The layers are called more than {MOST_CALLS} times."
            raise TooComplex(detail, pointer=where)
    steps = tuple(ordered(waiting, inputs))
    given = tuple(_taken(ref, inputs, at) for _, ref in refs(config.get("input_layers"), f"{at}/config/input_layers"))
    gives = tuple(refs(config.get("output_layers"), f"{at}/config/output_layers"))
    _made(gives, {Ref(name, 0, 0) for name in inputs} | waiting.keys(), f"{at}/config/output_layers")
    for field, listed in (("input_layers", given), ("output_layers", gives)):
        if not 1 <= len(listed) <= MOST_ENDS:
            detail = f"A functional model names 1 to {MOST_ENDS} {field}; here are {len(listed)}."
            raise Invalid(detail, pointer=f"{at}/config/{field}")
    if len({each.name for each in given}) < len(given):
        detail = "An input is named twice."
        raise Invalid(detail, pointer=f"{at}/config/input_layers")
    return given, needed(steps, gives), gives


def _calls(spec: dict[str, Any], called: KerasLayer, at: str) -> Iterator[Step]:
    """Yield the calls of a layer."""
    nodes = spec.get("inbound_nodes")
    nodes = nodes if isinstance(nodes, list) else []
    for number, node in enumerate(nodes):
        call = bound(node, called, f"{at}/inbound_nodes/{number}")
        yield Step(called, call, number, len(nodes), at)


def _made(gives: Sequence[tuple[str, Ref]], found: Container[Ref], at: str) -> None:
    """Pass outputs that some layer makes."""
    for _, ref in gives:
        if Ref(ref.layer, ref.call, 0) not in found:
            detail = f"The output {ref.layer!r} is no layer's."
            raise Invalid(detail, pointer=at)


def _fresh(name: Any, names: set[str], at: str) -> str:  # noqa: ANN401  what the file holds
    """Return a name that no other layer has; Invalid otherwise."""
    if not isinstance(name, str) or not name or len(name) > 200 or name in names:  # noqa: PLR2004  a long name
        detail = f"Each layer has a name of its own (at most 200 letters); here it is {name!r:.80}."
        raise Invalid(detail, pointer=f"{at}/config/name")
    names.add(name)
    return name


def _taken(ref: Ref, inputs: Mapping[str, Input], at: str) -> Input:
    if ref.layer not in inputs:
        detail = f"The input {ref.layer!r} is no InputLayer."
        raise Invalid(detail, pointer=f"{at}/config/input_layers")
    return inputs[ref.layer]
