"""Operators of ai.onnx.ml on numbers, as the converters of scikit-learn write them around their networks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.network.ops import op

DOMAIN = "ai.onnx.ml"
POSITIVE = 1e-30
"""A norm below this is taken for zero, and divides nothing."""


def _row(values: Sequence[float], x: Tensor) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float32, device=x.device)


@op("Scaler", domain=DOMAIN)
def scaler(x: Tensor, *, offset: Sequence[float] = (), scale: Sequence[float] = ()) -> Tensor:
    """(x - offset) times scale, of each feature its own or of all the same."""
    return (x - _row(offset, x)).float() * _row(scale, x)


@op("Normalizer", domain=DOMAIN)
def normalizer(x: Tensor, *, norm: str = "MAX") -> Tensor:
    """X divided by the norm of its row: the largest number (MAX), the sum of magnitudes (L1), or L2."""
    rows = x.float()
    if norm == "MAX":
        size = rows.amax(-1, keepdim=True)
    else:
        size = torch.linalg.vector_norm(rows, 1 if norm == "L1" else 2, -1, keepdim=True)
    return rows / torch.where(size.abs() < POSITIVE, 1.0, size)


@op("Imputer", domain=DOMAIN)
def imputer(
    x: Tensor,
    *,
    imputed_value_floats: Sequence[float] = (),
    imputed_value_int64s: Sequence[int] = (),
    replaced_value_float: float = 0.0,
    replaced_value_int64: int = 0,
) -> Tensor:
    """X with another number in place of one, which is mostly that of a value that is missing."""
    real = x.is_floating_point()
    missing = x == (replaced_value_float if real else replaced_value_int64)
    if real and replaced_value_float != replaced_value_float:  # noqa: PLR0124  only a number that is none differs
        missing = x.isnan()
    values = torch.tensor(imputed_value_floats if real else imputed_value_int64s, dtype=x.dtype, device=x.device)
    return torch.where(missing, values, x)


@op("FeatureVectorizer", domain=DOMAIN)
def feature_vectorizer(*inputs: Tensor, inputdimensions: Sequence[int] = ()) -> Tensor:
    """All features side by side, as floats."""
    rows = [value.reshape(len(value), -1).float() if value.dim() else value.reshape(1, 1).float() for value in inputs]
    cut = [row[:, :width] for row, width in zip(rows, inputdimensions, strict=True)] if inputdimensions else rows
    return torch.cat(cut, 1)


@op("Binarizer", domain=DOMAIN, gradient=False)
def binarizer(x: Tensor, *, threshold: float = 0.0) -> Tensor:
    """1 where x is above the threshold, 0 elsewhere."""
    return (x > threshold).to(x.dtype)


@op("ArrayFeatureExtractor", domain=DOMAIN, fixed=("places",))
def array_feature_extractor(x: Tensor, places: Tensor) -> Tensor:
    """The features at some places of the last axis; of a vector as a row."""
    found = x[..., places.reshape(-1).to(x.device)]
    return found if x.dim() > 1 else found.reshape(1, -1)


@op("OneHotEncoder", domain=DOMAIN, gradient=False)
def one_hot_encoder(x: Tensor, *, cats_int64s: Sequence[int] = (), zeros: int = 1) -> Tensor:
    """1 at the place of x among the categories; ValueError where it is none of them, unless `zeros`."""
    hot = x.unsqueeze(-1) == torch.tensor(list(cats_int64s), device=x.device)
    if not zeros and not bool(hot.any(-1).all()):
        msg = "a value is none of the categories"
        raise ValueError(msg)
    return hot.float()


def _finished(scores: Tensor, transform: str) -> Tensor:
    if transform not in {"NONE", "LOGISTIC", "SOFTMAX"}:
        msg = f"the transformation {transform} is not supported"
        raise ValueError(msg)
    return scores.softmax(-1) if transform == "SOFTMAX" else scores.sigmoid() if transform == "LOGISTIC" else scores


@op("LinearRegressor", domain=DOMAIN)
def linear_regressor(
    x: Tensor,
    *,
    coefficients: Sequence[float],
    intercepts: Sequence[float] = (),
    post_transform: str = "NONE",
    targets: int = 1,
) -> Tensor:
    """A linear map of the features, with the coefficients of one target after those of another."""
    weight = _row(coefficients, x).reshape(targets, -1)
    return _finished(x.float() @ weight.mT + (_row(intercepts, x) if intercepts else 0), post_transform)


@op("LinearClassifier", domain=DOMAIN)
def linear_classifier(
    x: Tensor,
    *,
    classlabels_ints: Sequence[int],
    coefficients: Sequence[float],
    intercepts: Sequence[float] = (),
    multi_class: int = 0,
    post_transform: str = "NONE",
) -> tuple[Tensor, Tensor]:
    """The label whose linear score is the largest, and all scores; ValueError unless each label has its own."""
    weight = _row(coefficients, x).reshape(-1, x.shape[-1])
    if len(weight) != len(classlabels_ints):
        msg = "one score for two labels is not supported"
        raise ValueError(msg)
    scores = x.float() @ weight.mT + (_row(intercepts, x) if intercepts else 0)
    labels = torch.tensor(list(classlabels_ints), device=x.device)
    return labels[scores.argmax(-1)], _finished(scores, post_transform)
