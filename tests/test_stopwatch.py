"""What is told of progress while an examination runs."""

from service.contract.words import Stage
from worker.stopwatch import Stopwatch


def test_progress_never_falls_and_every_detail_is_told() -> None:
    told: list[tuple[Stage, float, str]] = []
    watch = Stopwatch(lambda *said: told.append(said))
    with watch.stage(Stage.TREATING, 0.4):
        watch.tell(Stage.TREATING, 0.7, "screening tanh")
        watch.tell(Stage.TREATING, 0.5, "trying tanh, 1 of 2")
        watch.tell(Stage.TREATING, 0.8, "trying selu, 2 of 2")
    assert [done for _, done, _ in told] == [0.4, 0.7, 0.7, 0.8]
    assert [detail for *_, detail in told] == ["", "screening tanh", "trying tanh, 1 of 2", "trying selu, 2 of 2"]
    assert watch.seconds.keys() == {Stage.TREATING}
