"""The one client for OpenAI-compatible servers: judging and generating both speak through it.

`complete_all` sends chat requests to ``URL#model``, logs every attempt before it is read, and yields the
replies as they come.
"""

from lima.remote.client import ModelCard, complete_all, describe_model
from lima.remote.endpoint import Endpoint, parse_address, read_key
from lima.remote.limits import Budget, Counters, Limits, Price, read_price
from lima.remote.log import Answer, Attempt, CallLog, Reply, Request, read_answer
from lima.remote.sampling import DIALECTS, Dialect, Sampling, parameters

__all__ = [
    "DIALECTS",
    "Answer",
    "Attempt",
    "Budget",
    "CallLog",
    "Counters",
    "Dialect",
    "Endpoint",
    "Limits",
    "ModelCard",
    "Price",
    "Reply",
    "Request",
    "Sampling",
    "complete_all",
    "describe_model",
    "parameters",
    "parse_address",
    "read_answer",
    "read_key",
    "read_price",
]
