"""What must not change a finding: the loss's scale, the batch's size, the network's width.  Prints the table as JSON.

Each network, healthy or sick by theory, is probed at a loss times 10⁻⁶, 1 and 10⁶, on 8, 64 and 512 samples, and at 32,
128 and 512 units.  A row holds the findings of every variant (rule and severity; `unjudged` are rules that say the
batch is too small for them) and whether those that weigh, warnings and errors, are the same in all that judge.

    python benchmarks/invariance.py
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from service.contract.architecture import parse
from service.contract.words import LossName, Severity
from worker.diagnose import diagnose
from worker.load.architecture import lower
from worker.loss import Loss
from worker.probe.measure import probe
from worker.subject import Batch, Subject

Layers = list[dict[str, Any]]
SCALES = (1e-6, 1.0, 1e6)
SIZES = (8, 64, 512)
WIDTHS = (32, 128, 512)
CLASSES = 4

RELU = {"kind": "relu"}
TANH = {"kind": "tanh"}
BATCH_NORM = {"kind": "batch_norm"}
HEAD = {"kind": "dense", "units": CLASSES}


@dataclass(frozen=True)
class Network:
    """A kind of network, at any width."""

    name: str
    sick: bool
    """Whether theory says that it vanishes, explodes or is out of scale, at every width."""
    layers: Callable[[int], Layers]
    shape: tuple[int, ...] = (16,)
    widths: tuple[int, ...] = WIDTHS


def dense(units: int, law: object = "he_normal") -> dict[str, Any]:
    """Return a dense layer; without a law it is drawn as PyTorch draws."""
    return {"kind": "dense", "units": units, **({"init": law} if law else {})}


def gained(law: str, gain: float) -> dict[str, Any]:
    """Return a law times a gain."""
    return {"law": law, "gain": gain}


def plain(depth: int, activation: dict[str, Any], law: object) -> Callable[[int], Layers]:
    """Return a chain of dense layers."""
    return lambda width: [*[dense(width, law), activation] * depth, HEAD]


def residual(depth: int, *branch: object) -> Callable[[int], Layers]:
    """Return blocks around dense layers, which stand as laws or gains."""

    def build(width: int) -> Layers:
        layers = [each if isinstance(each, dict) and "kind" in each else dense(width, each) for each in branch]
        return [dense(width), *[{"kind": "residual", "layers": layers}] * depth, HEAD]

    return build


def transformer(width: int) -> Layers:
    """Return four pre-norm blocks."""
    return [dense(width), *[{"kind": "transformer_block", "heads": 2}] * 4, {"kind": "flatten"}, HEAD]


def recurrent(gain: float) -> Callable[[int], Layers]:
    """Return a recurrent layer of orthogonal weights times a gain."""
    init = {"kernel": "lecun_normal", "recurrent": gained("orthogonal", gain), "bias": "zeros"}
    return lambda width: [{"kind": "rnn", "units": width, "init": init}, HEAD]


def compensated(width: int) -> Layers:
    """Return a pair of layers of which one is a thousand times too large and the other makes up for it."""
    pair = [dense(width, gained("he_normal", 1000)), RELU, dense(width, gained("he_normal", 0.001)), RELU]
    return [*pair, dense(width), RELU, HEAD]


NETWORKS = (
    Network("relu, He, 8 layers", sick=False, layers=plain(8, RELU, "he_normal")),
    Network("tanh, orthogonal, 20 layers", sick=False, layers=plain(20, TANH, gained("orthogonal", 1.03))),
    Network("selu, LeCun, 10 layers", sick=False, layers=plain(10, {"kind": "selu"}, "lecun_normal")),
    Network("batch norm, pre-activation, 12 blocks", sick=False, layers=residual(12, BATCH_NORM, RELU, "he_normal")),
    Network("zero-initialised branches, 12 blocks", sick=False, layers=residual(12, "he_normal", RELU, "zeros")),
    Network("pre-norm transformer, 4 blocks", sick=False, layers=transformer, shape=(8, 16), widths=(32, 64, 128)),
    Network("rnn, orthogonal", sick=False, layers=recurrent(1.0), shape=(20, 8)),
    Network("sigmoid, Xavier, 8 layers", sick=True, layers=plain(8, {"kind": "sigmoid"}, "xavier_normal")),
    Network("relu, PyTorch's default, 12 layers", sick=True, layers=plain(12, RELU, None)),
    Network("gelu, Xavier, 14 layers", sick=True, layers=plain(14, {"kind": "gelu"}, "xavier_normal")),
    Network("tanh, orthogonal times 2.5, 30 layers", sick=True, layers=plain(30, TANH, gained("orthogonal", 2.5))),
    Network("residual, He, 14 blocks", sick=True, layers=residual(14, "he_normal", RELU, "he_normal")),
    Network("rnn, orthogonal times 3", sick=True, layers=recurrent(3.0), shape=(20, 8)),
    Network("a pair times 1000 and 1/1000", sick=True, layers=compensated),
)


def subject(network: Network, *, width: int = 128, size: int = 64, scale: float = 1.0, seed: int = 0) -> Subject:
    """Return a network with normal inputs and the classes that a random direction tells apart."""
    document = {"gradgate": "1", "input": {"shape": list(network.shape)}, "layers": network.layers(width)}
    graph = lower(parse(json.dumps(document).encode()), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(size, *network.shape, generator=generator)
    target = (inputs.flatten(1) @ torch.randn(math.prod(network.shape), CLASSES, generator=generator)).argmax(1)
    loss = Loss(LossName.CROSS_ENTROPY, scale=scale)
    return Subject(graph, Batch({"input": inputs}, target), loss, output=graph.outputs[0], seed=seed)


@dataclass(frozen=True)
class Variant:
    """What the rules say of one network under one condition, no training."""

    findings: Mapping[str, str]
    """Severity by rule."""
    unjudged: frozenset[str]
    gain: float | None

    def weighing(self, without: frozenset[str] = frozenset()) -> dict[str, str]:
        """Return the warnings and errors."""
        return {
            code: each for code, each in self.findings.items() if each != Severity.INFO.value and code not in without
        }


def judged(given: Subject) -> Variant:
    """Return what the rules say."""
    evidence = probe(given)
    findings, coverage = diagnose([evidence])
    return Variant(
        findings={finding.code: finding.severity.value for finding in findings},
        unjudged=frozenset(each.code for each in coverage if each.status == "could_not_judge"),
        gain=None if evidence.gain is None else round(evidence.gain.total, 3),
    )


def conditions(network: Network) -> Iterator[tuple[str, list[Subject]]]:
    """Yield what is varied, with the network under each of its values."""
    yield "loss scale", [subject(network, scale=scale) for scale in SCALES]
    yield "batch", [subject(network, size=size) for size in SIZES]
    yield "width", [subject(network, width=width) for width in network.widths]


def same(variants: list[Variant]) -> bool:
    """Whether the warnings and errors are the same wherever the rules can judge."""
    apart = frozenset[str]().union(*(variant.unjudged for variant in variants))
    return all(variant.weighing(apart) == variants[0].weighing(apart) for variant in variants)


def row(network: Network) -> dict[str, Any]:
    """Return a network's line of the table."""
    found: dict[str, Any] = {"network": network.name, "sick": network.sick}
    for name, subjects in conditions(network):
        variants = [judged(each) for each in subjects]
        shown = [
            {"findings": variant.findings, "unjudged": sorted(variant.unjudged), "gain": variant.gain}
            for variant in variants
        ]
        found[name] = {"same": same(variants), "variants": shown}
    return found


def main() -> None:
    """Probe every network under every condition."""
    torch.set_num_threads(1)
    rows = [row(network) for network in NETWORKS]
    changed = [
        f"{each['network']}: {name}"
        for each in rows
        for name in ("loss scale", "batch", "width")
        if not each[name]["same"]
    ]
    values = {"loss scale": SCALES, "batch": SIZES, "width": WIDTHS}
    print(json.dumps({"values": values, "changed": changed, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
