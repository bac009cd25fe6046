"""Dead and saturated units against simulation, the table of the orthant probability, and slopes."""

import math

import pytest
import torch
from torch import Tensor

from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.network.graph import Graph
from worker.probe.evidence import Units
from worker.probe.measure import probe
from worker.probe.units import STEEP, dead_units, off_by_chance, saturation

RELU = {"kind": "relu"}


@pytest.mark.parametrize(("correlation", "expected"), [(0.9, 0.2199), (0.97, 0.3406), (0.99, 0.4070)])
def test_the_null_is_the_orthant_probability_of_the_table(correlation: float, expected: float) -> None:
    assert off_by_chance(correlation, 64) == pytest.approx(expected, abs=1e-4)


def test_one_sample_is_off_half_the_time_and_independent_samples_a_power_of_a_half() -> None:
    assert off_by_chance(0.5, 1) == pytest.approx(0.5, abs=1e-6)
    assert off_by_chance(0.0, 10) == pytest.approx(2**-10, rel=1e-6)


@pytest.mark.parametrize("samples", [8, 64, 256])
@pytest.mark.parametrize("correlation", [0.3, 0.7, 0.95])
def test_the_null_is_what_a_simulation_shows(correlation: float, samples: int) -> None:
    units = 40_000
    rows = correlated(correlation, samples, units)
    simulated = float((rows <= 0).all(0).double().mean())
    expected = off_by_chance(correlation, samples)
    assert simulated == pytest.approx(expected, abs=5 * math.sqrt(expected / units) + 1e-4)


def correlated(correlation: float, samples: int, units: int) -> Tensor:
    """Return standard normal numbers [samples, units]; any two samples of a unit have this correlation."""
    return correlation**0.5 * normal(1, units, seed=1) + (1 - correlation) ** 0.5 * normal(samples, units, seed=2)


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.99])
def test_correlated_units_that_nothing_killed_show_no_excess(correlation: float) -> None:
    for seed in range(4):
        rows = correlated(correlation, 64, 4 * 512)[:, seed * 512 : (seed + 1) * 512]
        units = dead_units(rows, 1)
        assert units.dead == float((rows <= 0).all(0).double().mean())
        assert units.excess < 0.05
        assert (units.count, units.samples) == (512, 64)


@pytest.mark.parametrize("killed", [0.4, 0.6, 0.9])
def test_units_that_a_bias_killed_exceed_chance_by_about_their_share(killed: float) -> None:
    rows = correlated(0.5, 256, 512)
    count = int(killed * 512)
    rows[:, :count] -= 20
    units = dead_units(rows, 1)
    assert units.dead >= count / 512
    assert units.excess == pytest.approx(killed, abs=0.15)


def test_a_channel_is_dead_only_if_it_is_off_at_every_position() -> None:
    rows = -normal(16, 6, 5, 5).abs()
    rows[3, :4, 2, 2] = 1
    assert dead_units(rows, 1).dead == pytest.approx(2 / 6)
    assert dead_units(rows.movedim(1, -1), 3).dead == pytest.approx(2 / 6)


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_net_of_twenty_layers_has_many_silent_units_and_none_beyond_chance(seed: int) -> None:
    found = units(chain(20, dense(128), RELU), seed)
    assert len(found) == 20
    assert found[-1].dead > 0.15
    assert max(each.excess for each in found) < 0.2


def test_a_layer_that_its_bias_holds_off_is_dead_altogether() -> None:
    shut = dense(64, {"kernel": "he_normal", "bias": {"law": "constant", "value": -30}})
    found = units([dense(64), RELU, shut, RELU, dense(4)], 0)
    assert [each.dead for each in found] == [pytest.approx(0, abs=0.05), 1.0]
    assert found[1].excess > 0.9


def units(layers: list[dict[str, object]], seed: int) -> list[Units]:
    places = probe(described(layers, seed=seed)).places
    return [place.units for place in places if place.units is not None]


@pytest.mark.parametrize(
    ("op", "limit"),
    [
        ("Tanh", math.acosh(math.sqrt(10))),  # 1 / cosh² = 1/10
        ("Sigmoid", math.log((1 + math.sqrt(0.9)) / (1 - math.sqrt(0.9)))),  # s(1 − s) = 1/40
        ("Softsign", math.sqrt(10) - 1),  # 1 / (1 + |z|)² = 1/10
        ("HardSigmoid", 2.5),  # 0.2 z + 0.5 leaves [0, 1]
    ],
)
def test_saturation_begins_where_the_slope_is_a_tenth_of_its_largest(op: str, limit: float) -> None:
    assert STEEP[op] == pytest.approx(limit, abs=1e-3)
    inputs = torch.linspace(-10, 10, 20_001)
    assert shares(op, inputs.reshape(-1, 1)) == pytest.approx((1 - limit / 10, 0.0), abs=1e-3)


def test_saturation_of_known_pre_activations_is_their_share_beyond_the_limit() -> None:
    """Normal numbers of standard deviation 2 lie beyond 1.818 with probability erfc(1.818 / 2√2)."""
    measured, _ = shares("Tanh", 2 * normal(2_000, 100))
    assert measured == pytest.approx(math.erfc(1.818446 / 2 / math.sqrt(2)), abs=0.005)


@pytest.mark.parametrize("op", ["Relu", "Gelu", "Elu", "Softplus", "Identity"])
def test_what_has_no_two_flat_ends_cannot_saturate(op: str) -> None:
    assert saturation(node(op, "x", "y"), normal(8, 2), 1) is None


