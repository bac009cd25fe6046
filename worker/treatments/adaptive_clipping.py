"""Gradient clipping that finds its limit as it goes: against each unit's weight, or against the norms so far."""

from dataclasses import replace
from typing import Final, Literal

from service.contract.options import Clipping
from service.contract.words import Symptom, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

RATIO: Final = 0.01
"""What a unit's gradient may be of its weight's norm (Brock et al. 2021)."""
DEVIATIONS: Final = 2.5
"""Standard deviations beyond which a norm is clipped (Kumar et al. 2025)."""


@treatment(
    "clip-agc",
    TreatmentKind.CLIPPING,
    {Symptom.GRADIENT_SPIKES, Symptom.UNSTABLE_LEARNING_RATE},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            loss_fn(model(x), y).backward()
            for p, a in [(p, tuple(range(1, p.ndim))) for p in model.parameters() if p.grad is not None and p.ndim > 1]:
                p.grad.mul_(($limit * p.data.norm(2, a, True).clamp_min(1e-3) / p.grad.norm(2, a, True)).clamp_max(1))
            optimizer.step()
        """,
        keras="""
            norm = lambda t: keras.ops.norm(keras.ops.reshape(t, (-1, t.shape[-1])), axis=0)  # of each unit
            room = lambda g, w: keras.ops.minimum(1.0, $limit * keras.ops.maximum(norm(w), 1e-3) / (norm(g) + 1e-12))
            apply, weights = model.optimizer.apply, model.trainable_variables
            model.optimizer.apply = lambda g, w=None: apply([a * room(a, b) for a, b in zip(g, w or weights)], w)
        """,
    ),
)
def clip_agc(subject: Subject, evidence: Evidence) -> Outcome:
    """Clip each unit's gradient by its weight

    What it changes
        Before each step the gradient of each row of a weight is scaled down to at most a hundredth of that row's
        norm; a row's norm counts as a thousandth at least.

    Why it helps
        A step can then change no unit by more than a share of itself, whatever the scale of the layer, so larger rates
        and batches become stable.

    When it is wrong
        It can do nothing against vanishing.  Weights that start at zero grow slowly under it, and the head is better
        left out.  Rows are units where kernels are stored with the units first, as PyTorch does; elsewhere a row is
        what one input feeds.  With Adam it changes little: that divides by the gradient's size.

    References
        Brock et al. 2021 (arXiv 2102.06171), section 4.1.
    """
    return _clipped(subject, "agc", RATIO, f"Clip each unit's gradient at {RATIO:g} of the norm of its weight.")


@treatment(
    "clip-zscore",
    TreatmentKind.CLIPPING,
    {Symptom.GRADIENT_SPIKES},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            norms = globals().setdefault("norms", []); loss_fn(model(x), y).backward()
            seen = torch.tensor(norms if len(norms) >= 25 else [float("inf")] * 2)
            top = (seen.mean() + $limit * seen.std().nan_to_num(0)).item()
            norms.append(min(top, nn.utils.clip_grad_norm_(model.parameters(), top).item())); optimizer.step()
        """,
        keras="""
            norms, apply, k, size = [], model.optimizer.apply, keras.ops, lambda g: sum(k.sum(a * a) for a in g) ** 0.5
            top = lambda: float(k.mean(norms) + $limit * k.std(norms)) if len(norms) >= 25 else float("inf")
            cut = lambda n: norms.append(min(n, top())) or norms[-1] / max(n, 1e-12)
            model.optimizer.apply = lambda g, w=None: apply([a * c for c in [cut(size(g).item())] for a in g], w)
        """,
    ),
)
def clip_zscore(subject: Subject, evidence: Evidence) -> Outcome:
    """Clip only gradients whose norm stands out

    What it changes
        A gradient whose norm lies more than 2.5 standard deviations above the running mean of the norms so far is
        scaled down, the more the further it stands out.  The first 25 steps pass as they are.

    Why it helps
        A spike is bounded and every other step stays as it is; the limit follows the norms as they fall or grow in the
        course of training.

    When it is wrong
        It knows nothing of a run that diverges from the first step on: its limit grows with the norms.  It can do
        nothing against vanishing.

    References
        Kumar et al. 2025 (arXiv 2504.02507).
    """
    said = f"Clip gradients whose norm lies more than {DEVIATIONS:g} standard deviations above the mean so far."
    return _clipped(subject, "zscore", DEVIATIONS, said)


def _clipped(subject: Subject, kind: Literal["agc", "zscore"], limit: float, said: str) -> Outcome:
    before = subject.settings.clipping
    if before is not None:
        return Inapplicable(f"Clipping of the kind {before.kind} at {before.limit:g} is declared already.")
    if not any(each.trainable for each in subject.graph.parameters.values()):
        return Inapplicable("No weight is trained, so there is no gradient to clip.")
    settings = replace(subject.settings, clipping=Clipping(kind=kind, limit=limit))
    return Change(subject.replace(settings=settings), (said,), {"limit": f"{limit:g}"})
