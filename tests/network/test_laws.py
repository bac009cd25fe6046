"""The laws' draws, against closed forms and against the distributions themselves."""

from hashlib import sha256
from math import sqrt

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy import stats
from torch import nn

from service.contract.architecture.laws import AnyLaw, LawSpec
from service.contract.problem import Invalid
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
    "he_truncated": 2 / INTO,
    "he_uniform": 2 / INTO,
    "xavier_normal": 2 / (INTO + OUT),
    "xavier_truncated": 2 / (INTO + OUT),
    "xavier_uniform": 2 / (INTO + OUT),
    "lecun_normal": 1 / INTO,
    "lecun_truncated": 1 / INTO,
    "lecun_uniform": 1 / INTO,
    "torch_default": 1 / (3 * INTO),
    "keras_default": 2 / (INTO + OUT),
}
"""Of the papers, of torch.nn.Linear, and of keras.layers.Dense."""

CUT = stats.truncnorm(-2, 2).std()


def of_spec(spec: object, shape: tuple[int, ...] = SHAPE, fan: Fans = FAN) -> Law:
    """Return the law that a file's word or object names."""
    return law_of(READ.validate_python(spec), shape, fan, laws.torch_default(shape, fan))


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_the_papers(name: str) -> None:
    """The standard error of a sample variance is at most √(2 / n) of it; five of them are 1.8% here."""
    drawn = of_spec(name)(stream(0, name)).double()
    assert drawn.var().item() == pytest.approx(VARIANCES[name], rel=5 * sqrt(2 / drawn.numel()))
    assert abs(drawn.mean().item()) < 5 * sqrt(VARIANCES[name] / drawn.numel())


