"""Prompts -> completions: one engine on stock transformers models, with the paper's decoding (LIMA, section 4.1)."""
