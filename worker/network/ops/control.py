"""Control flow: branches and loops over subgraphs, which see the values around them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.network.ops import Body, Context, op


@op("If")
def branch(condition: Tensor, *, then_branch: Body, else_branch: Body) -> tuple[Tensor, ...]:
    """What one of two subgraphs gives."""
    return then_branch() if bool(condition) else else_branch()


@op("Loop")
def loop(
    trips: Tensor | None, condition: Tensor | None, *carried: Tensor, body: Body, context: Context
) -> tuple[Tensor, ...]:
    """A subgraph run again and again; what it carries goes round, what it scans is stacked."""
    state, scanned, count = list(carried), [], 0
    trail: list[Tensor] = []
    going = condition is None or bool(condition)
    most = None if trips is None else int(trips)
    while going and (most is None or count < most):
        again, *results = body(torch.tensor(count), torch.tensor(going), *state)
        state, scanned_now = _noted(results[: len(state)], trail), results[len(state) :]
        scanned.append(scanned_now)
        going, count = bool(again), count + 1
    _leave(trail, context)
    if not scanned:
        return *state, *_nothing(body, [torch.tensor(0), torch.tensor(True), *state], len(state) + 1)  # noqa: FBT003
    return *state, *(torch.stack(values) for values in zip(*scanned, strict=True))


@op("Scan", since=9)
def scan(
    *values: Tensor,
    body: Body,
    num_scan_inputs: int,
    scan_input_axes: Sequence[int] | None = None,
    scan_input_directions: Sequence[int] | None = None,
    scan_output_axes: Sequence[int] | None = None,
    scan_output_directions: Sequence[int] | None = None,
    context: Context,
) -> tuple[Tensor, ...]:
    """A subgraph run along the scanned inputs; states go round, what it gives at each step is stacked."""
    states = list(values[: len(values) - num_scan_inputs])
    inputs = values[len(values) - num_scan_inputs :]
    along = scan_input_axes or [0] * len(inputs)
    ways = scan_input_directions or [0] * len(inputs)
    slices = [_slices(*each) for each in zip(inputs, along, ways, strict=True)]
    rows: list[tuple[Tensor, ...]] = []
    trail: list[Tensor] = []
    for step in zip(*slices, strict=True):
        results = body(*states, *step)
        states = _noted(results[: len(states)], trail)
        rows.append(results[len(states) :])
    _leave(trail, context)
    if not rows:
        steps = (each.new_zeros(each.movedim(axis, 0).shape[1:]) for each, axis in zip(inputs, along, strict=True))
        return *states, *_nothing(body, [*states, *steps], len(states))
    columns = list(zip(*rows, strict=True))
    axes, backs = scan_output_axes or [0] * len(columns), scan_output_directions or [0] * len(columns)
    stacked = (
        torch.stack(column[::-1] if back else column, axis)
        for column, axis, back in zip(columns, axes, backs, strict=True)
    )
    return *states, *stacked


def _nothing(body: Body, arguments: Sequence[Tensor], first: int) -> list[Tensor]:
    """Return what a body that never runs gives at no step, from output `first` on; running it once tells the shapes."""
    with torch.no_grad():
        given = body(*arguments)
    return [each.new_zeros(0, *each.shape) for each in given[first:]]


def _noted(states: Sequence[Tensor], trail: list[Tensor]) -> list[Tensor]:
    """Return the states as parts of one tensor, which is added to the trail; whole numbers stay apart."""
    moving = [state for state in states if _moves(state)]
    if not moving:
        return list(states)
    joined = moving[0] if len(moving) == 1 else torch.cat([state.reshape(-1) for state in moving])
    trail.append(joined)
    parts = iter([joined] if len(moving) == 1 else joined.split([state.numel() for state in moving]))  # type: ignore[no-untyped-call]
    return [next(parts).reshape(state.shape) if _moves(state) else state for state in states]


def _moves(state: object) -> bool:
    """Whether a state is a tensor of real numbers: a body may carry sequences and optionals too."""
    return isinstance(state, Tensor) and state.is_floating_point()


def _leave(trail: list[Tensor], context: Context) -> None:
    """Leave the states after each step where the context asks for them."""
    if context.states is not None and trail:
        context.states["forward"] = tuple(trail)


def _slices(value: Tensor, axis: int, back: int) -> Sequence[Tensor]:
    parts = value.unbind(axis)
    return parts[::-1] if back else parts


@op("Scan", since=8)
def scan_batches(
    lengths: Tensor | None,
    *values: Tensor,
    body: Body,
    num_scan_inputs: int,
    directions: Sequence[int] | None = None,
    context: Context,
) -> tuple[Tensor, ...]:
    """A scan of each sample on its own, as long as that is, stacked; zeros fill up what shorter ones give."""
    first = len(values) - num_scan_inputs
    longest = values[first].shape[1]
    samples = []
    for at in range(len(values[0])):
        steps = longest if lengths is None else int(lengths[at])
        own = (value[at] if place < first else value[at, :steps] for place, value in enumerate(values))
        made = scan(*own, body=body, num_scan_inputs=num_scan_inputs, scan_input_directions=directions, context=context)
        samples.append((*made[:first], *(_filled_up(each, longest) for each in made[first:])))
    return tuple(torch.stack(column) for column in zip(*samples, strict=True))


def _filled_up(rows: Tensor, count: int) -> Tensor:
    """Return `count` rows: those given, and zeros."""
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])
