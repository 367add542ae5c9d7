"""The parts of ECEA, small to large. Tokens are (N, rows * columns, planes), row by row of a square."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-6
"""Of every layer norm."""


def to_map(tokens: Tensor) -> Tensor:
    """(N, planes, side, side)."""
    return tokens.transpose(1, 2).unflatten(2, (math.isqrt(tokens.shape[1]), -1))


def to_tokens(x: Tensor) -> Tensor:
    """(N, side * side, planes)."""
    return x.flatten(2).transpose(1, 2)


class Patches(nn.Module):
    """One token a square of `patch` pixels."""

    def __init__(self, inputs: int, planes: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, planes, patch, patch, bias=False)

    def forward(self, picture: Tensor) -> Tensor:
        return to_tokens(self.proj(picture))


class Down(nn.Module):
    """Half the side, twice the planes."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        conv = nn.Conv2d(planes, 2 * planes, 3, 2, 1, bias=False)
        self.downsample = nn.Sequential(conv, nn.InstanceNorm2d(2 * planes), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        return to_tokens(self.downsample(to_map(tokens)))


class Up(nn.Module):
    """Twice the side, half the planes."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        conv = nn.Conv2d(planes, planes // 2, 3, 1, 1, bias=False)
        self.upsample = nn.Sequential(conv, nn.InstanceNorm2d(planes // 2), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        return to_tokens(self.upsample(F.interpolate(to_map(tokens), scale_factor=2.0, mode="nearest")))


class Join(nn.Module):
    """Two token lists, one behind the other, into one: each place on its own, over its planes."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.mix = nn.Linear(2 * planes, planes)

    def forward(self, tokens: Tensor) -> Tensor:
        first, second = tokens.chunk(2, dim=1)
        joined: Tensor = self.mix(torch.cat([first, second], dim=2))
        return joined


class Attention(nn.Module):
    """Self-attention whose keys know of the edges, gated by the tokens themselves.

    Args:
        clip: deviations around the mean of all tokens that the answers keep to; None: no limit.
    """

    def __init__(
        self, planes: int, heads: int, *, dropout: float, attention_dropout: float, clip: float | None
    ) -> None:
        super().__init__()
        self.heads, self.attention_dropout, self.clip = heads, attention_dropout, clip
        self.qkv = nn.Linear(planes, 3 * planes)
        self.s = nn.Linear(planes, planes)
        self.gate = nn.Linear(planes, planes)
        self.proj = nn.Linear(planes, planes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        query, key, value = (self._by_head(part) for part in self.qkv(x).chunk(3, dim=2))
        rate = self.attention_dropout if self.training else 0.0
        # never makes the matrix of all pairs of tokens, which is 64 MB for 256 x 256 pixels
        y = F.scaled_dot_product_attention(query, key + self._by_head(self.s(e)), value, dropout_p=rate)
        y = y.transpose(1, 2).flatten(2)
        if self.clip is not None:
            y = clipped(y, self.clip)
        answer: Tensor = self.dropout(self.proj(y * self.gate(x)))
        return answer

    def _by_head(self, tokens: Tensor) -> Tensor:
        """(N, heads, tokens, planes a head)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


def clipped(tokens: Tensor, limit: float) -> Tensor:
    """Each plane kept to its mean over the tokens and `limit` deviations around it (Chebyshev's inequality)."""
    mean = tokens.mean(dim=1, keepdim=True)
    # not 0: the root has no slope there, and constant tokens would make the gradient NaN
    reach = limit * (tokens.var(dim=1, keepdim=True, correction=0) + 1e-12).sqrt()
    return torch.maximum(mean - reach, torch.minimum(mean + reach, tokens))


class Mlp(nn.Module):
    def __init__(self, planes: int, dropout: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(planes, 4 * planes), nn.Linear(4 * planes, planes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(x)))))
        return answer


class DropPath(nn.Module):
    """Leaves a whole branch out, for some of the samples, in training; the others grow to keep the mean."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), 1, 1, device=x.device, dtype=x.dtype) >= self.rate
        return x * kept / (1 - self.rate)


class Block(nn.Module):
    def __init__(self, planes: int, attention: Attention, *, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(planes, EPS), nn.LayerNorm(planes, EPS)
        self.attn = attention
        self.norm3 = nn.LayerNorm(planes, EPS)
        self.mlp = Mlp(planes, dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), self.norm2(e)))
        answer: Tensor = x + self.drop_path(self.mlp(self.norm3(x)))
        return answer


class Transformer(nn.Module):
    """Blocks with a table of positions; what goes into a block is added to what comes out once more.

    Args:
        tokens: how many there are, always.
        drop_path: rate of the last block; the first has 0, those between lie on a line.
    """

    def __init__(
        self,
        planes: int,
        tokens: int,
        *,
        depth: int,
        heads: int,
        dropout: float,
        attention_dropout: float,
        drop_path: float,
        clip: float | None,
    ) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, planes))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                planes,
                Attention(planes, heads, dropout=dropout, attention_dropout=attention_dropout, clip=clip),
                dropout=dropout,
                drop_path=drop_path * number / max(depth - 1, 1),
            )
            for number in range(depth)
        )
        self.norm = nn.LayerNorm(planes, EPS)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        x = self.dropout(x + self.pos_embed)
        for block in self.blocks:
            x = x + block(x, e)
        answer: Tensor = self.norm(x)
        return answer


class Residual(nn.Module):
    """Two convolutions with batch norm, added to the input; nothing after the sum."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(planes, planes, 3, padding=1), nn.BatchNorm2d(planes)
        self.prelu = nn.PReLU()
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, padding=1), nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))
        return answer


class Enlarge(nn.Module):
    """Twice the side by pixel shuffle."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(planes, 4 * planes, 3, padding=1)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.prelu(F.pixel_shuffle(self.conv(x), 2))
        return answer


class Painter(nn.Module):
    """Tokens to a picture in [0, 1] with four times the side."""

    def __init__(self, planes: int, outputs: int, *, width: int = 64) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(planes, width, 9, padding=4), nn.PReLU())
        for number in range(2, 7):
            self.add_module(f"block{number}", Residual(width))
        self.block7 = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.block8 = nn.Sequential(Enlarge(width), Enlarge(width), nn.Conv2d(width, outputs, 9, padding=4))

    def forward(self, tokens: Tensor) -> Tensor:
        first = x = self.block1(to_map(tokens))
        for number in range(2, 7):
            x = self.get_submodule(f"block{number}")(x)
        picture: Tensor = (torch.tanh(self.block8(first + self.block7(x))) + 1) / 2
        return picture
