"""A trained network made ready for one scene: windows, batches, memory. The only border to torch at run time."""

import gc
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..classical import GUESSES
from ..classical.contract import REACH, Far
from ..errors import JobError
from ..tiles import Tile, plan
from . import registry
from .card import Card
from .normal import Fill, Flags, Inside, Normal, Values

NETWORK_WINDOW = (512, 512)
"""Rows and columns that a network fills at once: larger ones cost memory, smaller ones more halo."""
BYTES_A_PIXEL = 120
"""Measured peak of anyband a pixel and band of what it sees, fp32."""


class NetworkModel:
    """A trained network that starts from a classical guess."""

    def __init__(self, card: Card, normal: Normal, *, device: str, threads: int | None, memory_bytes: int) -> None:
        _make_repeatable(threads)
        self.device = pick_device(device)
        self.notes: list[str] = []
        self.between: Callable[[], None] = go_on
        network = _with_weights(card).eval()
        try:
            self._network = _on_device(network, self.device)
        except RuntimeError as problem:  # CUDA's out of memory is one, too
            self.notes.append(f"`{self.device}` cannot be used ({str(problem).splitlines()[0]}): the CPU does the work")
            self.device = "cpu"
            self._network = _on_device(network, "cpu")
        self.multiple = int(network.multiple)
        self._seen = card.halo if card.halo is not None else int(network.halo)
        # a pixel that is written may hang on guesses `_seen` away, which hang on known pixels near them
        self.halo = max(REACH, self._seen)
        self._guess = GUESSES[str(card.first_guess)] if card.first_guess else None
        self._normal, self._memory_bytes = normal, memory_bytes
        self._batch = 0  # not chosen yet

    def __call__(self, values: Values, valid: Flags, holes: Flags, far: Far, inside: Inside) -> Fill:
        z = self._normal.forth(values, valid)
        if self._guess is not None:
            z = self._guess(z, valid, holes, far)
            self.between()
        unknown = ~valid
        collar = unknown & ~holes
        for band in np.flatnonzero(collar.any((1, 2))):
            z[band] = _carried_out(z[band], collar[band])
        fill, scale = self._run(z, unknown, holes, inside)
        scale *= self._normal.std[:, None, None].astype(np.float32)
        return Fill(self._normal.back(fill), scale)

    def _run(
        self, z: NDArray[np.float32], unknown: Flags, holes: Flags, inside: Inside
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fill and expected error of the inside, normalised, window by window; those without holes are left out."""
        fill, scale = z[inside].copy(), np.zeros(z[inside].shape, np.float32)
        wanted, groups = holes[inside], _Groups()
        for tile in plan(*fill.shape[1:], window=self._window(len(z)), halo=0, multiple=self.multiple):
            if wanted[(slice(None), *tile.write)].any():
                groups.add(tile, self._seen_by(tile, inside, z.shape), self.multiple)
        for shape, members in sorted(groups.items(), key=lambda group: -len(group[1])):
            inputs = [
                (_padded(z[seen], shape, edge=True), _padded(unknown[seen], shape, edge=False)) for _, seen in members
            ]
            for (tile, seen), (part, error) in zip(members, self._in_batches(inputs), strict=True):
                place = (slice(None), *tile.write)
                cut = tuple(
                    slice(own.start + write.start - read.start, own.start + write.stop - read.start)
                    for own, write, read in zip(inside[1:], tile.write, seen[1:], strict=True)
                )
                fill[place], scale[place] = part[(slice(None), *cut)], error[(slice(None), *cut)]
        return fill, scale

    def _seen_by(self, tile: Tile, inside: Inside, shape: tuple[int, ...]) -> Inside:
        """What the network is shown to write a tile of the inside: starts on its grid, `_seen` pixels around."""
        seen = self._seen + -self._seen % self.multiple
        rows, columns = (
            slice(
                max((own.start + write.start - seen) // self.multiple * self.multiple, 0),
                min(own.start + write.stop + seen, size),
            )
            for own, write, size in zip(inside[1:], tile.write, shape[1:], strict=True)
        )
        return slice(None), rows, columns

    def _window(self, bands: int) -> tuple[int, int]:
        """Rows and columns of a network window that fits half the memory for this many bands."""
        rows, columns = NETWORK_WINDOW
        around = 2 * self._seen
        while rows > 64 and bands * (rows + around) * (columns + around) * BYTES_A_PIXEL > self._memory_bytes / 2:
            rows, columns = (rows // 2, columns) if rows >= columns else (rows, columns // 2)
        return rows, columns

    def _in_batches(self, inputs: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Run equal shapes together; out of memory: half the batch, and at last the CPU."""
        out: list[tuple[Any, Any]] = []
        while len(out) < len(inputs):
            self.between()
            batch = self._batch or self._first_batch(inputs[0][0].shape)
            part = inputs[len(out) : len(out) + batch]
            answer = self._try(part)
            if answer is not None:
                self._batch = batch
                out += answer
                continue
            # only here, the failed call's tensors are gone
            self._free()
            if batch > 1:
                self._batch = batch // 2
            elif self.device != "cpu":
                self.notes.append(f"Not enough memory on `{self.device}`: went on, on the CPU")
                self.device = "cpu"
                self._network = self._network.to("cpu")
            else:
                raise JobError(
                    f"A window of {' x '.join(map(str, inputs[0][0].shape))} does not fit into memory",
                    remedy="Give `--memory 512M` for smaller windows, or repair fewer bands at a time with `--bands`",
                    code="out_of_memory",
                )
        return out

    def _first_batch(self, shape: tuple[int, ...]) -> int:
        """Windows at once: one on a CPU, what three quarters of the free memory hold on a GPU."""
        if not self.device.startswith("cuda"):
            return 1
        import torch

        try:
            free, _ = torch.cuda.mem_get_info(self.device)
        except RuntimeError:
            return 1
        return max(1, int(free * 0.75 / (BYTES_A_PIXEL * np.prod(shape))))

    def _try(self, part: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]] | None:
        """Answers for a batch, or None when memory ran out."""
        import torch

        try:
            with torch.inference_mode():
                image = torch.from_numpy(np.stack([z for z, _ in part])).to(self.device)
                holes = torch.from_numpy(np.stack([h for _, h in part]).astype(np.float32)).to(self.device)
                answer = self._network(image, holes)
                fill = answer["fill"].cpu().numpy()
                error = answer["log_scale"].exp().cpu().numpy() if "log_scale" in answer else np.zeros_like(fill)
        except (torch.OutOfMemoryError, MemoryError):
            return None
        except RuntimeError as problem:
            if "can't allocate memory" in str(problem) or "out of memory" in str(problem):
                return None
            raise
        return list(zip(fill, error, strict=True))

    def _free(self) -> None:
        gc.collect()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()


