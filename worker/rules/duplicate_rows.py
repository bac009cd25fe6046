"""Finds units of a layer that are all zero, or copies of one another."""

from collections.abc import Iterator

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, Kernel
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule("INI04", Symptom.SYMMETRIC_INIT, order=12, aliases=["AllZero", "zero filters"], told_by=[Symptom.SYMMETRIC_INIT])
def duplicate_rows(evidence: Evidence, *, note: float = 0.1, most: float = 0.5) -> Answer:
    """Units of a layer have no weights, or the weights of another one.

    What it measures
        Per weight layer that is not zero altogether, the share of units whose weights are all zero, and the share that
        repeats another unit number by number, the bias included.  10% is a note.  More than half copies in a hidden
        layer, whose gradients are copies too, is a warning.

    Why it matters
        Copies that receive equal gradients stay copies: the layer learns with fewer units than it has.  Units without
        weights learn only if what reads them does.

    When it is wrong
        Filters pruned on purpose are zero.  Sub-pixel convolutions start as copies that their gradients part (ICNR).
        Weights of few different numbers repeat by chance; what chance gives is subtracted.

    References
        Goodfellow et al. 2016, section 8.4; Aitken et al. 2017 (arXiv 1707.02937: ICNR); Braiek and Khomh 2023
        (TheDeepChecker, arXiv 2204.00694).
    """
    kernels = evidence.structure.kernels
    if not kernels:
        return Silence("not_applicable", "no weight layer has two units and weights")
    found = [kernel for kernel in kernels if max(kernel.zeros, _copies(kernel)) >= note]
    if not found:
        return CLEAR
    kept = [kernel for kernel in found if kernel.hidden and kernel.kept and _copies(kernel) > most]
    shown = sorted(kept or found, key=lambda kernel: -max(kernel.zeros, _copies(kernel)))
    return Observation(
        f"In {len(found)} of {len(kernels)} weight layers units are empty or copies: {_told(evidence, shown[0], note)}"
        + (", and equal gradients keep them so." if kept else "."),
        weigh(evidence) if kept else Severity.INFO,
        tuple(_places(shown, note)),
        {"layers": len(found), "zeros": shown[0].zeros, "copies": _copies(shown[0])},
    )


def _copies(kernel: Kernel) -> float:
    """Return the share of copies beyond what chance would show."""
    return max(kernel.copies - kernel.chance, 0.0)


def _told(evidence: Evidence, kernel: Kernel, note: float) -> str:
    parts = []
    if _copies(kernel) >= note:
        parts.append(f"{kernel.copies:.0%} repeat another one")
    if kernel.zeros >= note:
        parts.append(f"{kernel.zeros:.0%} have weights of zero alone")
    name = evidence.called(kernel.node)
    return f"of the {kernel.units} units of {name} {' and '.join(parts)} ({note:.0%} is the limit)"


def _places(kernels: list[Kernel], note: float) -> Iterator[Place]:
    for each in kernels[:SHOWN_PLACES]:
        share = max(each.zeros, _copies(each))
        yield Place(node=each.node, origin=each.origin, parameter=each.name, measured=share, limit=note)
