"""Units that are dead, saturated, alike or absent, and healthy ones that only look so."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.draw import Draw, Layers, Made, Variant, built, chain, graph
from benchmarks.diagnosis.families.layers import act, biased, dense, repeat, residual
from benchmarks.diagnosis.families.tasks import CLASSES, clusters, images, teacher

_DEAD = ("dead_units", "no_gradient")
_FLAT = ("saturated_units", "poor_init_scale", "vanishing_gradient")
_ALIKE = ("symmetric_init",)


def layered(activation: str, laws: list[Any]) -> Callable[[Draw], Made]:
    """Return the maker of a plain classifier with one law per hidden layer."""

    def make(draw: Draw) -> Made:
        hidden = [layer for law in laws for layer in (dense(draw.width, law), act(activation))]
        return chain([*hidden, dense(CLASSES, "lecun_normal")], clusters(draw))

    return make


def alike(law: Any) -> Callable[[Draw], Made]:  # noqa: ANN401
    """Return the maker of a classifier that draws every weight, the head's too, by one law."""

    def make(draw: Draw) -> Made:
        hidden = repeat(draw.deep(2, 3), dense(draw.width, law), act("tanh"))
        return chain([*hidden, dense(CLASSES, law)], clusters(draw))

    return make


def dead_branch(draw: Draw) -> Made:
    """Return residual blocks, one of which gives nothing whatever comes in."""
    width, block = draw.width, _block(draw.width, "he_normal")
    dead = _block(width, biased("he_normal", -30))
    return chain([dense(width), *repeat(3, block), dead, *repeat(2, block), dense(CLASSES)], clusters(draw))


def dead_twin(draw: Draw) -> Made:
    """Return two towers that are added, of which one is dead."""
    tower = [dense(draw.width, "he_normal"), act("relu")]
    dead = [dense(draw.width, biased("he_normal", -20)), act("relu"), dense(draw.width, "he_normal")]
    both = {"kind": "parallel", "merge": "add", "branches": [[*tower, dense(draw.width, "he_normal")], dead]}
    return chain([both, act("relu"), dense(CLASSES)], clusters(draw))


def constant_inside(draw: Draw) -> Made:
    """Return a network whose middle normalizes a single feature, which is then the same for every sample."""
    width, hidden = draw.width, [dense(draw.width, "he_normal"), act("relu")]
    single = [dense(1, "lecun_normal"), act("layer_norm"), dense(width, "he_normal"), act("relu")]
    return chain([*hidden * 3, *single, *hidden * 2, dense(CLASSES)], clusters(draw))


def compensated(factor: float) -> Callable[[Draw], Made]:
    """Return the maker of a network in which one layer is `factor` too large and the next as much too small."""

    def make(draw: Draw) -> Made:
        hidden = [dense(draw.width, "he_normal"), act("relu")]
        large = dense(draw.width, {"law": "he_normal", "gain": factor})
        small = dense(draw.width, {"law": "he_normal", "gain": 1 / factor})
        return chain([*hidden * 2, large, act("relu"), small, act("relu"), *hidden, dense(CLASSES)], clusters(draw))

    return make


def idle_experts(draw: Draw) -> Made:
    """Return four experts, of which a sparse gate asks few for any sample."""
    width = draw.width
    nodes: Layers = [
        dense(width, "he_normal", name="stem"),
        act("relu") | {"name": "seen"},
        dense(4, {"law": "lecun_normal", "gain": 4}, name="scores"),
        {"kind": "sparsemax", "name": "shares"},
    ]
    for index in range(4):
        nodes += [
            dense(width, "he_normal", name=f"wide{index}", inputs=["seen"]),
            act("relu") | {"name": f"on{index}"},
            dense(width, "lecun_normal", name=f"expert{index}"),
            {"kind": "slice", "axis": 0, "start": index, "stop": index + 1, "name": f"share{index}"}
            | {"inputs": ["shares"]},
            {"kind": "multiply", "name": f"part{index}", "inputs": [f"expert{index}", f"share{index}"]},
        ]
    nodes += [
        {"kind": "add", "name": "sum", "inputs": ["seen", *(f"part{index}" for index in range(4))]},
        dense(CLASSES, name="head"),
    ]
    return graph(nodes, clusters(draw))


def low_rank(draw: Draw) -> Made:
    """Return layers beside which a low-rank product starts at zero, as LoRA has it."""
    width = draw.width
    beside = [[dense(width, "he_normal")], [dense(4, "he_normal", bias=False), dense(width, "zeros", bias=False)]]
    layer = {"kind": "parallel", "merge": "add", "branches": beside}
    return chain([*repeat(3, layer, act("relu")), dense(CLASSES)], clusters(draw))


def confident(draw: Draw) -> Made:
    """Return a regression of values between 0 and 1 through a sigmoid, most of them near the ends."""
    batch = teacher(draw)
    target = (1 / (1 + pow(2.7, -6 * batch["target"]))).astype("float32")
    layers = [*repeat(2, dense(draw.width, "xavier_normal"), act("tanh")), dense(1), act("sigmoid")]
    return chain(layers, {**batch, "target": target}, loss="mse")


def dead_filters(draw: Draw) -> Made:
    """Return a convolutional network whose second layer is dead."""
    widths = draw.width // 4
    layer = {"kind": "conv2d", "filters": widths, "kernel": 3, "padding": "same"}
    dead = layer | {"init": biased("he_normal", -20)}
    alive = layer | {"init": "he_normal"}
    hidden = [alive, act("relu"), dead, act("relu"), alive, act("relu"), act("global_avg_pool")]
    return chain([*hidden, dense(CLASSES)], images(draw))


def _block(width: int, law: Any) -> dict[str, Any]:  # noqa: ANN401
    return residual(act("layer_norm"), dense(width, law), act("relu"), dense(width, "xavier_normal"))


_HE, _GLOROT = "he_normal", "xavier_normal"
_SPARSE = biased(_HE, -0.74)
_VARIANTS = (
    Variant("units/leaky-cold", layered("leaky_relu", [_HE, biased(_HE, -1), _HE])),
    Variant("units/sparse-70", layered("relu", [_SPARSE, _HE, _HE]), hard=True),
    Variant("units/idle-experts", idle_experts, hard=True),
    Variant("units/low-rank-zero", low_rank, hard=True),
    Variant("units/confident-sigmoid", confident, hard=True),
    Variant("units/dead-layer", layered("relu", [_HE, biased(_HE, -10), _HE]), _DEAD, certain=True),
    Variant("units/dead-branch", dead_branch, _DEAD, hard=True, certain=True),
    Variant("units/dead-twin", dead_twin, _DEAD, hard=True, certain=True),
    Variant("units/dead-filters", dead_filters, _DEAD, certain=True),
    Variant("units/saturated-tanh", layered("tanh", [{"law": "xavier_normal", "gain": 30}] * 5), _FLAT, certain=True),
    Variant("units/constant-weights", alike({"law": "constant", "value": 0.1}), _ALIKE, certain=True),
    Variant("units/zero-weights", alike("zeros"), (*_ALIKE, "no_gradient"), certain=True),
    Variant(
        "units/constant-norm",
        constant_inside,
        ("normalization_misuse", "no_gradient", "rank_collapse", "structure_fault"),
        hard=True,
        certain=True,
    ),
    Variant("units/compensated-1000", compensated(1000), ("poor_init_scale",), hard=True, certain=True),
    Variant("units/compensated-100", compensated(100), ("poor_init_scale",), "moderate", hard=True, certain=True),
)


def units() -> Iterator[Case]:
    """Yield the cases of dead, saturated and alike units."""
    yield from built(_VARIANTS)
