"""The process around a job: what must be set before numpy and torch are imported, and what is found after."""

import importlib
import os
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def prepare(threads: int | None = None) -> None:
    """Set the variables that libraries read once, when they are imported.

    Args:
        threads: for OpenMP and BLAS; None leaves them as the user has them.
    """
    if threads is not None:
        for name in THREAD_VARIABLES:
            os.environ[name] = str(threads)
    # cuBLAS gives the same bytes twice only with a fixed workspace (promise 6).
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Apple's GPU lacks a few operations; without this they raise instead of running on the CPU.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def devices() -> list[dict[str, Any]]:
    """The devices that a network can run on, best first; each was tried with a small sum. Imports torch.

    Returns:
        Dicts with id, name, ok, and for a GPU total_mb, free_mb; `problem` where ok is False.

    Raises:
        ImportError: torch is missing or broken.
    """
    # By name, not by `import`: only the rooms that run networks may depend on torch.
    torch = importlib.import_module("torch")
    found = [_tried(torch, f"cuda:{index}") for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(_tried(torch, "mps"))
    return [*found, {"id": "cpu", "name": f"CPU, {torch.get_num_threads()} threads", "ok": True}]


def cpu_threads() -> int:
    """Processors that this process may use (fewer than the machine has, in a container)."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on Windows and macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _tried(torch: Any, device: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": device, "name": device, "ok": True}
    try:
        if device.startswith("cuda"):
            entry["name"] = torch.cuda.get_device_name(device)
            free, total = torch.cuda.mem_get_info(device)
            entry |= {"total_mb": total >> 20, "free_mb": free >> 20}
        torch.ones(8, device=device).sum().item()  # a driver may list a device that this torch has no code for
    except RuntimeError as problem:
        entry |= {"ok": False, "problem": str(problem).partition("\n")[0]}
    return entry
