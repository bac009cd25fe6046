"""What the guide to Keras JSON shows and lists is what there is."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import pytest

from service import descriptions
from service.contract.architecture.document import MOST_WEIGHTS
from service.contract.traps import MOST_BYTES
from service.keras.base import KerasLayer
from service.keras.layers import layers
from service.keras.making import PROGRAMS
from service.keras.models import DEEPEST, MOST_CALLS, MOST_ENDS

GUIDE = Path(__file__).parents[2] / "docs" / "keras.md"
ERRORS = Path(__file__).parents[1] / "keras" / "errors.txt"
"""What `pytest --update tests/keras` wrote down: a test, its models, and their largest relative errors."""
Kinds = Mapping[str, type[KerasLayer]]


def test_the_guides_model_can_be_built() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    described = descriptions.parse(block.encode())
    assert described.weights() == (9 * 16 + 16) + (16 * 10 + 10)


@pytest.mark.parametrize(
    "limit",
    [
        f"{MOST_BYTES // 2**20} MiB",
        f"{MOST_WEIGHTS // 10**6} million",
        f"{DEEPEST} models",
        f"{MOST_CALLS:,} calls",
        f"{MOST_ENDS} inputs",
    ],
)
def test_the_guide_names_the_limits(limit: str) -> None:
    assert limit in GUIDE.read_text(encoding="utf-8")


def test_the_guide_lists_what_the_registry_holds(golden: Callable[[str, str], None]) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    functions = {kind.removeprefix("ops."): layer for kind, layer in layers.items() if kind.startswith("ops.")}
    classes = {kind: layer for kind, layer in layers.items() if not kind.startswith("ops.")}
    text = between(text, "layers", table(classes))
    text = between(text, "functions", " ".join(f"`{name}`" for name in functions))
    text = between(text, "refused", "\n".join(f"- `{name}`: {reason}" for name, reason in sorted(PROGRAMS.items())))
    text = between(text, "errors", errors(ERRORS.read_text(encoding="utf-8") if ERRORS.exists() else ""))
    golden("docs/keras.md", text)


def between(text: str, name: str, written: str) -> str:
    """Return the text with something else between a pair of marks."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    return f"{before}{start}\n{written}\n{end}{rest.partition(end)[2]}"


def errors(measured: str) -> str:
    """Return a row per test: how many models it compares, and the largest errors among them."""
    rows = "\n".join(f"| {' | '.join(line.split(chr(9)))} |" for line in measured.splitlines())
    return f"| test | models | outputs | gradients |\n| --- | --- | --- | --- |\n{rows}".rstrip()


def table(kinds: Kinds) -> str:
    """Return a row per kind of layer: the classes that are alike, and what they do."""
    rows = "\n".join(f"| {' '.join(f'`{name}`' for name in names)} | {title} |" for title, names in alike(kinds))
    return f"| classes | what they do |\n| --- | --- |\n{rows}"


def alike(kinds: Kinds) -> Iterator[tuple[str, list[str]]]:
    """Yield what several classes do, and their names, family by family."""

    def key(kind: tuple[str, type[KerasLayer]]) -> tuple[str, str]:
        return kind[1].__module__, (kind[1].__doc__ or "").partition("\n")[0].replace("|", "\\|")

    for (_, title), group in groupby(sorted(kinds.items(), key=lambda kind: (*key(kind), kind[0])), key):
        yield title, [name for name, _ in group]
