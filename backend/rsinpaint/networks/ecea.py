"""ECEA, also called EET: a transformer over patches that is told where edges are, for RGB in [0, 1].

Zhou, Chen, Zhang, Niu, IEEE JSTARS 18, 10830-10845, 2025, doi:10.1109/JSTARS.2025.3559203. Written from the
description of the layers. Beside the picture it draws the edge map.

`as_published` is what the authors' code computes; it is what the published weights need. `corrected`:
- one squashing at the end instead of two, so that white can be reached (published: at most tanh 1 = 0.76);
- two token lists are joined plane by plane, as the paper draws it, not by a dense map between positions, which
  holds 55 % of all weights;
- drop path acts in training;
- attention's answers are clipped to the mean of the tokens and some deviations around it (published: to themselves);
- norms divide by a little more, so that a batch of flat pictures, without any edge, has finite gradients.
"""

import torch
from torch import Tensor, nn

from .blocks import is_corrected, one_mask
from .cshe import edge_map
from .ecea_blocks import Down, Join, Painter, Patches, Residual, Transformer, Up, to_map, to_tokens

DEPTHS, HEADS = (1, 2, 3, 4), (1, 2, 4, 8)
"""Blocks and attention heads at 1/4, 1/8, 1/16, 1/32 of the resolution."""
PATCH = 4
"""Pixels on a side that become one token."""
EPS = 1e-3
"""Of batch and instance norms, corrected: thirteen of them in a row, each with a gain of eps ** -0.5 on nothing."""


