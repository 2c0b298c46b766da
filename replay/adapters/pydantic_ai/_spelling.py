"""Puts recorded spellings of minted values into the messages of a run that is replayed, as the host of agentrun does.

What a run shows must be what its recording shows, byte for byte; so the objects themselves are changed, before the
answer comes.
"""

from collections.abc import Sequence
from typing import Any, cast

from pydantic_ai.messages import ModelMessage, ModelRequest

from replay.adapters.pydantic_ai._wire import restored_messages
from replay.calls import parts_of
from replay.canon import Json, JsonObject, dumps, own
from replay.effects import Request

__all__ = ('put_back', 'put_back_all')


def put_back(live: Sequence[ModelMessage], request: ModelRequest, was: Request, respelt: Request | None) -> None:
    """Change messages in place where their recording is spelt otherwise.

    Args:
        live: The messages that the model is sent, those of the request last.
        request: The request of the node that asks.
        was: The request as it is.
        respelt: The same as it was recorded; None if that is no other.
    """
    if respelt is None:
        return
    messages = live[len(live) - len(was.sent) :]
    for message, before, after in zip(messages, was.sent, respelt.sent, strict=True):
        _respell(message, before, after)
    _respell(request, was.message, respelt.message)


def put_back_all(live: Sequence[ModelMessage], was: bytes, respelt: bytes) -> None:
    """Change the messages that a run ended with where their recording is spelt otherwise.

    Args:
        live: All messages of the run.
        was: Their wire JSON.
        respelt: The same as it was recorded.
    """
    if was != respelt:
        before, after = (cast('list[Json]', own(data)) for data in (was, respelt))
        for message, old, new in zip(live, before, after, strict=True):
            _respell(message, dumps(old), dumps(new))


def _respell(message: ModelMessage, before: bytes, after: bytes) -> None:
    if before == after:
        return
    old, new = cast('JsonObject', own(before)), cast('JsonObject', own(after))
    restored = restored_messages([new])[0]
    for index, (was, now) in enumerate(zip(parts_of(old), parts_of(new), strict=True)):
        for name in ('content', 'args', 'metadata'):
            if was.get(name) != now.get(name):
                setattr(message.parts[index], name, getattr(restored.parts[index], name))
    if isinstance(message, ModelRequest):
        message.instructions = cast('Any', restored).instructions
