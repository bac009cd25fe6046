"""The calls of layers that make up a model, in an order in which they can be computed."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from service.contract.problem import Invalid
from service.keras.base import Call, KerasLayer, Ref


@dataclass(frozen=True)
class Step:
    """One call of one layer."""

    layer: KerasLayer
    call: Call[Ref]
    index: int
    """Which call of the layer this is, from 0."""
    calls: int
    """How often the layer is called."""
    at: str
    """The layer's JSON pointer."""

    def ref(self, output: int = 0) -> Ref:
        """Return what the file calls one of the step's outputs."""
        return Ref(self.layer.name, self.index, output)


def ordered(waiting: Mapping[Ref, Step], inputs: Container[str]) -> Iterator[Step]:
    """Yield the steps so that each comes behind those that it reads; Invalid where there is no such order."""
    readers: dict[Ref, list[Ref]] = {}
    missing: dict[Ref, int] = {}
    for key, step in waiting.items():
        reads = {Ref(ref.layer, ref.call, 0) for ref in step.call.leaves if ref.layer not in inputs}
        for ref in reads:
            if ref not in waiting:
                detail = f"{step.layer.name!r} reads call {ref.call} of {ref.layer!r}, which is not in the model."
                raise Invalid(detail, pointer=f"{step.at}/inbound_nodes/{step.index}")
            readers.setdefault(ref, []).append(key)
        missing[key] = len(reads)
    ready = [key for key, count in missing.items() if not count][::-1]
    done = 0
    while ready:
        key = ready.pop()
        done += 1
        yield waiting[key]
        for reader in readers.get(key, ()):
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if done < len(waiting):
        stuck = next(waiting[key] for key, count in missing.items() if count)
        detail = f"{stuck.layer.name!r} and others read each other in a circle."
        raise Invalid(detail, pointer=f"{stuck.at}/inbound_nodes/{stuck.index}")


def needed(steps: tuple[Step, ...], gives: tuple[tuple[str, Ref], ...]) -> tuple[Step, ...]:
    """Return the steps that an output depends on."""
    wanted = {Ref(ref.layer, ref.call, 0) for _, ref in gives}
    kept = []
    for step in reversed(steps):
        if step.ref() in wanted:
            kept.append(step)
            wanted |= {Ref(ref.layer, ref.call, 0) for ref in step.call.leaves}
    return tuple(reversed(kept))
