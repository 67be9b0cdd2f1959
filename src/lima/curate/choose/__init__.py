"""Which candidates are taken: sampling, near-duplicates, leaks, splits."""
