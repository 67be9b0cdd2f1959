"""People compare and rate answers, blind (LIMA, section 4)."""
