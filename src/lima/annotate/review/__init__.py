"""People pick and write training examples (LIMA, section 2)."""
