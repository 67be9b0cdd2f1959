"""``lima demo``: the paper's claim, shown with the real code in the built-in world."""
