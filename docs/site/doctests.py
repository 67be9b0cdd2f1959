"""Examples in docstrings (``>>> ...``) as code on the pages of the API reference, not as quotations of Markdown."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"^>>> .*(?:\n(?!\n).*)*", re.MULTILINE)


class Doctests(Extension):
    """Put every doctest of every docstring between fences."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the text of the docstring, before it is parsed."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"```python\n\g<0>\n```", obj.docstring.value)
