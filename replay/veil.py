"""Redacts what a run does and what a cassette holds: every value at which secrets may stand, in the wire forms.

A tape sees nothing that has not passed here, on its way in while recording and before it is compared while replaying.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import is_
from typing import TypeVar, cast

from .canon import Json, JsonObject, dumps, own
from .cassette import Attempt, Cassette, Definition, Node, Raised, Run, ToolResult
from .effects import Answered, Calls, Counted, Cut, Effect, Ended, Failed, Finish, Outcome, Request
from .errors import ReplayError, Where
from .exchange import Exchange
from .redact import Redactor, has_stand_in
from .redact_streams import redacted_stream
from .streams import Stream, assembled

__all__ = ('Leak', 'SecretLeft', 'Veil', 'leaks_of', 'marked', 'redacted_error', 'veiled_cassette', 'veiled_run')

REDACTED = 'redacted'
"""The mark of a run that holds stand-ins."""

_Value = TypeVar('_Value')


_IN_PIECES = ('|":', '\\u', '\\/')
"""Marks of long texts as lines, and of characters that need not be written as escapes."""


class SecretLeft(ReplayError):  # noqa: N818  # named like the other errors of this package
    """A cassette would hold a secret, so it is not written.

    Args:
        leaks: The places.
        where: The first of them.
        next: As for `ReplayError`.
    """

    def __init__(self, leaks: tuple['Leak', ...], *, where: Where, next: tuple[str, ...]) -> None:
        count = f'{len(leaks)} secrets' if len(leaks) > 1 else 'a secret'
        super().__init__(
            f'the cassette would hold {count}, so it is not written',
            expected=f'stand-ins: {", ".join(dict.fromkeys(leak.kind for leak in leaks))}',
            got='\n'.join(map(str, leaks[:5])) + (f'\nand {len(leaks) - 5} more' if len(leaks) > 5 else ''),
            where=where,
            next=next,
        )
        self.leaks = leaks


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A place where a secret stands, and what it was known by; never the secret."""

    kind: str
    """The stand-in that should stand there."""
    field: str
    run: str | None = None
    node: str | None = None
    """Index and kind: `3 ModelRequestNode`."""

    def __str__(self) -> str:
        named = (('run ', self.run), ('node ', self.node), ('field ', self.field))
        return f'{self.kind} in {"  ".join(f"{label}{value}" for label, value in named if value is not None)}'


class Veil:
    """Redacts the effects and outcomes of one run.

    Args:
        redactor: What knows secrets.
    """

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._definition: tuple[Definition | None, Definition] = (None, Definition())

    def facts(self, facts: JsonObject) -> JsonObject:
        """Redact facts of a run or node."""
        return _object(facts, self.redactor) if facts else facts

    def effect(self, effect: Effect) -> Effect:
        """Redact what a run is about to do."""
        match effect:
            case Request(message=message, sent=sent, definition=definition):
                data = self.redactor.data
                own = data(message)
                others = [own if one is message else data(one) for one in sent]
                return replace(effect, message=own, sent=others, definition=self._defined(definition))
            case Calls(response=response, calls=calls):
                first, *rest = cast('list[JsonObject]', self.redactor.json([response, *calls]))
                return replace(effect, response=first, calls=rest)
            case _:
                return effect

    def known(self, effect: Effect) -> Effect:
        """Redact what an effect holds beside that which a redacted recording has of it."""
        definition = self._defined(effect.definition) if isinstance(effect, Request) else None
        if not isinstance(effect, Request) or definition is effect.definition:
            return effect
        return replace(effect, definition=definition)

    def outcome(self, outcome: Outcome) -> Outcome:
        """Redact what came of an effect."""
        redactor = self.redactor
        if getattr(outcome, 'stream', None) is None and redactor.clears(outcome):  # as a rule
            return outcome
        match outcome:
            case Answered(message=message, stream=stream):
                return replace(outcome, message=_object(message, redactor), stream=_stream(stream, redactor))
            case Counted(usage=usage):
                return replace(outcome, usage=_object(usage, redactor))
            case Failed(raised=raised, stream=stream):
                return replace(outcome, raised=_raised(raised, redactor), stream=_stream(stream, redactor))
            case Cut(stream=stream):
                return replace(outcome, stream=_stream(stream, redactor))
            case _:
                return self.ended(outcome)

    def ended(self, ended: Ended) -> Ended:
        """Redact what came of calls."""
        return replace(ended, results={index: _result(one, self.redactor) for index, one in ended.results.items()})

    def _defined(self, definition: Definition) -> Definition:
        if definition is not self._definition[0]:  # equal ones stay the same object, which a playback counts on
            self._definition = (definition, _definition(definition, self.redactor))
        return self._definition[1]

    def finish(self, finish: Finish) -> Finish:
        """Redact how a run was left."""
        return replace(
            finish,
            messages=self.redactor.data(finish.messages),
            raised=finish.raised and _raised(finish.raised, self.redactor),
            facts=self.facts(dict(finish.facts)),
        )

    def unveiled(self, live: bytes, respelt: bytes, exchange: Exchange) -> bytes:
        """Give wire JSON its secrets back that was respelt without them.

        Args:
            live: What it was.
            respelt: What became of it, with stand-ins.
            exchange: What minted values were respelt by.

        Returns:
            Never a stand-in for what was none: `live` as it is, if in doubt.
        """
        data = self.redactor.data
        if data(live) == live:
            return respelt
        found = dumps(exchange.to_recorded(own(live)))
        return found if data(found) == respelt else live


