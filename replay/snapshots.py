"""Runs as snapshots: an extension of syrupy that keeps the bytes of messages exactly, in a file that people can read.

The bytes of `all_messages_json()` are one long line. What is stored is the same JSON with line breaks and blanks, laid
out as in cassettes; that this reads back to exactly those bytes is made sure of before it is stored or compared. So
two snapshots are equal if and only if the bytes are.
"""

from typing import TYPE_CHECKING, Any, cast

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from .canon import JsonObject, dumps, own
from .codec._layout import render
from .errors import ReplayError
from .run_view import RunView
from .session import Session

if TYPE_CHECKING:
    from syrupy.types import PropertyFilter, PropertyMatcher, SerializableData, SerializedData

__all__ = ('MessagesSnapshot', 'exact', 'readable')


class MessagesSnapshot(SingleFileSnapshotExtension):
    """Stores messages exactly, one file for each snapshot: `assert data == snapshot(extension_class=MessagesSnapshot)`.

    Takes the bytes of `all_messages_json()` or `new_messages_json()`, of a result or of the session; or a session or
    one of its runs, which stand for all their messages.
    """

    _write_mode = WriteMode.TEXT
    file_extension = 'json'

    def serialize(
        self,
        data: 'SerializableData',
        *,
        exclude: 'PropertyFilter | None' = None,
        include: 'PropertyFilter | None' = None,
        matcher: 'PropertyMatcher | None' = None,
    ) -> 'SerializedData':
        """Lay messages out.

        Raises:
            ReplayError: If they are no messages, or part of them is to be left out or replaced.
        """
        # syrupy always brings a matcher of its own; that of a user, if any, is asked inside of it.
        if exclude or include or (matcher and cast('Any', matcher)(data=data, path=()) is not data):
            raise ReplayError(
                'this snapshot holds messages exactly, so nothing is left out of it or matched',
                expected='snapshot(extension_class=MessagesSnapshot) alone: under replay, messages are always the same',
                got='exclude, include or a matcher that replaces it',
                next=('leave it out, or take `steps` or `outline` of the run, which hold nothing that changes',),
            )
        return readable(_bytes_of(data))


def readable(data: bytes) -> str:
    """Lay the bytes of messages out for reading.

    Args:
        data: JSON as `all_messages_json()` gives it.

    Raises:
        ReplayError: If it is something else, which would not be brought back by `exact`.
    """
    try:
        text = render(cast('JsonObject', own(data)))
        same = exact(text) == data
    except ValueError:
        text, same = '', False
    if not same:
        raise ReplayError(
            'these are not the bytes of messages',
            expected='JSON as all_messages_json() and new_messages_json() give it: compact, as UTF-8',
            got=repr(data[:60]),
            next=('result.all_messages_json(), or the session itself',),
        )
    return text


def exact(text: str | bytes) -> bytes:
    """Bring back the bytes of messages from their snapshot, byte for byte.

    Args:
        text: What the file of the snapshot holds.
    """
    return dumps(own(text.encode() if isinstance(text, str) else text))


def _bytes_of(data: Any) -> bytes:
    if isinstance(data, Session):
        return data.all_messages_json()
    if isinstance(data, RunView):
        return data.all_json
    if isinstance(data, bytes):
        return data
    raise ReplayError(
        f'{type(data).__name__} is no messages',
        expected='bytes of all_messages_json() or new_messages_json(), a session, or one of its runs',
        got=repr(data)[:60],
        next=('result.all_messages_json()',),
    )
