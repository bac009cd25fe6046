"""Operators of ai.onnx.ml on numbers and on text, against onnxruntime."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from worker.network.backend import TorchRep

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(5, 4)).astype(np.float32)
HOLED = np.where(DRAW.random((5, 4)) > 0.5, np.nan, X).astype(np.float32)
WORDS = np.array([["b", "a", "?"], ["a", "a", "c"]], object)
WHOLE = DRAW.integers(0, 5, (5, 4))
COEFFICIENTS = DRAW.normal(size=12).tolist()


def model(op: str, given: list[np.ndarray], outputs: int, version: int, attributes: dict[str, Any]) -> onnx.ModelProto:
    names = [f"x{place}" for place in range(len(given))]
    made = [f"y{place}" for place in range(outputs)]
    kinds = [helper.np_dtype_to_tensor_dtype(each.dtype) for each in given]
    graph = helper.make_graph(
        [helper.make_node(op, names, made, domain="ai.onnx.ml", **attributes)],
        "one",
        [helper.make_tensor_value_info(*each, None) for each in zip(names, kinds, strict=True)],
        [onnx.ValueInfoProto(name=name) for name in made],
    )
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
    return helper.make_model(graph, opset_imports=versions, ir_version=8)


CASES: list[tuple[str, list[np.ndarray], dict[str, Any]]] = [
    ("Scaler", [X], {"offset": [0.5, 0.0, -1.0, 2.0], "scale": [1.0, 2.0, 3.0, 4.0]}),
    ("Scaler", [X], {"offset": [0.5], "scale": [3.0]}),
    ("Scaler", [WHOLE], {"offset": [0.5], "scale": [3.0]}),
    ("Normalizer", [np.abs(X)], {"norm": "MAX"}),
    ("Normalizer", [X], {"norm": "L1"}),
    ("Normalizer", [X], {"norm": "L2"}),
    ("Normalizer", [X * 0], {"norm": "L2"}),
    ("Imputer", [HOLED], {"imputed_value_floats": [0.0, 1.0, 2.0, 3.0], "replaced_value_float": float("nan")}),
    ("Imputer", [HOLED], {"imputed_value_floats": [7.0], "replaced_value_float": float("nan")}),
    ("Imputer", [WHOLE], {"imputed_value_int64s": [9], "replaced_value_int64": 3}),
    ("FeatureVectorizer", [X, X[:, :2]], {"inputdimensions": [4, 2]}),
    ("Binarizer", [X], {"threshold": 0.25}),
    ("ArrayFeatureExtractor", [X, np.array([2, 0], np.int64)], {}),
    ("ArrayFeatureExtractor", [X[0], np.array([2, 0, 2], np.int64)], {}),
    ("OneHotEncoder", [WHOLE], {"cats_int64s": [0, 2, 3], "zeros": 1}),
    ("LinearRegressor", [X], {"coefficients": COEFFICIENTS, "intercepts": [0.1, 0.2, 0.3], "targets": 3}),
    ("LinearRegressor", [X], {"coefficients": COEFFICIENTS[:4]}),
]


@pytest.mark.parametrize(("op", "given", "attributes"), CASES)
def test_values_are_onnxruntimes(op: str, given: list[np.ndarray], attributes: dict[str, Any]) -> None:
    compare(model(op, given, 1, 1, attributes), given)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_a_linear_classifier_gives_labels_and_scores(transform: str) -> None:
    attributes = {"classlabels_ints": [3, 5, 7], "coefficients": COEFFICIENTS, "post_transform": transform}
    compare(model("LinearClassifier", [X], 2, 1, {**attributes, "intercepts": [0.1, 0.2, 0.3]}), [X])


LABELS: list[tuple[np.ndarray, dict[str, Any]]] = [
    (WORDS, {"keys_strings": ["a", "b"], "values_int64s": [4, 5]}),
    (WORDS, {"keys_strings": ["a", "b"], "values_floats": [4.0, 5.0], "default_float": 1.5}),
    (WORDS, {"keys_strings": ["a", "b"], "values_strings": ["x", "y"], "default_string": "z"}),
    (WHOLE, {"keys_int64s": [0, 1, 2], "values_strings": ["x", "y", "z"]}),
    (WHOLE, {"keys_int64s": [0, 1, 2], "values_floats": [0.5, 1.5, 2.5]}),
    (HOLED, {"keys_floats": [float("nan")], "values_floats": [9.0], "default_float": -1.0}),
]


@pytest.mark.parametrize(("given", "attributes"), LABELS)
def test_labels_are_onnxruntimes(given: np.ndarray, attributes: dict[str, Any]) -> None:
    compare(model("LabelEncoder", [given], 1, 4, attributes), [given])


def compare(made: onnx.ModelProto, given: list[np.ndarray]) -> None:
    """Assert that types, shapes and values are onnxruntime's."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {each.name: value for each, value in zip(session.get_inputs(), given, strict=True)})
    for mine, other in zip(TorchRep(made, torch.device("cpu")).run(given), theirs, strict=True):
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
        if other.dtype == object:
            assert mine.tolist() == other.tolist()
        else:
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6)
