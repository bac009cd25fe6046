"""The laws that draw weights, as a file names them: a name, or an object with the law's own numbers."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from service.contract.architecture.base import Finite, Share
from service.contract.base import Contract
from service.contract.problem import Invalid

Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Mode: TypeAlias = Literal["fan_in", "fan_out", "fan_avg"]

_ALIASES: Final = {"glorot": "xavier", "kaiming": "he"}


def _by_other_names(laws: Iterable[str]) -> list[str]:
    """Return the aliases of those laws that have one."""
    known = {author: alias for alias, author in _ALIASES.items()}
    parts = (law.partition("_") for law in laws)
    return [f"{known[author]}_{form}" for author, _, form in parts if author in known]


def _with_aliases(schema: dict[str, Any]) -> None:
    named = schema["properties"]["law"]
    named["enum"] = [*named["enum"], *_by_other_names(named["enum"])]


class Scaled(Contract):
    """A law whose variance follows the fan: He's, Glorot's (Xavier's) or LeCun's, normal, truncated or uniform."""

    model_config = ConfigDict(json_schema_extra=_with_aliases)

    law: Literal[
        "he_normal",
        "he_truncated",
        "he_uniform",
        "xavier_normal",
        "xavier_truncated",
        "xavier_uniform",
        "lecun_normal",
        "lecun_truncated",
        "lecun_uniform",
    ]
    gain: Positive = 1.0
    """Multiplies the standard deviation; He's already holds the √2."""
    mode: Mode | None = None
    """The fan that divides the variance: fan_in unless said otherwise; Xavier's is fan_avg and no other."""

    @model_validator(mode="after")
    def _xavier(self) -> "Scaled":
        if self.law.startswith("xavier") and self.mode not in {None, "fan_avg"}:
            msg = f"{self.law} goes with fan_avg, not {self.mode}; lecun and he take any mode"
            raise ValueError(msg)
        return self

    @property
    def general(self) -> "VarianceScaling":
        """The same law in the general form."""
        author, _, form = self.law.partition("_")
        mode = self.mode or ("fan_avg" if author == "xavier" else "fan_in")
        return VarianceScaling(
            law="variance_scaling",
            scale=(2 if author == "he" else 1) * self.gain**2,
            mode=mode,
            distribution=_FORMS[form],
        )


class VarianceScaling(Contract):
    """Keras's general form: variance = `scale` / fan, after the cut where the law is truncated."""

    law: Literal["variance_scaling"]
    scale: Annotated[float, Field(gt=0, le=1e13, allow_inf_nan=False)] = 1.0
    mode: Mode = "fan_in"
    distribution: Literal["normal", "truncated_normal", "uniform"] = "truncated_normal"


class Along(VarianceScaling):
    """The general form with fans counted along axes of one's choice; Keras alone has it, in its own layout."""

    input_axes: tuple[int, ...]
    output_axes: tuple[int, ...]


_FORMS: Final[dict[str, Literal["normal", "truncated_normal", "uniform"]]] = {
    "normal": "normal",
    "truncated": "truncated_normal",
    "uniform": "uniform",
}


class Normal(Contract):
    """A normal law, cut at two standard deviations where it is truncated (`std` is before the cut)."""

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


class Orthogonal(Contract):
    """A (semi-)orthogonal matrix times `gain`; `delta_orthogonal` puts it in the middle of a convolution's window."""

    law: Literal["orthogonal", "delta_orthogonal"]
    gain: Positive = 1.0


class Identity(Contract):
    """`gain` on the diagonal; in the middle of a convolution's window."""

    law: Literal["identity"]
    gain: Finite = 1.0


class Sparse(Contract):
    """Normal, but for zeros in a share `sparsity` of each column of a matrix (Martens 2010)."""

    law: Literal["sparse"]
    sparsity: Share
    std: Positive = 0.01


class Plain(Contract):
    """A law without numbers; `torch_default`, `keras_default`: what PyTorch or Keras gives this kind of weight."""

    law: Literal["torch_default", "keras_default", "zeros", "ones"]


def _spelled(given: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever the caller sent
    law = {"law": given} if isinstance(given, str) else given
    if not isinstance(law, dict) or not isinstance(law.get("law"), str):
        return law
    stem, _, rest = law["law"].partition("_")
    return {**law, "law": f"{_ALIASES[stem]}_{rest}"} if stem in _ALIASES else law


AnyLaw: TypeAlias = Annotated[
    Scaled | VarianceScaling | Normal | Uniform | Constant | Orthogonal | Identity | Sparse | Plain,
    Field(discriminator="law"),
]


def _bare() -> list[str]:
    """Return the names of the laws that need no numbers, aliases included."""
    kinds = get_args(get_args(AnyLaw)[0])
    ready = [
        kind for kind in kinds if [key for key, each in kind.model_fields.items() if each.is_required()] == ["law"]
    ]
    names = [law for kind in ready for law in get_args(kind.model_fields["law"].annotation)]
    return [*names, *_by_other_names(names)]


_BareLaw = Annotated[str, WithJsonSchema({"type": "string", "enum": _bare()})]
LawSpec: TypeAlias = Annotated[AnyLaw, BeforeValidator(_spelled, json_schema_input_type=_BareLaw | AnyLaw)]
"""A law, or its bare name; `glorot_…` is `xavier_…`, `kaiming_…` is `he_…`."""

TORCH_DEFAULT: Final = Plain(law="torch_default")
KERAS_DEFAULT: Final = Plain(law="keras_default")
ZEROS: Final = Plain(law="zeros")

MATRICES: Final = {"orthogonal", "delta_orthogonal", "identity", "sparse"}
"""Laws of weights with two axes or more."""
_MATRIX: Final = 2


def unfit(law: str, shape: Sequence[int]) -> str | None:
    """Return why a law cannot draw a weight of this shape; None where it can.

    A convolution's kernel is (out, in, window…).
    """
    if law in MATRICES and len(shape) < _MATRIX:
        return f"{law} draws weights with two axes or more; this one is {list(shape)}."
    if law == "sparse" and len(shape) != _MATRIX:
        return f"sparse draws matrices; this weight is {list(shape)}."
    if law == "delta_orthogonal" and (len(shape) == _MATRIX or shape[0] < shape[1]):
        return (
            "delta_orthogonal draws convolution kernels (out, in, window…) with no fewer outputs than inputs; "
            f"this weight is {list(shape)}."
        )
    return None


class Init(Contract):
    """The laws of one layer's weights.

    Where no law is named, each weight is drawn as PyTorch draws it.  Where the kernel has another law, an unnamed bias
    is zero; `keras_default` is the kernel's and the recurrent kernel's.
    """

    kernel: LawSpec = TORCH_DEFAULT
    bias: LawSpec | None = None
    recurrent: LawSpec | None = None
    """The kernel from step to step, of recurrent layers only."""

    @model_validator(mode="after")
    def _fitting(self) -> "Init":
        if self.bias is not None and self.bias.law in MATRICES:
            msg = f"{self.bias.law} draws matrices, and a bias is a vector"
            raise ValueError(msg)
        if self.recurrent is not None and self.recurrent.law == "delta_orthogonal":
            msg = "delta_orthogonal draws convolution kernels, and a recurrent kernel is a matrix"
            raise ValueError(msg)
        return self

    def suits(self, kernel: Sequence[int], at: str) -> None:
        """Pass a kernel's shape (a convolution's is (out, in, window…)) that the law can draw; Invalid otherwise."""
        if detail := unfit(self.kernel.law, kernel):
            raise Invalid(detail, pointer=f"{at}/init/kernel")

    @property
    def bias_law(self) -> AnyLaw:
        """The bias's law."""
        if self.bias is not None:
            return self.bias
        return self.kernel if self.kernel == TORCH_DEFAULT else ZEROS

    @property
    def recurrent_law(self) -> AnyLaw:
        """The recurrent kernel's law."""
        if self.recurrent is not None:
            return self.recurrent
        return KERAS_DEFAULT if self.kernel == KERAS_DEFAULT else TORCH_DEFAULT


def _whole(given: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever the caller sent
    return {"kernel": given} if isinstance(given, str) or (isinstance(given, dict) and "law" in given) else given


InitSpec: TypeAlias = Annotated[Init, BeforeValidator(_whole, json_schema_input_type=_BareLaw | AnyLaw | Init)]
"""The laws of a layer's weights; a bare law is the kernel's."""
