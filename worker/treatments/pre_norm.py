"""Norms moved from behind residual sums to the front of branches."""

from collections.abc import Mapping
from dataclasses import replace

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph, Node, Parameter
from worker.network.laws import Constant
from worker.network.norming import HAS_STANDARDIZATION, Norming
from worker.network.post_norms import Join, Normed, Sums
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment


@treatment(
    "pre-norm",
    TreatmentKind.NORMALIZATION,
    {
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.STALLED_TRAINING,
        Symptom.GRADIENT_SPIKES,
    },
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        for name, layer in list(model.named_children()):
            if hasattr(layer, "norm_first"):  # a norm behind the last block alone
                layer.norm_first = True
                setattr(model, name, nn.Sequential(layer, nn.LayerNorm(layer.norm2.normalized_shape)))
        """,
        keras="""
        def moved(it, *x, k=keras.layers, **more):  # then leave out the norms behind sums, but for the last
            return it(*(map(k.LayerNormalization(), x) if isinstance(it, k.MultiHeadAttention) else x), **more)
        model = keras.models.clone_model(keras.Model(model.inputs[0], model.outputs[0]), call_function=moved)
        """,
    ),
)
def pre_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Normalize in front of the residual branches, not behind the sums

    What it changes
        x ← LN(x + f(x)) becomes x ← x + f(LN(x)): each skip passes by the norm behind the sum before it, which then
        stands in front of the next branch alone.  The last norm stays behind the last sum, and the first branch gets
        one of its own if it has none.  All weights keep their places.

    Why it helps
        The skips then carry gradients from the last layer to the first untouched; behind a norm of each sum every
        block takes a share of them away, and deep stacks train only with a long warm-up.

    When it is wrong
        Up to a dozen blocks with warm-up, norms behind sums often end better.  The signal grows with the root of
        depth.  Weights trained with the norms elsewhere must be trained further.

    References
        Xiong et al. 2020 (arXiv 2002.04745); Wang et al. 2019 (arXiv 1906.01787).
    """
    sums = Sums(subject.graph)
    behind = {found.source: found for node in subject.graph.nodes if (found := sums.norm(_output(node))) is not None}
    joins = [join for join in sums.joins() if _alone(subject.graph, behind, join)]
    if not joins:
        return Inapplicable("No norm stands behind a residual sum.")
    ends = {join.node.outputs[0] for join in joins}
    graph, added, passed = subject.graph, 0, 0
    for join in joins:
        before = sums.norm(join.skip)
        if before is not None and before.source in ends:
            graph, passed = _passed_by(graph, join, before.source), passed + 1
        elif before is None:
            made = _in_front(graph, join, behind[join.node.outputs[0]])
            graph, added = made or graph, added + (made is not None)
    if not passed and not added:
        return Inapplicable("The norm behind the only residual sum is all that there is to move.")
    return Change(subject.replace(graph=graph), tuple(_said(joins, passed, added)))


def _said(joins: list[Join], passed: int, added: int) -> list[str]:
    first = joins[0].node.origin or joins[0].node.name
    said = [f"Lead {passed} of {len(joins)} skips past the norm behind the sum before (first sum: {first})."]
    return said + [f"Insert a norm in front of {added} first branch{'es' if added > 1 else ''}."] * (added > 0)


def _output(node: Node) -> str:
    return node.outputs[0] if node.outputs else ""


def _alone(graph: Graph, behind: Mapping[str, Normed], join: Join) -> bool:
    """Whether nothing but a norm reads a sum, and none stands in front of its branch."""
    total, front = join.node.outputs[0], behind.get(join.skip)
    if total not in behind or total in graph.outputs or (front and front.node.outputs[0] in join.within):
        return False
    parts = {"ReduceMean", "Sub"}
    readers = list(graph.consumers(total))
    return len(readers) == 1 or {node.op for node in readers} == parts


def _passed_by(graph: Graph, join: Join, source: str) -> Graph:
    """Return the graph in which the sum's skip is what was normalized, not the norm of it."""
    inputs = tuple(source if name == join.skip else name for name in join.node.inputs)
    nodes = (replace(node, inputs=inputs) if node.name == join.node.name else node for node in graph.nodes)
    return graph.replace(nodes=tuple(nodes))


def _in_front(graph: Graph, join: Join, like: Normed) -> Graph | None:
    """Return the graph with a norm between the skip and the branch, such as stands behind the sum."""
    if like.gain is None or graph.opsets.get("", 0) < HAS_STANDARDIZATION:
        return None
    held = graph.parameters[like.gain]
    size = tuple(held.value.shape)
    origin = join.node.origin
    stem = graph.fresh(f"{join.node.name}.norm_in_front")
    gain, bias = f"{stem}.gain", f"{stem}.bias"
    norming = Norming(graph, join.skip, graph.fresh(f"{stem}.out"), held.value, stem, origin)
    parameters = {gain: Parameter(held.value.new_ones(size), Constant(size, 1.0), origin=origin)}
    epsilon = like.node.attributes.get("epsilon", 1e-5)
    epsilon = epsilon if isinstance(epsilon, float) else 1e-5
    if like.node.op == "RMSNormalization":
        norming.root_mean_square(gain, size[-1], epsilon=epsilon)
    else:
        parameters[bias] = Parameter(held.value.new_zeros(size), Constant(size, 0.0), origin=origin)
        norming.layer(gain, bias, (-len(size),), epsilon)
    nodes: list[Node] = []
    for node in graph.nodes:
        reads_skip = join.skip in node.inputs and not join.within.isdisjoint(node.outputs)
        if reads_skip and not any(each is norming.nodes[-1] for each in nodes):
            nodes += norming.nodes
        inputs = tuple(norming.fresh if name == join.skip else name for name in node.inputs)
        nodes.append(replace(node, inputs=inputs) if reads_skip else node)
    return graph.replace(
        nodes=tuple(nodes),
        parameters={**graph.parameters, **parameters},
        constants={**graph.constants, **norming.constants},
    )
