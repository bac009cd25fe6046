"""Regularizers: what they add to the loss."""

from typing import Any, Final, NamedTuple

from service.contract.problem import Invalid, UnsupportedModel

LARGEST: Final = 1e6
"""Largest factor of a penalty."""
_DEFAULT: Final = 0.01


class Regularizer(NamedTuple):
    """l1 · Σ|w| + l2 · Σw² + `rows` or `columns` · the mean |cosine| between pairs of these."""

    l1: float = 0.0
    l2: float = 0.0
    rows: float = 0.0
    columns: float = 0.0

    @property
    def of_matrices(self) -> bool:
        """Whether it is for matrices alone."""
        return bool(self.rows or self.columns)


def regularizer(spec: Any, at: str) -> Regularizer | None:  # noqa: ANN401  what the file holds
    """Return the penalty that `spec` names; None where there is none.  Invalid or UnsupportedModel otherwise."""
    if spec is None:
        return None
    name: Any = spec
    config: Any = {}
    if isinstance(spec, dict):
        name, config = spec.get("class_name"), spec.get("config") or {}
    if not isinstance(name, str) or not isinstance(config, dict):
        detail = f"A regularizer is a name or an object; it is {spec!r:.80}."
        raise Invalid(detail, pointer=at)
    kind = name.lower().replace("_", "")
    if kind == "orthogonalregularizer":
        return _orthogonal(config, at)
    if kind not in {"l1", "l2", "l1l2"}:
        detail = f"The regularizer {name!r:.80} is not Keras's own; L1, L2, L1L2 and OrthogonalRegularizer are."
        raise UnsupportedModel(detail, pointer=at)
    defaults = {key: _DEFAULT if kind == key or (kind == "l1l2" and not config) else 0.0 for key in ("l1", "l2")}
    return Regularizer(**{key: _number(config, key, default, at) for key, default in defaults.items()})


def _orthogonal(config: dict[str, Any], at: str) -> Regularizer:
    mode = config.get("mode", "rows")
    if mode not in {"rows", "columns"}:
        detail = f"mode is {mode!r:.80}; rows or columns is expected."
        raise Invalid(detail, pointer=f"{at}/config/mode")
    return Regularizer(**{mode: _number(config, "factor", _DEFAULT, at)})


def _number(config: dict[str, Any], key: str, default: float, at: str) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        detail = f"{key} is {value!r:.80}; a number from 0 to {LARGEST:g} is expected."
        raise Invalid(detail, pointer=f"{at}/config/{key}")
    return float(value)
