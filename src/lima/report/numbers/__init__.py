"""A study folder -> every number of its report, with interval, level and method."""
