"""``lima checkpoint``: which epoch of a run answers best (LIMA, section 3)."""
