"""Finds the values that are minted while runs are recorded: those of requests that no model said before.

A value is noted in the run whose request told it first, with where it came from. What is noted allows a replay to hold
another value of its kind at the same place, and asks for nothing. A constant that looks like an id must not be noted,
or an edit of it would pass for another id: what the text of the program has is none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import cast

from .calls import calls_of
from .canon import Json, JsonObject, own
from .cassette import Definition, Node
from .effects import Answered, Outcome, Request
from .minted import LASTING, Piece, is_plausible, pieces

__all__ = ('Minting', 'RunMinting')


class Minting:
    """What the runs of one session share.

    Args:
        now: Reads the real clock, with the zone that people here live in.
        is_constant: Tells of an id or token whether it is known not to be minted.
    """

    def __init__(self, now: Callable[[], datetime], *, is_constant: Callable[[Piece], bool] = lambda _: False) -> None:
        self.now = now
        self.is_constant = is_constant
        self.known: set[str] = set()
        """Keys of values that came before, minted or told by a model."""

    def run(self, noted: Mapping[str, JsonObject] | None = None) -> 'RunMinting':
        """Look for the values of one run.

        Args:
            noted: Values that its recording has already, where a run goes on from one.
        """
        return RunMinting(self, noted or {})


class RunMinting:
    """The minted values of one run."""

    def __init__(self, shared: Minting, noted: Mapping[str, JsonObject]) -> None:
        self._shared = shared
        self._instructions: str | None = None
        self._definition: Definition | None = None
        self.noted: dict[str, JsonObject] = dict(noted)
        """By name (`uuid-1`): `value` as it is written and `by`, where it came from."""
        shared.known.update(piece.key for one in noted.values() for piece in pieces(cast('str', one['value'])))

    def asked(self, request: Request) -> None:
        """Look through what is new in a request."""
        messages = [cast('JsonObject', own(message)) for message in request.sent]
        for message in messages[:-1]:
            for text in _texts([part.get('content', part.get('args')) for part in _parts(message)]):
                self._look(text, 'history')
        for message in messages[-1:]:
            self._look_through(message)
        self._look_at_definition(request.definition)
        self._look_at_instructions(request.definition.instructions)

    def left(self, messages: bytes) -> None:
        """Look through the last message of a run that is over: it may be a request that was never made."""
        for message in cast('list[JsonObject]', own(messages))[-1:]:
            if message.get('kind') == 'request':
                self._look_through(message)
                self._look_at_instructions(cast('str | None', message.get('instructions')))

    def untold(self, nodes: Sequence[Node]) -> None:
        """Look through results that no request tells: those of a batch that an error ended, or of the last one."""
        for node in nodes:
            names = {place: cast('str', call['tool_name']) for place, call in enumerate(calls_of(node.message))}
            for place, result in node.results.items():
                for text in _texts([result.content, result.metadata, result.user_content]):
                    self._look(text, names[place])

    def answered(self, outcome: Outcome) -> None:
        """Take note of what a model said: it may come back, and is not minted."""
        if isinstance(outcome, Answered):
            said = [[part.get('content'), part.get('args')] for part in _parts(outcome.message)]
            for text in _texts(cast('Json', said)):
                self._shared.known.update(piece.key for piece in pieces(text))

    def _look_through(self, message: JsonObject) -> None:
        for part in _parts(message):
            for text in _texts([part.get('content'), part.get('metadata')]):
                self._look(text, _source(part))

    def _look_at_instructions(self, instructions: str | None) -> None:
        if instructions is not None and instructions != self._instructions:
            if self._instructions is not None:
                self._look_twice(self._instructions, instructions)
            self._look(instructions, 'instructions')
            self._instructions = instructions

    def _look_at_definition(self, definition: Definition) -> None:
        """Look through what goes with a request, if it is not what went with the one before."""
        if definition is self._definition:
            return
        self._definition = definition
        for by, value in (('settings', definition.settings), ('tools', [definition.tools, definition.builtin_tools])):
            for text in _texts(cast('Json', value)):
                self._look(text, by)

    def _look(self, text: str, by: str) -> None:
        found = list(pieces(text))
        fresh = [piece for piece in found if piece.key not in self._shared.known]
        if not fresh:
            return
        now = self._shared.now()
        dated = [piece for piece in found if piece.kind in _DATED and is_plausible(piece, now=now)]
        for piece in fresh:
            if not is_plausible(piece, now=now, near_clock=bool(dated)):
                continue
            if piece.kind in LASTING and self._shared.is_constant(piece):
                self._shared.known.add(piece.key)
            else:
                self._note(piece, by)

    def _look_twice(self, before: str, after: str) -> None:
        """Instructions that changed from one request to the next in nothing but such pieces prove them minted."""
        old, new = list(pieces(before)), list(pieces(after))
        if _around(before, old) != _around(after, new):
            return
        for was, now in zip(old, new, strict=True):
            if was.key != now.key and was.shape == now.shape:
                self._note(was, 'instructions')
                self._note(now, 'instructions')

    def _note(self, piece: Piece, by: str) -> None:
        if piece.key in self._shared.known:
            return
        self._shared.known.add(piece.key)
        number = 1 + sum(name.rpartition('-')[0] == piece.kind for name in self.noted)
        self.noted[f'{piece.kind}-{number}'] = {'value': piece.text, 'by': by}


_DATED = frozenset({'date', 'datetime', 'time'})

_SOURCES = {'user-prompt': 'prompt', 'system-prompt': 'system prompt'}


def _source(part: JsonObject) -> str:
    """Where the content of a part came from: the name of the tool, if a tool gave it."""
    kind = cast('str', part.get('part_kind'))
    return _SOURCES.get(kind) or cast('str | None', part.get('tool_name')) or 'history'


def _parts(message: JsonObject) -> list[JsonObject]:
    return cast('list[JsonObject]', message['parts'])


def _around(text: str, found: list[Piece]) -> list[str]:
    """A text without its pieces."""
    ends = [0, *(piece.end for piece in found)]
    starts = [*(piece.start for piece in found), len(text)]
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]


def _texts(value: Json) -> Iterator[str]:
    """All texts and numbers in a value, keys of objects apart."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield repr(value)
