"""Weights files and folders of models for tests."""

import os
from pathlib import Path

import torch

import known


def weights_of(fill_with: float = 0.5) -> dict[str, torch.Tensor]:
    """A generator of SpA-GAN in its published layout, which is the smallest of the systems."""
    return {key: torch.full(shape, fill_with) for key, shape, _ in known.keys("spa_gan_G")}


def held(folder: Path) -> set[str]:
    """Names in a folder that need not be there."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


class Intruder:
    """Unpickled by a careless program, it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
