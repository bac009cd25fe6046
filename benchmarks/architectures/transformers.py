"""Transformers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name

from architectures.kinds import Architecture

WIDTH = 16


class Encoder(nn.Module):
    """A transformer encoder between two dense layers."""

    def __init__(self, *, norm_first: bool, activation: str) -> None:
        """Make two blocks of width 16 with four heads."""
        super().__init__()
        block = nn.TransformerEncoderLayer(WIDTH, 4, 32, 0.0, activation, batch_first=True, norm_first=norm_first)
        self.before = nn.Linear(8, WIDTH)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.after = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample."""
        return self.after(self.blocks(self.before(x)).mean(1))


class Decoder(nn.Module):
    """A transformer decoder that attends to its own past and to a memory."""

    def __init__(self) -> None:
        """Make table, one block, head and the mask of the future."""
        super().__init__()
        self.table = nn.Embedding(20, WIDTH)
        block = nn.TransformerDecoderLayer(WIDTH, 2, 32, 0.0, "gelu", batch_first=True)
        self.blocks, self.head = nn.TransformerDecoder(block, 2), nn.Linear(WIDTH, 20)
        self.register_buffer("future", nn.Transformer.generate_square_subsequent_mask(5))

    def forward(self, words: Tensor, memory: Tensor) -> Tensor:
        """Return one row per sample and word."""
        return self.head(self.blocks(self.table(words), memory, tgt_mask=self.future, tgt_is_causal=True))


class Weighed(nn.Module):
    """Attention of one sequence to another, with its weights as a second output."""

    def __init__(self) -> None:
        """Make attention and normalization."""
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(WIDTH, 4, batch_first=True), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows, and weights averaged over heads."""
        found, weights = self.attention(x, y, y, need_weights=True)
        return self.norm(found + x), weights


class Scale(nn.Module):
    """Root mean square normalization, written out."""

    def __init__(self) -> None:
        """Make the scale."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized rows."""
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


def turned(x: Tensor) -> Tensor:
    """Return queries or keys with rotary positions."""
    steps, width = x.shape[-2:]
    rates = 1 / (10000 ** (torch.arange(0, width, 2).float() / width))
    angles = torch.outer(torch.arange(steps).float(), rates)
    cosine, sine, even, odd = angles.cos(), angles.sin(), x[..., ::2], x[..., 1::2]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], -1).flatten(-2)


class Llama(nn.Module):
    """Rotary positions, grouped queries, a gated layer and root mean square normalization."""

    def __init__(self) -> None:
        """Make one block of width 16: four heads of queries, two of keys."""
        super().__init__()
        self.table, self.norm, self.second = nn.Embedding(40, WIDTH), Scale(), Scale()
        self.query, self.key, self.value = (nn.Linear(WIDTH, size, bias=False) for size in (16, 8, 8))
        self.joined, self.gate, self.up = (
            nn.Linear(WIDTH, WIDTH, bias=False),
            nn.Linear(WIDTH, 32),
            nn.Linear(WIDTH, 32),
        )
        self.down, self.head = nn.Linear(32, WIDTH), nn.Linear(WIDTH, 40, bias=False)

    def forward(self, words: Tensor) -> Tensor:
        """Return one row per sample and word."""
        x = self.table(words)
        batch, steps, _ = x.shape
        hidden = self.norm(x)
        query = turned(self.query(hidden).view(batch, steps, 4, 4).transpose(1, 2))
        key = turned(self.key(hidden).view(batch, steps, 2, 4).transpose(1, 2)).repeat_interleave(2, 1)
        value = self.value(hidden).view(batch, steps, 2, 4).transpose(1, 2).repeat_interleave(2, 1)
        found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.joined(found.transpose(1, 2).reshape(batch, steps, WIDTH))
        hidden = self.second(x)
        return self.head(x + self.down(F.silu(self.gate(hidden)) * self.up(hidden)))


