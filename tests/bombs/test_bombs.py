"""Uploads that ask for far more than they are end in a trouble that says so, and the next upload is examined."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.contract.options import Options
from service.contract.words import Depth
from tests.bombs.bombs import Bomb, written
from tests.bombs.corpus import JAILED, STATIC
from tests.bombs.jail import MIB, Jail, jail
from worker.examine import examine
from worker.load.onnx import read

FEW = 5000
"""Nodes that are allowed here: a tenth of what is in service, so that millions of fields need not be walked over."""
OPTIONS = Options(depth=Depth.QUICK, steps=2, seeds=1, time_limit_s=10, treat=False)
LOADED = 600 * MIB
"""What a child may hold before it takes anything: torch, and what else the zygote has loaded."""


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jail]:
    """A jail for every bomb that needs one."""
    with jail(tmp_path_factory.mktemp("jail"), limit_s=2) as cell:
        yield cell


@pytest.mark.parametrize("bomb", STATIC.values(), ids=STATIC)
def test_what_can_be_seen_is_refused_before_anything_is_spent_on_it(bomb: Bomb, tmp_path: Path) -> None:
    model, external = tmp_path / "model.onnx", bomb.external(tmp_path)
    model.write_bytes(bomb.build())
    with pytest.raises(bomb.outcomes) as trouble:  # noqa: PT012  reading comes first, with fewer nodes allowed
        read(model, external, max_nodes=FEW)
        examine(model, None, OPTIONS, external=external)
    assert 10 < len(trouble.value.detail) < 2100


@pytest.mark.parametrize("bomb", JAILED.values(), ids=JAILED)
def test_what_cannot_be_seen_ends_at_the_limits(bomb: Bomb, cell: Jail) -> None:
    outcome = cell.run(bomb)
    assert outcome.problem is not None
    assert outcome.problem.type in {f"/problems/{kind.slug()}" for kind in bomb.outcomes}
    assert outcome.peak_bytes < cell.memory_limit_bytes + LOADED


def test_a_model_after_all_bombs_is_examined(cell: Jail) -> None:
    honest = Bomb(lambda: written("y = Relu(x)"), (), needs_limits=False, external=lambda _: {})
    assert cell.run(honest).problem is None
