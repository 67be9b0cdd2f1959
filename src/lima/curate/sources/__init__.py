"""One file a source; docs/extending.md shows how to add one."""
