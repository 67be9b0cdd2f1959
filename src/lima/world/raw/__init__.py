"""The world's raw dumps in the formats of the paper's five sources, for the real readers."""
