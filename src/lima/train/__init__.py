"""Stage 2: a base model and about a thousand examples become a tuned checkpoint (LIMA, section 3)."""
