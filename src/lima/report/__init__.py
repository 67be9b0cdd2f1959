"""From a study folder to ``report.html``, ``report.json`` and figures: the only code that opens the key."""
