"""The laws of a layer's weights, as the fields of the project's own format that state them.

A layer made of several kernels has a field for each beside the one for all: `output_init` stands above `branch_init`,
and that above `init`.  A field is written only where what it falls back to says something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from worker.network.gate_biases import KEEPING
from worker.network.graph import Parameter
from worker.network.laws import Constant, Shifted, Stacked
from worker.patch.edits import Edit, Put
from worker.patch.own.fans import fans_of
from worker.patch.own.stating import KINDS
from worker.patch.places import NoWay, Steps
from worker.patch.recipe import Absolute, Drawn, Fixed, Gained, Recipe, Scaling, recipe
from worker.patch.same_law import simple
from worker.patch.survey import Crowded, Survey, Times, Uneven

_FIELDS: Final = {
    "query": ("query_init", "init"),
    "key": ("key_init", "init"),
    "value": ("value_init", "init"),
    "output": ("output_init", "branch_init", "init"),
    "narrow": ("branch_init", "init"),
}
_WEIGHTS: Final[tuple[str, ...]] = ("kernel", "bias", "recurrent")
_DEFAULT: Final = "torch_default"
_RAISED: Final = {"lstm": "forget_bias", "gru": "update_bias"}
"""The field that raises the biases of the gate that keeps the state."""
_NAMED: Final = {
    (2.0, "normal"): "he_normal",
    (1.0, "normal"): "lecun_normal",
    (2.0, "uniform"): "he_uniform",
    (1.0, "uniform"): "lecun_uniform",
}

By: TypeAlias = Mapping[Times, Sequence[Drawn]]


def redrawn(layer: dict[str, Any], steps: Steps, survey: Survey) -> Iterator[Edit]:
    """Yield the edits that state the laws of a layer's weights; NoWay where the format cannot."""
    changed = {survey.atlas.roles[name] for name in survey.redrawn_at(steps)}
    if layer["kind"] in _RAISED and any(role.endswith("bias") for role in changed):
        yield Put((*steps, _RAISED[layer["kind"]]), _raised(survey, steps, *KEEPING[layer["kind"].upper()]))
        changed = {role for role in changed if not role.endswith("bias")}
    other = {_weight(role) for role in changed} - {*_WEIGHTS}
    if unsaid := [name for name in sorted(other) if f"{name}_init" not in KINDS[layer["kind"]].model_fields]:
        message = f"The layer {layer['kind']} cannot say how its {', '.join(unsaid)} is drawn."
        raise Crowded(message, steps)
    if changed:
        yield from _Weights(layer, steps, changed, survey.drawn(steps, fans_of(survey).get)).edits()


@dataclass(frozen=True)
class _Weights:
    """The weights of one layer, by role, and how they are to be drawn."""

    layer: dict[str, Any]
    steps: Steps
    changed: set[str]
    """The roles whose law is another one."""
    found: Mapping[str, By]

    @property
    def chains(self) -> dict[str, tuple[str, ...]]:
        """The fields that may state each weight's law, the one that stands above the others first."""
        return {role: _chain(self.layer, role) for role in self.found if _weight(role) in _WEIGHTS}

    def edits(self) -> Iterator[Edit]:
        """Yield the fields that state the laws: those of one weight by itself, and those of a kernel and its bias."""
        for name in sorted({_weight(role) for role in self.changed} - {*_WEIGHTS}):
            yield Put((*self.steps, f"{name}_init"), self._one([role for role in self.found if _weight(role) == name]))
        if any(_weight(role) in _WEIGHTS for role in self.changed):
            yield from self._inits()

    def _inits(self) -> Iterator[Edit]:
        """Yield a field for each part whose laws are not those that it falls back to."""
        parts = sorted(set(self.chains.values()), key=lambda chain: (len(chain), chain))
        wanted = {chain: self._wanted(chain) for chain in parts}
        now = {field: self.layer.get(field) for chain in parts for field in chain}
        if ("init",) not in wanted:
            now["init"] = max(wanted.values(), key=list(wanted.values()).count)
        for chain, value in wanted.items():
            if _spelled(_effective(now, chain)) != _spelled(value):
                now[chain[0]] = _spelled(value)
        for field, value in now.items():
            if value != self.layer.get(field):
                yield Put((*self.steps, field), _spelled(value))

    def _wanted(self, chain: Sequence[str]) -> Any:  # noqa: ANN401  JSON
        """Return what the laws of one part are to be."""
        given = _effective(self.layer, chain)
        roles = {role for role, its in self.chains.items() if its == chain}
        weights = {_weight(role) for role in roles & self.changed}
        if not weights:
            return given
        laws = {
            weight: self._one([role for role in sorted(roles) if _weight(role) == weight])
            for weight in _WEIGHTS
            if weight in weights
        }
        return _init(given, laws, biased="bias" in map(_weight, roles))

    def _one(self, roles: Sequence[str]) -> Any:  # noqa: ANN401  JSON
        """Return the law that one field states for all weights that it draws, at all times."""
        listed = [each for role in roles for each in self.found[role].items()]
        whole = recipe([one for _, many in listed for one in many])
        if whole is not None:
            return law(whole)
        if len({time for time, _ in listed}) > 1:
            message = f"The repetitions of the layer {self.layer['kind']} draw their weights by different laws."
            raise Uneven(message, self.steps)
        message = f"The layer {self.layer['kind']} draws weights by one law that are to follow several."
        raise Crowded(message, self.steps)


