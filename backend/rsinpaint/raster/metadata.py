"""What a raster says about itself beyond its pixels: read from a scene, put on an output.

`profile` of rasterio loses names, scales, offsets, units, colour interpretation, tags, GCPs, RPCs and masks;
here each is copied by hand, so that nobody else has to (promise 3).
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
from rasterio.transform import Affine

from .scene import Scene

OWN_PREFIX = "RSINPAINT_"
UNTRUE_AFTER = "STATISTICS_"
_NOT_COPIED = {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "RPC", "TIFF"}
"""How the file is made, and what has a setter of its own."""

Nodata = Sequence[float | None]
Tags = dict[tuple[int, str | None], dict[str, str]]
"""By band (0: the whole raster) and namespace (None: the default one)."""


def describe(scene: Scene, dataset: Any, band_names: Sequence[str | None] | None = None) -> None:
    """Put everything that `scene` says about itself on `dataset`, but size, type, nodata, default tags, pixels."""
    place_on_earth(scene, dataset)
    dataset.colorinterp = scene.colorinterp
    dataset.descriptions = tuple(band_names or scene.descriptions)
    # a GeoTIFF that never had a scale should not get one, even of 1
    for name, neutral in (("scales", 1.0), ("offsets", 0.0), ("units", None)):
        values = tuple(getattr(scene.datasets[place], name)[index - 1] for place, index in scene.planes)
        if any(value != neutral for value in values):
            setattr(dataset, name, values)
    for (band, namespace), tags in _tags(scene).items():
        _put(dataset, tags, band, namespace)


def place_on_earth(scene: Scene, dataset: Any) -> None:
    """Copy CRS, transform, ground control points and RPCs.

    GeoTIFF holds a transform or control points, not both: the transform is the one that QGIS uses.
    """
    points, points_crs = scene.gcps
    if scene.crs is not None:
        dataset.crs = scene.crs
    if scene.transform != Affine.identity():
        dataset.transform = scene.transform
    elif points:
        dataset.gcps = (points, points_crs)
    if scene.rpcs is not None:
        dataset.rpcs = scene.rpcs


def put_tags(scene: Scene | None, dataset: Any, tags: Mapping[str, str]) -> None:
    """Set the tags of the default namespace: those of the scene (those that all its files share), then `tags`.

    What an earlier repair said about itself is dropped when `tags` says it anew: no mixture of two reports.
    """
    kept: dict[str, str] = {}
    if scene is not None:
        kept = _still_true(_shared([source.tags() for source in scene.datasets]))
    if any(key.startswith(OWN_PREFIX) for key in tags):
        kept = {key: value for key, value in kept.items() if not key.startswith(OWN_PREFIX)}
    _put(dataset, kept | dict(tags))


def nodata_of_file(nodata: Nodata) -> float | None:
    """The one nodata that a GeoTIFF can hold; None when bands differ and a sidecar has to say it."""
    return None if differ(nodata) else nodata[0]


def differ(nodata: Nodata) -> bool:
    """Whether bands have different nodata."""
    return not all(_equal(value, nodata[0]) for value in nodata)


def write_sidecar(path: str, nodata: Nodata, tags: Tags) -> None:
    """Add to `path`.aux.xml what GeoTIFF cannot hold; GDAL and QGIS read both as one.

    Args:
        path: the raster, already closed.
        nodata: one a band; written only where bands differ.
        tags: those that did not get into the file.
    """
    values = {band: value for band, value in enumerate(nodata, 1) if value is not None} if differ(nodata) else {}
    if not values and not tags:
        return
    sidecar = path + ".aux.xml"
    root = ElementTree.parse(sidecar).getroot() if os.path.exists(sidecar) else ElementTree.Element("PAMDataset")

    def element(band: int) -> ElementTree.Element:
        found = root.find(f"PAMRasterBand[@band='{band}']") if band else root
        return ElementTree.SubElement(root, "PAMRasterBand", band=str(band)) if found is None else found

    for (band, namespace), texts in tags.items():
        group = ElementTree.SubElement(element(band), "Metadata", {"domain": namespace} if namespace else {})
        for key, text in texts.items():
            ElementTree.SubElement(group, "MDI", key=key).text = text
    for band, value in values.items():
        ElementTree.SubElement(element(band), "NoDataValue").text = repr(int(value) if _whole(value) else value)
    ElementTree.ElementTree(root).write(sidecar, encoding="utf-8")


def missing_tags(scene: Scene, dataset: Any) -> Tags:
    """Tags of the scene that `dataset` lacks, but for the default ones of the whole raster.

    GDAL 3.10 leaves namespaces behind when it makes a cloud-optimised file, of the raster and of bands that have no
    default tag; its option COPY_SRC_MDD brings them, and loses the default tags of bands instead.
    """
    return {
        (band, namespace): tags
        for (band, namespace), tags in _tags(scene).items()
        if dataset.tags(band, ns=namespace) != tags
    }


def _tags(scene: Scene) -> Tags:
    """All tags that an output is to carry, but the default ones of the whole raster (`put_tags`)."""
    found: Tags = {}
    for name in _copied(scene.datasets[0].tag_namespaces()):
        found[0, name] = _shared([source.tags(ns=name) for source in scene.datasets])
    for band, (place, index) in enumerate(scene.planes, 1):
        source = scene.datasets[place]
        for each in (None, *_copied(source.tag_namespaces(index))):
            found[band, each] = _still_true(source.tags(index, ns=each))
    return {where: tags for where, tags in found.items() if tags}


def _copied(namespaces: Sequence[str]) -> list[str]:
    """Namespaces that describe the scene: not the file's structure, nor blocks of XML or JSON but XMP."""
    free = [name for name in namespaces if name not in _NOT_COPIED and not name.startswith(("xml:", "json:"))]
    return free + [name for name in namespaces if name == "xml:XMP"]


def _put(dataset: Any, tags: Mapping[str, str], band: int = 0, namespace: str | None = None) -> None:
    if namespace == "xml:XMP":
        # rasterio writes `key=value`, where GDAL wants the bare text: cut it at its first `=`, which comes back
        tags = dict(text.split("=", 1) for text in tags.values() if "=" in text)
    # `ns` and `bidx` are rasterio's own arguments; GDAL does not mind the case of a key
    tags = {key.upper() if key in ("ns", "bidx") else key: value for key, value in tags.items()}
    if tags:
        dataset.update_tags(band, ns=namespace, **tags)


def _still_true(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith(UNTRUE_AFTER)}


def _shared(files: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for key, value in files[0].items() if all(tags.get(key) == value for tags in files)}


def _equal(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return first == second or (np.isnan(first) and np.isnan(second))


def _whole(value: float) -> bool:
    return bool(np.isfinite(value)) and value == int(value) and abs(value) < 2**63
