"""Convolutions of one number at a stride, where torch 2.13 corrupts memory if the channels lie last."""

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from worker.network.ops.conv import conv

PASSES = """
import torch
from worker.network.ops.conv import conv
torch.set_num_threads(2)
x = torch.randn(3, 16, 16, 8).permute(0, 3, 1, 2).requires_grad_()
weight = torch.randn(16, 8, 1, 1).requires_grad_()
for _ in range(20):
    y = conv(x, weight, strides=[2, 2])
    torch.autograd.grad((y * torch.randn_like(y)).sum(), [x, weight])
"""


def test_the_backward_pass_survives_channels_that_lie_last() -> None:
    done = subprocess.run([sys.executable, "-c", PASSES], check=False, capture_output=True)  # noqa: S603  our own text
    assert done.returncode == 0, done.stderr.decode()[-500:]


@pytest.mark.parametrize(("size", "strides"), [((7,), [2]), ((7, 8), [3, 2]), ((5, 6, 7), [2, 3, 1])])
def test_every_so_many_numbers_are_seen(size: tuple[int, ...], strides: list[int]) -> None:
    x, weight = torch.randn(2, 4, *size), torch.randn(6, 2, *([1] * len(size)))
    expected = (functional.conv1d, functional.conv2d, functional.conv3d)[len(size) - 1](
        x, weight, stride=strides, groups=2
    )
    torch.testing.assert_close(conv(x, weight, group=2, strides=strides), expected)