def marked(run: Run) -> Run:
    """Mark a run that holds stand-ins as `redacted`."""
    if REDACTED in run.marks or (_is_whole(run) and b'<secret:' not in dumps(cast('Json', _in_one(run)))):  # as a rule
        return run
    held = any(_holds_stand_in(value) for _, _, value in _pieces(run))
    return replace(run, marks=(*run.marks, REDACTED)) if held else run


def veiled_run(run: Run, redactor: Redactor) -> Run:
    """Redact a recording: one that was made before its secrets were known.

    Returns:
        The run itself if it holds no secret.
    """
    if _is_clear(run, redactor):  # as a rule
        return run
    if all(redactor.json(value) is value for _, _, value in _pieces(run)):
        return run
    return replace(
        run,  # with its name, which its ids were made of
        agent=redactor.text(run.agent),
        history=tuple(_object(message, redactor) for message in run.history),
        nodes=tuple(_node(node, redactor) for node in run.nodes),
        facts=_object(run.facts, redactor),
        minted={name: one for name, one in run.minted.items() if redactor.json(one) is one},
    )


def veiled_cassette(cassette: Cassette, redactor: Redactor, *, text: str) -> Cassette:
    """Redact a cassette as `veiled_run` does its runs.

    Its text says all that they hold, with as few escapes as there can be, but for long texts that stand in it as lines,
    for what was streamed and for escapes by hand; without these, one that holds no beginning of a secret holds none.

    Args:
        cassette: What is redacted.
        redactor: What knows secrets.
        text: The text that it was read from.

    Returns:
        The cassette itself if it holds no secret.
    """
    in_pieces = any(mark in text for mark in _IN_PIECES) or any(
        node.stream for run in cassette.runs for node in run.nodes
    )
    if not in_pieces and redactor.clears_text(text):
        return cassette
    runs = tuple(veiled_run(run, redactor) for run in cassette.runs)
    return cassette if all(map(is_, runs, cassette.runs)) else replace(cassette, runs=runs)


def leaks_of(cassette: Cassette, redactor: Redactor, *, text: str) -> tuple[Leak, ...]:
    """Find the secrets that a cassette holds.

    Args:
        cassette: What is looked through.
        redactor: What knows secrets.
        text: The cassette as it is written, or would be: looked through as well, by lines.
    """
    leaks = [
        Leak(kind=kind, run=redactor.text(run.name), node=node, field=field)
        for run in cassette.runs
        if not _is_clear(run, redactor)
        for node, name, value in _pieces(run)
        for field, kind in redactor.fields(value, name)
    ]
    named: JsonObject = {'test': cassette.test, 'recorded': cassette.recorded}
    leaks += [Leak(kind=kind, field=field) for name in named for field, kind in redactor.fields(named[name], name)]
    if not leaks:
        leaks = [Leak(kind=kind, field=f'line {number}') for number, kind in redactor.lines(text)]
    return tuple(leaks)


def redacted_error(error: ReplayError, redactor: Redactor) -> ReplayError:
    """Redact the text of an error of ours, in place."""
    error.headline = redactor.text(error.headline)
    error.args = (error.headline,)
    error.expected = error.expected and redactor.text(error.expected)
    error.got = error.got and redactor.text(error.got)
    error.details = tuple((label, redactor.text(value)) for label, value in error.details)
    error.block = tuple(map(redactor.text, error.block))
    where = error.where
    error.where = replace(
        where, run=where.run and redactor.text(where.run), field=where.field and redactor.text(where.field)
    )
    error.next = tuple(map(redactor.text, error.next))
    return error


# -- helpers


def _object(value: JsonObject, redactor: Redactor) -> JsonObject:
    return cast('JsonObject', redactor.json(value))


def _optional(value: _Value, redactor: Redactor) -> _Value:
    return cast('_Value', redactor.json(cast('Json', value)))


def _stream(stream: Stream | None, redactor: Redactor) -> Stream | None:
    return stream and redacted_stream(stream, redactor)


