"""Skips around attention and feed-forward parts, against residual layers and torch's own modules."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from tests.load.exported import export
from tests.probe.subjects import dense, described, normal, with_target
from tests.treatments.applied import output, treated
from worker.diagnose import diagnose
from worker.load.onnx import interpret
from worker.network.export import to_onnx
from worker.probe.measure import probe
from worker.subject import Subject
from worker.treatments import Inapplicable, treatments

ATTENTION, LAYER_NORM, FLATTEN = {"kind": "self_attention", "heads": 2}, {"kind": "layer_norm"}, {"kind": "flatten"}
FED = [dense(16), {"kind": "gelu"}, dense(8)]
WITHOUT: Mapping[str, list[list[dict[str, Any]]]] = {
    "attention alone": [[ATTENTION], [ATTENTION], [ATTENTION]],
    "feed-forward parts": [[ATTENTION], FED, [ATTENTION], FED],
    "norms in front": [[LAYER_NORM, ATTENTION], [LAYER_NORM, *FED], [LAYER_NORM, ATTENTION], [LAYER_NORM, *FED]],
}


def written(subject: Subject) -> torch.Tensor:
    """Return what onnxruntime makes of the file that a subject's network is written to."""
    model = to_onnx(subject.graph)
    onnx.checker.check_model(model, full_check=True)
    inputs = {name: value.numpy() for name, value in subject.batch.inputs.items()}
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)
    return torch.from_numpy(np.asarray(found))


@pytest.mark.parametrize("name", WITHOUT)
def test_parts_become_residual_layers_of_scaled_branches(name: str) -> None:
    parts = WITHOUT[name]
    subject = described([*(layer for part in parts for layer in part), FLATTEN, dense(3)], (5, 8))
    copy = treated("attention-skips", subject)
    made = described([*({"kind": "residual", "layers": part} for part in parts), FLATTEN, dense(3)], (5, 8))
    drawn = [each.value for each in subject.graph.parameters.values()]
    values = dict(zip(made.graph.parameters, drawn, strict=True))
    last = [names[-2:] for names in _weights_of(made, len(parts))]
    scaled = {name: values[name] / (2 * len(parts)) ** 0.5 for pair in last for name in pair}
    by_hand = replace(made, graph=made.graph.with_parameters({**values, **scaled}))
    torch.testing.assert_close(output(copy), output(by_hand))


def _weights_of(subject: Subject, parts: int) -> list[list[str]]:
    """Return the names of each part's parameters, in their order."""
    return [
        [name for name in subject.graph.parameters if name.startswith(f"layers/{index}/")] for index in range(parts)
    ]


def test_skips_keep_words_apart_that_attention_alone_makes_alike() -> None:
    attention = {"kind": "self_attention", "heads": 4, "init": "xavier_normal"}
    subject = described([{"kind": "positional_embedding"}, *[attention] * 8, dense(4)], (12, 32))

    def codes(each: Subject) -> set[str]:
        return {finding.code for finding in diagnose([probe(each)])[0]}

    assert "RNK01" in codes(subject)
    assert "RNK01" not in codes(treated("attention-skips", subject))


class Attending(nn.Module):
    """Norms, attention and feed-forward parts, twice; skips lead around them where `skips` says so."""

    def __init__(self, *, skips: bool) -> None:
        """Draw the weights."""
        super().__init__()
        self.skips = skips
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(4))
        self.heads = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
        self.fed = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)) for _ in range(2))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        for index in range(2):
            given = self.norms[2 * index](x)
            mixed = self.heads[index](given, given, given, need_weights=False)[0]
            x = x + mixed if self.skips else mixed
            fed = self.fed[index](self.norms[2 * index + 1](x))
            x = x + fed if self.skips else fed
        return self.head(x.mean(1))  # type: ignore[no-any-return]

    def scaled(self, factor: float) -> None:
        """Multiply the last weights of each part."""
        for name, weights in self.named_parameters():
            if ".out_proj." in name or (name.startswith("fed.") and ".2." in name):
                weights.data.mul_(factor)


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of itself
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_an_exported_transformer_gets_the_skips_that_its_module_could_have(exporter: str) -> None:
    """The sequence is as long as the batch, so that lengths do not tell the one axis from the other."""
    torch.manual_seed(0)
    plain, x = Attending(skips=False).eval(), normal(5, 5, 8)
    graph = interpret(export(plain, (x,), exporter))
    copy = treated("attention-skips", with_target(graph, {graph.inputs[0].name: x}))
    wanted = Attending(skips=True)
    wanted.load_state_dict(plain.state_dict())
    wanted.scaled(8**-0.5)
    torch.testing.assert_close(output(copy), wanted(x).detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(written(copy), wanted(x).detach(), rtol=1e-4, atol=1e-5)
    assert isinstance(treatments["attention-skips"].apply(copy, probe(copy)), Inapplicable)


def unfit() -> Iterator[tuple[str, Subject]]:
    """Yield networks in which no part may get a skip."""
    yield "skips that stand", described([{"kind": "transformer_block", "heads": 2}, FLATTEN, dense(3)], (5, 8))
    yield "no attention", described([*FED, *FED, dense(3)])
    yield "attention that ends the network", described([ATTENTION], (5, 8))
    subject = described([ATTENTION, ATTENTION, FLATTEN, dense(3)], (5, 8))
    parameters = subject.graph.parameters
    for part in ("value", "output"):
        held = {name: replace(each, trainable=f"{part}.kernel" not in name) for name, each in parameters.items()}
        yield f"frozen {part}s", subject.replace(graph=subject.graph.replace(parameters=held))
    one, other = [name for name in parameters if name.endswith("output.kernel")]
    nodes = [
        replace(each, inputs=tuple(one if name == other else name for name in each.inputs))
        for each in subject.graph.nodes
    ]
    yield "shared outputs", subject.replace(graph=subject.graph.replace(nodes=tuple(nodes)))


@pytest.mark.parametrize(("name", "subject"), list(unfit()), ids=lambda each: each if isinstance(each, str) else "")
def test_no_skip_is_led_around_parts_that_it_does_not_fit(name: str, subject: Subject) -> None:
    evidence = probe(described([dense(3)]))
    assert isinstance(treatments["attention-skips"].apply(subject, evidence), Inapplicable), name


def test_norms_move_in_front_of_branches_that_a_sum_of_two_ends() -> None:
    block = {"kind": "transformer_block", "heads": 2, "norm": "post"}
    added = described([block, block, FLATTEN, dense(3)], (5, 8))
    sums = {"layers/0/attention", "layers/1/feed_forward"}
    nodes = tuple(replace(each, op="Sum") if each.name in sums else each for each in added.graph.nodes)
    summed = added.replace(graph=added.graph.replace(nodes=nodes))
    assert sum(each.op == "Sum" for each in nodes) == len(sums)
    torch.testing.assert_close(output(treated("pre-norm", summed)), output(treated("pre-norm", added)))
