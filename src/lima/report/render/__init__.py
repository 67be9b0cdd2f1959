"""The numbers of a report -> page, figures, tables."""
