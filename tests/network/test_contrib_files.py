"""Files that onnxruntime's tools write: read with all their parameters, onnxruntime's outputs, torch's gradients."""

import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from torch import Tensor, nn

from service.contract.problem import UnsupportedOperator
from worker.load.onnx import interpret
from worker.load.precision import widened
from worker.network.graph import Graph, Node
from worker.network.run import Program

pytestmark = pytest.mark.filterwarnings("ignore")
WIDTH, HEADS, WORDS, LONGEST = 16, 2, 30, 12


@pytest.fixture(autouse=True)
def _tools_may_warn() -> Iterator[None]:
    """The exporter and the optimizer say much at every call."""
    with pytest.MonkeyPatch.context() as patch:
        for level in ("info", "warning"):
            patch.setattr(f"logging.Logger.{level}", lambda *_, **__: None)
        yield


class Heads(nn.Module):
    """Attention written out, as transformers wrote it when the optimizer learnt to find it."""

    def __init__(self) -> None:
        """Make the projections."""
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what each word sees of the others."""
        q, k, v = (
            part(x).view(x.size(0), x.size(1), HEADS, WIDTH // HEADS).permute(0, 2, 1, 3)
            for part in (self.query, self.key, self.value)
        )
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(WIDTH // HEADS) + mask
        seen = torch.matmul(torch.softmax(scores, -1), v).permute(0, 2, 1, 3).contiguous()
        return seen.view(seen.size(0), seen.size(1), WIDTH)


class Block(nn.Module):
    """A layer of the encoder, normalized behind each part."""

    def __init__(self, activation: nn.Module) -> None:
        """Make the layers."""
        super().__init__()
        self.heads, self.joined = Heads(), nn.Linear(WIDTH, WIDTH)
        self.wider, self.narrower, self.activation = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH), activation
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the words after attention and the two dense layers."""
        x = self.first(self.joined(self.heads(x, mask)) + x)
        return self.second(self.narrower(self.activation(self.wider(x))) + x)


class Encoder(nn.Module):
    """A small BERT."""

    def __init__(self, activation: nn.Module) -> None:
        """Make tables and blocks, no two numbers of which are the same."""
        super().__init__()
        self.words, self.places, self.parts = (nn.Embedding(size, WIDTH) for size in (WORDS, LONGEST, 2))
        self.norm = nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(Block(activation) for _ in range(2))
        self.classes = nn.Linear(WIDTH, 3)
        self.register_buffer("order", torch.arange(LONGEST).expand((1, -1)))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, words: Tensor, mask: Tensor, parts: Tensor) -> Tensor:
        """Return the classes' scores, read off the first word."""
        hidden = (1.0 - mask[:, None, None, :].to(torch.float32)) * -10000.0
        x = self.words(words) + self.places(self.order[:, : words.size(1)]) + self.parts(parts)
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, hidden)
        return self.classes(x[:, 0])


def batch() -> dict[str, Tensor]:
    words, parts = torch.randint(0, WORDS, (2, 8)), torch.randint(0, 2, (2, 8))
    return {"words": words, "mask": torch.tensor([[1] * 8, [1] * 5 + [0] * 3]), "parts": parts}


def exported(network: nn.Module, inputs: Mapping[str, Tensor], path: Path) -> Path:
    axes = {name: {0: "batch", 1: "steps"} for name in inputs if name in batch()}
    buffer = io.BytesIO()
    names = {"input_names": list(inputs), "output_names": ["y"], "dynamic_axes": axes}
    torch.onnx.export(network, tuple(inputs.values()), buffer, opset_version=17, dynamo=False, **names)
    path.write_bytes(buffer.getvalue())
    return path


