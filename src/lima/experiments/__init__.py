"""Named lists of settings over the stages, and the built-in world that they run in."""
