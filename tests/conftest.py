"""What all tests share: device tests are left out where there is no device."""


def pytest_collection_modifyitems(config, items):
    """Deselect tests marked `gpu` without a GPU: they are counted as deselected, not as skipped."""
    device = [item for item in items if item.get_closest_marker("gpu")]
    if not device:
        return  # also in QGIS's Python, which has no torch
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return
    config.hook.pytest_deselected(items=device)
    items[:] = [item for item in items if item not in device]
