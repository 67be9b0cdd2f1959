"""Files of other tools <-> our records: one small module a format, each two pure functions."""
