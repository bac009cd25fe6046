"""The laws' draws, against closed forms and against the distributions themselves."""

from math import sqrt

import pytest
import torch
from pydantic import TypeAdapter
from scipy import stats
from torch import nn

from service.contract.architecture.laws import AnyLaw, LawSpec
from worker.load.drawing import law_of
from worker.network import laws
from worker.network.graph import Law, stream
from worker.network.laws import Fans, fans

READ: TypeAdapter[AnyLaw] = TypeAdapter(LawSpec)

INTO, OUT = 300, 500
FAN = Fans(INTO, OUT)
SHAPE = (INTO, OUT)

VARIANCES = {
    "he_normal": 2 / INTO,
    "he_uniform": 2 / INTO,
    "xavier_normal": 2 / (INTO + OUT),
    "xavier_uniform": 2 / (INTO + OUT),
    "lecun_normal": 1 / INTO,
    "lecun_uniform": 1 / INTO,
    "torch_default": 1 / (3 * INTO),
}
"""Of the papers, and of torch.nn.Linear."""


def of_name(name: str) -> Law:
    """Return the law that a file's word names."""
    spec = READ.validate_python(name)
    return law_of(spec, SHAPE, FAN, laws.torch_default(SHAPE, FAN))


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_the_papers(name: str) -> None:
    """The standard error of a sample variance is at most √(2 / n) of it; five of them are 1.8% here."""
    drawn = of_name(name)(stream(0, name)).double()
    assert drawn.var().item() == pytest.approx(VARIANCES[name], rel=5 * sqrt(2 / drawn.numel()))
    assert abs(drawn.mean().item()) < 5 * sqrt(VARIANCES[name] / drawn.numel())


@pytest.mark.parametrize("name", VARIANCES)
def test_the_draws_follow_the_distribution_of_the_name(name: str) -> None:
    """Kolmogorov and Smirnov's distance at 150,000 draws; a p-value under 1e-3 comes once in a thousand seeds."""
    drawn = of_name(name)(stream(0, name)).double().flatten().numpy() / sqrt(VARIANCES[name])
    if name.endswith("normal"):
        assert stats.kstest(drawn, "norm").pvalue > 1e-3
    else:
        assert stats.kstest(drawn, stats.uniform(-sqrt(3), 2 * sqrt(3)).cdf).pvalue > 1e-3


@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
@pytest.mark.parametrize(("mode", "fan"), [("fan_in", INTO), ("fan_out", OUT), ("fan_avg", (INTO + OUT) / 2)])
def test_variance_scaling_is_keras(distribution: str, mode: str, fan: float) -> None:
    spec = READ.validate_python({"law": "variance_scaling", "scale": 3, "mode": mode, "distribution": distribution})
    drawn = law_of(spec, SHAPE, FAN, laws.Constant(SHAPE, 0))(stream(0, mode)).double()
    assert drawn.var().item() == pytest.approx(3 / fan, rel=0.02)


def test_a_truncated_normal_is_cut_at_two_standard_deviations() -> None:
    drawn = laws.Normal(SHAPE, 0.5, 1.0, truncated=True)(stream(0, "")).double().flatten()
    assert drawn.min() >= 0
    assert drawn.max() <= 2
    assert stats.kstest(drawn.numpy(), stats.truncnorm(-2, 2, loc=1, scale=0.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60), (12, 4, 3, 3)])
def test_an_orthogonal_kernel_is_orthonormal_times_its_gain(shape: tuple[int, ...]) -> None:
    drawn = laws.Orthogonal(shape, 1.5)(stream(0, "")).flatten(1)
    small = drawn @ drawn.T if drawn.shape[0] <= drawn.shape[1] else drawn.T @ drawn
    torch.testing.assert_close(small, 1.5**2 * torch.eye(len(small)), rtol=0, atol=1e-5)


def test_orthogonal_matrices_are_spread_evenly_over_the_group() -> None:
    """A column of a Haar matrix is uniform on the sphere: √n times an entry tends to the standard normal."""
    drawn = [laws.Orthogonal((64, 64))(stream(seed, ""))[0] for seed in range(64)]
    assert stats.kstest((8 * torch.cat(drawn)).double().numpy(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("shape", [(5, 5), (3, 5), (4, 4, 3, 3), (4, 4, 5)])
def test_the_identity_passes_its_input_on(shape: tuple[int, ...]) -> None:
    kernel = laws.Identity(shape, 2.0)(stream(0, ""))
    value = torch.randn(2, shape[1] if len(shape) > 2 else shape[0], *[9] * (len(shape) - 2))
    if len(shape) == 2:
        torch.testing.assert_close((value @ kernel)[:, : min(shape)], 2 * value)
    else:
        convolve = nn.functional.conv1d if len(shape) == 3 else nn.functional.conv2d
        torch.testing.assert_close(convolve(value, kernel, padding="same"), 2 * value)


def test_constants_are_constant() -> None:
    assert [of_name(name)(stream(0, "")).unique().tolist() for name in ("zeros", "ones")] == [[0], [1]]
    assert laws.Constant((2,), 0.5)(stream(0, "")).tolist() == [0.5, 0.5]


def test_stacked_laws_keep_each_gates_own_scale() -> None:
    wide, narrow = laws.Normal((50, 80), 3.0), laws.Normal((50, 80), 0.1)
    drawn = laws.Stacked((wide, narrow), (1, 100, 80))(stream(0, ""))
    assert drawn.shape == (1, 100, 80)
    assert drawn[0, :50].std().item() == pytest.approx(3, rel=0.05)
    assert drawn[0, 50:].std().item() == pytest.approx(0.1, rel=0.05)


def test_a_shift_adds_a_constant() -> None:
    law = laws.Uniform((9,), 0, 1)
    torch.testing.assert_close(laws.Shifted(law, 1.0)(stream(3, "b")), law(stream(3, "b")) + 1)


@pytest.mark.parametrize("law", [laws.Normal((4, 3), 1), laws.Orthogonal((4, 3)), laws.Uniform((4, 3), 0, 1)])
def test_a_law_draws_the_same_from_the_same_stream(law: Law) -> None:
    assert torch.equal(law(stream(1, "a")), law(stream(1, "a")))
    assert not torch.equal(law(stream(1, "a")), law(stream(2, "a")))
    assert not torch.equal(law(stream(1, "a")), law(stream(1, "b")))


@pytest.mark.parametrize(
    ("module", "op"), [(nn.Linear(7, 5), "Gemm"), (nn.Conv2d(6, 8, 3, groups=2), "Conv"), (nn.Conv1d(3, 4, 5), "Conv")]
)
def test_fans_are_torchs(module: nn.Module, op: str) -> None:
    """xavier_uniform_ shows the sum of the fans as its bound, kaiming_uniform_ the first and the second alone."""
    weight = module.weight.detach()
    given = fans(tuple(weight.shape), op, transposed=True)
    assert (given.into, given.out) == nn.init._calculate_fan_in_and_fan_out(weight)  # noqa: SLF001  torch's own count


def test_fans_of_other_layouts() -> None:
    assert fans((7, 5), "MatMul") == fans((5, 7), "Gemm", transposed=True) == Fans(7, 5)
    assert fans((6, 4, 3, 3), "ConvTranspose") == Fans(54, 36)
    assert fans((1000, 32), "Gather") == Fans(1, 32)
    assert fans((2, 12, 7), "LSTM") == Fans(7, 12)
    assert fans((9,), "MatMul") == Fans(9, 1)
