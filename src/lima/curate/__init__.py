"""Raw dumps -> about a thousand examples (paper, section 2)."""
