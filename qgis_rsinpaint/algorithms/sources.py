"""From layers of the project to what the backend can open."""

from __future__ import annotations

import os
import re

from qgis.core import QgsMapLayer


def is_file_based(layer: QgsMapLayer) -> bool:
    """Whether GDAL reads it: a web map has pictures, not measurements."""
    return layer.dataProvider() is not None and layer.dataProvider().name() == "gdal"


def source_of(layer: QgsMapLayer) -> str:
    """The layer's source as GDAL reads it, absolute: the worker runs in another folder."""
    source = layer.source()
    if os.path.exists(source):
        return os.path.abspath(source)
    for path in re.findall(r'"([^"]+)"', source):  # NETCDF:"file.nc":variable
        if os.path.exists(path):
            source = source.replace(path, os.path.abspath(path))
    return source
