"""``lima bench``: the built-in world as a benchmark with exact truth, for judges and for estimators."""
