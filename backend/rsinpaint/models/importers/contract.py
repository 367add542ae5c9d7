"""What an importer is, and the ways in which published files hold their tensors."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import JobError

State = dict[str, Tensor]
Keys = frozenset[str]

_WRAPPERS = ("netG_state_dict", "generator", "params_ema", "state_dict", "netD_state_dict", "discriminator")
"""Names under which training programs keep a state dictionary; generators come first."""


class Importer(ABC):
    """Turns one system's published files into card fields and a state dictionary of ours."""

    title = ""
    """The system's name, for messages."""

    @abstractmethod
    def layouts(self) -> Mapping[str, Keys]:
        """Part -> its key list as published, without `module.`: what can be imported, such as `generator`."""

    def discriminators(self) -> Mapping[str, Keys]:
        """Likewise the key lists that belong to the system and cannot fill anything: refused in clear words."""
        return {}

    @cached_property
    def known(self) -> Mapping[str, Keys]:
        """`layouts`, asked for once: they come from building networks."""
        return self.layouts()

    def accepts(self, keys: Collection[str]) -> bool:
        """True for exactly the key lists of `layouts`. Shapes are not looked at: `convert` reads the config there."""
        return frozenset(keys) in self.known.values()

    @abstractmethod
    def convert(self, state: State, path: Path) -> tuple[dict[str, Any], State]:
        """Card fields and the renamed tensors.

        Args:
            state: tensors by published name, as `read_state` gives them; `accepts` said yes to its keys.
            path: the file they come from; a system of two files finds the other one beside it with `read_state`.

        Returns:
            The fields of `models.card.Card` without `id` and `weights`, in JSON's types; and the state dictionary
            that `networks.build(fields["network"], fields["config"])` loads strictly.

        Raises:
            JobError: a shape fits no config, or the other file is missing.
        """


def keys_of(make: Callable[[], nn.Module]) -> Keys:
    """Names in the state dictionary of the module that `make` builds; no memory is taken for its weights."""
    with torch.device("meta"):
        return frozenset(make().state_dict())


def read_state(path: Path) -> State:
    """The tensors of a `.safetensors`, `.pth`, `.pt` or `.tar` file by name, on the CPU, unwrapped.

    Nothing but tensors and plain containers is unpickled, so a file cannot run code.

    Raises:
        JobError: it cannot be read, or holds no named tensors (code `model_corrupt`).
    """
    remedy = "Is it the generator's weights file, downloaded as a whole?"
    try:
        if path.suffix == ".safetensors":
            held: Any = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as problem:
        what = f"The weights file `{path}` cannot be read ({problem.strerror})"
        raise JobError(what, remedy=remedy, code="model_corrupt") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as problem:
        reason = str(problem).strip().partition("\n")[0][:200]
        what = f"The weights file `{path}` is not understood ({reason})"
        raise JobError(what, "named tensors and nothing else", remedy, code="model_corrupt") from None
    state = _unwrapped(held)
    if not state:
        raise JobError(f"The weights file `{path}` holds no named tensors", remedy=remedy, code="model_corrupt")
    return state


def _unwrapped(held: Any) -> State:
    """The named tensors in what a training program saved; empty when there are none."""
    if not isinstance(held, dict):
        return {}
    for wrapper in _WRAPPERS:
        if isinstance(held.get(wrapper), dict):
            return _unwrapped(held[wrapper])
    tensors = {str(name): tensor for name, tensor in held.items() if isinstance(tensor, Tensor)}
    if tensors and all(name.startswith("module.") for name in tensors):  # written by DataParallel
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors
