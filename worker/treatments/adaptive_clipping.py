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
            for p in (p for p in model.parameters() if p.grad is not None and p.dim() > 1):
                norm = p.grad.flatten(1).norm(dim=1).clamp_min(1e-12)
                room = $limit * p.detach().flatten(1).norm(dim=1).clamp_min(1e-3) / norm
                p.grad.mul_(room.clamp_max(1).reshape(-1, *[1] * (p.dim() - 1)))
            optimizer.step()
        """,
        keras="""
            def norm(t):  # of each unit, on the last axis
                axes = tuple(range(len(t.shape) - 1)) or None
                return keras.ops.sqrt(keras.ops.sum(keras.ops.square(t), axes, keepdims=True))
            class Agc(keras.optimizers.SGD):  # or your own
                def apply(self, grads, weights=None):
                    pairs = zip(grads, weights or self._trainable_variables)
                    rooms = [$limit * keras.ops.maximum(norm(w), 1e-3) / (norm(g) + 1e-12) for g, w in pairs]
                    return super().apply([g * keras.ops.minimum(1.0, r) for g, r in zip(grads, rooms)], weights)
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
            norms = []  # once, before the loop
            loss_fn(model(x), y).backward()
            norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).item()
            seen = torch.tensor(norms[-100:] if len(norms) >= 25 else [norm])
            above, room = norm - seen.mean().item(), $limit * seen.std(correction=0).item()
            norms.append(norm if above <= room else norm - above + room**2 / above)
            nn.utils.clip_grad_norm_(model.parameters(), norms[-1])
            optimizer.step()
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
