"""Which column of your own table is what: the settings that `lima curate` and `lima align` share."""

from __future__ import annotations

from lima.settings import Settings


class NamedColumns(Settings):
    """The names of a table's columns; what is not given is found by its usual names, and what was found is printed."""

    prompt: str | None = None
    """What people ask."""
    answer: str | None = None
    """The answers to learn from."""
    id: str | None = None
    """A key that stays with each row; the row's number otherwise."""
    score: str | None = None
    """Votes or a rating of the answers."""
    category: str | None = None
    """A topic or team: the part of the data to draw from, evenly or by a quota."""
    conversation: str | None = None
    """Where a row is one message: the key of its conversation. This and the following are for such rows alone."""
    role: str | None = None
    """Who wrote it: a word such as customer, agent, incoming; or yes and no, such as ``is_agent``; or a name or an id."""
    agents: tuple[str, ...] = ()
    """The names, ids or addresses among these that are your side; ``@example.com``: all addresses there."""
    requester: str | None = None
    """Who asked, where ``role`` holds names or ids."""
    text: str | None = None
    """What was written."""
    time: str | None = None
    """When."""
    visibility: str | None = None
    """Which messages are notes that the customer did not see, such as ``public``, ``private`` or ``part_type``: they are left out."""
