"""Settings of ``lima probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from lima.remote.endpoint import KeyVariable, ModelAddress
from lima.remote.sampling import Dialect
from lima.settings import Settings


class ProbeSettings(Settings):
    """Find out which request fields a server honours, ignores or refuses, before numbers depend on them.

    About 40 short requests, and one round at each number of requests at once.

    Example: lima probe http://127.0.0.1:8000/v1#my-model
    """

    address: tyro.conf.Positional[ModelAddress]
    """The model to ask, URL#model."""
    server: Dialect = "generic"
    """Kind of server: decides which fields are in the plain request that each trial is compared with."""
    out: Path | None = None
    """Keep the findings in this JSON file as well."""
    at_once: tuple[Annotated[int, Field(ge=1)], ...] = (1, 8, 32)
    """Numbers of simultaneous requests to try."""
    api_key_env: KeyVariable = "LIMA_API_KEY"
    """Environment variable that holds the key. Unset: no key is sent."""
    api_key_file: Path | None = None
    """File that holds the key, instead of the environment."""
    header: tuple[str, ...] = ()
    """Further HTTP headers as NAME=VALUE; env:VARIABLE as the value reads it from the environment, as a key should be."""
    query: tuple[str, ...] = ()
    """Parameters of every request's address as NAME=VALUE, such as api-version=2024-06-01."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds to wait for one reply."""
    dry_run: bool = False
    """Print what would be asked, and stop."""
