"""People talk with systems, blind, and rate every turn (LIMA, section 6)."""
