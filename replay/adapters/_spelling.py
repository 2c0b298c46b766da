"""Puts recorded spellings of minted values into the messages of a run that is replayed.

What a run shows must be what its recording shows, byte for byte; so the objects themselves are changed, before the
answer comes. Messages of every library have `parts`, and requests `instructions`; a `Restore` of the library says how
its objects look that JSON stands for.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from replay.calls import parts_of
from replay.canon import Json, JsonObject, dumps, own
from replay.effects import Request

__all__ = ('Restore', 'put_back', 'put_back_all')

Restore: TypeAlias = Callable[[Sequence[JsonObject]], Sequence[Any]]
"""Makes messages of wire JSON."""


def put_back(live: Sequence[Any], request: object, was: Request, respelt: Request | None, *, by: Restore) -> None:
    """Change messages in place where their recording is spelt otherwise.

    Args:
        live: The messages that the model is sent, those of the request last.
        request: The request of the node that asks.
        was: The request as it is.
        respelt: The same as it was recorded; None if that is no other.
        by: How the library's objects are made.
    """
    if respelt is None:
        return
    messages = live[len(live) - len(was.sent) :]
    for message, before, after in zip(messages, was.sent, respelt.sent, strict=True):
        _respell(message, before, after, by)
    _respell(request, was.message, respelt.message, by)


def put_back_all(live: Sequence[Any], was: bytes, respelt: bytes, *, by: Restore) -> None:
    """Change the messages that a run ended with where their recording is spelt otherwise.

    Args:
        live: All messages of the run.
        was: Their wire JSON.
        respelt: The same as it was recorded.
        by: How the library's objects are made.
    """
    if was != respelt:
        before, after = (cast('list[Json]', own(data)) for data in (was, respelt))
        for message, old, new in zip(live, before, after, strict=True):
            _respell(message, dumps(old), dumps(new), by)


def _respell(message: Any, before: bytes, after: bytes, by: Restore) -> None:
    if before == after:
        return
    old, new = cast('JsonObject', own(before)), cast('JsonObject', own(after))
    restored = by([new])[0]
    for index, (was, now) in enumerate(zip(parts_of(old), parts_of(new), strict=True)):
        for name in ('content', 'args', 'metadata'):
            if was.get(name) != now.get(name):
                setattr(message.parts[index], name, getattr(restored.parts[index], name))
    if new['kind'] == 'request':
        message.instructions = restored.instructions