def _node(node: Node, redactor: Redactor) -> Node:
    return replace(
        node,
        message=_optional(node.message, redactor),
        definition=node.definition and _definition(node.definition, redactor),
        stream=_stream(node.stream, redactor),
        counted=_optional(node.counted, redactor),
        attempts=tuple(_attempt(attempt, redactor) for attempt in node.attempts),
        results={index: _result(result, redactor) for index, result in node.results.items()},
        raised=node.raised and _raised(node.raised, redactor),
        facts=_object(node.facts, redactor),
        then=tuple(_object(message, redactor) for message in node.then),
    )


def _attempt(attempt: Attempt, redactor: Redactor) -> Attempt:
    return replace(
        attempt,
        raised=attempt.raised and _raised(attempt.raised, redactor),
        response=_optional(attempt.response, redactor),
    )


def _definition(definition: Definition, redactor: Redactor) -> Definition:
    found = replace(
        definition,
        instructions=_optional(definition.instructions, redactor),
        settings=_optional(definition.settings, redactor),
        tools=_object(dict(definition.tools), redactor),
        builtin_tools=tuple(_object(tool, redactor) for tool in definition.builtin_tools),
        output=_optional(definition.output, redactor),
    )
    return definition if found == definition else found


def _raised(raised: Raised, redactor: Redactor) -> Raised:
    return replace(raised, message=redactor.text(raised.message), args=_object(raised.args, redactor))


def _result(result: ToolResult, redactor: Redactor) -> ToolResult:
    return replace(
        result,
        content=redactor.json(result.content),
        metadata=redactor.json(result.metadata),
        user_content=redactor.json(result.user_content),
        raised=result.raised and _raised(result.raised, redactor),
        usage=_object(result.usage, redactor),
    )


def _is_clear(run: Run, redactor: Redactor) -> bool:
    """Whether one look shows that a run holds no secret."""
    return _is_whole(run) and redactor.clears(_in_one(run))


def _is_whole(run: Run) -> bool:
    """Whether nothing in a run came in pieces, in which one look would not find what was cut in two."""
    return not any(node.stream for node in run.nodes)


def _in_one(run: Run) -> list[object]:
    """All that somebody else wrote in a run without streams, to be looked through at once.

    Most nodes hold a message and the definition that all share; to dump all else they have takes twice as long again.
    """
    found: list[object] = [run.name, run.agent, run.history, run.facts, run.minted]
    definitions: dict[int, Definition | None] = {}
    for node in run.nodes:
        definitions[id(node.definition)] = node.definition
        if node.results or node.raised or node.attempts or node.facts or node.types or node.counted or node.then:
            found.append(replace(node, definition=None))
        elif node.message is not None:
            found.append(node.message)
    return [*found, *definitions.values()]


def _pieces(run: Run) -> Iterator[tuple[str | None, str, Json]]:
    """All values of a run that somebody else wrote: node, field, value."""
    yield None, 'run', run.name
    yield None, 'agent', run.agent
    yield None, 'history', list(run.history)
    yield None, 'facts', run.facts
    yield None, 'minted', dict(run.minted)
    for index, node in enumerate(run.nodes):
        for field, value in _pieces_of_node(node):
            yield f'{index} {node.kind}', field, value


def _pieces_of_node(node: Node) -> Iterator[tuple[str, Json]]:
    yield 'message', node.message
    yield 'then', list(node.then)
    yield 'facts', node.facts
    yield 'types', node.types
    if node.stream is not None:
        yield 'stream', [*node.stream]
        yield 'streamed parts', [*assembled(node.stream)]  # where what came in pieces is whole
    yield 'counted', node.counted
    if node.definition is not None:
        definition = node.definition
        yield 'instructions', definition.instructions
        yield 'settings', definition.settings
        yield 'tools', dict(definition.tools)
        yield 'builtin_tools', list(definition.builtin_tools)
        yield 'output', definition.output
    for index, attempt in enumerate(node.attempts):
        yield f'attempts[{index}].response', attempt.response
        yield from _pieces_of_error(f'attempts[{index}].raised', attempt.raised)
    for index, result in node.results.items():
        yield f'results[{index}].content', result.content
        yield f'results[{index}].metadata', result.metadata
        yield f'results[{index}].user_content', result.user_content
        yield f'results[{index}].types', result.types
        yield f'results[{index}].usage', result.usage
        yield from _pieces_of_error(f'results[{index}].raised', result.raised)
    yield from _pieces_of_error('raised', node.raised)


def _pieces_of_error(field: str, raised: Raised | None) -> Iterator[tuple[str, Json]]:
    if raised is not None:
        yield f'{field}.message', raised.message
        yield f'{field}.args', raised.args


def _holds_stand_in(value: Json) -> bool:
    if isinstance(value, dict):
        return any(has_stand_in(key) or _holds_stand_in(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(_holds_stand_in, value))
    return isinstance(value, str) and has_stand_in(value)
