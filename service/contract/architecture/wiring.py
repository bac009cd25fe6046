"""Lists of layers as steps: a chain, where each reads the one before, or nodes, which name what they read."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from service.contract.architecture.base import SEQUENCE, LayerBase, Signal
from service.contract.problem import Invalid

if TYPE_CHECKING:
    from service.contract.architecture.container import Layer


class Step(NamedTuple):
    """One layer at its place."""

    layer: "Layer"
    """The layer; of one that is shared, the layer that it shares."""
    reads: tuple[str, ...]
    """Names of the values that reach it."""
    given: tuple[Signal, ...]
    after: Signal
    at: str
    """Its JSON pointer."""
    owner: str | None = None
    """Of a layer that shares another's weights: the other's name."""

    @property
    def weights(self) -> int:
        """How many trained numbers the step adds to the network."""
        return 0 if self.owner else self.layer.held(self.given)


def walked(layers: "tuple[Layer, ...]", signal: Signal, at: str) -> Iterator[Step]:
    """Yield the steps of the chain whose list stands at `at`; Invalid where one does not fit what reaches it."""
    previous = ""
    for index, layer in enumerate(layers):
        pointer = f"{at}/{index}"
        after = layer.after((signal,), pointer)
        yield Step(layer, (previous,), (signal,), after, pointer)
        signal, previous = after, pointer


def chained(layers: "tuple[Layer, ...]", signal: Signal, at: str) -> Signal:
    """Return what comes out of a chain."""
    for step in walked(layers, signal, at):
        signal = step.after
    return signal


def wired(nodes: "tuple[Layer, ...]", given: Mapping[str, Signal], at: str) -> Iterator[Step]:
    """Yield the steps of a graph whose nodes stand at `at` and read `given` and each other."""
    known, first = dict(given), next(iter(given)) if len(given) == 1 else None
    steps: dict[str, Step] = {}
    for index, node in enumerate(nodes):
        step = _wired(node, known, steps, first, f"{at}/{index}")
        yield step
        first = node.name or ""
        known[first], steps[first] = step.after, step


def _wired(node: "Layer", known: Mapping[str, Signal], steps: Mapping[str, Step], before: str | None, at: str) -> Step:
    reads = node.inputs or ((before,) if before else ())
    if not reads:
        detail = "The first node names what it reads, as there are several inputs."
        raise Invalid(detail, pointer=f"{at}/inputs")
    for index, name in enumerate(reads):
        if name not in known:
            detail = f"There is no {name!r} before this node; there are {_listed(known)}."
            raise Invalid(detail, pointer=f"{at}/inputs/{index}" if node.inputs else at)
    signals = tuple(known[name] for name in reads)
    if node.kind == "shared":
        return _shared(node.layer, reads, signals, steps, at)
    return Step(node, reads, signals, node.after(signals, at), at)


def _shared(owner: str, reads: tuple[str, ...], given: tuple[Signal, ...], steps: Mapping[str, Step], at: str) -> Step:
    """Return the step that applies another node's layer, with that node's weights, to other values."""
    if owner not in steps:
        detail = f"There is no node {owner!r} before this one whose layer could be shared."
        raise Invalid(detail, pointer=f"{at}/layer")
    first = steps[owner]
    if [_kin(signal) for signal in given] != [_kin(signal) for signal in first.given]:
        shapes = ", ".join(str(list(signal.shape)) for signal in given)
        wanted = ", ".join(str(list(signal.shape)) for signal in first.given)
        detail = f"The layer {owner!r} was made for {wanted}; {shapes} reaches it here."
        raise Invalid(detail, pointer=at)
    return Step(first.layer, reads, given, first.layer.after(given, at), at, first.owner or owner)


def _kin(signal: Signal) -> tuple[object, ...]:
    """Return what two signals must have in common to share a layer: all but the length of a sequence."""
    sizes = signal.shape[1:] if len(signal.shape) == SEQUENCE else signal.shape
    return (signal.dtype, len(signal.shape), *sizes)


def _listed(known: Mapping[str, Signal]) -> str:
    names = [repr(name) for name in known]
    return ", ".join(names if len(names) <= 8 else [*names[:3], "…", *names[-4:]])  # noqa: PLR2004  a line's worth


def named(layers: "tuple[LayerBase, ...]", at: str, *, required: bool) -> None:
    """Pass layers whose names differ; Invalid otherwise."""
    seen: set[str] = set()
    for index, layer in enumerate(layers):
        if layer.name is None and required:
            detail = "A node needs a name, by which others read it."
            raise Invalid(detail, pointer=f"{at}/{index}/name")
        if layer.name is not None and layer.name in seen:
            detail = f"Two layers are named {layer.name!r}; siblings have names of their own."
            raise Invalid(detail, pointer=f"{at}/{index}/name")
        if layer.inputs is not None and not required:
            detail = "A layer of a chain reads the one before it; `inputs` belong to `nodes`."
            raise Invalid(detail, pointer=f"{at}/{index}/inputs")
        seen.add(layer.name or "")
