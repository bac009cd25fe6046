"""Regularizers: what they add to the loss."""

from typing import Any, Final, NamedTuple

from service.contract.problem import Invalid, UnsupportedModel

_DEFAULT: Final = 0.01


class Regularizer(NamedTuple):
    """l1 · Σ|w| + l2 · Σw²."""

    l1: float = 0.0
    l2: float = 0.0


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
    kind = name.lower()
    if kind not in {"l1", "l2", "l1l2", "l1_l2"}:
        detail = f"The regularizer {name!r:.80} is not examined; L1, L2 and L1L2 are."
        raise UnsupportedModel(detail, pointer=at)
    found = {}
    for key in ("l1", "l2"):
        value = config.get(key, _DEFAULT if kind == key or (kind in {"l1l2", "l1_l2"} and not config) else 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:  # noqa: PLR2004
            detail = f"{key} is {value!r:.80}; a number from 0 to 1e6 is expected."
            raise Invalid(detail, pointer=f"{at}/config/{key}")
        found[key] = float(value)
    return Regularizer(**found)
