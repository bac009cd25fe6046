"""The laws of a file's `init` as laws that draw."""

from collections.abc import Callable

from service.contract.architecture.laws import (
    AnyLaw,
    Constant,
    Gained,
    Normal,
    Plain,
    Scaled,
    Uniform,
    VarianceScaling,
)
from worker.network import laws
from worker.network.graph import Law
from worker.network.laws import Fans, Shape


def law_of(spec: AnyLaw, shape: Shape, fan: Fans, default: Law) -> Law:  # noqa: PLR0911  one return per law
    """Return the law that `spec` names for a weight of this shape and these fans; `default` is PyTorch's own."""
    match spec:
        case Scaled():
            return laws.SCALED[spec.law](shape, fan, spec.gain)
        case VarianceScaling():
            return laws.scaled(shape, spec.scale / _MODES[spec.mode](fan), spec.distribution)
        case Normal():
            return laws.Normal(shape, spec.std, spec.mean, truncated=spec.law == "truncated_normal")
        case Uniform():
            return laws.Uniform(shape, spec.low, spec.high)
        case Constant():
            return laws.Constant(shape, spec.value)
        case Gained():
            kind = laws.Orthogonal if spec.law == "orthogonal" else laws.Identity
            return kind(shape, spec.gain)
        case Plain():
            return default if spec.law == "torch_default" else laws.Constant(shape, float(spec.law == "ones"))


_MODES: dict[str, Callable[[Fans], float]] = {
    "fan_in": lambda fan: fan.into,
    "fan_out": lambda fan: fan.out,
    "fan_avg": lambda fan: (fan.into + fan.out) / 2,
}
