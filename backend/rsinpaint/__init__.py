"""Repairs missing data in satellite rasters: the backend of the QGIS plugin and a command line of its own."""

__version__ = "0.1.0"
