"""Guards in front of operators that were fed what they cannot bear."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite
from typing import Final, TypeAlias

from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph, Node
from worker.probe.bounds import Guard, bounds
from worker.probe.causes import cause
from worker.probe.evidence import Evidence, NonFinite
from worker.probe.nonfinite import find_nonfinite
from worker.probe.sweep import Sweep, sweep
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_MOST: Final = 16
"""Operators that are guarded, one after the other."""
_EPSILON: Final = 1e-5
_CLIP_BY_INPUT: Final = 11
"""Opset from which Clip reads its bounds."""
_WHERE: Final = 9
"""Opset from which there is Where."""
_NORMS: Final = frozenset(
    {"BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization"}
)
_CALLED: Final = {"Pow": "pow", "Div": "div", "LogSoftmax": "log_softmax", "BatchNormalization": "batch_norm"}


@treatment(
    "guard-operator",
    TreatmentKind.PRECISION,
    {Symptom.NON_FINITE},
    cost=2,
    retrains=False,
    hints=Hints(
        torch="""
            def guarded(h):  # in the model's own code: $function(guarded(h)) in place of $function(h)
                return h.clamp($low, $high)
            x = guarded(x)
        """,
        keras="""
            def guarded(h):  # in the model's own code: $function(guarded(h)) in place of $function(h)
                return keras.ops.clip(h, $low, $high)
            x = guarded(x)
        """,
    ),
)
def guard_operator(subject: Subject, evidence: Evidence) -> Outcome:
    """Keep the operator at fault from what it cannot bear

    What it changes
        In front of the operator at which NaN or an infinity arises, forward or backward, its input is clamped:
        logarithms and roots read 1e-7 and 1e-12 at least, exponentials 80 at most, inverse functions ±(1 − 1e-6),
        softmaxes −1e9 in place of a mask's −∞, and divisors keep 1e-7 away from zero.  A norm whose ε is 0 gets 1e-5.

    Why it helps
        The operator computes what it computed before wherever that was finite; where it was not, it gives the number at
        the bound, and no gradient.

    When it is wrong
        Where the number says that something before it is wrong: a logarithm of a negative share, a sample that should
        not be there.  Numbers that overflow because they grow from layer to layer need another initialization.

    References
        Goodfellow et al. 2016, Deep Learning, section 4.1; Higham 2002, Accuracy and Stability of Numerical Algorithms.
    """
    if evidence.nonfinite is None:
        return Inapplicable("Every number on the way to the loss and back is finite.")
    treated, done, values = subject, list[str](), dict[str, str]()
    for _ in range(_MOST):
        seen = sweep(treated)
        found = find_nonfinite(seen)
        made = _guarded(treated, seen, found) if found is not None else None
        if found is None or made is None:
            break
        graph, sentence, blanks = made
        treated = treated.replace(graph=graph)
        done.append(sentence)
        values = values or blanks
    if not done:
        return Inapplicable(f"No bound helps where the numbers arise: {evidence.nonfinite.cause}.")
    return Change(treated, tuple(done), values)


def _guarded(subject: Subject, seen: Sweep, found: NonFinite) -> tuple[Graph, str, dict[str, str]] | None:
    """Return the graph with the operator at fault guarded, what that is in words, and what fills the hints' blanks."""
    for node in _suspects(subject.graph, found):
        made = _with_epsilon(subject.graph, node) if node.op in _NORMS else _bounded(subject.graph, seen, found, node)
        if made is not None:
            return made
    return None


def _suspects(graph: Graph, found: NonFinite) -> list[Node]:
    """Return the operator that was named and, where its gradient is at fault, those that read the same values."""
    named = [each for each in graph.nodes if each.name == found.node and each.op == found.op and not each.domain]
    if not named or found.stage != "backward":
        return named
    shared = set(named[0].inputs) - graph.constants.keys() - {""}
    return named + [
        each for each in graph.nodes if shared & set(each.inputs) and each is not named[0] and not each.domain
    ]


