"""What a recording has paid for so far, as lines that outlast it: written before the run goes on, played after a crash.

A line is one outcome of one run: which effect of the run it was, a digest of what was asked, what came of it. Each line
ends in a check over itself and the check before it. So a last line that was torn is told from everything else that may
be wrong with the file: it is dropped, the rest is not trusted at all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from hashlib import sha256
from threading import RLock
from typing import Any, Protocol, cast

from .canon import CanonError, Json, JsonObject, dumps, own
from .cassette import Definition, Raised, ToolResult
from .effects import Answered, Calls, Counted, Cut, Effect, Ended, Failed, Outcome, Request
from .errors import CassetteDamaged, Where

__all__ = ('Entry', 'Journal', 'Strip', 'read_journal')

FORMAT = 'agentrun-replay-journal/1'

_CHECK = 16
_TAIL = len(',"check":""}') + _CHECK


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One outcome of one run."""

    run: str
    at: int
    """Number of the effect among those that the run had carried out, from 0."""
    asked: str
    """Digest of the effect."""
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a journal holds."""

    entries: dict[str, list[Entry]] = field(default_factory=dict[str, list[Entry]])
    """By run, in order, without those that a later recording went past."""
    check: str = ''
    """The last check."""
    size: int = 0
    """Bytes up to the end of the last whole line."""


class Sink(Protocol):
    """Where lines go: the file of the journal."""

    def append(self, data: bytes, *, last: bool) -> None:
        """Append a line; `last`: it must outlast a power loss."""
        ...


class Journal:
    """The journal of one session.

    Args:
        sink: Where lines go.
        read: What it held before.
        redacted: Redacts a line. One that it would change is not written, and no line after it.
    """

    def __init__(self, sink: Sink, read: Read, *, redacted: Callable[[bytes], bytes]) -> None:
        self.resumed = 0
        """How many requests were answered from it."""
        self._sink: Sink | None = sink
        self._read = read
        self._check = read.check
        self._redacted = redacted
        self._lock = RLock()

    def strip(self, run: str) -> 'Strip':
        """The lines of one run. Calls of a run that others ran inside of are made again, or those would be missing."""
        inner = any(name.startswith(f'{run}/') for name in self._read.entries)
        return Strip(self, run, self._read.entries.get(run, []), calls=not inner)

    def end(self) -> None:
        """Write nothing any more: the file is closed."""
        with self._lock:
            self._sink = None

    def note(self, entry: Entry) -> None:
        """Write a line. If the disk takes none there is no journal from here on; the recording itself goes on."""
        facts = {one.name: getattr(entry.outcome, one.name) for one in fields(entry.outcome)}
        outcome = cast('Json', {'kind': type(entry.outcome).__name__, **facts})  # dataclasses inside are written, too
        line: JsonObject = {'run': entry.run, 'at': entry.at, 'asked': entry.asked, 'outcome': outcome}
        with self._lock:
            if not self._check:
                self._append({'format': FORMAT}, last=False)
            self._append(line, last=isinstance(entry.outcome, Answered))

    def _append(self, line: JsonObject, *, last: bool) -> None:
        body = dumps(line)
        if self._sink is None or self._redacted(body) != body:
            self._sink = None
            return
        self._check = _check_of(self._check, body)
        try:
            self._sink.append(_line(body, self._check), last=last)
        except OSError:
            self._sink = None


class Strip:
    """The journal of one run, as its tape sees it.

    Args:
        journal: That of the session.
        run: Name of the run.
        entries: What came of its effects before.
        calls: Whether calls of tools may be answered, too.
    """

    def __init__(self, journal: Journal, run: str, entries: Iterable[Entry], *, calls: bool) -> None:
        self._journal = journal
        self._run = run
        self._entries = list(entries)
        self._calls = calls
        self._at = -1
        self._defined: tuple[Definition | None, bytes] = (None, b'')

    def answer(self, effect: Effect) -> Outcome | None:
        """What came of an effect before, if the same is asked. After the first difference nothing is."""
        self._at += 1
        entry = self._entries[self._at] if self._at < len(self._entries) else None
        if entry is None or entry.asked != self._asked(effect):
            self._entries = []
            return None
        if isinstance(effect, Calls) and not self._calls:
            return None
        self._journal.resumed += isinstance(effect, Request)
        return entry.outcome

    def note(self, effect: Effect, outcome: Outcome) -> None:
        """Write down what came of the effect that was asked about last, if a recording can go on from it."""
        whole = not isinstance(effect, Calls) or (  # a call with wrong arguments ends without a result
            isinstance(outcome, Ended) and len(outcome.finished) == len(effect.calls) and not outcome.cut
        )
        if whole and not isinstance(outcome, Cut):
            self._journal.note(Entry(run=self._run, at=self._at, asked=self._asked(effect), outcome=outcome))

    def _asked(self, effect: Effect) -> str:
        """Digest of what an effect asks, as 32 hex digits."""
        digest = sha256(type(effect).__name__.encode())
        match effect:
            case Request(message=message, sent=sent, definition=definition):
                if definition is not self._defined[0]:  # as a rule all requests of a run have the same
                    self._defined = (definition, dumps(cast('Json', definition)))
                facts: Json = [effect.appended, effect.inside, effect.streamed, len(sent)]
                for part in (message, *sent, dumps(facts), self._defined[1]):
                    digest.update(b'%d:' % len(part))
                    digest.update(part)
            case Calls(response=response, calls=calls):
                digest.update(dumps([response, *calls]))
            case _:
                pass
        return digest.hexdigest()[:32]


def read_journal(data: bytes, *, name: str) -> Read:
    """Read a journal.

    Args:
        data: What the file holds.
        name: Its path, for errors.

    Raises:
        CassetteDamaged: If anything but its end is not as it was written.
    """
    whole = data[: data.rfind(b'\n') + 1]
    torn = data[len(whole) :].strip(b'\0')
    lines = whole.splitlines(keepends=True)
    check, entries = '', dict[str, list[Entry]]()
    for number, line in enumerate(lines, start=1):
        entry, check = _entry(line, check, number=number, name=name)
        if entry is not None and entry.at <= len(there := entries.setdefault(entry.run, [])):
            there[entry.at :] = [entry]
    if torn and not torn.startswith(b'{'):
        raise _damaged(name, len(lines) + 1)
    for there in entries.values():
        while there and isinstance(there[-1].outcome, Failed):  # the model is asked again
            there.pop()
    return Read(entries=entries, check=check, size=len(whole))


def _entry(line: bytes, before: str, *, number: int, name: str) -> tuple[Entry | None, str]:
    body = line[: -_TAIL - 1] + b'}'
    check = _check_of(before, body)
    if line != _line(body, check):
        raise _damaged(name, number)
    try:
        found = cast('dict[str, Any]', own(body))
        if number == 1:
            return None, _checked_format(found, check)
        found['outcome'] = _outcome(found['outcome'])
        return Entry(**found), check
    except (CanonError, ValueError, TypeError, KeyError):
        raise _damaged(name, number) from None


def _checked_format(found: dict[str, Any], check: str) -> str:
    if found.get('format') != FORMAT:
        raise ValueError(FORMAT)
    return check


def _line(body: bytes, check: str) -> bytes:
    return body[:-1] + f',"check":"{check}"}}\n'.encode()


def _check_of(before: str, body: bytes) -> str:
    return sha256(before.encode() + body).hexdigest()[:_CHECK]


def _damaged(name: str, line: int) -> CassetteDamaged:
    return CassetteDamaged(
        'the journal of an interrupted recording is damaged',
        cause='seal',
        expected=f'lines of {FORMAT}, each with its check; only the last may be torn',
        got=f'line {line} is not as it was written',
        where=Where(cassette=name),
        next=(f'remove {name}     what was recorded is then asked for again',),
    )


def _outcome(data: dict[str, Any]) -> Outcome:
    kind = data.pop('kind')
    if data.get('stream') is not None:
        data['stream'] = tuple(data['stream'])
    match kind:
        case 'Answered':
            return Answered(**data)
        case 'Counted':
            return Counted(**data)
        case 'Failed':
            data['raised'] = _raised(data['raised'])
            return Failed(**data)
        case 'Ended':
            data['results'] = {int(index): _result(result) for index, result in data['results'].items()}
            return Ended(**data)
        case _:
            raise ValueError(kind)


def _raised(data: dict[str, Any]) -> Raised:
    data['bases'] = tuple(data['bases'])
    return Raised(**data)


def _result(data: dict[str, Any]) -> ToolResult:
    data['raised'] = data['raised'] and _raised(data['raised'])
    return ToolResult(**data)
