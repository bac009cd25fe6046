"""Which array of a batch is which input of the model, and which is the target.

Names decide; numpy's own numbering goes by order.  Arrays under other names are taken where type and shape leave only
one way.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import permutations

from torch import Tensor

from service.contract.problem import BatchMismatch
from worker.network.graph import Input

TARGETS = ("target", "y", "label", "labels", "targets")
ANONYMOUS = ("", "input", "x")
"""What the array of the one input without a namesake may be called."""
MOST_STRANGERS = 5
"""Most arrays under other names of which every order is looked at."""


def matched(
    given: Mapping[str, Tensor], inputs: Sequence[Input], notes: list[str]
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return the inputs by name, and the target if there is one; BatchMismatch where names are missing or left over."""
    given = _numbered(given, inputs)
    named = {each.name: given[each.name] for each in inputs if each.name in given}
    rest = {name: value for name, value in given.items() if name not in named}
    targets = [name for name in rest if name in TARGETS]
    if len(targets) > 1:
        detail = f"The batch has {' and '.join(map(repr, targets))}; one target is enough."
        raise BatchMismatch(detail)
    target = rest.pop(targets[0]) if targets else None
    missing = [each.name for each in inputs if each.name not in named]
    if len(missing) == 1 and len(rest) == 1 and next(iter(rest)) in ANONYMOUS:
        named[missing.pop()] = rest.popitem()[1]
    found = _only_way([each for each in inputs if each.name in missing], rest)
    named |= {name: rest[other] for name, other in found.items()}
    notes += [f"The array {other!r} was taken for the input {name!r}." for name, other in found.items()]
    left = {name: value for name, value in rest.items() if name not in found.values()}
    _complete([name for name in missing if name not in found], left, inputs)
    return named, target


def _only_way(missing: Sequence[Input], rest: Mapping[str, Tensor]) -> dict[str, str]:
    """Return which of as many arrays is which input, where type and shape allow one way only."""
    if len(missing) != len(rest) or len(missing) > MOST_STRANGERS:
        return {}
    ways = [
        way
        for way in permutations(rest)
        if all(_may_be(rest[name], each) for name, each in zip(way, missing, strict=True))
    ]
    return dict(zip((each.name for each in missing), ways[0], strict=True)) if len(ways) == 1 else {}


def _may_be(value: Tensor, given: Input) -> bool:
    """Whether an array has an input's kind of numbers and, but for the number of samples, its shape."""
    if value.is_floating_point() != given.dtype.is_floating_point:
        return False
    if not given.ranked or value.dim() != len(given.shape):
        return not given.ranked
    pairs = zip(value.shape[1:], given.shape[1:], strict=True)
    return all(isinstance(wanted, str) or size == wanted for size, wanted in pairs)


def _numbered(given: Mapping[str, Tensor], inputs: Sequence[Input]) -> Mapping[str, Tensor]:
    """Return `numpy.savez`'s arr_0, arr_1, … under the inputs' names in order, then the target's."""
    numbers = [re.fullmatch(r"arr_(\d{1,2})", name) for name in given]
    if not given or not all(numbers) or any(each.name in given for each in inputs):
        return given
    in_order = sorted(given, key=lambda name: int(name.removeprefix("arr_")))
    names = [*(each.name for each in inputs), TARGETS[0]]
    if not len(inputs) <= len(in_order) <= len(names):
        return given
    return {new: given[old] for new, old in zip(names, in_order, strict=False)}


def _complete(missing: Sequence[str], rest: Mapping[str, Tensor], inputs: Sequence[Input]) -> None:
    wanted = ", ".join(repr(each.name) for each in inputs)
    if missing:
        has = ", ".join(map(repr, rest)) or "nothing else"
        detail = f"The batch lacks the input {missing[0]!r}; it has {has}.  The model's inputs are {wanted}."
        raise BatchMismatch(detail)
    if rest:
        detail = (
            f"The batch has {next(iter(rest))!r:.100}, which is neither an input of the model ({wanted}) "
            f"nor a target ({', '.join(TARGETS)})."
        )
        raise BatchMismatch(detail)
