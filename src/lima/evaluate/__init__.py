"""Blind comparison of systems, and judge models as raters (LIMA, sections 4 to 6)."""
