"""Small networks of every common kind, with a batch for each.

A module here is a family; it fills `NETWORKS`, from which `gradients.py` and the tests choose.
"""

from architectures import dense, images, odd_weights, sequences, transformers
from architectures.kinds import Architecture

NETWORKS: dict[str, Architecture] = {
    **dense.NETWORKS,
    **images.NETWORKS,
    **sequences.NETWORKS,
    **transformers.NETWORKS,
    **odd_weights.NETWORKS,
}

__all__ = ["NETWORKS", "Architecture"]
