"""What every Keras layer shares: a config that is checked, shapes, and the arguments that it is called with.

Shapes are Keras's own, without the batch axis, channels last unless the config says otherwise; a size that only the
batch knows is None.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import ConfigDict, PlainValidator, ValidationInfo

from service.contract.architecture.base import MOST_NUMBERS
from service.contract.base import Contract
from service.contract.problem import Invalid, TooComplex

Shape: TypeAlias = tuple[int | None, ...]
Spec: TypeAlias = str | dict[str, Any] | None
"""An initializer, a regularizer, a constraint or an activation, as a config holds it."""


@dataclass(frozen=True)
class Form:
    """What one sample of a tensor looks like."""

    shape: Shape
    dtype: Literal["float32", "int64", "bool"] = field(default="float32", kw_only=True)


@dataclass(frozen=True)
class Ref:
    """A tensor of the file: which output of which call of which layer (`keras_history`)."""

    layer: str
    call: int
    output: int


Leaf = TypeVar("Leaf")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Call(Generic[Leaf]):
    """The arguments of one call by name: tensors (as leaves), lists and dicts of them, and plain values."""

    arguments: Mapping[str, Any]
    kind: type[Leaf]
    """What a leaf is: Ref in the file, Form while shapes are inferred, a worker's signal while it is lowered."""

    @property
    def one(self) -> Leaf:
        """The only tensor, or the first."""
        return self.leaves[0]

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """All tensors, in order."""
        return tuple(_leaves(self.arguments, self.kind))

    def get(self, name: str) -> Any:  # noqa: ANN401  a tensor, a list of tensors, or a plain value
        """Return an argument; None where it was not given."""
        return self.arguments.get(name)

    def of(self, name: str) -> tuple[Leaf, ...]:
        """Return the tensors of one argument."""
        return tuple(_leaves(self.arguments.get(name), self.kind))

    def mapped(self, change: Callable[[Leaf], Other], kind: type[Other]) -> "Call[Other]":
        """Return the call with other leaves."""
        return Call(_mapped(self.arguments, self.kind, change), kind)


def _leaves(value: Any, kind: type[Leaf]) -> Iterator[Leaf]:  # noqa: ANN401  what a call can be given
    if isinstance(value, kind):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each, kind)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each, kind)


def _mapped(value: Any, kind: type[Leaf], change: Callable[[Leaf], Other]) -> Any:  # noqa: ANN401  as above
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _mapped(each, kind, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(each, kind, change) for each in value]
    return value


class KerasLayer(Contract):
    """A layer's config, with Keras's own defaults; unknown fields are refused by `making.made`, not here."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, arbitrary_types_allowed=True)

    parameters: ClassVar[tuple[str, ...]] = ("inputs",)
    """Names of what the layer is called with, in order."""
    masking: ClassVar[Literal["passes", "stops"]] = "stops"
    """What becomes of a mask behind the layer (`supports_masking`), unless its lowering says so itself."""
    unmasks: ClassVar[tuple[str, ...]] = ()
    """Names of arguments whose tensors lose their masks for every layer that reads them later."""
    constants: ClassVar[frozenset[str] | None] = frozenset()
    """Names of arguments that may be numbers of the file in place of a tensor; None for all."""
    ignored: ClassVar[frozenset[str]] = frozenset()
    """Fields that change nothing that is examined."""

    name: str
    kind: str = ""
    """The layer's key in the registry: the class that the file names, or `ops.Add`."""
    trainable: bool = True

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes of what the layer gives; Invalid, pointing at `at` or below, where it cannot."""
        return (self.output(call.one.shape, at),)

    def output(self, shape: Shape, at: str) -> Shape:  # noqa: ARG002  for layers that look at it
        """Return the shape after a layer of one input."""
        return shape

    def held(self, call: Call[Any]) -> int:
        """Return how many numbers the layer's trained weights hold (`count_params` without what is never trained)."""
        return self.weights(call.one.shape)

    def weights(self, shape: Shape) -> int:  # noqa: ARG002  for layers that look at it
        """Return how many trained numbers a layer of one input holds."""
        return 0

    def inner(self) -> Iterator[tuple[str, "KerasLayer"]]:
        """Yield the layers inside this one, each with its place in the config such as `/config/layer`."""
        yield from ()

    def notes(self) -> Iterator[str]:
        """Yield sentences on what the examination leaves out of this layer."""
        yield from ()


@dataclass(frozen=True)
class Reading:
    """What a config is validated in: where the layer stands, and how layers inside it are read."""

    at: str
    read: Callable[[Any, str], KerasLayer]


def _held(spec: Any, info: ValidationInfo) -> KerasLayer:  # noqa: ANN401  what the file holds
    reading = cast("Reading", info.context)
    return reading.read(spec, f"{reading.at}/config/{info.field_name}")


def _all_held(specs: Any, info: ValidationInfo) -> tuple[KerasLayer, ...]:  # noqa: ANN401  what the file holds
    reading = cast("Reading", info.context)
    at = f"{reading.at}/config/{info.field_name}"
    if not isinstance(specs, list) or not 1 <= len(specs) <= MOST_HELD:
        detail = f"A list of 1 to {MOST_HELD} layers is expected."
        raise Invalid(detail, pointer=at)
    return tuple(reading.read(each, f"{at}/{index}") for index, each in enumerate(specs))


MOST_HELD: Final = 64
"""Most layers in one field of another's config."""
Inner = Annotated[KerasLayer, PlainValidator(_held)]
"""A field that holds a layer."""
Inners = Annotated[tuple[KerasLayer, ...], PlainValidator(_all_held)]
"""A field that holds a list of layers."""


def known(size: int | None, at: str, what: str) -> int:
    """Return a size that must be known; Invalid otherwise."""
    if size is None:
        detail = f"The {what} must be known; the file leaves it open (null)."
        raise Invalid(detail, pointer=at)
    return size


def ranked(shape: Shape, at: str, *ranks: int) -> None:
    """Pass a shape with one of these numbers of axes, the batch's included; Invalid otherwise."""
    if len(shape) + 1 not in ranks:
        wanted = " or ".join(map(str, ranks))
        detail = f"The layer takes {wanted} axes, the batch's included; what reaches it has the shape {shown(shape)}."
        raise Invalid(detail, pointer=at)


def bounded(shape: Shape, at: str) -> Shape:
    """Return `shape` if one sample of it is not over the limit; TooComplex otherwise."""
    numbers = prod(size for size in shape if size is not None)
    if numbers > MOST_NUMBERS:
        detail = f"One sample takes {numbers} numbers here (shape {shown(shape)}); the limit is {MOST_NUMBERS}."
        raise TooComplex(detail, pointer=at)
    return shape


def shown(shape: Sequence[int | None]) -> str:
    """Return a shape as Keras prints it."""
    return f"({', '.join(['None', *(str(size) for size in shape)])})"
