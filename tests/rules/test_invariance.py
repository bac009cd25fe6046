"""What must change no finding: the loss's scale, the batch's size, the network's width.

The full table is `benchmarks/invariance.py`.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.invariance import NETWORKS, Network, judged, same, subject

KINDS = {network.name: network for network in NETWORKS}
QUICK = [
    KINDS[name]
    for name in (
        "relu, He, 8 layers",
        "batch norm, pre-activation, 12 blocks",
        "sigmoid, Xavier, 8 layers",
        "rnn, orthogonal times 3",
        "a pair times 1000 and 1/1000",
    )
]
WIDTH = 48


@pytest.mark.parametrize("network", QUICK, ids=lambda network: network.name)
def test_a_sick_network_warns_and_a_healthy_one_does_not_at_any_width(network: Network) -> None:
    variants = [judged(subject(network, width=width)) for width in (32, 64, 128)]
    assert [bool(variant.weighing()) for variant in variants] == [network.sick] * 3
    assert same(variants)


@pytest.mark.parametrize("network", QUICK, ids=lambda network: network.name)
def test_the_size_of_the_batch_changes_no_finding_that_it_can_bear(network: Network) -> None:
    assert same([judged(subject(network, width=WIDTH, size=size)) for size in (8, 64, 256)])


@pytest.mark.parametrize("network", QUICK, ids=lambda network: network.name)
@given(exponent=st.floats(-6, 6))
@settings(max_examples=4, deadline=None)
def test_the_scale_of_the_loss_changes_nothing_at_all(network: Network, exponent: float) -> None:
    one, other = (judged(subject(network, width=WIDTH, scale=scale)) for scale in (1.0, 10**exponent))
    assert other == one
