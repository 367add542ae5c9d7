"""Turns published data sets, bundles and catalogues into packed files that training reads.

`packing` says what such a file holds; `sources` lists where samples come from.
"""
