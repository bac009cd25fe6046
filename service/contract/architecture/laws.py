"""The laws that draw weights, as a file names them: a name, or an object with the law's own numbers."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from service.contract.architecture.base import Finite
from service.contract.base import Contract

Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class Scaled(Contract):
    """A law whose variance follows the fan: He's, Glorot's (Xavier's) or LeCun's, normal or uniform."""

    law: Literal["he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "lecun_normal", "lecun_uniform"]
    gain: Positive = 1.0
    """Multiplies the standard deviation; He's already holds the √2."""


class VarianceScaling(Contract):
    """Keras's general form: variance = `scale` / fan."""

    law: Literal["variance_scaling"]
    scale: Positive = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["normal", "truncated_normal", "uniform"] = "truncated_normal"


class Normal(Contract):
    """A normal law, cut at two standard deviations where it is truncated."""

    law: Literal["normal", "truncated_normal"]
    mean: Finite = 0.0
    std: Positive = 0.05


class Uniform(Contract):
    """Uniform between `low` and `high`."""

    law: Literal["uniform"]
    low: Finite = -0.05
    high: Finite = 0.05

    @model_validator(mode="after")
    def _ordered(self) -> "Uniform":
        if self.low >= self.high:
            msg = f"low is {self.low} and high is {self.high}; low must be the smaller"
            raise ValueError(msg)
        return self


class Constant(Contract):
    """Every weight the same."""

    law: Literal["constant"]
    value: Finite


class Gained(Contract):
    """A (semi-)orthogonal matrix, or the identity, times `gain`."""

    law: Literal["orthogonal", "identity"]
    gain: Positive = 1.0


class Plain(Contract):
    """A law without numbers; `torch_default` is what PyTorch gives this kind of layer."""

    law: Literal["torch_default", "zeros", "ones"]


_ALIASES = {"glorot": "xavier", "kaiming": "he"}


def _spelled(given: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever the caller sent
    law = {"law": given} if isinstance(given, str) else given
    if not isinstance(law, dict) or not isinstance(law.get("law"), str):
        return law
    stem, _, rest = law["law"].partition("_")
    return {**law, "law": f"{_ALIASES[stem]}_{rest}"} if stem in _ALIASES else law


AnyLaw: TypeAlias = Annotated[
    Scaled | VarianceScaling | Normal | Uniform | Constant | Gained | Plain,
    Field(discriminator="law"),
]
LawSpec: TypeAlias = Annotated[
    AnyLaw,
    BeforeValidator(_spelled, json_schema_input_type=str | AnyLaw),
]
"""A law, or its bare name; `glorot_…` is `xavier_…`, `kaiming_…` is `he_…`."""


class Init(Contract):
    """The laws of one layer's weights.

    Where no law is named, each weight is drawn as PyTorch draws it.  Where the kernel has another law, an unnamed bias
    is zero.
    """

    kernel: LawSpec = Plain(law="torch_default")
    bias: LawSpec | None = None
    recurrent: LawSpec | None = None
    """The kernel from step to step, of recurrent layers only."""

    @property
    def bias_law(self) -> AnyLaw:
        """The bias's law."""
        if self.bias is not None:
            return self.bias
        return self.kernel if self.kernel == TORCH_DEFAULT else Plain(law="zeros")


TORCH_DEFAULT = Plain(law="torch_default")


def _whole(given: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever the caller sent
    return {"kernel": given} if isinstance(given, str) or (isinstance(given, dict) and "law" in given) else given


InitSpec: TypeAlias = Annotated[Init, BeforeValidator(_whole, json_schema_input_type=str | AnyLaw | Init)]
"""The laws of a layer's weights; a bare law is the kernel's."""
