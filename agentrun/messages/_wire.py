"""Messages and events as JSON, byte for byte as in pydantic-ai 1.38."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, TypeAlias, cast

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError, SchemaSerializer

from agentrun._records import told_apart_by
from agentrun.messages._events import AgentStreamEvent
from agentrun.messages._requests import (
    ModelRequest,
    RetryPromptPart,
    SystemPromptPart,
    ToolReturnPart,
    UserPromptPart,
)
from agentrun.messages._responses import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from agentrun.usage import RequestUsage

ModelMessage = Annotated[ModelRequest | ModelResponse, told_apart_by('kind')]
"""A request or a response."""

# Deferred: a schema of all messages costs more than the whole import, and many programs never need it.
_CONFIG = ConfigDict(defer_build=True, ser_json_bytes='base64', val_json_bytes='base64')

ModelMessagesTypeAdapter = TypeAdapter(list[ModelMessage], config=_CONFIG)
"""Loads and dumps a history; its schema is built on first use."""

AgentStreamEventsTypeAdapter = TypeAdapter(list[AgentStreamEvent], config=_CONFIG)
"""Loads and dumps a list of events; its schema is built on first use."""


def dump_messages(messages: Sequence[ModelMessage]) -> bytes:
    """Return the JSON of a history: the same bytes as `ModelMessagesTypeAdapter.dump_json`, in less time.

    Args:
        messages: Requests and responses, in order.

    Raises:
        pydantic_core.PydanticSerializationError: If a message holds what JSON cannot.
    """
    states = _states(messages)
    whole = _at_once(states)
    return whole if whole is not None else b'[' + b','.join(map(_dumped, messages, states)) + b']'


def dump_plain(messages: Sequence[ModelMessage]) -> bytes | None:
    """Return the JSON of messages whose values are all plain; None if they have to be left to the adapter."""
    return _at_once(_states(messages))


def dump_one(message: ModelMessage) -> bytes | None:
    """Return the JSON of one message whose values are all plain; None if it has to be left to the adapter."""
    state = _plain(message, _orders())
    try:
        return None if state is None else _untyped().to_json(state)
    except PydanticSerializationError:
        return None


def _states(messages: Sequence[ModelMessage]) -> list[dict[str, Any] | None]:
    orders = _orders()
    return [_plain(message, orders) for message in messages]


def _at_once(states: list[dict[str, Any] | None]) -> bytes | None:
    try:
        return None if None in states else _untyped().to_json(states)
    except PydanticSerializationError:  # the adapter fails too, and tells it in the words that users know
        return None


def _dumped(message: ModelMessage, state: dict[str, Any] | None) -> bytes:
    if state is not None:
        try:
            return _untyped().to_json(state)
        except PydanticSerializationError:
            pass
    return ModelMessagesTypeAdapter.dump_json([message])[1:-1]


# The adapter asks every dataclass for every field by name. The dictionary that an object keeps its attributes in has
# the same JSON, as long as they stand in the order of the fields, and is dumped at once. Left to the adapter is what
# it writes differently: files, with computed fields in place of private ones, and classes that are not known here. It
# alone warns of values that are not of the type of their field; their bytes are the same.
_ORDINARY = (
    ModelRequest,
    SystemPromptPart,
    UserPromptPart,
    ToolReturnPart,
    RetryPromptPart,
    ModelResponse,
    RequestUsage,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
)


# Their content may hold files or validation errors, where it is not just text.
_PROMPTS = {UserPromptPart, RetryPromptPart}
_SEQUENCES = {list, tuple}

_Orders: TypeAlias = dict[type, tuple[str, ...]]


@cache
def _orders() -> _Orders:
    return {cls: tuple(field.name for field in fields(cls)) for cls in _ORDINARY}


@cache
def _untyped() -> SchemaSerializer:
    return TypeAdapter(Any, config={**_CONFIG, 'defer_build': False}).serializer


def _plain(message: ModelMessage, orders: _Orders) -> dict[str, Any] | None:
    """The message as dictionaries that share its values; None if it has to be left to the adapter."""
    # In one function, and by classes as they are: a call for each object would take as long as all the rest.
    order = orders.get(type(message))
    if order is None or (*(state := message.__dict__),) != order:
        return None
    if type(state['parts']) not in _SEQUENCES or type(state['kind']) is not str:
        return None
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        order = orders.get(kind := type(part))
        if order is None or (*(values := part.__dict__),) != order:
            return None
        if kind in _PROMPTS and type(values['content']) is not str:
            return None
        parts.append(values)
    if type(message) is ModelRequest:
        return {**state, 'parts': parts}
    counts = _counts(state['usage'], orders[RequestUsage])
    return None if counts is None else {**state, 'parts': parts, 'usage': counts}


def _counts(usage: object, order: tuple[str, ...]) -> dict[str, Any] | None:
    """The usage as a dictionary; None if it has to be left to the adapter, which writes True as 1."""
    if type(usage) is not RequestUsage or (*(counts := usage.__dict__),) != order:
        return None
    details: object = counts['details']
    if type(details) is not dict or bool in map(type, counts.values()):
        return None
    return None if details and bool in map(type, cast('dict[Any, Any]', details).values()) else counts
