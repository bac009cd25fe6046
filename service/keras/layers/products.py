"""Functions of keras.ops that multiply and sum: matrix products, and Einstein's notation."""

import re
from typing import Any, ClassVar, Final

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.base import Call, Form, Shape
from service.keras.layers import keras
from service.keras.operations import Full, Operation, calls, full, shown, spread

_EQUATION: Final = re.compile(r"([a-zA-Z]+(?:,[a-zA-Z]+)*)->([a-zA-Z]+)")


@keras("ops.Matmul", "ops.Dot")
class Matmul(Operation):
    """The product of matrices along the last two axes; a constant one may stand on either side."""

    parameters: ClassVar[tuple[str, ...]] = ("x1", "x2")

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return (…, rows, columns)."""
        first, second = (call.get(name) for name in self.parameters)
        one, other = (full(each, call.kind, calls(at)) for each in (first, second))
        tensors = isinstance(first, call.kind), isinstance(second, call.kind)
        if not self._apart(one, other, tensors):
            detail = (
                f"The product of {shown((one, other))} is not examined; one of tensors with as many axes, two or more "
                "behind the batch's, is, and one of a tensor and a constant matrix."
            )
            raise UnsupportedModel(detail, pointer=calls(at))
        if one[-1] != other[-2] and None not in {one[-1], other[-2]}:
            detail = f"The product of {shown((one, other))} does not fit."
            raise Invalid(detail, pointer=calls(at))
        if tensors == (True, True):
            return ((*spread((Form(one[1:-2]), Form(other[1:-2])), Form, calls(at)), one[-2], other[-1]),)
        return ((*one[1:-1], other[-1]) if tensors[0] else (*other[1:-2], one[-2], other[-1]),)

    def _apart(self, one: Full, other: Full, tensors: tuple[bool, bool]) -> bool:
        """Whether the product joins no samples, and is the same for `matmul` and `dot`."""
        matrix = 2
        if tensors == (True, True):
            return self.kind == "ops.Matmul" and len(one) == len(other) > matrix
        if tensors == (True, False):
            return len(one) >= matrix == len(other)
        return self.kind == "ops.Matmul" and len(one) == matrix < len(other)


@keras("ops.Einsum")
class Einsum(Operation):
    """Products summed in Einstein's notation; the first letter of each tensor is the batch's axis."""

    parameters: ClassVar[tuple[str, ...]] = ("operands",)

    subscripts: str

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the sizes of the output's letters."""
        where = f"{at}/config/subscripts"
        found = _EQUATION.fullmatch(self.subscripts.replace(" ", ""))
        if found is None:
            detail = f"{self.subscripts!r:.80} is not examined; an equation such as 'bij,bjk->bik' is, without dots."
            raise UnsupportedModel(detail, pointer=where)
        letters, made = found[1].split(","), found[2]
        shapes = [(None, *each.shape) for each in call.leaves]
        if len(letters) != len(shapes) or any(
            len(each) != len(shape) for each, shape in zip(letters, shapes, strict=True)
        ):
            detail = f"{self.subscripts!r:.80} does not fit {shown(shapes)}."
            raise Invalid(detail, pointer=where)
        batch = made[0]
        if any(each[0] != batch or batch in each[1:] for each in (*letters, made)):
            detail = f"{self.subscripts!r:.80} would mix samples: their letter must be each part's first."
            raise UnsupportedModel(detail, pointer=where)
        return (self._sizes(letters, shapes, made, where),)

    def _sizes(self, letters: list[str], shapes: list[Full], made: str, at: str) -> Shape:
        sizes: dict[str, int | None] = {}
        for each, shape in zip(letters, shapes, strict=True):
            for letter, size in zip(each, shape, strict=True):
                before = sizes.setdefault(letter, size)
                if None not in {before, size} and before != size:
                    detail = f"The letter {letter!r} has the sizes {before} and {size}."
                    raise Invalid(detail, pointer=at)
                sizes[letter] = before if size is None else size
        lacking = [letter for letter in made if letter not in sizes]
        if lacking:
            detail = f"The letter {lacking[0]!r} of the output is none of the inputs'."
            raise Invalid(detail, pointer=at)
        return tuple(sizes[letter] for letter in made[1:])