class Gpt(nn.Module):
    """Learnt positions, a mask among the buffers, attention written out, and a head tied to the table."""

    def __init__(self) -> None:
        """Make one block of width 16 with two heads."""
        super().__init__()
        self.table, self.positions = nn.Embedding(30, WIDTH), nn.Parameter(torch.randn(1, 6, WIDTH))
        self.before, self.joint, self.joined = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.between, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)
        self.after, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 30, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))

    def forward(self, words: Tensor) -> Tensor:
        """Return one row per sample and word."""
        x = self.table(words) + self.positions
        parts = self.joint(self.before(x)).view(*words.shape, 3, 2, 8).permute(2, 0, 3, 1, 4)
        scores = parts[0] @ parts[1].transpose(-2, -1) / 8**0.5
        weights = torch.softmax(scores.masked_fill(self.mask == 0, float("-inf")), -1)
        x = x + self.joined((weights @ parts[2]).transpose(1, 2).reshape(x.shape))
        x = x + self.down(F.gelu(self.up(self.between(x)), approximate="tanh"))
        return self.head(self.after(x))


class Patches(nn.Module):
    """A vision transformer with a class token and learnt positions."""

    def __init__(self) -> None:
        """Make patches of four pixels, two blocks, and the head."""
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, WIDTH)), nn.Parameter(torch.randn(1, 17, WIDTH))
        block = nn.TransformerEncoderLayer(WIDTH, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per image."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class Window(nn.Module):
    """Attention with a table of biases for relative positions, and branches scaled per feature."""

    def __init__(self) -> None:
        """Make one block for windows of three by three."""
        super().__init__()
        self.before, self.joint, self.joined = nn.Linear(5, WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.biases = nn.Parameter(torch.randn(25, 2))
        self.scale = nn.Parameter(1e-1 * torch.ones(WIDTH))
        places = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")).flatten(1)
        apart = (places[:, :, None] - places[:, None, :]) + 2
        self.register_buffer("which", apart[0] * 5 + apart[1])

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample and place."""
        x = self.before(x)
        query, key, value = self.joint(x).view(len(x), 9, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.biases[self.which.flatten()].view(9, 9, 2).permute(2, 0, 1)
        weights = torch.softmax(query * 8**-0.5 @ key.transpose(-2, -1) + bias, -1)
        return x + self.scale * self.joined((weights @ value).transpose(1, 2).reshape(x.shape))


class Asking(nn.Module):
    """Learnt queries that read a sequence of any length, as DETR's and Perceiver's do."""

    def __init__(self) -> None:
        """Make four queries and their attention."""
        super().__init__()
        self.queries, self.before = nn.Parameter(torch.randn(4, WIDTH)), nn.Linear(6, WIDTH)
        self.attention, self.head = nn.MultiheadAttention(WIDTH, 2, batch_first=True), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row per sample and query."""
        seen = self.before(x)
        asked = self.queries.unsqueeze(0).repeat(len(x), 1, 1)
        return self.head(torch.tanh(self.attention(asked, seen, seen, need_weights=False)[0]))


NETWORKS = {
    "transformer-post": Architecture(
        lambda: Encoder(norm_first=False, activation="relu"), lambda: (torch.randn(4, 5, 8),)
    ),
    "transformer-pre": Architecture(
        lambda: Encoder(norm_first=True, activation="gelu"), lambda: (torch.randn(4, 5, 8),)
    ),
    "decoder": Architecture(Decoder, lambda: (torch.randint(0, 20, (3, 5)), torch.randn(3, 7, WIDTH))),
    "attention-weights": Architecture(Weighed, lambda: (torch.randn(4, 5, WIDTH), torch.randn(4, 7, WIDTH))),
    "llama": Architecture(Llama, lambda: (torch.randint(0, 40, (3, 6)),)),
    "gpt-tied": Architecture(Gpt, lambda: (torch.randint(0, 30, (4, 6)),)),
    "vit": Architecture(Patches, lambda: (torch.randn(3, 3, 16, 16),)),
    "relative-positions": Architecture(Window, lambda: (torch.randn(4, 9, 5),)),
    "learnt-queries": Architecture(Asking, lambda: (torch.randn(4, 5, 6),)),
}
