"""Small striped scenes, made with QGIS's own GDAL."""

import math

from osgeo import gdal, osr

gdal.UseExceptions()
SIZE = 160
BAND_NAMES = ("red", "near infrared")


def striped_scene(path, *, stripes=True, size=SIZE, value=900):
    """Write a two-band int16 scene in UTM with a collar and tilted stripes of nodata 0.

    Returns:
        path as text, and the number of stripe pixels in one band.
    """
    scene = gdal.GetDriverByName("GTiff").Create(str(path), size, size, 2, gdal.GDT_Int16)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32655)
    scene.SetProjection(reference.ExportToWkt())
    scene.SetGeoTransform((500000.0, 30.0, 0.0, 6400000.0, 0.0, -30.0))
    count = 0
    for number, name in enumerate(BAND_NAMES, 1):
        rows = []
        for row in range(size):
            line = [_pixel(row, column, number, stripes, size, value) for column in range(size)]
            if number == 1:
                count += sum(pixel == 0 and not _collar(row, column, size) for column, pixel in enumerate(line))
            rows.append(line)
        band = scene.GetRasterBand(number)
        band.SetDescription(name)
        band.SetNoDataValue(0)
        flat = b"".join(pixel.to_bytes(2, "little", signed=True) for line in rows for pixel in line)
        band.WriteRaster(0, 0, size, size, flat, buf_type=gdal.GDT_Int16)
    return str(path), count


def _collar(row, column, size):
    return row < 6 or column < 6 or row >= size - 6 or column >= size - 6


def _pixel(row, column, band, stripes, size, value):
    if _collar(row, column, size):
        return 0
    if stripes and (row + 0.16 * column) % 33 < 5:
        return 0
    return int(value + 100 * band + 60 * math.sin(row / 9) + 40 * math.cos(column / 13))


def pixels(path):
    """Raw bytes of all bands."""
    data = gdal.Open(str(path))
    return data.ReadRaster()