class Ecea(nn.Module):
    """The generator. It sees pictures of one size, which its tables of positions fix; so there is no halo.

    Args:
        size: of the picture, in pixels, a multiple of 32 from 64 on.
        embed: planes of a token at the finest level.
        dropout: share of values left out in training; `attention_dropout` and `drop_path` likewise.
        clip: deviations around the mean that attention's answers keep to (corrected mode); None: no limit.
        mode: `corrected` or `as_published`.

    Raises:
        ValueError: the size does not fit; the sentence names the nearest that does.
    """

    guess_in_holes = True  # for the edge map alone: the picture itself is 0 in holes
    halo = None

    def __init__(
        self,
        *,
        size: int = 256,
        embed: int = 64,
        dropout: float = 0.2,
        attention_dropout: float = 0.3,
        drop_path: float = 0.2,
        clip: float | None = 3.0,
        mode: str = "corrected",
    ) -> None:
        super().__init__()
        if size < 64 or size % 32:
            near = max(64, round(size / 32) * 32)
            raise ValueError(f"size {size}, expected a multiple of 32 from 64 on, such as {near}")
        self.corrected = is_corrected(mode)
        self.size = self.multiple = size
        rates = {"dropout": dropout, "attention_dropout": attention_dropout}
        rates["drop_path"] = drop_path if self.corrected else 0.0
        self._build(_Levels(size // PATCH, embed, self.corrected, clip if self.corrected else None, rates))
        self.apply(_start)
        for norm in self.modules():
            if self.corrected and isinstance(norm, nn.BatchNorm2d | nn.InstanceNorm2d):
                norm.eps = EPS

    def _build(self, level: "_Levels") -> None:
        """The parts under their published names, in the published order."""
        planes = level.planes
        self.patch_embed, self.patch_embed_s = Patches(4, planes[0], PATCH), Patches(1, planes[0], PATCH)
        self.encoder64 = level.transformer(0)
        self.downsample32, self.downsample32_s = Down(planes[0]), Down(planes[0])
        self.encoder32 = level.transformer(1)
        self.downsample16, self.downsample16_s = Down(planes[1]), Down(planes[1])
        self.encoder16 = level.transformer(2)
        self.downsample8, self.downsample8_s = Down(planes[2]), Down(planes[2])
        self.encoder8 = level.transformer(3)
        for number in range(1, 6):
            self.add_module(f"res_block{number}", Residual(planes[3]))
        middle = nn.Conv2d(planes[3], planes[3], 3, padding=1, bias=False)
        self.res_block6 = nn.Sequential(middle, nn.InstanceNorm2d(planes[3]), nn.GELU())
        self.upsample16, self.upsample16_s = Up(planes[3]), Up(planes[3])
        self.concat16, self.decoder16 = level.join(2), level.transformer(2)
        self.upsample32, self.upsample32_s = Up(planes[2]), Up(planes[2])
        self.concat32, self.decoder32 = level.join(1), level.transformer(1)
        self.upsample64, self.upsample64_s = Up(planes[1]), Up(planes[1])
        self.concat64, self.decoder64 = level.join(0), level.transformer(0)
        self.out_s = Painter(planes[0], 1)
        self.out_s_patch_embed = Patches(1, planes[0], PATCH)
        self.out_concat = level.join(0)
        self.out = Painter(planes[0], 3)

    def forward(self, image: Tensor, holes: Tensor, edges: Tensor | None = None) -> dict[str, Tensor]:
        """See `networks` for the contract; `image` is red, green, blue in [0, 1], rows and columns are `size`.

        Args:
            edges: (N, 1, rows, columns) in [0, 1], 0 in holes; None: taken from the image, whose holes are guessed.

        Returns:
            `fill`, and `edges`, the edge map that was drawn, (N, 1, rows, columns).

        Raises:
            ValueError: another size or number of bands.
        """
        if image.shape[1:] != (3, self.size, self.size):
            found = " x ".join(map(str, image.shape[1:]))
            raise ValueError(f"pictures of {found}, expected 3 x {self.size} x {self.size}")
        mask = one_mask(holes)
        picture, drawn = self.generate(image * (1 - mask), self.edges(image, holes) if edges is None else edges, mask)
        return {"fill": picture, "edges": drawn}

    def edges(self, image: Tensor, holes: Tensor) -> Tensor:
        """The edge map of an image, (N, 1, rows, columns) in [0, 1]; see `forward`."""
        return edge_map(image, one_mask(holes))

    def generate(self, x: Tensor, e: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The published interface: picture with 0 in holes, edge map, mask -> picture, edge map, all in [0, 1]."""
        (seen64, seen32, seen16, seen8), (s32, s16, s8) = self._encode(torch.cat([x, mask], dim=1), e)
        up, s = self.upsample16(seen8), self.upsample16_s(self._middle(s8) + s8)
        tokens = self.decoder16(self.concat16(torch.cat([seen16, up], dim=1)), s)
        up, s = self.upsample32(tokens), self.upsample32_s(s + s16)
        tokens = self.decoder32(self.concat32(torch.cat([seen32, up], dim=1)), s)
        up, s = self.upsample64(tokens), self.upsample64_s(s + s32)
        tokens = self.decoder64(self.concat64(torch.cat([seen64, up], dim=1)), s)
        edge = self._squashed(self.out_s(s))
        tokens = self.out_concat(torch.cat([tokens, self.out_s_patch_embed(edge)], dim=1))
        return self._squashed(self.out(tokens)), edge

    def _encode(self, picture: Tensor, e: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Tokens of the picture at four levels, and of the edges at the last three, which no transformer changes."""
        s64 = self.patch_embed_s(e)
        seen64 = self.encoder64(self.patch_embed(picture), s64)
        s32 = self.downsample32_s(s64)
        seen32 = self.encoder32(self.downsample32(seen64), s32)
        s16 = self.downsample16_s(s32)
        seen16 = self.encoder16(self.downsample16(seen32), s16)
        s8 = self.downsample8_s(s16)
        seen8 = self.encoder8(self.downsample8(seen16), s8)
        return (seen64, seen32, seen16, seen8), (s32, s16, s8)

    def _middle(self, tokens: Tensor) -> Tensor:
        x = to_map(tokens)
        for number in range(1, 7):
            x = self.get_submodule(f"res_block{number}")(x)
        return to_tokens(x)

    def _squashed(self, picture: Tensor) -> Tensor:
        """Painters answer in [0, 1]; the published caller squashes that once more."""
        return picture if self.corrected else torch.tanh(picture)


class _Levels:
    """Makes the parts of level 0 to 3, at 1/4 to 1/32 of the resolution.

    Args:
        grid: tokens on a side at level 0.
        embed: planes there; twice as many a level on.
        by_plane: token lists are joined plane by plane; False: by a dense map between positions.
    """

    def __init__(self, grid: int, embed: int, by_plane: bool, clip: float | None, rates: dict[str, float]) -> None:
        self.planes = [embed << level for level in range(4)]
        self.tokens = [(grid >> level) ** 2 for level in range(4)]
        self.by_plane, self.clip, self.rates = by_plane, clip, rates

    def transformer(self, level: int) -> Transformer:
        planes, tokens = self.planes[level], self.tokens[level]
        return Transformer(planes, tokens, depth=DEPTHS[level], heads=HEADS[level], clip=self.clip, **self.rates)

    def join(self, level: int) -> nn.Module:
        tokens = self.tokens[level]
        return Join(self.planes[level]) if self.by_plane else nn.Conv1d(2 * tokens, tokens, 1)


def _start(module: nn.Module) -> None:
    """Weights as published: N(0, 0.02), batch norms N(1, 0.02), biases 0."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