@pytest.mark.parametrize("name", VARIANCES)
def test_the_draws_follow_the_distribution_of_the_name(name: str) -> None:
    """Kolmogorov and Smirnov's distance at 150,000 draws; a p-value under 1e-3 comes once in a thousand seeds."""
    drawn = of_spec(name)(stream(0, name)).double().flatten().numpy() / sqrt(VARIANCES[name])
    known = {"normal": stats.norm(), "truncated": stats.truncnorm(-2, 2, scale=1 / CUT)}
    expected = known.get(name.partition("_")[2], stats.uniform(-sqrt(3), 2 * sqrt(3)))
    assert stats.kstest(drawn, expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
@pytest.mark.parametrize(("mode", "fan"), [("fan_in", INTO), ("fan_out", OUT), ("fan_avg", (INTO + OUT) / 2)])
def test_variance_scaling_divides_by_the_fan_of_its_mode(distribution: str, mode: str, fan: float) -> None:
    spec = {"law": "variance_scaling", "scale": 3, "mode": mode, "distribution": distribution}
    drawn = of_spec(spec)(stream(0, mode)).double()
    assert drawn.var().item() == pytest.approx(3 / fan, rel=0.02)


@pytest.mark.parametrize(("mode", "fan"), [("fan_in", INTO), ("fan_out", OUT), ("fan_avg", (INTO + OUT) / 2)])
@pytest.mark.parametrize(("law", "scale"), [("he_normal", 2), ("lecun_uniform", 1), ("kaiming_truncated", 2)])
def test_a_mode_and_a_gain_change_the_variance(law: str, scale: float, mode: str, fan: float) -> None:
    drawn = of_spec({"law": law, "gain": 3, "mode": mode})(stream(0, mode)).double()
    assert drawn.var().item() == pytest.approx(9 * scale / fan, rel=0.02)


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


def test_both_kinds_of_orthogonal_matrices_are_drawn() -> None:
    """Rotations and reflections are as many: the determinants' sum is that of as many coins."""
    signs = [torch.linalg.det(laws.Orthogonal((3, 3))(stream(seed, ""))).sign().item() for seed in range(400)]
    assert abs(sum(signs)) < 5 * sqrt(400)


@pytest.mark.parametrize("shape", [(9, 4, 3, 3), (6, 6, 5), (5, 3, 3, 3, 3)])
def test_a_delta_orthogonal_convolution_keeps_a_signals_length(shape: tuple[int, ...]) -> None:
    """On a ring, where no edge swallows anything (Xiao et al. 2018)."""
    kernel = laws.DeltaOrthogonal(shape, 2.0)(stream(0, ""))
    value = torch.randn(2, shape[1], *[7] * (len(shape) - 2), generator=torch.Generator().manual_seed(0))
    convolve = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}[len(shape)]
    module = convolve(shape[1], shape[0], shape[2], padding=shape[2] // 2, padding_mode="circular", bias=False)
    module.weight.data = kernel
    torch.testing.assert_close(module(value).flatten(1).norm(dim=1), 2 * value.flatten(1).norm(dim=1))
    assert kernel.count_nonzero() == shape[0] * shape[1]


@pytest.mark.parametrize("shape", [(5, 5), (3, 5), (4, 4, 3, 3), (4, 4, 5)])
def test_the_identity_passes_its_input_on(shape: tuple[int, ...]) -> None:
    kernel = laws.Identity(shape, 2.0)(stream(0, ""))
    value = torch.randn(2, shape[1] if len(shape) > 2 else shape[0], *[9] * (len(shape) - 2))
    if len(shape) == 2:
        torch.testing.assert_close((value @ kernel)[:, : min(shape)], 2 * value)
    else:
        convolve = nn.functional.conv1d if len(shape) == 3 else nn.functional.conv2d
        torch.testing.assert_close(convolve(value, kernel, padding="same"), 2 * value)


def test_a_sparse_matrix_has_its_zeros_in_every_column_anywhere() -> None:
    drawn = laws.Sparse((11, 5000), 0.5, 0.3)(stream(0, ""))
    zero = drawn == 0
    assert zero.sum(0).unique().tolist() == [6]  # ⌈½ · 11⌉
    assert stats.chisquare(zero.sum(1).numpy()).pvalue > 1e-3
    assert stats.kstest(drawn[~zero].double().numpy(), stats.norm(0, 0.3).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (laws.Orthogonal((5,)), "two axes or more"),
        (laws.Identity((5,)), "two axes or more"),
        (laws.Sparse((5, 4, 3, 3), 0.5), "draws matrices"),
        (laws.DeltaOrthogonal((5, 4)), "convolution kernels"),
        (laws.DeltaOrthogonal((4, 5, 3, 3)), "no fewer outputs than inputs"),
    ],
)
def test_a_law_refuses_what_it_cannot_draw(law: Law, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        law(stream(0, ""))


def test_constants_are_constant() -> None:
    assert [of_spec(name)(stream(0, "")).unique().tolist() for name in ("zeros", "ones")] == [[0], [1]]
    assert laws.Constant((2,), 0.5)(stream(0, "")).tolist() == [0.5, 0.5]


def test_stacked_laws_keep_each_gates_own_scale() -> None:
    wide, narrow = laws.Normal((50, 80), 3.0), laws.Normal((50, 80), 0.1)
    drawn = laws.Stacked((wide, narrow), (1, 100, 80))(stream(0, ""))
    assert drawn.shape == (1, 100, 80)
    assert drawn[0, :50].std().item() == pytest.approx(3, rel=0.05)
    assert drawn[0, 50:].std().item() == pytest.approx(0.1, rel=0.05)


def test_compound_laws_change_what_the_inner_one_draws() -> None:
    law = laws.Uniform((6, 2, 3), 0, 1)
    drawn = law(stream(3, "b"))
    assert torch.equal(laws.Shifted(law, 1.0)(stream(3, "b")), drawn + 1)
    assert torch.equal(laws.Times(law, 0.3)(stream(3, "b")), drawn * 0.3)
    assert torch.equal(laws.Permuted(law, (2, 0, 1))(stream(3, "b")), drawn.permute(2, 0, 1))
    assert torch.equal(laws.Reshaped(law, (4, 9))(stream(3, "b")), drawn.reshape(4, 9))
    assert torch.equal(laws.Reordered(law, (0, 2, 1))(stream(3, "b")), drawn[[0, 1, 4, 5, 2, 3]])


@pytest.mark.parametrize("law", [laws.Normal((4, 3), 1), laws.Orthogonal((4, 3)), laws.Uniform((4, 3), 0, 1)])
def test_a_law_draws_the_same_from_the_same_stream(law: Law) -> None:
    assert torch.equal(law(stream(1, "a")), law(stream(1, "a")))
    assert not torch.equal(law(stream(1, "a")), law(stream(2, "a")))
    assert not torch.equal(law(stream(1, "a")), law(stream(1, "b")))


def test_laws_of_the_same_numbers_are_equal() -> None:
    def made(std: float) -> Law:
        return laws.Times(laws.Permuted(laws.Normal((2, 3), std), (1, 0)), 0.5)

    assert made(1.0) == made(1.0)
    assert made(1.0) != made(2.0)


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (of_spec("he_normal"), "normal of mean 0 and standard deviation 0.08165"),
        (of_spec("he_truncated"), "normal of mean 0 and standard deviation 0.09282, cut at two of them"),
        (of_spec("torch_default"), "uniform from -0.05774 to 0.05774"),
        (laws.Times(laws.Orthogonal((2, 2)), 0.5), "orthogonal, gain 1, times 0.5"),
        (laws.Stacked((laws.Constant((2,), 0), laws.Constant((2,), 1)) * 2, (8,)), "constant 0; constant 1"),
        (laws.Sparse((2, 2), 0.5), "normal of standard deviation 0.01, 0.5 of each column zero"),
    ],
)  # fmt: skip
def test_a_law_says_what_it_is(law: Law, words: str) -> None:
    assert str(law) == words


GOLDEN = {
    "normal": "b168a534501e5669",
    "truncated_normal": "99e201ff32594cab",
    "uniform": "c88ec599e311324b",
    "he_normal": "167be66101893707",
    "xavier_uniform": "e621a2415cf3c173",
    "lecun_truncated": "40b76d0905113289",
    "orthogonal": "235f0a026a4e1965",
    "delta_orthogonal": "32ccb9cf66891c09",
    "identity": "56696e7f6d4cc0f3",
    "sparse": "f7a6b9b905a3b19c",
    "torch_default": "4ce99a6b030155f6",
}


SPECS = {"sparse": ({"law": "sparse", "sparsity": 0.4}, (12, 90))}
"""What a name alone does not say."""


@pytest.mark.parametrize("name", GOLDEN)
def test_the_same_seed_gives_the_same_weights_everywhere(name: str) -> None:
    """The digests of 1,080 numbers as first drawn; they hold on every platform, or the law has changed."""
    drawn = of_spec(*SPECS.get(name, (name, (12, 10, 3, 3))), Fans(90, 108))(stream(7, "stem.kernel"))
    assert sha256(drawn.numpy().astype("<f4").tobytes()).hexdigest()[:16] == GOLDEN[name]


def test_the_first_numbers_are_those_of_today() -> None:
    drawn = laws.Normal((4,), 1.0)(stream(0, "fc1.kernel"))
    np.testing.assert_array_equal(drawn, np.array([1.5037682, -1.0472443, -0.46341494, 0.5470362], np.float32))


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
