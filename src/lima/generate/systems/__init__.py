"""What answers prompts: a model in this process, or one behind a URL."""
