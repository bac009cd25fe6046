"""What convolutions, pooling and resampling become is ONNX: onnxruntime computes the same."""

import keras
import onnxruntime
import pytest
import torch
from keras import layers

from tests.keras.real import described, drawn
from worker.load.keras_model import lower
from worker.network.export import to_onnx
from worker.network.run import Program

SIZES = {1: (9, 4), 2: (9, 8, 4), 3: (5, 6, 7, 4)}


@pytest.mark.parametrize(
    ("axes", "layer"),
    [
        (1, layers.Conv1D(4, 3, padding="causal", dilation_rate=2)),
        (2, layers.Conv2D(6, 4, 3, "same", groups=2)),
        (2, layers.Conv2D(6, 3, padding="same", data_format="channels_first")),
        (3, layers.Conv3D(6, 2, padding="same", dilation_rate=2)),
        *((1, layers.Conv1DTranspose(6, 2, 3, "same", output_padding=added)) for added in (None, 0, 1, 2)),
        (2, layers.Conv2DTranspose(6, 2, 3)),
        (3, layers.Conv3DTranspose(6, 3, 2, "same")),
        (1, layers.DepthwiseConv1D(3, depth_multiplier=2)),
        (2, layers.SeparableConv2D(3, 3, 2, "same", depth_multiplier=2)),
        (2, layers.MaxPooling2D(3, 2, "same")),
        (2, layers.AveragePooling2D(4, 3, "same")),
        (2, layers.AdaptiveAveragePooling2D(5)),
        (3, layers.AdaptiveMaxPooling3D(3)),
        (2, layers.GlobalAveragePooling2D(keepdims=True)),
        (1, layers.UpSampling1D(2)),
        *((2, layers.UpSampling2D((2, 3), interpolation=word)) for word in ("nearest", "bilinear", "bicubic")),
        (3, layers.UpSampling3D(2)),
        (2, layers.Resizing(5, 11)),
        (2, layers.Resizing(5, 11, "nearest")),
        (2, layers.Resizing(5, 11, "bicubic", antialias=True)),
        (2, layers.Resizing(12, 7, pad_to_aspect_ratio=True)),
        (2, layers.CenterCrop(12, 3)),
        (2, layers.ZeroPadding2D(((1, 0), (2, 1)))),
        (3, layers.Cropping3D(((1, 0), (2, 1), 0))),
    ],
)
def test_onnxruntime_computes_the_same(axes: int, layer: keras.Layer) -> None:
    graph = lower(described(keras.Sequential([layers.Input(SIZES[axes]), layer])), seed=0)
    batch = drawn(graph)
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString())
    expected = torch.from_numpy(session.run(None, dict(batch))[0])
    found = Program(graph).run({name: torch.as_tensor(value) for name, value in batch.items()})[graph.outputs[0]]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