def shares(op: str, inputs: Tensor) -> tuple[float, float]:
    found = saturation(node(op, "x", "y"), inputs, 1)
    assert found is not None
    return float(found[0]), float(found[1])


def test_units_that_change_sides_are_saturated_and_not_stuck() -> None:
    """Half of the units always lie at ±5, the others on either side with the sample."""
    sides = normal(64, 10).sign() * 5
    held = torch.full((64, 5), 5.0)
    assert shares("Tanh", torch.cat([sides, held, 0.1 * held], 1)) == pytest.approx((15 / 20, 15 / 20))
    mixed = sides.clone()
    mixed[::8] = 0
    assert shares("Tanh", torch.cat([mixed, held], 1)) == pytest.approx((1 - 10 / 15 / 8, 5 / 15))


def test_a_place_knows_its_slope_and_whether_it_is_a_gate() -> None:
    nodes = [
        node("MatMul", "x w", "h"),
        node("Sigmoid", "h", "gate"),
        node("MatMul", "x v", "g"),
        node("Tanh", "g", "t"),
        node("Mul", "gate t", "m"),
        node("MatMul", "m c", "k"),
        node("Softsign", "k", "h2"),
        node("MatMul", "h2 u", "z"),
        node("Sigmoid", "z", "y"),
    ]
    weights = {"w": normal(8, 8), "c": normal(8, 8, seed=3), "v": normal(8, 8, seed=1), "u": normal(8, 2, seed=2)}
    evidence = probe(by_hand(nodes, weights, {"x": normal(32, 8)}))
    squashed = {place.node: place for place in evidence.places if place.activation.slope is not None}
    assert {name: place.gate for name, place in squashed.items()} == {"gate": True, "t": True, "h2": False, "y": True}
    slopes = 1 - torch.tanh(normal(32, 8) @ weights["v"]).square()
    assert squashed["t"].activation.slope == pytest.approx(float(slopes.square().mean()), rel=1e-4)


@pytest.mark.parametrize("samples", [32, 256])
def test_units_that_are_far_within_the_flat_part_are_hopeless_and_rare_ones_are_not(samples: int) -> None:
    """Ten units lie thirty deviations under zero, twenty are positive for 1% of samples, the rest for half of them."""
    rows = normal(samples, 64)
    rows[:, :10] -= 30
    rows[:, 10:30] -= 2.3
    found = dead_units(rows, 1)
    assert found.hopeless == pytest.approx(10 / 64)
    assert found.dead >= 10 / 64
    assert found.hopeless_excess < 0.2


def test_the_share_of_the_hopeless_by_chance_is_what_a_simulation_shows() -> None:
    """Of units with correlation .97, those count whose mean lies four of their own deviations under zero."""
    rows = correlated(0.97, 64, 40_000)
    means = 0.97**0.5 * normal(1, 40_000, seed=1)[0]
    simulated = float(((rows <= 0).all(0) & (means < -4 * 0.03**0.5)).double().mean())
    assert off_by_chance(0.97, 64, margin=4) == pytest.approx(simulated, abs=0.01)


def test_a_floor_other_than_zero_shifts_the_null() -> None:
    """Independent samples lie under the floor −1 with probability Φ(−1) each."""
    assert off_by_chance(0.0, 3, floor=-1.0) == pytest.approx(0.158655**3, rel=1e-3)


def test_a_unit_whose_pre_activation_another_path_reads_too_is_off_but_not_hopeless() -> None:
    nodes = [node("Add", "p b", "h"), node("Relu", "h", "r"), node("Add", "h r", "s"), node("MatMul", "s u", "y")]
    nodes.insert(0, node("MatMul", "x w", "p"))
    weights = {"w": normal(8, 16), "b": torch.full((16,), -50.0), "u": normal(16, 2, seed=2)}
    skipped = by_hand(nodes, weights, {"x": normal(32, 8)})
    alone = by_hand([*nodes[:3], node("MatMul", "r u", "y")], weights, {"x": normal(32, 8)})
    both = [next(place.units for place in probe(each).places if place.units) for each in (skipped, alone)]
    assert [(each.dead, each.hopeless) for each in both] == [(1.0, 0.0), (1.0, 1.0)]


def test_pre_activations_that_are_all_zero_are_blank() -> None:
    found = dead_units(torch.zeros(32, 8), 1)
    assert (found.blank, found.dead, found.hopeless) == (True, 1.0, 0.0)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_the_scale_of_pre_activations_changes_nothing(scale: float) -> None:
    rows = correlated(0.9, 64, 512)
    rows[:, :200] -= 20
    base, scaled = dead_units(rows, 1), dead_units(rows * scale, 1)
    assert (scaled.dead, scaled.hopeless) == (base.dead, base.hopeless)
    assert scaled.expected == pytest.approx(base.expected, rel=1e-3)


def test_a_clip_counts_as_a_rectifier_only_if_its_floor_is_zero() -> None:
    relu6 = described([dense(16), {"kind": "relu6"}, dense(4)])
    assert [place.units is not None for place in probe(relu6).places if place.op == "Clip"] == [True]
    lowered = relu6.replace(graph=_floor(relu6.graph, -1.0))
    assert [place.units for place in probe(lowered).places if place.op == "Clip"] == [None]


def _floor(graph: Graph, low: float) -> Graph:
    (clip,) = [each for each in graph.nodes if each.op == "Clip"]
    return graph.replace(constants={**graph.constants, clip.inputs[1]: torch.tensor(low)})
