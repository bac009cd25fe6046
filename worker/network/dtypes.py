"""ONNX's element types and torch's, one for one."""

from types import MappingProxyType

import torch
from onnx import TensorProto

from service.contract.problem import UnsupportedModel

TORCH: MappingProxyType[int, torch.dtype] = MappingProxyType(
    {
        TensorProto.FLOAT: torch.float32,
        TensorProto.UINT8: torch.uint8,
        TensorProto.INT8: torch.int8,
        TensorProto.UINT16: torch.uint16,
        TensorProto.INT16: torch.int16,
        TensorProto.INT32: torch.int32,
        TensorProto.INT64: torch.int64,
        TensorProto.BOOL: torch.bool,
        TensorProto.FLOAT16: torch.float16,
        TensorProto.DOUBLE: torch.float64,
        TensorProto.UINT32: torch.uint32,
        TensorProto.UINT64: torch.uint64,
        TensorProto.BFLOAT16: torch.bfloat16,
    }
)
ONNX = MappingProxyType({there: here for here, there in TORCH.items()})


def dtype(code: int) -> torch.dtype:
    """Return torch's type for ONNX's `code`; UnsupportedModel where torch has none that computes."""
    if code not in TORCH:
        known = code in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(code) if known else str(code)
        msg = f"The model holds values of type {name}, which is not supported."
        raise UnsupportedModel(msg)
    return TORCH[code]
