"""Initialization that measures what each layer gives."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import Trouble
from service.contract.words import Mode, Symptom, TreatmentKind
from worker.criticality import orthonormal, redrawable, started
from worker.network.graph import Input, torch_stream
from worker.network.layers import Layer
from worker.network.run import Program
from worker.network.scaled import times
from worker.passes import count
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

HINTS: Final = Hints(
    torch="""
        for layer in [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d))]:
            nn.init.orthogonal_(layer.weight)
            layer.register_forward_hook(lambda m, _, y: (m.weight.data.div_(y.std() + 1e-9), None)[1])
            model(x), layer._forward_hooks.clear()
    """,
    keras="""
        for layer in [each for each in model.layers if isinstance(each, (keras.layers.Dense, keras.layers.Conv2D))]:
            layer.kernel.assign(keras.initializers.Orthogonal()(layer.kernel.shape))
            given = keras.Model(model.inputs[0], layer.output)(x)
            layer.kernel.assign(layer.kernel / (keras.ops.std(given) + 1e-9))
    """,
)


@treatment(
    "lsuv-init",
    TreatmentKind.INIT,
    {
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.STALLED_TRAINING,
        Symptom.POOR_INIT_SCALE,
        Symptom.NON_FINITE,
        Symptom.SATURATED_UNITS,
    },
    cost=2,
    retrains=True,
    hints=HINTS,
)
def lsuv_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Scale each layer so that it gives unit variance on the batch (LSUV)

    What it changes
        Kernels of dense and convolutional layers become orthogonal, biases 0; then, in forward order, each kernel is
        divided by the standard deviation of what its layer gives on the batch.

    Why it helps
        The signal has unit scale in every layer by measurement, whatever the activation, the structure and the inputs.

    When it is wrong
        Signals of unit scale are not gradients of unit scale: behind tanh and other activations that bend it leaves
        gradients growing, behind sigmoid fading.  Without residual scaling, sums still grow.  Trained weights are lost.

    References
        Mishkin and Matas 2016 (arXiv 1511.06422).
    """
    layers = redrawable(subject.graph)
    if not layers:
        return Inapplicable("No dense or convolutional layer has trainable weights of its own.")
    graph = started(subject.graph, layers, subject.seed, lambda layer: orthonormal(subject.graph, layer, 1.0))
    try:
        factors = dict(_factors(subject.replace(graph=graph), layers))
    except Trouble as trouble:
        return Inapplicable(f"The layers cannot be run one by one: {trouble}")
    scaled = {name: times(graph.parameters[name], factor) for name, factor in factors.items()}
    sentence = (
        f"Draw {len(layers)} kernels (first: {layers[0].node.origin or layers[0].node.name}) orthogonal, and scale "
        f"them by {min(factors.values(), default=1):.3g} to {max(factors.values(), default=1):.3g} so that each layer "
        "gives variance 1 on the batch."
    )
    return Change(subject.replace(graph=graph.replace(parameters={**graph.parameters, **scaled})), (sentence,))


def _factors(subject: Subject, layers: Sequence[Layer]) -> Iterator[tuple[str, float]]:
    """Yield what each kernel is to be multiplied by, from one forward run that goes on with what is scaled."""
    known: dict[str, Tensor] = dict(subject.batch.inputs)
    scaled: dict[str, Tensor] = {}
    ends = {layer.output: layer for layer in layers}
    start = 0
    count(forward=1)
    for place, node in enumerate(subject.graph.nodes):
        found = [ends[value] for value in node.outputs if value in ends]
        if not found:
            continue
        known.update(_run(subject, start, place + 1, known, scaled))
        start, (layer,) = place + 1, found
        factor = _factor(known[layer.output])
        if factor is not None:
            scaled[layer.kernel] = subject.graph.parameters[layer.kernel].value.to(subject.device) * factor
            known[layer.output] = known[layer.output] * factor
            yield layer.kernel, factor


def _run(
    subject: Subject, start: int, end: int, known: Mapping[str, Tensor], scaled: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Return what a run of the nodes from one place to another makes of the values known so far."""
    graph = subject.graph
    part = graph.replace(
        nodes=graph.nodes[start:end],
        inputs=tuple(Input(name, value.dtype, ()) for name, value in known.items() if name not in graph.parameters),
        outputs=(),
    )
    with torch.no_grad():
        found = Program(part, subject.device).trace(
            {name: value.float() if value.is_floating_point() else value for name, value in known.items()},
            scaled,
            training=subject.mode is Mode.TRAIN,
            generator=torch_stream(subject.seed, str(start)) if subject.device.type == "cpu" else None,
        )
    return {name: value for name, value in found.values.items() if name not in graph.parameters}


def _factor(value: Tensor) -> float | None:
    """Return what brings a value to unit variance; None where nothing can."""
    deviation = float(value.double().std(correction=0)) if value.numel() > 1 else 0.0
    return 1 / deviation if 1e-30 < deviation < 1e30 else None  # noqa: PLR2004
