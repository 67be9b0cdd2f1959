"""The HTML and the words of an example: cleaning, layout, phrases, language."""
