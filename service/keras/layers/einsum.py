"""EinsumDense: a product with a kernel, in Einstein's notation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Annotated

from pydantic import Field

from service.contract.problem import Invalid
from service.keras.base import KerasLayer, Shape, Spec, known, shown
from service.keras.layers import keras

Size = Annotated[int, Field(ge=1, le=1_000_000)]

FORM = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")
"""ab,bc->ac, or with dots before, or behind, the input's and the output's letters."""


@dataclass(frozen=True)
class Product:
    """An equation with the sizes that it has on one input, the batch's axis being 0 and open."""

    given: str
    """The input's letters."""
    kernel: str
    made: str
    """The output's letters."""
    before: bool
    """Whether dots stand before the letters, not behind them."""
    sizes: dict[str, int | None]
    """The size of each letter's axis."""
    dots: Shape
    """The sizes that dots stand for."""

    @property
    def output(self) -> Shape:
        """The output's sizes, the batch's among them."""
        letters = tuple(self.sizes[letter] for letter in self.made)
        return (*self.dots, *letters) if self.before else (*letters, *self.dots)

    @property
    def into(self) -> tuple[int, ...]:
        """The kernel's axes that come in."""
        return tuple(axis for axis, letter in enumerate(self.kernel) if letter not in self.made)

    @property
    def out(self) -> tuple[int, ...]:
        """The kernel's axes that go out."""
        return tuple(axis for axis, letter in enumerate(self.kernel) if letter in self.made)

    @property
    def dense(self) -> int:
        """How many of the input's last axes a plain matrix product sums over; 0 where the equation is none."""
        count = len(self.into)
        summed, kept = self.kernel[:count], self.kernel[count:]
        free = self.given.removesuffix(summed)
        plain = len(set(self.given)) == len(self.given) and len(set(self.kernel)) == len(self.kernel)
        fits = self.given == free + summed and self.made == free + kept and not set(free) & set(kept)
        return count if plain and count and kept and fits and (self.before or not self.dots) else 0


@keras("EinsumDense")
class EinsumDense(KerasLayer):
    """activation(einsum(equation, x, K) + b)."""

    equation: Annotated[str, Field(max_length=100)]
    output_shape: Annotated[tuple[Size | None, ...], Field(max_length=26)] | Size
    activation: Spec = None
    bias_axes: Annotated[str, Field(max_length=26)] | None = None
    kernel_initializer: Spec = "glorot_uniform"
    bias_initializer: Spec = "zeros"
    kernel_regularizer: Spec = None
    bias_regularizer: Spec = None

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the output's sizes."""
        product = self.product(shape, at)
        self.kernel(product, at)
        self.bias(product, at)
        return product.output[1:]

    def weights(self, shape: Shape) -> int:
        """Return the kernel's numbers and the bias's."""
        product = self.product(shape, "")
        return prod(self.kernel(product, "")) + (prod(self.bias(product, "")) if self.bias_axes else 0)

    def kernel(self, product: Product, at: str) -> tuple[int, ...]:
        """Return the kernel's shape."""
        return tuple(known(product.sizes[letter], at, f"size of {letter!r}") for letter in product.kernel)

    def bias(self, product: Product, at: str) -> tuple[int, ...]:
        """Return the bias's shape: 1 along the axes that have none."""
        if not self.bias_axes:
            return ()
        for letter in self.bias_axes:
            if letter not in product.made:
                detail = f"The output {product.made!r} has no axis {letter!r}."
                raise Invalid(detail, pointer=f"{at}/config/bias_axes")
        behind = product.made[min(product.made.find(letter) for letter in self.bias_axes) :]
        sizes = tuple(
            known(product.sizes[letter], at, f"size of {letter!r}") if letter in self.bias_axes else 1
            for letter in behind
        )
        return sizes if product.before else (*sizes, *(1 for _ in product.dots))

    def product(self, shape: Shape, at: str) -> Product:
        """Return the equation with its sizes on an input; Invalid where it does not fit."""
        where = f"{at}/config/equation"
        match = FORM.fullmatch(self.equation.replace(" ", ""))
        before, given, behind, kernel, first, made, last = match.groups() if match else [""] * 7
        if not match or (before, behind) != (first, last) or (before and behind):
            detail = f"An equation has the form ab,bc->ac, ...a,ab->...b or ab...,bc->ac...; it is {self.equation!r}."
            raise Invalid(detail, pointer=where)
        if any(len(set(letters)) < len(letters) for letters in (given, kernel, made)):
            detail = f"A letter stands for one axis of a tensor; the equation is {self.equation!r}."
            raise Invalid(detail, pointer=where)
        full, dots = (None, *shape), len(shape) + 1 - len(given)
        if made[0] != given[0] and not (before and dots > 0):
            detail = f"The first axis of input and output is the batch's; the equation is {self.equation!r}."
            raise Invalid(detail, pointer=where)
        if dots < 0 or (dots and not before and not behind):
            detail = f"The input {given!r} has {len(given)} axes; what reaches it has the shape {shown(shape)}."
            raise Invalid(detail, pointer=where)
        letters, rest = (full[dots:], full[:dots]) if before else (full[: len(given)], full[len(given) :])
        sizes = dict(zip(given, letters, strict=True))
        _joined(sizes, self._named(made, at, whole=bool(before and dots)), where)
        for letter in kernel + made:
            if letter not in sizes or (letter in made and letter not in given + kernel):
                detail = f"Nothing says how large the axis {letter!r} is."
                raise Invalid(detail, pointer=where)
        return Product(given, kernel, made, bool(before), sizes, rest)

    def _named(self, made: str, at: str, *, whole: bool) -> Iterator[tuple[str, int | None]]:
        """Return the sizes that `output_shape` gives the output's letters: all, or all but the batch's."""
        given = (self.output_shape,) if isinstance(self.output_shape, int) else self.output_shape
        sizes = given if whole else (None, *given)
        if len(sizes) != len(made):
            detail = f"The output {made!r} has {len(made)} axes, the batch's included; output_shape is {list(given)}."
            raise Invalid(detail, pointer=f"{at}/config/output_shape")
        return zip(made, sizes, strict=True)


def _joined(sizes: dict[str, int | None], named: Iterator[tuple[str, int | None]], at: str) -> None:
    """Add sizes to those known; Invalid where two differ."""
    for letter, size in named:
        before = sizes.get(letter)
        if size is not None and before is not None and size != before:
            detail = f"The axis {letter!r} has size {before} in the input and {size} in output_shape."
            raise Invalid(detail, pointer=at.replace("/equation", "/output_shape"))
        sizes[letter] = size if before is None else before
