"""Scenes in and out, by windows: the only room that opens rasters by name and the only one that copies metadata.

`scene.open_scene` reads, `write.write_like` writes whole or not at all. Everything below gets arrays.
"""
