"""Fourier transforms and what goes with them."""

import torch
from torch import Tensor

from worker.network.dtypes import dtype
from worker.network.ops import beside, op


@op("DFT", since=20)
def dft(
    x: Tensor, length: Tensor | None = None, axis: Tensor | None = None, *, inverse: int = 0, onesided: int = 0
) -> Tensor:
    """The discrete Fourier transform along an axis; numbers are pairs (or singles, if real) along the last one."""
    return _transformed(x, length, -2 if axis is None else int(axis), inverse=bool(inverse), onesided=bool(onesided))


@op("DFT", since=17)
def dft_by_attribute(
    x: Tensor, length: Tensor | None = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0
) -> Tensor:
    """The discrete Fourier transform along an axis."""
    return _transformed(x, length, axis, inverse=bool(inverse), onesided=bool(onesided))


def _complex(x: Tensor) -> Tensor:
    return torch.view_as_complex(x.contiguous()) if x.shape[-1] > 1 else torch.complex(x[..., 0], x[..., 0] * 0)


def _transformed(x: Tensor, length: Tensor | None, axis: int, *, inverse: bool, onesided: bool) -> Tensor:
    along, count = axis % x.dim(), None if length is None else int(length)
    values = _complex(x)
    if inverse and onesided:
        real: Tensor = torch.fft.irfft(values, count or 2 * (values.shape[along] - 1), along)
        return real.unsqueeze(-1)
    spectrum = (torch.fft.ifft if inverse else torch.fft.fft)(values.to(torch.complex128), count, along)
    if onesided:
        spectrum = spectrum.narrow(along, 0, spectrum.shape[along] // 2 + 1)
    pairs: Tensor = torch.view_as_real(spectrum.to(values.dtype).resolve_conj())
    return pairs


@op("STFT", since=17)
def stft(
    x: Tensor, step: Tensor, window: Tensor | None = None, length: Tensor | None = None, *, onesided: int = 1
) -> Tensor:
    """The Fourier transforms of successive frames [batch, frames, frequencies, 2]."""
    size = int(length) if length is not None else len(window)  # type: ignore[arg-type]
    values = x.squeeze(-1) if x.shape[-1] == 1 else _complex(x)
    frames = values.unfold(1, size, int(step))
    spectrum = torch.fft.fft(frames if window is None else frames * beside(frames, window)[0], dim=-1)
    return torch.view_as_real(spectrum[..., : size // 2 + 1] if onesided else spectrum)


@op("MelWeightMatrix", since=17, gradient=False)
def mel_weights(
    bins: Tensor, length: Tensor, rate: Tensor, lowest: Tensor, highest: Tensor, *, output_datatype: int = 1
) -> Tensor:
    """The weights [frequencies, bins] of triangles that are evenly spread over the mel scale."""
    count, size = int(bins), int(length) // 2 + 1
    low, high = (2595 * torch.log10(1 + edge.double() / 700) for edge in (lowest, highest))
    mels = low + torch.arange(count + 2, dtype=torch.float64) * ((high - low) / (count + 2))
    edges = (((int(length) + 1) * 700 * (10 ** (mels / 2595) - 1)) // int(rate)).long().tolist()
    weights = torch.zeros(size, count, dtype=torch.float64)
    for place in range(count):
        left, middle, right = edges[place : place + 3]
        if left == middle:
            weights[middle, place] = 1
        else:
            rising = torch.arange(left, middle + 1)
            weights[rising, place] = (rising - left).double() / (middle - left)
        if right > middle:
            falling = torch.arange(middle, right)
            weights[falling, place] = (right - falling).double() / (right - middle)
    return weights.to(dtype(output_datatype))