def _chain(layer: dict[str, Any], role: str) -> tuple[str, ...]:
    held = KINDS[layer["kind"]].model_fields
    part = role.rpartition("/")[2].split(".")[-2]
    return tuple(field for field in _FIELDS.get(part, ("init",)) if field in held) or ("init",)


def _effective(now: Mapping[str, Any], chain: Sequence[str]) -> Any:  # noqa: ANN401  JSON
    return next((now[field] for field in chain if now.get(field) is not None), None)


def law(found: Recipe) -> Any:  # noqa: ANN401  JSON
    """Return a law as the format states it."""
    match found:
        case Scaling():
            full = {"law": "variance_scaling", "scale": found.scale, "mode": found.mode}
            short = _NAMED.get((found.scale, found.distribution)) if found.mode == "fan_in" else None
            return short or {**full, "distribution": found.distribution}
        case Absolute(distribution="uniform"):
            return {"law": "uniform", "low": found.first, "high": found.second}
        case Absolute():
            return {"law": found.distribution, "mean": found.first, "std": found.second}
        case Fixed():
            return {0.0: "zeros", 1.0: "ones"}.get(found.value, {"law": "constant", "value": found.value})
        case Gained():
            return found.kind if found.gain == 1 else {"law": found.kind, "gain": found.gain}


def _init(given: Any, news: Mapping[str, Any], *, biased: bool) -> Any:  # noqa: ANN401  JSON
    """Return an `init` with these laws changed; a bias that it leaves to the default keeps its law."""
    kept = _whole(given)
    default = kept.get("kernel", _DEFAULT) in (_DEFAULT, {"law": _DEFAULT})
    init = {**kept, **news}
    if biased and "bias" not in init and "kernel" in news and default:
        init["bias"] = _DEFAULT
    if init.get("bias") == "zeros" and init.get("kernel", _DEFAULT) != _DEFAULT:
        del init["bias"]
    return _spelled(init)


def _whole(given: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    """Return an `init` with its weights told apart."""
    if given is None:
        return {}
    return {"kernel": given} if isinstance(given, str) or "law" in given else dict(given)


def _spelled(given: Any) -> Any:  # noqa: ANN401  JSON
    """Return an `init` in its shortest form."""
    whole = _whole(given)
    if not whole:
        return _DEFAULT
    return whole["kernel"] if whole.keys() == {"kernel"} else whole


def _weight(role: str) -> str:
    return role.rpartition(".")[2]


def _raised(survey: Survey, steps: Steps, gates: int, gate: int) -> float:
    """Return what is added to the bias of one of a layer's gates, beside what the next one starts with."""
    found = {
        _shift(survey.after.parameters[name], gate, (gate + 1) % gates)
        for name in survey.redrawn_at(steps)
        if _weight(survey.atlas.roles[name]) == "bias"
    }
    shift = found.pop()
    if found or shift is None:
        message = "The gates that keep the state start with biases that one number does not say."
        raise NoWay(message, steps)
    return shift


def _shift(bias: Parameter, gate: int, other: int) -> float | None:
    if not isinstance(bias.law, Stacked) or len(bias.law.laws) <= max(gate, other):
        return None
    raised, usual = simple(bias.law.laws[gate]), simple(bias.law.laws[other])
    if isinstance(raised, Shifted):
        return raised.by
    return raised.value - usual.value if isinstance(raised, Constant) and isinstance(usual, Constant) else None
