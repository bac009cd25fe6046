"""What several draws say together."""

from collections.abc import Mapping
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from service.contract.words import Severity
from service.majority import RANK, decided, failing

E, W, I = Severity.ERROR, Severity.WARNING, Severity.INFO  # noqa: E741  a letter each, so that tables read
CODES = ("A", "B", "C")


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([{"A": E}], {"A": E}),
        ([{"A": E}, {"A": E}, {}], {"A": E}),
        ([{"A": E}, {"A": W}, {"A": W}], {"A": W}),
        ([{"A": E}, {"A": I}, {"A": I}], {"A": W}),  # a draw that fails is never only a note
        ([{"A": E}, {}, {}], {"A": W}),
        ([{"A": W}, {}, {}], {"A": I}),
        ([{"A": I}, {}, {}], {}),
        ([{"A": E}, {}], {"A": W}),  # a tie goes to the milder
        ([{"A": E}, {"A": W}], {"A": W}),
        ([{"A": E}, {"B": E}, {}], {"A": E, "B": E}),  # most fail, each by its own
        ([{"A": E}, {"A": W, "B": E}, {"A": W}], {"A": E, "B": E}),
        ([{"A": E}, {"A": E}, {"B": E}], {"A": E, "B": W}),  # one rule alone says it: the other need not
        ([{"A": W}, {"B": W}, {}], {"A": W, "B": W}),
        ([{"A": W}, {"B": E}, {}], {"A": I, "B": W}),
        ([], {}),
    ],
)
def test_most_draws_decide_in_any_order(draws: list[Mapping[str, Severity]], expected: dict[str, Severity]) -> None:
    for order in permutations(draws):
        assert decided(order) == expected


shown = some.dictionaries(some.sampled_from(CODES), some.sampled_from(list(Severity)))


@given(some.lists(shown, min_size=1, max_size=5))
def test_an_error_stands_exactly_where_most_draws_fail(draws: list[dict[str, Severity]]) -> None:
    assert (E in decided(draws).values()) == (2 * failing(draws) > len(draws))


@given(some.lists(shown, min_size=1, max_size=5))
def test_a_warning_or_more_stands_where_most_draws_warn_or_any_fails(draws: list[dict[str, Severity]]) -> None:
    grave = any(RANK[severity] >= RANK[W] for severity in decided(draws).values())
    assert grave == (2 * failing(draws, W) > len(draws) or failing(draws) > 0)


@given(shown)
def test_one_draw_is_told_as_it_is(draw: dict[str, Severity]) -> None:
    assert decided([draw]) == draw
