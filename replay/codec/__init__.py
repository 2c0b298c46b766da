"""A cassette as text that a person reads in a pull request, and back.

The text is the short form: what can be derived is left out (`_write`), and what was left out is put back (`_read`),
to the same bytes. The writer reads what it wrote before it hands it out.

Beside what the whole file in the documentation shows, these keys may stand in it:

- run: `agent` where the name does not tell it; `definition`, the entry of `agents` it uses, where that is not the
  agent's name; `definitions`, whether requests carry definitions, where that is not the opposite of `imported`;
  `run_id` where it is not the logical one; `times`, of imported runs: for each message its time, then those of its
  parts in microseconds after it.
- node: `from_history` in place of a message that ends the history; `sent_instructions` where a request's differ from
  its definition's; `definition: null` where a request carries none; `message`, whole, under `"wire": "full"`.
- part: `call`, the index of the call that a result answers, where that is not at its place; `tool_call_id` as a number
  for the generated id of that number; `item` for a file or marker of a user prompt whose usual values are left out.
- A response that names no provider comes from a scripted model: there it is no finish reason that goes without saying.
- A tool in `agents` may be the name of the entry above that has it; `additionalProperties: null` says that its
  parameters have no such key at their top. In a key of data each `|` at the end is doubled; an odd number means lines.
"""

import re
from dataclasses import dataclass, replace
from hashlib import sha256

import pydantic_core

from replay.canon import CanonError, JsonObject
from replay.canon import loads as parse
from replay.cassette import FORMAT, Cassette, Node
from replay.errors import CassetteTooNew, NotRestorable, ReplayError, Where
from replay.shapes import TABLES, Table

from ._faults import Place, kind_of
from ._layout import render
from ._read import read_cassette
from ._state import CHURN, MESSAGE_CHURN
from ._versions import OtherVersion, as_version
from ._write import MisfitError, pack_cassette

__all__ = (
    'CHURN', 'DEFAULT_LIMITS', 'MESSAGE_CHURN', 'Limits', 'OtherVersion', 'as_version', 'dumps', 'loads',
    'loads_edited', 'seal_of',
)  # fmt: skip