def optimized(source: Path, level: str) -> onnx.ModelProto:
    """Return a file as onnxruntime saves it after its own optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(source.with_suffix(".optimized.onnx"))
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return onnx.load(options.optimized_model_filepath)


def theirs(model: onnx.ModelProto, inputs: Mapping[str, Tensor]) -> Tensor:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(int32)": torch.int32}
    given = {
        each.name: inputs[each.name].to(kinds.get(each.type, inputs[each.name].dtype)) for each in session.get_inputs()
    }
    return torch.from_numpy(session.run(None, {name: value.numpy() for name, value in given.items()})[0])


def fused(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node if node.domain == "com.microsoft"}


def ours(graph: Graph, inputs: Mapping[str, Tensor], parameters: Mapping[str, Tensor] | None = None) -> Tensor:
    given = {each.name: inputs[each.name].to(each.dtype) for each in graph.inputs}
    return next(iter(Program(graph).run(given, parameters).values()))


def by_value(values: list[Tensor], gradients: tuple[Tensor | None, ...]) -> tuple[Tensor, Tensor]:
    """Return all numbers in order, and their gradients in that order: layouts and joins leave both as they are."""
    flat = torch.cat([value.detach().reshape(-1) for value in values])
    steps = [torch.zeros_like(value) if each is None else each for value, each in zip(values, gradients, strict=True)]
    order = flat.argsort()
    return flat[order], torch.cat([step.reshape(-1) for step in steps])[order]


def check(network: nn.Module, model: onnx.ModelProto, inputs: Mapping[str, Tensor]) -> None:
    """Assert that outputs are onnxruntime's, and that numbers and gradients are those of torch."""
    graph = interpret(model)
    held = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
    y = ours(graph, inputs, held)
    torch.testing.assert_close(y.detach(), theirs(model, inputs), atol=2e-5, rtol=1e-4)
    weights = torch.randn(y.shape)
    found = by_value(list(held.values()), torch.autograd.grad((y * weights).sum(), list(held.values())))
    own = [parameter for parameter in network.parameters() if parameter.requires_grad]
    loss = (network(*inputs.values()) * weights).sum()
    expected = by_value(own, torch.autograd.grad(loss, own, allow_unused=True))
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], atol=1e-5 * float(expected[1].abs().max()), rtol=1e-3)


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(nn.GELU()).eval()


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("approximate", [False, True])
def test_a_transformer_from_the_optimizer_trains_as_it_did(
    encoder: Encoder, tmp_path: Path, level: int, *, approximate: bool
) -> None:
    source = exported(encoder, batch(), tmp_path / "encoder.onnx")
    options = FusionOptions("bert")
    options.enable_gelu_approximation = approximate
    sizes = {"num_heads": HEADS, "hidden_size": WIDTH}
    made = optimize_model(str(source), "bert", opt_level=level, optimization_options=options, **sizes)
    assert {"Attention", "EmbedLayerNormalization", "SkipLayerNormalization"} < fused(made.model)
    if approximate:
        for block in encoder.blocks:
            block.activation = nn.GELU(approximate="tanh")
    check(encoder, made.model, batch())


def test_a_transformer_in_half_precision_is_read_in_full(encoder: Encoder, tmp_path: Path) -> None:
    source = exported(encoder, batch(), tmp_path / "encoder.onnx")
    made = optimize_model(str(source), "bert", num_heads=HEADS, hidden_size=WIDTH, opt_level=0)
    made.convert_float_to_float16(keep_io_types=True)
    inputs = batch()
    y = ours(widened(interpret(made.model)), inputs)
    rounded = encoder.half().float()
    torch.testing.assert_close(y.detach(), rounded(*inputs.values()).detach(), atol=1e-4, rtol=1e-3)


def test_a_transformer_may_be_quantized_after_the_optimizer(encoder: Encoder, tmp_path: Path) -> None:
    source = exported(encoder, batch(), tmp_path / "encoder.onnx")
    made = optimize_model(str(source), "bert", num_heads=HEADS, hidden_size=WIDTH, opt_level=0)
    made.save_model_to_file(str(tmp_path / "fused.onnx"))
    untyped = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(tmp_path / "fused.onnx", tmp_path / "quantized.onnx", extra_options=untyped)
    model = onnx.load(tmp_path / "quantized.onnx")
    assert "QAttention" in fused(model)
    inputs = batch()
    torch.testing.assert_close(ours(interpret(model), inputs), theirs(model, inputs), atol=2e-5, rtol=1e-4)


class Rooted(nn.Module):
    """Two dense layers with a way around them, behind a norm by the root mean square."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.scale = nn.Parameter(torch.rand(8) + 0.5)
        self.into = nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 12, bias=False), nn.Linear(12, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x and what the layers add to it."""
        x = self.into(x)
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale
        return x + self.down(nn.functional.silu(self.up(y)))


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.LeakyReLU(0.2), nn.Linear(8, 3), nn.GELU())


def images() -> nn.Module:
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, stride=2), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Conv2d(8, 8, 1, groups=2), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(8, 3))


def layers() -> nn.Module:
    """Return torch's own encoder, which onnxruntime fuses by itself."""
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), 2)


NETWORKS = {
    "dense": (dense, (4, 6), {"FusedGemm", "Gelu"}),
    "images": (images, (2, 3, 8, 8), {"FusedConv"}),
    "rooted": (Rooted, (2, 5, 8), {"QuickGelu"}),
    "layers": (layers, (2, 5, 8), {"FusedMatMul", "SkipLayerNormalization"}),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("level", ["ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED"])
def test_a_network_that_onnxruntime_saved_trains_as_it_did(tmp_path: Path, name: str, level: str) -> None:
    torch.manual_seed(0)
    make, shape, wanted = NETWORKS[name]
    network: nn.Module = make()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    inputs = {"x": torch.randn(shape)}
    model = optimized(exported(network.eval(), inputs, tmp_path / "network.onnx"), level)
    if level == "ORT_ENABLE_EXTENDED":
        assert wanted <= fused(model)
    check(network, model, inputs)


def test_what_onnxruntime_lays_out_for_a_processor_is_refused_with_advice() -> None:
    node = Node("Conv", ("x", "w"), ("y",), "conv", domain="com.microsoft.nchwc")
    with pytest.raises(UnsupportedOperator, match=r"com\.microsoft\.nchwc 1, at node 'conv', .* 'extended'"):
        Program(Graph((node,), (), ("y",), {}, opsets={"": 17, "com.microsoft.nchwc": 1}))