def _bounded(graph: Graph, seen: Sweep, found: NonFinite, node: Node) -> tuple[Graph, str, dict[str, str]] | None:
    known = {**graph.constants, **seen.values}
    fed = [known[name].detach() for name in node.inputs if name in known]
    guard = bounds(node.op, fed)
    if guard is None or (guard.around and graph.opsets.get("", 0) < _WHERE):
        return None
    why = found.cause if node.name == found.node else cause(node.op, fed, backward=True)
    said = f"Keep what {node.op} ({node.origin or node.name}) reads {guard}: {why}."
    blanks = {
        "function": _CALLED.get(node.op, node.op.lower()),
        "low": _number(guard.around or guard.low),
        "high": _number(guard.high),
    }
    return _in_front(graph, node, guard, seen), said, blanks


def _number(bound: float) -> str:
    return f"{bound:g}" if isfinite(bound) else f'float("{bound}")'


def _with_epsilon(graph: Graph, node: Node) -> tuple[Graph, str, dict[str, str]] | None:
    if node.attributes.get("epsilon", _EPSILON) != 0:
        return None
    better = replace(node, attributes={**node.attributes, "epsilon": _EPSILON})
    nodes = tuple(better if each is node else each for each in graph.nodes)
    said = f"Give {node.op} ({node.origin or node.name}) an epsilon of {_EPSILON:g} in place of 0."
    return graph.replace(nodes=nodes), said, {"function": "norm", "low": _number(-inf), "high": _number(inf)}


def _in_front(graph: Graph, node: Node, guard: Guard, seen: Sweep) -> Graph:
    """Return the graph in which this node reads its input through the guard; other readers keep reading the input."""
    value = node.inputs[guard.place]
    fresh = graph.fresh(f"{value}.guarded")
    known = {**graph.constants, **seen.values}
    like = known[value].detach().new_tensor
    make = _kept_off if guard.around else _clamped
    constants, added = make(graph, value, fresh, guard, like)
    added = [replace(each, origin=node.origin) for each in added]
    inputs = tuple(fresh if place == guard.place else name for place, name in enumerate(node.inputs))
    nodes = [each for one in graph.nodes for each in ((*added, replace(one, inputs=inputs)) if one is node else (one,))]
    return graph.replace(nodes=tuple(nodes), constants={**graph.constants, **constants})


_Made: TypeAlias = tuple[dict[str, Tensor], list[Node]]
_New: TypeAlias = Callable[[float], Tensor]


def _clamped(graph: Graph, value: str, fresh: str, guard: Guard, like: _New) -> _Made:
    bounds = {"min": guard.low, "max": guard.high}
    held = {name: bound for name, bound in bounds.items() if isfinite(bound)}
    if graph.opsets.get("", 0) < _CLIP_BY_INPUT:
        return {}, [Node("Clip", (value,), (fresh,), fresh, held)]
    constants = {graph.fresh(f"{fresh}.{name}"): like(bound) for name, bound in held.items()}
    names = dict(zip(held, constants, strict=True))
    inputs = (value, names.get("min", ""), names.get("max", ""))
    return constants, [Node("Clip", inputs if inputs[2] else inputs[:2], (fresh,), fresh)]


def _kept_off(graph: Graph, value: str, fresh: str, guard: Guard, like: _New) -> _Made:
    """Return nodes that exchange numbers within ± `around` for the nearer end; zero for the positive one."""
    size, zero = graph.fresh(f"{fresh}.size"), graph.fresh(f"{fresh}.zero")
    far, near, below = f"{fresh}.magnitude", f"{fresh}.near", f"{fresh}.below"
    constants = {size: like(guard.around), zero: like(0.0), f"{size}.minus": like(-guard.around)}
    return constants, [
        Node("Abs", (value,), (far,), far),
        Node("Less", (far, size), (near,), near),
        Node("Less", (value, zero), (below,), below),
        Node("Where", (below, f"{size}.minus", size), (f"{fresh}.end",), f"{fresh}.end"),
        Node("Where", (near, f"{fresh}.end", value), (fresh,), fresh),
    ]
