"""What the guide to descriptions shows and lists is what there is."""

import json
import re
from pathlib import Path
from typing import get_args

from service.contract.architecture import Architecture, LayerBase, parse
from service.contract.architecture.container import Layer
from service.contract.architecture.laws import AnyLaw

GUIDE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]


def section(title: str) -> str:
    """Return what stands under a heading."""
    return GUIDE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def words(kind: type[LayerBase]) -> tuple[str, ...]:
    """Return the words that name a layer."""
    return get_args(kind.model_fields["kind"].annotation)


def test_the_guides_networks_can_be_built() -> None:
    network, layer = BLOCKS
    assert parse(json.dumps(network).encode()).output_shape() == (10,)
    chain = {"gradgate": "1", "input": {"shape": [5, 8]}, "layers": [layer]}
    assert parse(json.dumps(chain).encode()).output_shape() == (64,)


def test_the_guide_lists_every_layer_and_no_other() -> None:
    listed = re.findall(r"^\| ((?:`\w+` ?)+)\|", section("The layers"), re.MULTILINE)
    kinds = [kind for row in listed for kind in re.findall(r"`(\w+)`", row)]
    assert sorted(kinds) == sorted(word for kind in get_args(get_args(Layer)[0]) for word in words(kind))


def test_the_guide_names_every_field_of_the_file() -> None:
    assert all(f"`{name}`" in section("The file") for name in Architecture.model_fields)


def test_the_guide_names_every_law() -> None:
    laws = get_args(get_args(AnyLaw)[0])
    names = [word for law in laws for word in get_args(law.model_fields["law"].annotation)]
    assert names
    assert all(f"`{name}`" in section("The laws of weights") for name in names)
