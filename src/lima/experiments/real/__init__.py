"""``lima experiment NAME --model``: the paper's ablations on a real base and real data."""
