"""What weights are drawn from: its distributions, its digits, and that no processor changes them."""

import numpy as np
import pytest
from scipy import special, stats

from worker.network.graph import stream
from worker.network.streams import Stream, quantiles

LAST = 2**31 - 1
STEPS = np.concatenate([
    np.random.default_rng(0).integers(-LAST - 1, LAST, 100_000, np.int32),
    np.arange(-LAST - 1, -LAST + 9_999, dtype=np.int32),
    np.arange(LAST - 9_999, LAST, dtype=np.int32),
])  # fmt: skip
"""Steps from everywhere, and those farthest out on both sides."""
WITHIN_TWO = special.ndtr(2.0) - special.ndtr(-2.0)


def of_steps(steps: np.ndarray, within: float = 1.0) -> np.ndarray:
    out = np.empty(len(steps), np.float32)
    quantiles(steps, within, out)
    return out


@pytest.mark.parametrize("within", [1.0, WITHIN_TWO])
def test_quantiles_have_six_digits(within: float) -> None:
    centred = within * (STEPS + 0.5) / 2**32
    exact = np.copysign(-special.ndtri(0.5 - np.abs(centred)), centred)
    np.testing.assert_allclose(of_steps(STEPS, within), exact, rtol=1e-6, atol=1e-9)


def test_the_farthest_quantile_is_beyond_six_standard_deviations() -> None:
    ends = of_steps(np.array([-LAST - 1, LAST], np.int32))
    np.testing.assert_allclose(ends, [special.ndtri(2**-33), -special.ndtri(2**-33)], rtol=1e-6)


def test_a_number_is_the_same_alone_and_among_thousands() -> None:
    """Alone it passes through no vector unit; so no width of vectors, and no way of summing, decides a digit."""
    some = STEPS[::100]
    alone = [of_steps(some[index : index + 1]) for index in range(len(some))]
    assert np.array_equal(np.concatenate(alone), of_steps(some))


@pytest.mark.parametrize("size", [1, 2, 7, 65_535, 65_536, 65_537])
def test_fewer_numbers_are_the_first_of_more(size: int) -> None:
    assert np.array_equal(Stream(3).normal((size,)), Stream(3).normal((200_000,))[:size])


def test_the_bits_are_those_of_pcg64() -> None:
    """The generator's own sequence, which NumPy keeps; a number takes the halves of a word, the lower one first."""
    words = np.random.PCG64(5).random_raw(500).astype("<u8").view("<i4")
    drawn = Stream(5).uniform((1000,), -1.0, 3.0)
    assert np.array_equal(drawn, (1 + 4 * (words + 0.5) / 2**32).astype(np.float32))


def test_normal_numbers_are_normal() -> None:
    drawn = stream(0, "normal").normal((300_000,), 1.0, 0.5)
    assert stats.kstest(drawn, stats.norm(1, 0.5).cdf).pvalue > 1e-3
    assert abs(stats.skew(drawn)) < 5 * (6 / drawn.size) ** 0.5
    assert abs(stats.kurtosis(drawn)) < 5 * (24 / drawn.size) ** 0.5


def test_cut_numbers_are_cut() -> None:
    drawn = stream(0, "cut").normal((300_000,), cut=True)
    assert np.abs(drawn).max() <= 2
    assert stats.kstest(drawn, stats.truncnorm(-2, 2).cdf).pvalue > 1e-3


def test_uniform_numbers_are_uniform() -> None:
    drawn = stream(0, "uniform").uniform((300_000,), -3.0, 1.0)
    assert drawn.min() >= -3
    assert drawn.max() <= 1
    assert stats.kstest(drawn, stats.uniform(-3, 4).cdf).pvalue > 1e-3


def test_neighbours_and_other_streams_do_not_follow_each_other() -> None:
    one, other = (stream(0, name).normal((100_000,)) for name in ("fc1.kernel", "fc2.kernel"))
    limit = 5 / one.size**0.5
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < limit
    assert abs(np.corrcoef(one, other)[0, 1]) < limit
    assert abs(np.corrcoef(one, stream(1, "fc1.kernel").normal((100_000,)))[0, 1]) < limit


def test_ranks_put_each_column_in_an_order_of_its_own() -> None:
    ranks = stream(0, "ranks").ranks(6, 4_000)
    assert np.array_equal(np.sort(ranks, axis=0), np.repeat(np.arange(6)[:, None], 4_000, 1))
    counts = np.stack([np.bincount(row, minlength=6) for row in ranks])
    assert stats.chisquare(counts, axis=1).pvalue.min() > 1e-3


def test_nothing_is_drawn_for_an_empty_weight() -> None:
    assert Stream(0).normal((0, 3)).shape == (0, 3)
