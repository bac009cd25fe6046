"""What a deep examination measured, as the report tells it."""

from service.contract.deep import DeepSection, Rank, WidthTrend
from worker.probe.evidence import Deep, Evidence


def deep_section(evidence: Evidence) -> DeepSection | None:
    """Tell what many passes show; None where the examination is not deep."""
    deep = evidence.deep
    if deep is None:
        return None
    noise, isometry, halves = deep.noise, deep.isometry, deep.halves
    return DeepSection(
        noise_scale=noise and noise.scale,
        noise_scale_error=noise and noise.standard_error,
        coherence=deep.coherence,
        conditioning=isometry and isometry.index,
        mean_squared_singular_value=isometry and isometry.mean_square,
        half_gains=halves and (halves.first, halves.second),
        half_gains_error=halves and halves.standard_error,
        ranks=_ranks(deep),
        widths=tuple(WidthTrend(node=each.node, origin=each.origin, slope=each.slope) for each in deep.widths),
        unmeasured=dict(evidence.unmeasured),
    )


def _ranks(deep: Deep) -> tuple[Rank, ...]:
    return tuple(
        Rank(node=each.node, origin=each.origin, participation=each.participation, most=each.most)
        for each in deep.ranks
    )
