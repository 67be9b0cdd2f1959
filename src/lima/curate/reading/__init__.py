"""Files of any common form -> rows: compressed, split, tabular."""
