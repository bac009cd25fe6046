"""The LSTM of quantized weights, against onnxruntime."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

Oracle = Callable[..., float]
STEPS, BATCH, INPUTS, WIDTH = 5, 2, 3, 4


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("gates", [False, True])
@pytest.mark.parametrize(
    ("given", "begun", "ended"),
    [
        ({}, False, False),
        ({"clip": 0.5}, True, False),
        ({}, True, True),
        ({"input_forget": 1}, True, False),
    ],
)
def test_a_quantized_lstm_is_onnxruntimes(  # noqa: PLR0917  the truth and what varies
    oracle: Oracle,
    kind: torch.dtype,
    direction: str,
    gates: bool,  # noqa: FBT001
    given: dict[str, Any],
    begun: bool,  # noqa: FBT001
    ended: bool,  # noqa: FBT001
) -> None:
    ways = 2 if direction == "bidirectional" else 1
    info = torch.iinfo(kind)
    w, r = (torch.randint(info.min, info.max + 1, (ways, rows, 4 * WIDTH)).to(kind) for rows in (INPUTS, WIDTH))
    scales = [0.004 + 0.002 * torch.rand(ways, 4 * WIDTH) if gates else torch.full((ways,), 0.005) for _ in range(2)]
    shift = 0 if kind == torch.int8 else 128
    zeros = [torch.full(scales[0].shape, shift, dtype=kind)] * 2
    state = [torch.randn(ways, BATCH, WIDTH) if begun else None for _ in range(2)]
    lengths = torch.tensor([3, STEPS], dtype=torch.int32) if ended else None
    inputs = (
        torch.randn(STEPS, BATCH, INPUTS),
        *(w, r, torch.randn(ways, 8 * WIDTH) / 4, lengths, *state, None),
        *(scales[0], zeros[0], scales[1], zeros[1]),
    )
    tolerance = 2e-3 if ended else 2e-5  # what a sequence that has ended adds to the range is onnxruntime's own
    attributes = {"direction": direction, "hidden_size": WIDTH, **given}
    oracle("DynamicQuantizeLSTM", *inputs, outputs=3, held=(1, 2, 8, 9, 10, 11), tolerance=tolerance, **attributes)
