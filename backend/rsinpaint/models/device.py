"""A torch network on its device: batches of equal pictures, and what is done when memory runs out."""

import gc
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import JobError

Picture = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Values and holes, (bands, rows, columns) each."""
Answer = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Fill and expected error, likewise; None where the network says nothing of its error."""
BYTES_A_PIXEL = 120
"""Measured peak of anyband a pixel and band of what it sees, fp32; other networks say their own."""


class Device:
    """Runs a network; slower but surely where memory is short."""

    def __init__(self, network: Any, wanted: str, threads: int | None) -> None:
        _make_repeatable(threads)
        self.guided = False
        """The last plane of a picture is the one whose edges the network paints along."""
        self.name = pick_device(wanted)
        self.notes: list[str] = []
        self.between: Callable[[], None] = go_on
        self.bytes_a_pixel = int(getattr(network, "bytes_a_pixel", BYTES_A_PIXEL))
        try:
            self._network = _on_device(network, self.name)
        except RuntimeError as problem:  # CUDA's out of memory is one, too
            self.notes.append(f"`{self.name}` cannot be used ({str(problem).splitlines()[0]}): the CPU does the work")
            self.name = "cpu"
            self._network = _on_device(network, "cpu")
        self._batch = 0  # not chosen yet

    def answers(self, pictures: Sequence[Picture]) -> list[Answer]:
        """One answer a picture; all have one shape. Out of memory: half the batch, and at last the CPU.

        Raises:
            JobError: one picture alone does not fit into memory.
        """
        out: list[Answer] = []
        while len(out) < len(pictures):
            self.between()
            batch = self._batch or self._first_batch(pictures[0][0].shape)
            part = pictures[len(out) : len(out) + batch]
            answer = self._try(part)
            if answer is not None:
                self._batch = batch
                out += answer
                continue
            # only here, the failed call's tensors are gone
            self._free()
            if batch > 1:
                self._batch = batch // 2
            elif self.name != "cpu":
                self.notes.append(f"Not enough memory on `{self.name}`: went on, on the CPU")
                self.name = "cpu"
                self._network = self._network.to("cpu")
            else:
                raise JobError(
                    f"A window of {' x '.join(map(str, pictures[0][0].shape))} does not fit into memory",
                    remedy="Give `--memory 512M` for smaller windows where the model has none of its own, repair fewer "
                    "bands with `--bands`, or take another model",
                    code="out_of_memory",
                )
        return out

    def _first_batch(self, shape: tuple[int, ...]) -> int:
        """Windows at once: one on a CPU, what three quarters of the free memory hold on a GPU."""
        if not self.name.startswith("cuda"):
            return 1
        import torch

        try:
            free, _ = torch.cuda.mem_get_info(self.name)
        except RuntimeError:
            return 1
        return max(1, int(free * 0.75 / (self.bytes_a_pixel * np.prod(shape))))

    def _try(self, part: Sequence[Picture]) -> list[Answer] | None:
        """Answers for a batch, or None when memory ran out."""
        import torch

        try:
            with torch.inference_mode():
                image = torch.from_numpy(np.stack([values for values, _ in part])).to(self.name)
                holes = torch.from_numpy(np.stack([holes for _, holes in part]).astype(np.float32)).to(self.name)
                answer = self._answer(image, holes)
                fill = answer["fill"].float().cpu().numpy()
                error = answer["log_scale"].exp().cpu().numpy() if "log_scale" in answer else [None] * len(part)
        except (torch.OutOfMemoryError, MemoryError):
            return None
        except RuntimeError as problem:
            if "can't allocate memory" in str(problem) or "out of memory" in str(problem):
                return None
            raise
        return list(zip(fill, error, strict=True))

    def _answer(self, image: Any, holes: Any) -> Any:
        if not self.guided:
            return self._network(image, holes)
        image, guide, holes, unsure = image[:, :-1], image[:, -1:], holes[:, :-1], holes[:, -1:]
        return self._network(image, holes, self._network.edges(guide.expand_as(image).contiguous(), unsure))

    def _free(self) -> None:
        gc.collect()
        if self.name.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()


def _on_device(network: Any, device: str) -> Any:
    """The network on a device that has shown that it can compute: a driver may list one that torch has no code for."""
    import torch

    moved = network.to(device, memory_format=torch.channels_last)
    (torch.ones(8, device=device) * 2).sum().item()
    return moved


def go_on() -> None:
    """What is done between the parts of a window where nobody wants to stop."""


def _make_repeatable(threads: int | None) -> None:
    """Same input, same device: same bytes; CPU and GPU within 1e-3 (promise 6)."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def pick_device(wanted: str) -> str:
    """The device that `auto` stands for, or the one that is named.

    Raises:
        JobError: it is not there; the sentence says which are.
    """
    import torch

    present = ["cpu"] + [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    present += ["mps"] if torch.backends.mps.is_available() else []
    if wanted == "auto":
        return present[1] if len(present) > 1 else "cpu"
    named = "cuda:0" if wanted == "cuda" else wanted
    if named not in present:
        raise JobError(f"There is no device `{wanted}`", f"one of {', '.join(present)}", "Give `--device auto`")
    return named
