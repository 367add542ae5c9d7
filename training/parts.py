"""Which part of a network learns, and what it learns to make: `PARTS`.

A part is called like a network, with a batch's image and holes; `network` is what a run keeps.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from rsinpaint.networks.blocks import one_mask
from rsinpaint.networks.canny import canny
from rsinpaint.networks.edge_learning import CANNY, EdgeLearning, luma, painted_white

from .samples import Batch


class Whole(nn.Module):
    """All of a network learns to make the picture."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        answer: dict[str, Tensor] = self.network(image, holes)
        return answer

    def wanted(self, batch: Batch) -> Batch:
        """The batch with what the part should make as its truth."""
        return batch


class Edges(Whole):
    """EdgeLearning's edge generator learns to draw the edge map; the other generator rests.

    In corrected mode the edges that it is shown come from the known pixels alone.
    """

    network: EdgeLearning

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.network.image_generator.requires_grad_(False)

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        mask = one_mask(holes)
        known = 1 - mask if self.network.corrected else torch.ones_like(mask)
        kept = self._in_polarity(canny(luma(image), known, **CANNY[self.network.layout]) * (1 - mask))
        if self.network.layout == "edge_learning":
            return {"fill": self.network.edge_generator(mask, kept)}
        return {"fill": self.network.edge_generator(painted_white(luma(image), mask), kept, mask)}

    def wanted(self, batch: Batch) -> Batch:
        grey = luma(batch.truth)
        return replace(batch, truth=self._in_polarity(canny(grey, torch.ones_like(grey), **CANNY[self.network.layout])))

    def _in_polarity(self, found: Tensor) -> Tensor:
        """Edges as 0 on a ground of 1, or the other way round, as the layout has it."""
        return 1 - found if self.network.layout == "edge_learning" else found


class Image(Whole):
    """EdgeLearning's image generator learns to paint along edges that the other generator draws and that stay."""

    network: EdgeLearning

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.network.edge_generator.requires_grad_(False)

    def train(self, mode: bool = True) -> "Image":
        """The edge generator stays as it is: in training its spectral norm would go on moving."""
        super().train(mode)
        self.network.edge_generator.eval()
        return self


PARTS: dict[str, type[Whole]] = {"edges": Edges, "image": Image, "whole": Whole}
"""Name in recipes -> part."""
