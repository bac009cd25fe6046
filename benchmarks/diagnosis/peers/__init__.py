"""Published debuggers of training, re-implemented from their documented thresholds, as rules over a trace.

Where a document leaves something open, the reading with fewer false alarms is taken, and said.  A rule that needs more
than a run of training on a batch (validation data, the data set, augmentation, devices) is left out.
"""

from benchmarks.diagnosis.peers import autotrainer, deepchecker, deepdiagnosis, sagemaker, torch_audit
from benchmarks.diagnosis.peers.rule import Peer, PeerRule
from benchmarks.diagnosis.traces import Trace

PEERS: tuple[Peer, ...] = (
    sagemaker.PEER,
    autotrainer.PEER,
    deepchecker.PEER,
    deepdiagnosis.PEER,
    torch_audit.PEER,
)


def judged(trace: Trace) -> dict[str, list[str]]:
    """Return the names of the rules that fire, by peer."""
    return {peer.name: [rule.name for rule in peer.rules if rule.fires(trace)] for peer in PEERS}


__all__ = ["PEERS", "Peer", "PeerRule", "judged"]
