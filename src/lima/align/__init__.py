"""``lima align``: a base model and your own data become a tuned model with a report, in one command."""
