"""The transformer's layers, put together from others."""

from collections.abc import Sequence
from typing import Final

from pydantic import TypeAdapter

from service.contract.architecture import Layer, Shape, Signal
from service.contract.architecture.heads import Heads, Turning
from service.contract.architecture.transformer import GATED, Branches, TransformerBlock, TransformerDecoder
from worker.load.builder import Builder
from worker.load.lowering import joining, lower_layer, lowering, lowerings

ANY: Final[TypeAdapter[Layer]] = TypeAdapter(Layer)


@lowering("transformer_block", "transformer_encoder")
def transformer_block(layer: TransformerBlock, build: Builder, value: str, shape: Shape) -> str:
    """Two residual branches, `attention` and `feed_forward`, with their norms."""
    return _fed(layer, build, _self_attended(layer, build, value, shape), shape)


@joining("transformer_decoder")
def transformer_decoder(
    layer: TransformerDecoder, build: Builder, values: Sequence[str], signals: Sequence[Signal]
) -> str:
    """Three residual branches, `attention`, `memory` and `feed_forward`, with their norms."""
    (value, memory), (target, _) = values, signals
    value = _self_attended(layer, build, value, target.shape)
    inner = build.inner("memory")
    asked = _before(layer, inner, value, target.shape)
    cross = _layer("cross_attention", **_heads(layer, Heads))
    answer = lowerings[cross.kind](cross, inner.inner("cross"), (asked, memory), signals)
    return _fed(layer, build, _after(layer, inner, value, answer, target.shape), target.shape)


def _self_attended(layer: Branches, build: Builder, value: str, shape: Shape) -> str:
    inner = build.inner("attention")
    attention = _layer("self_attention", **_heads(layer, Turning))
    given = _before(layer, inner, value, shape)
    return _after(layer, inner, value, lower_layer(attention, inner.inner("self"), given, shape), shape)


def _fed(layer: Branches, build: Builder, value: str, shape: Shape) -> str:
    """Put down the feed-forward branch: a wide kernel, perhaps a gate's beside it, and a narrow one."""
    inner, hidden = build.inner("feed_forward"), layer.inner(shape[-1])
    given, wider = _before(layer, inner, value, shape), (*shape[:-1], hidden)
    wide = _layer("dense", units=hidden, bias=layer.bias, init=layer.init)
    narrow = _layer("dense", units=shape[-1], bias=layer.bias, init=layer.branch_init or layer.init)
    branch = lower_layer(wide, inner.inner("wide"), given, shape)
    if layer.activation in GATED:
        gate = lower_layer(wide, inner.inner("gate"), given, shape)
        gate = lower_layer(_activation(GATED[layer.activation]), inner.inner("activation"), gate, wider)
        branch = inner.node("Mul", gate, branch, role="gated")
    else:
        branch = lower_layer(_activation(layer.activation), inner.inner("activation"), branch, wider)
    branch = _dropped(layer.activation_dropout, inner.inner("activation_dropout"), branch, wider)
    return _after(layer, inner, value, lower_layer(narrow, inner.inner("narrow"), branch, wider), shape)


def _before(layer: Branches, inner: Builder, value: str, shape: Shape) -> str:
    """Return what a branch reads."""
    return lower_layer(_norm(layer), inner.inner("norm"), value, shape) if layer.norm == "pre" else value


def _after(layer: Branches, inner: Builder, value: str, branch: str, shape: Shape) -> str:
    """Add what a branch made."""
    total = inner.node("Add", value, _dropped(layer.dropout, inner.inner("dropout"), branch, shape))
    return lower_layer(_norm(layer), inner.inner("norm"), total, shape) if layer.norm == "post" else total


def _dropped(rate: float, build: Builder, value: str, shape: Shape) -> str:
    return lower_layer(_layer("dropout", rate=rate), build, value, shape) if rate else value


def _norm(layer: Branches) -> Layer:
    return _layer(layer.norm_kind, epsilon=layer.norm_epsilon)


def _activation(kind: str) -> Layer:
    if kind.startswith("gelu"):
        return _layer("gelu", approximate="tanh" if kind == "gelu_tanh" else "none")
    return _layer(kind)


def _heads(layer: Branches, kind: type[Heads]) -> dict[str, object]:
    """Return the fields that an attention of this kind takes from the layer around it."""
    given: dict[str, object] = {
        field: getattr(layer, field) for field in kind.model_fields if field not in {"name", "inputs"}
    }
    return {**given, "output_init": layer.output_init or layer.branch_init}


def _layer(kind: str, **fields: object) -> Layer:
    return ANY.validate_python({"kind": kind, **fields})
