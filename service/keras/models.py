"""Sequential and Functional models: layers by name, and the calls that join them, in an order of computation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from service.contract.problem import Invalid, TooComplex, UnsupportedModel
from service.keras.base import Call, Form, Held, KerasLayer, Leaf, Ref, Shape, bounded
from service.keras.history import bound, refs
from service.keras.making import custom, made, named, registered, unsupported

MODELS: Final = frozenset({"Sequential", "Functional", "Model"})
DEEPEST: Final = 16
MOST_CALLS: Final = 5000
_TYPES: Final = {
    "int32": "int64",
    "int64": "int64",
    "int16": "int64",
    "int8": "int64",
    "uint8": "int64",
    "bool": "bool",
}


@dataclass(frozen=True)
class Input:
    """An input of a model."""

    name: str
    form: Form
    at: str


@dataclass(frozen=True)
class Step:
    """One call of one layer."""

    layer: KerasLayer
    kind: str
    """The layer's key in the registry: the class that the file names, or `ops.Add`."""
    call: Call[Ref]
    index: int
    """Which call of the layer this is, from 0."""
    calls: int
    """How often the layer is called."""
    at: str
    """The layer's JSON pointer."""

    def ref(self, output: int = 0) -> Ref:
        """Return what the file calls one of the step's outputs."""
        return Ref(self.layer.name, self.index, output)


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

    def weights(self, call: Call[Any]) -> int:
        """Return the weights of every layer, each counted once."""
        forms = self.forms(call, "")
        return sum(
            step.layer.weights(step.call.mapped(forms.__getitem__, Form)) for step in self.steps if not step.index
        )

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
    return made(spec, at, lambda each, where: Held(layer(each, where, depth + 1), registered(each)))


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
    return Model(name=name, trainable=config.get("trainable", True) is not False, given=given, steps=steps, gives=gives)


Parts = tuple[tuple[Input, ...], tuple[Step, ...], tuple[tuple[str, Ref], ...]]


def _sequential(spec: dict[str, Any], config: dict[str, Any], at: str, depth: int) -> Parts:
    listed = [(each, f"{at}/config/layers/{index}") for index, each in enumerate(config["layers"])]
    given: Input | None = None
    if listed and named(*listed[0])[0] == "InputLayer":
        given = _input(*listed.pop(0))
    given = given or _implied(spec, config, listed, at)
    previous, steps, names = Ref(given.name, 0, 0), [], {given.name}
    for each, where in listed:
        made_layer = layer(each, where, depth + 1)
        _fresh(made_layer.name, names, where)
        step = Step(made_layer, registered(each), Call({made_layer.parameters[0]: previous}, Ref), 0, 1, where)
        steps.append(step)
        previous = step.ref()
    return (given,), tuple(steps), ((previous.layer, previous),)


def _implied(spec: dict[str, Any], config: dict[str, Any], listed: list[tuple[Any, str]], at: str) -> Input:
    """Return the input of a Sequential whose first layer, or whose build, says the shape."""
    first = named(*listed[0])[1] if listed else {}
    build = spec.get("build_config")
    for shape in (
        first.get("batch_input_shape"), first.get("batch_shape"), config.get("build_input_shape"),
        build.get("input_shape") if isinstance(build, dict) else None,
        (spec.get("build_config") or {}).get("shapes_dict", {}).get("input_shape") if isinstance(build, dict) else None,
    ):  # fmt: skip
        if isinstance(shape, list):
            stem = first.get("name") if isinstance(first.get("name"), str) else "input"
            return Input(f"{stem}_input" if stem != "input" else stem, _form(shape, "float32", at), at)
    detail = "The Sequential has no input shape: start it with an Input, or build it before to_json()."
    raise Invalid(detail, pointer=f"{at}/config/layers")


def _input(spec: dict[str, Any], at: str) -> Input:
    _, config = named(spec, at)
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if not isinstance(shape, list):
        detail = "An InputLayer has a `batch_shape` (in tf.keras 2: `batch_input_shape`), a list of sizes."
        raise Invalid(detail, pointer=f"{at}/config")
    dtype = config.get("dtype")
    dtype = dtype if isinstance(dtype, str) else "float32"
    if dtype == "string":
        detail = "The input holds text; examine the model behind its vectorization, with tokens as input."
        raise UnsupportedModel(detail, pointer=f"{at}/config/dtype")
    name = config.get("name") or spec.get("name")
    return Input(name if isinstance(name, str) and name else "input", _form(shape, dtype, f"{at}/config"), at)


