"""The real Keras beside ours: the same weights, the same batch, outputs and gradients compared.

Keras runs on torch, so that both sides are differentiated by the same means; our network is made from `to_json()`
alone.  A weight of ours is found in Keras by its name: `outer/dense.kernel` is the variable `kernel` of the layer
`dense` in the model `outer`.  It is brought into our layout by what its law does with what it draws.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import keras
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service import keras as description
from service.descriptions import parse
from worker.load.keras_model import lower
from worker.network.graph import Graph, Law
from worker.network.run import Program

ERRORS: dict[str, tuple[int, float, float]] = {}
"""How many models each test compared, and the largest relative errors of outputs and of gradients."""
WHOLE = "test_a_models_outputs_and_gradients_are_kerass"
"""The test whose models are told one by one."""
TOLERANCE = 1e-5
SLIGHT = 0.01
"""Share of the largest gradient under which one may be nothing but rounding, as a bias's before a normalization is."""
Batch = Mapping[str, NDArray[Any]]


def described(model: keras.Model, text: str | None = None) -> description.Description:
    """Return our reading of a Keras model, or of another text; it must hold as many numbers as Keras trains."""
    found = parse((text or model.to_json()).encode())
    assert isinstance(found, description.Description)
    held = {id(each): each for layer in model._flatten_layers() for each in layer._trainable_variables}  # noqa: SLF001  frozen ones as well
    assert found.weights() == sum(int(np.prod(each.shape)) for each in held.values())
    return found


