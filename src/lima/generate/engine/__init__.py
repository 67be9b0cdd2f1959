"""Continuous batching on stock transformers models, with the paper's decoding (LIMA, section 4.1)."""

from lima.generate.engine.engine import Engine

__all__ = ["Engine"]
