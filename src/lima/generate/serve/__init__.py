"""``lima serve``: a model behind the OpenAI API."""
