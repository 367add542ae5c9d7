"""A clean environment for the backend: QGIS's own settings for Python, GDAL and Qt do not fit another Python."""

from __future__ import annotations

import os
from collections.abc import Mapping

FOREIGN = frozenset(
    {
        # QGIS on Windows and macOS points these into its own Python: a child dies with "No module named encodings".
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONUSERBASE",
        # With these a venv no longer recognises itself, not even under `-I`.
        "PYTHONEXECUTABLE",
        "__PYVENV_LAUNCHER__",
        "VIRTUAL_ENV",
        "QGIS_PREFIX_PATH",
        "QGIS_PLUGINPATH",
        # QGIS's libstdc++, libssl and GDAL would be loaded in place of those inside the wheels.
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "DYLD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "DYLD_FRAMEWORK_PATH",
        "DYLD_INSERT_LIBRARIES",
        # QGIS's proj.db does not fit the PROJ inside rasterio's wheel.
        "GDAL_DATA",
        "GDAL_DRIVER_PATH",
        "GDAL_PLUGINS",
        "PROJ_LIB",
        "PROJ_DATA",
        "QT_PLUGIN_PATH",
        "QT_QPA_PLATFORM_PLUGIN_PATH",
        "QML2_IMPORT_PATH",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_VIRTUALENV",
    }
)
FOREIGN_PREFIXES = ("CONDA_", "O4W_")
CERTIFICATES = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"})
OWN = {
    "PYTHONUTF8": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
}


def clean_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the backend's process is started with.

    Args:
        environ: environment to start from; None: that of this process.

    Returns:
        A copy without what belongs to QGIS's own programs. Certificates stay while they exist (they may be a
        company's), the user's `OMP_NUM_THREADS`, proxies, `CUDA_VISIBLE_DEVICES` and the like stay always.
    """
    source = os.environ if environ is None else environ
    home = source.get("OSGEO4W_ROOT") or source.get("QGIS_PREFIX_PATH") or ""
    kept = {}
    for name, value in source.items():
        upper = name.upper()  # names are case-insensitive on Windows, and none of these is wanted in any case
        if upper in FOREIGN or upper.startswith(FOREIGN_PREFIXES):
            continue
        if upper in CERTIFICATES and (not os.path.exists(value) or _inside(value, home)):
            continue
        kept[name] = value
    if os.name == "nt" and "PATH" in kept and home:
        folders = kept["PATH"].split(os.pathsep)
        kept["PATH"] = os.pathsep.join(folder for folder in folders if not _inside(folder, home))
    return {**kept, **OWN}


def _inside(path: str, folder: str) -> bool:
    if not folder:
        return False
    path, folder = (os.path.normcase(os.path.abspath(p)) for p in (path, folder))
    return path == folder or path.startswith(folder + os.sep)
