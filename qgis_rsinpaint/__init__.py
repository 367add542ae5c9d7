"""RS Inpaint: repairs missing data in satellite rasters, from the Processing Toolbox."""


def classFactory(iface):  # QGIS calls it by this name
    """The plugin, as QGIS asks for it."""
    from .plugin import RsInpaint

    return RsInpaint(iface)
