"""How numbers that are the middles of cells are interpolated."""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Field

from service.contract.problem import UnsupportedModel


def _small(given: Any) -> Any:  # noqa: ANN401  what the file holds
    return given.lower() if isinstance(given, str) else given


Word: TypeAlias = Annotated[str, BeforeValidator(_small), Field(max_length=100)]
"""A way to interpolate."""
SAMPLINGS: Final = ("nearest", "bilinear", "bicubic")


def sampled(word: str, at: str) -> None:
    """Pass a way to interpolate that is examined; UnsupportedModel otherwise."""
    if word not in SAMPLINGS:
        detail = f"The interpolation {word!r:.80} is not examined; {', '.join(SAMPLINGS)} are."
        raise UnsupportedModel(detail, pointer=f"{at}/config/interpolation")
