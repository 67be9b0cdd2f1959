"""Systems that answer: one loaded model, or one behind an OpenAI-compatible URL."""
