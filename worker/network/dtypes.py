"""ONNX's element types and torch's, one for one.

A tensor's dtype says its ONNX type, whatever the type's width, so nothing beside a tensor has to remember it.  Numbers
of four and two bits lie one to a byte in torch's own types for them, which have a name and a layout but no arithmetic:
`lowbit` widens them where something is computed, and packs nothing.  FLOAT4E2M1 lies in `float4_e2m1fn_x2` in the same
way, one number to a byte, in its low half.  Text is no tensor: it is an array of numpy's objects.
"""

from types import MappingProxyType

import torch
from onnx import TensorProto

from service.contract.problem import UnsupportedModel

INT4: torch.dtype = torch.int4  # type: ignore[attr-defined]
UINT4: torch.dtype = torch.uint4  # type: ignore[attr-defined]
INT2: torch.dtype = torch.int2  # type: ignore[attr-defined]
UINT2: torch.dtype = torch.uint2  # type: ignore[attr-defined]
SIGNED = frozenset({INT4, INT2})

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
        TensorProto.FLOAT8E4M3FN: torch.float8_e4m3fn,
        TensorProto.FLOAT8E4M3FNUZ: torch.float8_e4m3fnuz,
        TensorProto.FLOAT8E5M2: torch.float8_e5m2,
        TensorProto.FLOAT8E5M2FNUZ: torch.float8_e5m2fnuz,
        TensorProto.FLOAT8E8M0: torch.float8_e8m0fnu,
        TensorProto.FLOAT4E2M1: torch.float4_e2m1fn_x2,
        TensorProto.INT4: INT4,
        TensorProto.UINT4: UINT4,
        TensorProto.INT2: INT2,
        TensorProto.UINT2: UINT2,
    }
)
ONNX = MappingProxyType({there: here for here, there in TORCH.items()})

DIFFERENTIABLE = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
"""The types that a gradient can have; torch calls narrower ones floating point too, and computes nothing with them."""


def dtype(code: int) -> torch.dtype:
    """Return torch's type for ONNX's `code`; UnsupportedModel where torch has none."""
    if code not in TORCH:
        known = code in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(code) if known else str(code)
        msg = f"The model holds values of type {name}, which is not supported."
        raise UnsupportedModel(msg)
    return TORCH[code]
