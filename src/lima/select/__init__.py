"""``lima select``: from a pool of examples to the thousand worth tuning on (LIMA, sections 2 and 5)."""
