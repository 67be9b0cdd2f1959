"""The data-set card: what is in a set of examples, as Markdown and as one HTML page."""
