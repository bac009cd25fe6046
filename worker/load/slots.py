"""Where operators take weights, and through which of them a weight may pass on its way."""

from collections.abc import Mapping, Sequence

from worker.network.graph import Node

SLOTS: Mapping[str, Sequence[int]] = {
    "Attention": (0, 1, 2),
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "DeformConv": (1, 3),
    "Einsum": range(64),
    "GRU": (1, 2, 3),
    "Gather": (0,),
    "Gemm": (0, 1, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3, 7),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
    "RMSNormalization": (1,),
    "RNN": (1, 2, 3),
    "SimplifiedLayerNormalization": (1,),
}
"""Inputs of ai.onnx's operators that hold weights, whatever else the operator is given."""

FUSED: Mapping[str, Sequence[int]] = {
    "Attention": (1, 2),
    "BiasAdd": (1,),
    "BiasDropout": (1,),
    "BiasGelu": (1,),
    "BiasSplitGelu": (1,),
    "BranchwiseRMSNorm": (1,),
    "CausalConvWithState": (1, 2),
    "ConvTransposeWithDynamicPads": (1, 3),
    "DecoderMaskedMultiHeadAttention": (10,),
    "EmbedLayerNormalization": (2, 3, 4, 5, 6),
    "FastGelu": (1,),
    "FusedConv": (1, 2),
    "FusedGemm": (0, 1, 2),
    "FusedMatMul": (0, 1),
    "FusedMatMulActivation": (0, 1),
    "GatedRMSNorm": (1,),
    "GatedRelativePositionBias": (1, 3, 4, 5),
    "GemmFastGelu": (1, 2),
    "GroupNorm": (1, 2),
    "GroupQueryAttention": (11, 14, 15),
    "LayerNormalization": (1, 2),
    "LinearAttentionGate": (1, 2),
    "MatMulNBits": (5,),
    "MoE": range(2, 8),
    "MultiHeadAttention": (0, 1, 2, 3),
    "NhwcConv": (1, 2),
    "NhwcFusedConv": (1, 2),
    "PackedAttention": (1, 2),
    "RelativePositionBias": (0,),
    "SimplifiedLayerNormalization": (1,),
    "SkipGroupNorm": (1, 2, 4),
    "SkipLayerNormalization": (0, 1, 2, 3, 4),
    "SkipSimplifiedLayerNormalization": (0, 1, 2, 3),
    "TorchEmbedding": (0,),
    "TransposeMatMul": (0, 1),
}
"""The same of onnxruntime's own operators, in the domain com.microsoft."""

STATES: Mapping[str, Sequence[int]] = {"GRU": (5,), "LSTM": (5, 6), "RNN": (5,)}
"""First states of recurrent operators: weights where they are learnt, zeros elsewhere."""

MEETS = frozenset({"Add", "Concat", "Div", "Max", "Min", "Mul", "Sub", "Where"})
"""Operators whose other operand may be a weight."""

PRODUCTS = frozenset({"Einsum", "Gemm", "MatMul"})

PASSES: Mapping[str, Sequence[int]] = {
    **dict.fromkeys(("Abs", "Cast", "CastLike", "Clip", "Expand", "Flatten", "Identity", "Log", "Pad", "Relu"), (0,)),
    **dict.fromkeys(("Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"), (0,)),
    **dict.fromkeys(("Exp", "Neg", "Sqrt", "Tanh", "Sigmoid", "Softplus", "Softmax", "Reciprocal", "Pow"), (0,)),
    **dict.fromkeys(("ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"), (0,)),
    **dict.fromkeys(("BatchNormalization", "Dropout", "Erf", "Gelu", "LayerNormalization", "RMSNormalization"), (0,)),
    **dict.fromkeys(("HardSwish", "Mish", "Resize", "Swish"), (0,)),
    **dict.fromkeys(("DequantizeLinear", "QuantizeLinear"), (0,)),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub", "MatMul"), (0, 1)),
    **dict.fromkeys(("ScatterElements", "ScatterND"), (0, 2)),
    "Where": (1, 2),
    "Concat": range(1 << 16),
    "Einsum": range(64),
    "Gemm": (0, 1, 2),
}
"""Inputs through which a weight may reach its slot."""

READS: Mapping[str, int] = {"CastLike": 1, "ConstantOfShape": 0, "Expand": 1, "Shape": 0, "Size": 0}
"""How many inputs an operator takes numbers from, where that is not all: the others give it a type or a shape."""


def at(inputs: Sequence[str], places: Sequence[int]) -> list[str]:
    """Return the names at these places, as far as they are given."""
    return [name for place, name in enumerate(inputs) if place in places and name]


def slots(node: Node) -> list[str]:
    """Return the values in a node's weight slots."""
    rows = {"": SLOTS, "com.microsoft": FUSED}.get(node.domain, {})
    return at(node.inputs, rows.get(node.op, ()))
