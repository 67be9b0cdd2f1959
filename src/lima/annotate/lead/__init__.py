"""The lead's console: raters, plan, progress, export."""
