"""A panel's own API: draft the study at Prolific, then pay, ask back or reject what people handed in."""
