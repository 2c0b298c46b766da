"""Messages and events as JSON, byte for byte as in pydantic-ai 1.38."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, TypeAdapter

from agentrun._records import told_apart_by
from agentrun.messages._events import AgentStreamEvent
from agentrun.messages._requests import ModelRequest
from agentrun.messages._responses import ModelResponse

ModelMessage = Annotated[ModelRequest | ModelResponse, told_apart_by('kind')]
"""A request or a response."""

# Deferred: a schema of all messages costs more than the whole import, and many programs never need it.
_CONFIG = ConfigDict(defer_build=True, ser_json_bytes='base64', val_json_bytes='base64')

ModelMessagesTypeAdapter = TypeAdapter(list[ModelMessage], config=_CONFIG)
"""Loads and dumps a history; its schema is built on first use."""

AgentStreamEventsTypeAdapter = TypeAdapter(list[AgentStreamEvent], config=_CONFIG)
"""Loads and dumps a list of events; its schema is built on first use."""


def dump_messages(messages: Sequence[ModelMessage]) -> bytes:
    """Return the JSON of a history: the same bytes as `ModelMessagesTypeAdapter.dump_json`.

    Args:
        messages: Requests and responses, in order.

    Raises:
        pydantic_core.PydanticSerializationError: If a message holds what JSON cannot.
    """
    return ModelMessagesTypeAdapter.dump_json(list(messages))
