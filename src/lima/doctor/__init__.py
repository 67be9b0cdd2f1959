"""``lima doctor``: what would go wrong in training, before it does."""