def _with_weights(card: Card) -> Any:
    """The card's network with its weights, on the CPU.

    Raises:
        JobError: the card asks for what is not there, or the weights do not fit.
    """
    from safetensors.torch import load_file

    from ..networks import NETWORKS, build

    def corrupt(what: str) -> JobError:
        return JobError(f"Model `{card.id}`: {what}", remedy="Install the model again", code="model_corrupt")

    if card.network not in NETWORKS:
        raise corrupt(f"there is no network `{card.network}`, only {', '.join(NETWORKS)}")
    if card.normalisation != "mean-std":
        raise corrupt(f"normalisation `{card.normalisation}` cannot be done yet, only `mean-std`")
    try:
        network: Any = build(card.network, card.config)
    except (TypeError, ValueError) as problem:
        raise corrupt(f"its config does not suit network `{card.network}` ({problem})") from None
    if network.halo is None or card.window is not None:
        raise corrupt(f"network `{card.network}` looks at all of its input, which cannot be done on whole scenes yet")
    state = {name: tensor.float() for name, tensor in load_file(registry.weights_path(card)).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as problem:
        fault = str(problem).replace("\n", " ")[:200]
        raise corrupt(f"its weights do not fit network `{card.network}` ({fault})") from None
    return network


def _on_device(network: Any, device: str) -> Any:
    """The network on a device that has shown that it can compute: a driver may list one that torch has no code for."""
    import torch

    moved = network.to(device, memory_format=torch.channels_last)
    (torch.ones(8, device=device) * 2).sum().item()
    return moved


def go_on() -> None:
    """What is done between the parts of a window where nobody wants to stop."""


def _carried_out(plane: NDArray[np.float32], collar: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The collar takes the value of the nearest pixel, so that the network sees no cliff at the scene's edge."""
    if collar.all():
        return plane
    index = ndimage.distance_transform_edt(collar, return_distances=False, return_indices=True)
    carried: NDArray[np.float32] = plane[tuple(index)]
    return carried


class _Groups(dict[tuple[int, int], list[tuple[Tile, Inside]]]):
    """Tiles by the shape that the network sees of them, so that equal ones can run together."""

    def add(self, tile: Tile, seen: Inside, multiple: int) -> None:
        rows, columns = (-(-(part.stop - part.start) // multiple) * multiple for part in seen[1:])
        self.setdefault((rows, columns), []).append((tile, seen))


def _padded(planes: NDArray[Any], shape: tuple[int, int], *, edge: bool) -> NDArray[Any]:
    """Grow to `shape` at the bottom and right: values go on (`edge`), flags say not known."""
    width = ((0, 0), (0, shape[0] - planes.shape[1]), (0, shape[1] - planes.shape[2]))
    if not any(after for _, after in width):
        return planes
    return np.pad(planes, width, mode="edge") if edge else np.pad(planes, width, constant_values=True)


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
