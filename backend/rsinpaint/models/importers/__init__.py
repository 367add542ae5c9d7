"""Published weight files, turned into a card and weights of ours.

Adding an importer is a file and a line here. The file holds a subclass of `contract.Importer`:

* `title`, the system's name;
* `layouts()`: part -> the exact set of key names as published (build the network under `contract.keys_of`, so that
  the names stand in one place), without `module.` in front, unwrapped from `netG_state_dict` and the like;
* `discriminators()`: likewise for what cannot fill, so that it is refused by name;
* `convert(state, path) -> (card fields, state dict)`: reads the config from the *shapes*, renames the tensors to
  what `networks.build(network, config)` loads strictly, and gives all fields of `models.card.Card` but `id` and
  `weights`, with `config["mode"] = "as_published"` where the network has modes.

Exactly one importer accepts each published key list; a test walks them. Order does not matter.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ...errors import JobError
from ...networks import build
from .contract import Importer, State, read_state

IMPORTERS: dict[str, str] = {
    "cmun": "cmun:Cmun",
    "ecea": "ecea:Ecea",
    "edge_learning": "edge_learning:EdgeLearning",
    "spa_gan": "spa_gan:SpaGan",
}
"""system -> module:class, below this package."""


@cache
def importer(system: str) -> Importer:
    """The importer of a system.

    Raises:
        JobError: there is none of that name.
    """
    if system not in IMPORTERS:
        raise JobError(f"There is no importer `{system}`", "one of " + ", ".join(IMPORTERS))
    module, _, kind = IMPORTERS[system].partition(":")
    made: Importer = getattr(import_module(f".{module}", __name__), kind)()
    return made


def import_weights(path: Path, as_system: str | None = None) -> tuple[dict[str, Any], State]:
    """Read a published weights file of any known system.

    Args:
        path: the file; only tensors are unpickled.
        as_system: key of `IMPORTERS`; None: recognised by the names of its tensors.

    Returns:
        The fields of a card but `id` and `weights`, and the state dictionary of the card's network.

    Raises:
        JobError: the file cannot be read, or no importer (or not the one that was named) knows its tensors;
            the sentence names the nearest and how many of its keys are there.
    """
    state = read_state(path)
    names = [as_system] if as_system else list(IMPORTERS)
    for name in names:
        candidate = importer(name)
        if candidate.accepts(state):
            fields, renamed = candidate.convert(state, path)
            _check_shapes(path, fields, renamed)
            return fields, renamed
    raise _refused(path, frozenset(state), names)


def _check_shapes(path: Path, fields: dict[str, Any], state: State) -> None:
    """Raise JobError unless the network of the card takes the tensors."""
    with torch.device("meta"):
        wanted = build(fields["network"], fields["config"]).state_dict()
    if wanted.keys() != state.keys():
        raise ValueError(f"the importer of `{fields['network']}` gives other keys than its network has")
    for key, tensor in state.items():
        if tensor.shape != wanted[key].shape:
            raise JobError(
                f"`{path.name}`: tensor `{key}` has the shape {list(tensor.shape)}",
                f"{list(wanted[key].shape)} for network `{fields['network']}`",
                "Is it a file of the published program, unchanged?",
                code="model_corrupt",
            )


def _refused(path: Path, keys: frozenset[str], names: list[str]) -> JobError:
    """The sentence that says why a file is not taken, and what it looks like."""
    made = {name: importer(name) for name in names}
    useless = [name for name in names if keys in made[name].discriminators().values()]
    if useless:
        return JobError(
            f"`{path.name}` holds a discriminator of {' or '.join(f'`{name}`' for name in useless)}, "
            "which cannot fill anything",
            remedy="Give the generator's file, which lies beside it",
            code="model_corrupt",
        )
    near = []
    for name in names:
        for part, whole in made[name].known.items():
            found = len(keys & whole)
            near.append((found / len(keys | whole), found, len(whole), name, part))
    _, found, total, name, part = max(near)
    knows = f"the importer `{names[0]}` does not know" if len(names) == 1 else f"none of {len(names)} importers knows"
    nearest = f" (nearest: `{name}`, {part}, {found} of {total})" if found else ""
    return JobError(
        f"`{path.name}`: {knows} its {len(keys)} keys{nearest}",
        remedy=f"Is it the generator's file? Those of {', '.join(IMPORTERS)} are known",
        code="model_corrupt",
    )
