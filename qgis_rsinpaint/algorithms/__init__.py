"""One file an algorithm; `base.py` holds what all share. The list of them is `provider.ALGORITHMS`."""