_SEAL = re.compile(r'  "seal": "([0-9a-f]{32})"\n\}\n')
_SEAL_LENGTH = len('  "seal": ""\n}\n') + 32
_CONFLICT = re.compile(r'^(?:<{7}|={7}|>{7}|\|{7})(?: .*)?$', re.MULTILINE)
_TEST = re.compile(r'^  "test": ("(?:[^"\\]|\\.)*"),$', re.MULTILINE)
_FORMAT = re.compile(r'agentrun-replay/([0-9]+)\Z')


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a cassette may be at most."""

    size: int = 64 * 1024 * 1024
    """Bytes of its text."""


DEFAULT_LIMITS = Limits()
"""What is read unless somebody says otherwise."""


def dumps(cassette: Cassette, *, name: str = 'cassette') -> str:
    """Write a cassette as text, and read it again to see that nothing was lost.

    Args:
        cassette: What is written. Its `wire` is a wish: the first table that restores the messages is taken.
        name: Name of the cassette, for errors.

    Returns:
        The sealed text, ending in a newline.

    Raises:
        NotRestorable: If the text would not bring the cassette back.
    """
    wished = [TABLES[cassette.wire]] if cassette.wire in TABLES else []
    tables: list[Table | None] = [*wished, *(table for table in TABLES.values() if table not in wished), None]
    *short, full = tables
    for table in short:
        try:
            return _written(cassette, table, name)
        except (MisfitError, ReplayError):
            continue
    return _written(cassette, full, name)


def loads(text: str | bytes, *, name: str = 'cassette', limits: Limits = DEFAULT_LIMITS) -> Cassette:
    """Read a cassette.

    Args:
        text: The whole file.
        name: Name of the cassette, for errors.
        limits: What it may be at most.

    Raises:
        CassetteDamaged: If it is no cassette, or no longer the one that was written; `cause` says how.
        CassetteTooNew: If it is of a later format.
        CassetteInconsistent: If its parts contradict each other.
    """
    place = Place(name)
    text = _readable(text, place, limits)
    document = _document(text, place)
    found = _SEAL.fullmatch(text, max(len(text) - _SEAL_LENGTH, 0))
    if found is None or document.get('seal') != found[1]:
        place.damaged(
            'the cassette has no seal at its end', cause='seal', expected='"seal" as the last line', got='none'
        )
    if (now := seal_of(text[: found.start()])) != found[1]:
        place.damaged('the cassette was changed after it was written', cause='seal', expected=found[1], got=now)
    del text, found  # all of it is in the document now
    return read_cassette(document, place)


def loads_edited(text: str | bytes, *, name: str = 'cassette', limits: Limits = DEFAULT_LIMITS) -> Cassette:
    """Read a cassette that somebody has edited, so that its seal need not hold; all else as for `loads`."""
    place = Place(name)
    document = _document(_readable(text, place, limits), place)
    return read_cassette({key: value for key, value in document.items() if key != 'seal'} | {'seal': ''}, place)


def seal_of(text: str) -> str:
    """The seal of the text before the line of the seal: the first 32 hex digits of its SHA-256.

    Args:
        text: Text whose newlines are all line feeds.
    """
    return sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]


def _document(text: str, place: Place) -> JsonObject:
    """Parse a readable text as a cassette of a known format."""
    if owner := _TEST.search(text, 0, 4096):  # near the top, and there even if the rest is damaged
        place.test = _test_id(owner[1])
    document = _parsed(text, place)
    _check_format(document, place)
    return document


def _written(cassette: Cassette, table: Table | None, name: str) -> str:
    """Write with one table, and read again.

    Raises:
        MisfitError: If a message does not fit the table.
        NotRestorable: If the cassette does not come back.
    """
    try:
        plain = _plain(cassette)
        text = render({**pack_cassette(cassette, table), 'seal': ''})
        body = text[: text.rindex('  "seal"')]
        sealed = f'{body}  "seal": "{seal_of(body)}"\n}}\n'
        back = _plain(loads(sealed, name=name))
    except NotRestorable:
        raise
    except (ReplayError, CanonError, pydantic_core.PydanticSerializationError) as error:
        raise _lost(error.headline if isinstance(error, ReplayError) else str(error), name) from None
    if back != plain:
        raise _lost(_difference(plain, back), name)
    return sealed


def _lost(got: str, name: str) -> NotRestorable:
    return NotRestorable(
        'the recording would not come back from its own text, so it is not written',
        expected='JSON values: text keys, no NaN, no half characters, at most 200 levels, whole messages',
        got=got,
        where=Where(cassette=name),
    )


def _difference(before: bytes, after: bytes) -> str:
    """Where two texts part, with a little around."""
    at = next((index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(after))
    start = max(at - 30, 0)
    cuts = (text[start : at + 30].decode(errors='replace') for text in (before, after))
    return '{} and then {}'.format(*cuts)


def _plain(cassette: Cassette) -> bytes:
    """Everything in a cassette as bytes, the choice of the table and the order of type marks apart."""
    runs = tuple(replace(run, nodes=tuple(map(_with_sorted_types, run.nodes))) for run in cassette.runs)
    return pydantic_core.to_json(replace(cassette, wire='', runs=runs), inf_nan_mode='constants')


def _with_sorted_types(node: Node) -> Node:
    return replace(node, types=dict(sorted(node.types.items()))) if len(node.types) > 1 else node


def _readable(text: str | bytes, place: Place, limits: Limits) -> str:
    """See to it that a text is one, of a bearable size, with newlines all alike."""
    if len(text) > limits.size:
        place.damaged(
            'the cassette is too large', cause='too-large', expected=f'at most {limits.size} bytes', got=str(len(text))
        )
    if isinstance(text, bytes):
        try:
            text = text.decode('utf-8')
        except UnicodeDecodeError as error:
            place.damaged(
                'the cassette is no text',
                cause='binary',
                expected='UTF-8',
                got=f'byte 0x{text[error.start]:02x} at offset {error.start}',
            )
    return text.replace('\r\n', '\n')


def _test_id(literal: str) -> str | None:
    try:
        value = parse(literal)
    except CanonError:
        return None
    return value if isinstance(value, str) else None


def _parsed(text: str, place: Place) -> JsonObject:
    """Parse the text; tell a file that a merge left behind from one that is just broken."""
    try:
        document = parse(text)
    except CanonError as error:
        if marks := _CONFLICT.search(text):
            line = text.count('\n', 0, marks.start()) + 1
            place.damaged(
                'the cassette has conflict marks of a merge', cause='conflict', expected='JSON', got=f'line {line}'
            )
        headline = 'the cassette is empty' if error.cause == 'empty' else f'the cassette cannot be read: {error}'
        place.damaged(headline, cause=error.cause, expected='a cassette of format ' + FORMAT)
    if not isinstance(document, dict):
        place.damaged('the cassette is no JSON object', expected='an object', got=kind_of(document))
    return document


def _check_format(document: JsonObject, place: Place) -> None:
    named = document.get('format')
    if named == FORMAT:
        return
    found = _FORMAT.match(named) if isinstance(named, str) else None
    if found and int(found[1]) > int(FORMAT.rsplit('/', 1)[1]):
        raise CassetteTooNew(
            'the cassette was written by a newer version',
            expected=FORMAT,
            got=str(named),
            where=place.where('format'),
            next=('pip install --upgrade agentrun-replay',),
        )
    place.damaged('this is no cassette', field='format', expected=FORMAT, got=str(named))
