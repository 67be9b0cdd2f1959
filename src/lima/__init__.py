"""Turn a base language model into an assistant with about 1,000 curated examples, and measure the result."""

__version__ = "0.1.0"
