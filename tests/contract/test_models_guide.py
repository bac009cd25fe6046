"""What the guide to descriptions shows and lists is what there is."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from service.contract.architecture import Architecture, LayerBase, parse
from service.contract.architecture.base import MOST_NUMBERS
from service.contract.architecture.container import Layer
from service.contract.architecture.document import MOST_LAYERS, MOST_NESTING
from service.contract.architecture.laws import AnyLaw
from service.contract.options import Options
from service.contract.traps import DEEPEST, MOST_DIGITS, MOST_ENTRIES, MOST_SIGNS

GUIDE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]


def section(title: str) -> str:
    """Return what stands under a heading."""
    return GUIDE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def words(kind: type[LayerBase]) -> tuple[str, ...]:
    """Return the words that name a layer."""
    return get_args(kind.model_fields["kind"].annotation)


NETWORKS = [block for block in BLOCKS if "gradgate" in block]
LAYERS = [block for block in BLOCKS if "kind" in block]
PATCHES = [block for block in BLOCKS if isinstance(block, list)]


def test_the_guide_shows_networks_layers_and_a_patch() -> None:
    assert [len(NETWORKS), len(LAYERS), len(PATCHES)] == [2, 3, 1]
    assert len(BLOCKS) == 6


@pytest.mark.parametrize(("network", "classes"), list(zip(NETWORKS, [10, 2], strict=True)))
def test_the_guides_networks_can_be_built(network: dict[str, Any], classes: int) -> None:
    assert parse(json.dumps(network).encode()).output_shape() == (classes,)


@pytest.mark.parametrize(("layer", "shape"), list(zip(LAYERS, [(5, 8), (5, 8), (64,)], strict=True)))
def test_the_guides_layers_can_stand_in_a_chain(layer: dict[str, Any], shape: tuple[int, ...]) -> None:
    chain = {"gradgate": "1", "input": {"shape": [5, 8]}, "layers": [layer]}
    assert parse(json.dumps(chain).encode()).output_shape() == shape


def test_the_guides_request_holds_a_network_and_a_batch_of_its_shape() -> None:
    (body,) = (json.loads(found) for found in re.findall(r" -d '(.*?)'", GUIDE, re.DOTALL))
    assert parse(json.dumps(body["model"]).encode()).given["input"].shape == (len(body["batch"]["input"][0]),)
    assert len(body["batch"]["input"]) == len(body["batch"]["target"])
    assert Options.model_validate(body["options"]).loss == "cross_entropy"


def test_the_guides_patch_fits_its_first_network() -> None:
    """Here it is applied by hand, as RFC 6902 says of `add`: what stood at the place moves on by one."""
    ((change,),) = PATCHES
    assert (change["op"], change["path"]) == ("add", "/layers/1")
    layers = [*NETWORKS[0]["layers"][:1], change["value"], *NETWORKS[0]["layers"][1:]]
    assert parse(json.dumps({**NETWORKS[0], "layers": layers}).encode()).output_shape() == (10,)


LIMITS = [MOST_LAYERS, MOST_NESTING, MOST_NUMBERS, MOST_SIGNS, MOST_ENTRIES, DEEPEST, MOST_DIGITS]


@pytest.mark.parametrize("limit", [f"{limit:,}" for limit in LIMITS])
def test_the_guide_names_the_limits(limit: str) -> None:
    assert limit in section("The file")


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
