"""Ensembles of decision trees, as ai.onnx.ml has them from version 5 on; no gradient passes through a decision."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from worker.network.ops import op

TESTS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (torch.le, torch.lt, torch.ge, torch.gt, torch.eq, torch.ne)
"""How a node compares a feature with its split, by the number of its mode."""
MEMBER = 6
"""The mode that asks whether a feature is one of a set."""
GATHERED: dict[int, str] = {0: "mean", 1: "sum", 2: "amin", 3: "amax"}


@op("TreeEnsemble", since=5, domain="ai.onnx.ml", gradient=False)
def tree_ensemble(
    x: Tensor,
    *,
    aggregate_function: int = 1,
    leaf_targetids: Sequence[int],
    leaf_weights: Tensor,
    membership_values: Tensor | None = None,
    n_targets: int,
    nodes_falseleafs: Sequence[int],
    nodes_falsenodeids: Sequence[int],
    nodes_featureids: Sequence[int],
    nodes_hitrates: Tensor | None = None,
    nodes_missing_value_tracks_true: Sequence[int] = (),
    nodes_modes: Tensor,
    nodes_splits: Tensor,
    nodes_trueleafs: Sequence[int],
    nodes_truenodeids: Sequence[int],
    post_transform: int = 0,
    tree_roots: Sequence[int],
) -> Tensor:
    """The weights of the leaves that a row comes to, gathered by target; ValueError where a way has no end."""
    if post_transform:
        msg = f"the transformation {post_transform} is not supported"
        raise ValueError(msg)
    ways = torch.tensor([list(nodes_falsenodeids), list(nodes_truenodeids)])
    ends = torch.tensor([list(nodes_falseleafs), list(nodes_trueleafs)]).bool()
    right = _right(x[:, list(nodes_featureids)], nodes_modes.reshape(-1), nodes_splits, membership_values)
    if nodes_missing_value_tracks_true:
        right |= x[:, list(nodes_featureids)].isnan() & torch.tensor(list(nodes_missing_value_tracks_true)).bool()
    leaves = torch.stack([_leaves(right.long(), ways, ends, root) for root in tree_roots], 1)
    targets = torch.tensor(list(leaf_targetids))[leaves]
    found = torch.zeros(len(x), n_targets, dtype=leaf_weights.dtype)
    weights = leaf_weights.reshape(-1)[leaves]
    return found.scatter_reduce(1, targets, weights, GATHERED[aggregate_function], include_self=aggregate_function == 1)


def _right(values: Tensor, modes: Tensor, splits: Tensor, sets: Tensor | None) -> Tensor:
    """Return whether each row would go the true way at each node."""
    found = torch.stack([test(values, splits) for test in TESTS])
    right = found[modes.long().clamp(max=len(TESTS) - 1), :, torch.arange(len(modes))].mT
    members = iter(_sets([] if sets is None else sets.reshape(-1).tolist()))
    for node in (modes == MEMBER).nonzero().reshape(-1).tolist():
        right[:, node] = torch.isin(values[:, node], torch.tensor(next(members, []), dtype=values.dtype))
    return right


def _sets(values: Sequence[float]) -> list[list[float]]:
    """Return the sets that lie one after the other, each closed by what is no number."""
    sets: list[list[float]] = [[]]
    for value in values:
        if value == value:  # noqa: PLR0124  only what is no number is unlike itself
            sets[-1].append(value)
        else:
            sets.append([])
    return sets


def _leaves(right: Tensor, ways: Tensor, ends: Tensor, root: int) -> Tensor:
    """Return the leaf that each row comes to from a root."""
    rows, at, done = torch.arange(len(right)), torch.full((len(right),), root), torch.zeros(len(right)).bool()
    for _ in range(ways.shape[1]):
        here = torch.where(done, root, at)
        way = right[rows, here]
        at, done = torch.where(done, at, ways[way, here]), done | ends[way, here]
        if bool(done.all()):
            return at
    msg = "the nodes of a tree go round in a circle"
    raise ValueError(msg)