def same(
    model: keras.Model,
    batch: Batch | None = None,
    *,
    names: Mapping[str, str] | None = None,
    tolerance: float = TOLERANCE,
    training: bool = False,
    text: str | None = None,
) -> Graph:
    """Compare outputs and the gradients of all weights on a batch; return our graph with Keras's weights.

    Weights that start all alike are moved first.

    `names` gives, for weights that are named otherwise here, the end of the variable's path in Keras.  `text` is read
    in place of the model's own JSON.
    """
    _stir(model)
    graph = lower(described(model, text), seed=0)
    fed = {name: torch.as_tensor(value) for name, value in (batch or drawn(graph)).items()}
    variables = {name: variable(model, name, names or {}) for name in graph.parameters}
    graph = _with_weights(graph, variables, model, names or {})
    leaves = {name: each.value.clone().requires_grad_() for name, each in graph.parameters.items()}
    given = Program(graph).run(fed, leaves, training=training)
    found = [given[name] for name in graph.outputs]
    expected = _outputs(model(_fed(model, fed), training=training), graph)
    assert [tuple(each.shape) for each in found] == [tuple(each.shape) for each in expected]
    error = max(apart(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    slope = _slopes(found, expected, leaves, variables, graph)
    _remember(error, slope)
    assert error <= tolerance, f"outputs differ by {error:.2g}"
    assert slope <= 10 * tolerance, f"gradients differ by {slope:.2g}"
    return graph


def _stir(model: keras.Model) -> None:
    """Move the weights that start all alike, biases above all: zeros would hide which is which."""
    generator = np.random.default_rng(2)
    for each in model.weights:
        value = np.asarray(each.value.detach())
        if value.dtype.kind == "f" and value.size and np.ptp(value) == 0:
            each.assign(value + generator.uniform(0.05, 0.2, value.shape).astype(value.dtype))


def drawn(graph: Graph, samples: int = 3) -> Batch:
    """Return a batch from the standard normal law, or of tokens; open sizes are 6."""
    generator = np.random.default_rng(0)

    def values(shape: Sequence[int], classes: int | None, dtype: torch.dtype) -> NDArray[Any]:
        if dtype.is_floating_point:
            return generator.standard_normal(shape).astype(np.float32)
        return generator.integers(0, classes or 2, shape).astype(np.bool_ if dtype == torch.bool else np.int64)

    return {
        each.name: values(
            (samples, *(size if isinstance(size, int) else 6 for size in each.shape[1:])), each.classes, each.dtype
        )
        for each in graph.inputs
    }


def variable(model: keras.Model, name: str, names: Mapping[str, str]) -> Any:  # noqa: ANN401  Keras says nothing of it
    """Return the Keras variable that a parameter of ours stands for."""
    path, _, role = name.rpartition("/")[2].partition(".")
    layer: Any = model
    for step in [*name.split(".", 1)[0].split("/")[:-1], path]:
        known = {each.name: each for each in getattr(layer, "layers", ())}
        layer = known.get(step, layer)
    wanted = names.get(name, role.replace(".", "/"))
    found = [each for each in layer.weights if f"/{each.path}".endswith(f"/{wanted}")]
    found = [each for each in found if f"/{path}/" in f"/{each.path}"] if len(found) > 1 else found
    assert len(found) == 1, f"{name}: {wanted} is {[each.path for each in found or layer.weights]}"
    return found[0]


def laid(law: Law | None, value: Tensor) -> Tensor:
    """Return a weight of Keras's in our layout: as the law lays out what it draws."""
    inner = getattr(law, "law", None)
    if not is_dataclass(law) or not callable(inner):
        return value
    outer: Any = replace(law, law=lambda _: laid(inner, value))  # type: ignore[type-var]
    return outer(None)


def _with_weights(graph: Graph, variables: Mapping[str, Any], model: keras.Model, names: Mapping[str, str]) -> Graph:
    values = {name: laid(graph.parameters[name].law, each.value.detach().clone()) for name, each in variables.items()}
    laws = {name: each.law for name, each in graph.parameters.items()}
    graph = graph.with_parameters(values)
    states = {
        name: variable(model, name, names).value.detach().clone()
        for name in graph.constants
        if name.rpartition(".")[2] in {"moving_mean", "moving_variance"}
    }
    kept = {name: replace(each, law=laws[name]) for name, each in graph.parameters.items()}
    return graph.replace(constants={**graph.constants, **states}, parameters=kept)


def _fed(model: keras.Model, batch: Mapping[str, Tensor]) -> Any:  # noqa: ANN401  what Keras takes
    """Return the batch in the structure in which the model takes it."""
    if isinstance(model, keras.Sequential):
        return next(iter(batch.values()))
    tensors = [batch[each._keras_history.operation.name] for each in model.inputs]  # noqa: SLF001  nor this
    return keras.tree.pack_sequence_as(model._inputs_struct, tensors)  # noqa: SLF001  Keras does not say it otherwise


def _outputs(given: Any, graph: Graph) -> list[Tensor]:  # noqa: ANN401  a tensor, or a structure of them
    if isinstance(given, dict):
        return [given[name] for name in graph.outputs]
    return list(keras.tree.flatten(given))


def apart(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference, relative to the largest expected magnitude."""
    scale = float(expected.detach().abs().max()) or 1.0
    return float((found - expected).detach().abs().max()) / scale


def _slopes(
    found: Sequence[Tensor],
    expected: Sequence[Tensor],
    leaves: Mapping[str, Tensor],
    variables: Mapping[str, Any],
    graph: Graph,
) -> float:
    """Return the largest relative difference of a gradient, under the same random cotangents."""
    if not leaves:
        return 0.0
    generator = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(each.shape, generator=generator) for each in found]
    ours, theirs = (
        sum((each * other).sum() for each, other in zip(outputs, cotangents, strict=True))
        for outputs in (found, expected)
    )
    keys = [name for name in leaves if graph.parameters[name].trainable]
    assert keys == [name for name in leaves if variables[name].value.requires_grad]
    here = torch.autograd.grad(ours, [leaves[key] for key in keys], allow_unused=True)  # type: ignore[arg-type]
    there = torch.autograd.grad(theirs, [variables[key].value for key in keys], allow_unused=True)  # type: ignore[arg-type]
    largest = max((float(each.abs().max()) for each in there if each is not None), default=1.0) or 1.0
    worst = 0.0
    for key, mine, its in zip(keys, here, there, strict=True):
        assert (mine is None or not mine.any()) == (its is None or not its.any()), (
            f"{key}: only one side has a gradient"
        )
        if mine is not None and its is not None:
            wanted = laid(graph.parameters[key].law, its)
            # a key's bias shifts a row of logits as a whole, which softmax does not see: its gradient is rounding
            floor = 1.0 if key.endswith("key.bias") else SLIGHT
            scale = max(float(wanted.abs().max()), floor * largest)
            worst = max(worst, float((mine - wanted).abs().max()) / scale)
    return worst


def _remember(error: float, slope: float) -> None:
    """Keep the largest errors of each test, and of each model of the zoo."""
    test, _, case = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].rpartition(" ")[0].partition("[")
    name = f"the model {case.rstrip(']')}" if test == WHOLE else test.removeprefix("test_")
    before = ERRORS.get(name, (0, 0.0, 0.0))
    ERRORS[name] = (before[0] + 1, max(before[1], error), max(before[2], slope))