def _form(shape: list[Any], dtype: str, at: str) -> Form:
    sizes = shape[1:]
    for size in sizes:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 10**7):
            detail = f"A size is {size!r:.80}; it must be a whole number from 1 to 10,000,000, or null."
            raise Invalid(detail, pointer=at)
    if len(sizes) > 6:  # noqa: PLR2004  images over time have four
        detail = f"The input has {len(sizes)} axes; the limit is 6."
        raise TooComplex(detail, pointer=at)
    return Form(bounded(tuple(sizes), at), dtype=_TYPES.get(dtype, "float32"))  # type: ignore[arg-type]


def _functional(spec: dict[str, Any], config: dict[str, Any], at: str, depth: int) -> Parts:
    inputs: dict[str, Input] = {}
    waiting: dict[Ref, Step] = {}
    names: set[str] = set()
    for index, each in enumerate(config["layers"]):
        where = f"{at}/config/layers/{index}"
        kind, own = named(each, where)
        name = _fresh(each.get("name") or own.get("name"), names, where)
        if kind == "InputLayer":
            inputs[name] = _input({**each, "config": {**own, "name": name}}, where)
            continue
        made_layer = layer({**each, "config": {**own, "name": name}}, where, depth + 1)
        calls = each.get("inbound_nodes")
        calls = calls if isinstance(calls, list) else []
        for number, node in enumerate(calls):
            call = bound(node, made_layer, f"{where}/inbound_nodes/{number}")
            step = Step(made_layer, registered(each), call, number, len(calls), where)
            waiting[step.ref()] = step
            if len(waiting) > MOST_CALLS:
                detail = f"The layers are called more than {MOST_CALLS} times."
                raise TooComplex(detail, pointer=where)
    steps = tuple(_ordered(waiting, inputs))
    given = tuple(_taken(ref, inputs, at) for _, ref in refs(config.get("input_layers"), f"{at}/config/input_layers"))
    gives = tuple(refs(config.get("output_layers"), f"{at}/config/output_layers"))
    made_refs = {Ref(name, 0, 0) for name in inputs} | {step.ref() for step in steps}
    for _, ref in gives:
        if Ref(ref.layer, ref.call, 0) not in made_refs:
            detail = f"The output {ref.layer!r} is no layer's."
            raise Invalid(detail, pointer=f"{at}/config/output_layers")
    if not given or not gives:
        detail = "A functional model names its input_layers and output_layers."
        raise Invalid(detail, pointer=f"{at}/config")
    return given, _needed(steps, gives), gives


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


def _ordered(waiting: Mapping[Ref, Step], inputs: Mapping[str, Input]) -> Iterator[Step]:
    """Yield the steps so that each comes behind those that it reads; Invalid where there is no such order."""
    readers: dict[Ref, list[Ref]] = {}
    missing: dict[Ref, int] = {}
    for key, step in waiting.items():
        reads = {Ref(ref.layer, ref.call, 0) for ref in step.call.leaves if ref.layer not in inputs}
        for ref in reads:
            if ref not in waiting:
                detail = f"{step.layer.name!r} reads call {ref.call} of {ref.layer!r}, which is not in the model."
                raise Invalid(detail, pointer=f"{step.at}/inbound_nodes/{step.index}")
            readers.setdefault(ref, []).append(key)
        missing[key] = len(reads)
    ready = [key for key, count in missing.items() if not count][::-1]
    done = 0
    while ready:
        key = ready.pop()
        done += 1
        yield waiting[key]
        for reader in readers.get(key, ()):
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if done < len(waiting):
        stuck = next(waiting[key] for key, count in missing.items() if count)
        detail = f"{stuck.layer.name!r} and others read each other in a circle."
        raise Invalid(detail, pointer=f"{stuck.at}/inbound_nodes/{stuck.index}")


def _needed(steps: tuple[Step, ...], gives: tuple[tuple[str, Ref], ...]) -> tuple[Step, ...]:
    """Return the steps that an output depends on."""
    wanted = {Ref(ref.layer, ref.call, 0) for _, ref in gives}
    kept = []
    for step in reversed(steps):
        if step.ref() in wanted:
            kept.append(step)
            wanted |= {Ref(ref.layer, ref.call, 0) for ref in step.call.leaves}
    return tuple(reversed(kept))
