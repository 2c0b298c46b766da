"""Message histories that people keep, made into cassettes and back.

A history tells most of a run: who asked what, what the model answered, what the tools gave. What it does not tell is
asked for, or assumed in so many words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from replay.canon import CanonError, Json, JsonObject, dumps, loads
from replay.cassette import Cassette, Raised, Run
from replay.errors import HistoryInvalid, Where
from replay.shapes import PYDANTIC_AI_1_38

from ._nodes import Facts, closes, derive_nodes, output_tool_of
from ._wire import Wire

__all__ = ('ENTRIES', 'FACTS', 'Imported', 'from_history', 'to_history')

ENTRIES = ('run', 'run_sync', 'iter', 'run_stream', 'run_stream_sync', 'run_stream_events')
"""Ways to start a run."""

FACTS = (
    'new_from',
    'output_mode',
    'output_tool',
    'end_strategy',
    'entry',
    'error',
    'deferred_tool_results',
)
"""What may be said of a run beside its messages."""

_OUTPUT_MODES = ('text', 'tool', 'native', 'prompted', 'auto', 'image', 'tool_or_text')
_END_STRATEGIES = ('early', 'exhaustive')


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A history as a cassette of one run."""

    cassette: Cassette
    assumed: tuple[str, ...]
    """What had to be assumed, one sentence each."""


def from_history(
    source: str | bytes,
    *,
    name: str = 'history',
    run: str = 'agent',
    new_from: int | None = None,
    output_mode: str | None = None,
    output_tool: str | None = None,
    end_strategy: str | None = None,
    entry: str | None = None,
    error: Mapping[str, Json] | None = None,
    deferred_tool_results: Mapping[str, Json] | None = None,
) -> Imported:
    """Make a recorded history into a cassette.

    Args:
        source: An array of messages, or an object with `messages` and any of `FACTS`, as JSON text.
        name: Name of the history, for errors.
        run: Name of the run, and of its agent.
        new_from: Index of the first message that is new in this run; those before were handed in.
        output_mode: `text`, `tool`, `native`, `prompted`, ...
        output_tool: Name of the output tool that ended the run.
        end_strategy: `early` or `exhaustive`.
        entry: How the run was started, one of `ENTRIES`.
        error: `type` and `message` of the error that ended the run.
        deferred_tool_results: Results handed in for calls of the history.

    Raises:
        HistoryInvalid: If the text is no history, with the JSON path of what is wrong.
        NotSupported: If it holds a kind of message or part that is not known.
    """
    document = _parsed(source, name)
    given: JsonObject = {
        'new_from': new_from,
        'output_mode': output_mode,
        'output_tool': output_tool,
        'end_strategy': end_strategy,
        'entry': entry,
        'error': None if error is None else dict(error),
        'deferred_tool_results': None if deferred_tool_results is None else dict(deferred_tool_results),
    }
    known = {**document, **{key: value for key, value in given.items() if value is not None}}
    assumed: list[str] = []
    wire = Wire(PYDANTIC_AI_1_38, name, assumed)
    values = known['messages']
    if not isinstance(values, list) or not values:
        wire.refuse('there are no messages', 'messages', expected='an array of messages', got=str(values)[:60])
    messages = [wire.message(value, f'messages[{index}]') for index, value in enumerate(values)]
    facts = _facts(known, messages, wire, assumed)
    usual = {'entry': 'run', 'end_strategy': 'early', 'output_mode': 'text', 'output_tool': None}
    told = _told(known, messages, facts, wire, assumed)
    recorded = Run(
        name=run,
        agent=run.rsplit('/', 1)[-1].split('#', 1)[0],
        history=tuple(messages[: facts.new_from]),
        nodes=derive_nodes(messages, facts),
        facts={'imported': True, **{key: value for key, value in told.items() if value != usual[key]}},
    )
    return Imported(cassette=Cassette(runs=(recorded,)), assumed=tuple(assumed))


def to_history(cassette: Cassette, run: str | None = None) -> bytes:
    """Give the messages of a run as `all_messages_json()` would.

    Args:
        cassette: Where the run is.
        run: Its name; None if the cassette has just one.

    Raises:
        HistoryInvalid: If there is no run of that name, or if it takes a name to tell which is meant.
    """
    found = [item for item in cassette.runs if run is None or item.name == run]
    if len(found) != 1:
        raise HistoryInvalid(
            'no run of that name' if run is not None else 'which run?',
            expected=f'one of {", ".join(item.name for item in cassette.runs)}' if cassette.runs else 'a run',
            got=run or 'no name',
        )
    return dumps(cast('Json', found[0].messages))


def _parsed(source: str | bytes, name: str) -> JsonObject:
    """Parse a history; a bare array is one without facts."""
    try:
        value = loads(source)
    except CanonError as error:
        raise HistoryInvalid(
            f'the history cannot be read: {error}',
            expected='a JSON array of messages, or an object with messages',
            where=Where(cassette=name),
        ) from None
    document: JsonObject = {'messages': value} if isinstance(value, list) else value if isinstance(value, dict) else {}
    unknown = [key for key in document if key not in {'messages', *FACTS}]
    if 'messages' not in document or unknown:
        raise HistoryInvalid(
            f'unknown key {unknown[0]!r}' if unknown else 'this is no history',
            expected=f'an array of messages, or an object of messages and any of {", ".join(FACTS)}',
            got=unknown[0] if unknown else 'no messages',
            where=Where(cassette=name, field=unknown[0] if unknown else None),
        )
    return document


def _facts(known: JsonObject, messages: list[JsonObject], wire: Wire, assumed: list[str]) -> Facts:
    """Check the facts that decide about nodes, and assume those that are not given."""
    new_from = known.get('new_from')
    if new_from is None:
        new_from = _own_part(messages)
        how = 'where the run id of the last message begins' if new_from else 'all messages are of this run'
        assumed.append(f'no new_from given: assumed {new_from} ({how}).')
    if type(new_from) is not int or not 0 <= new_from <= len(messages):
        wire.refuse(
            'new_from is no index of a message', 'new_from', expected=f'0 to {len(messages)}', got=str(new_from)
        )
    entry = _choice(known, 'entry', ENTRIES, wire) or 'run'
    if 'entry' not in known:
        assumed.append('no entry given: assumed run.')
    deferred = known.get('deferred_tool_results')
    if deferred is not None and not isinstance(deferred, dict):
        wire.refuse('deferred tool results are no object', 'deferred_tool_results', expected='an object', got='another')
    return Facts(
        new_from=new_from,
        entry=entry,
        output_tool=_optional_text(known, 'output_tool', wire) or output_tool_of(messages[new_from:]),
        error=_error(known.get('error'), wire),
        deferred=deferred,
    )


def _told(known: JsonObject, messages: list[JsonObject], facts: Facts, wire: Wire, assumed: list[str]) -> JsonObject:
    """The facts that stand on the run."""
    end_strategy = _choice(known, 'end_strategy', _END_STRATEGIES, wire)
    output_mode = _choice(known, 'output_mode', _OUTPUT_MODES, wire)
    closed = facts.error is None and closes(messages, facts.new_from, facts.output_tool)
    if end_strategy is None:
        assumed.append('no end_strategy given: assumed early.')
    if output_mode is None:
        output_mode = 'tool' if closed else 'text'
        assumed.append(f'no output_mode given: assumed {output_mode}.')
    if known.get('output_tool') is None and facts.output_tool is not None:
        assumed.append(f'no output_tool given: assumed {facts.output_tool}, which the closing request names.')
    if facts.error is None and messages[-1]['kind'] == 'request' and not closed:
        assumed.append('no error given, and the last request was never answered: assumed that the run was left there.')
    return {
        'entry': facts.entry,
        'end_strategy': end_strategy or 'early',
        'output_mode': output_mode,
        'output_tool': facts.output_tool,
    }


def _own_part(messages: list[JsonObject]) -> int:
    """Index from which all messages carry the run id of the last one; 0 if it has none."""
    own = messages[-1]['run_id']
    index = len(messages)
    while own is not None and index and messages[index - 1]['run_id'] == own:
        index -= 1
    return index if own is not None else 0


def _choice(known: JsonObject, key: str, allowed: tuple[str, ...], wire: Wire) -> str | None:
    value = known.get(key)
    if value is not None and (not isinstance(value, str) or value not in allowed):
        wire.refuse(f'unknown {key}', key, expected=f'one of {", ".join(allowed)}', got=str(value)[:60])
    return value


def _optional_text(known: JsonObject, key: str, wire: Wire) -> str | None:
    value = known.get(key)
    if value is not None and not isinstance(value, str):
        wire.refuse(f'{key} is no text', key, expected='text', got=str(value)[:60])
    return value


def _error(value: Json, wire: Wire) -> Raised | None:
    if value is None:
        return None
    kind, message = (value.get('type'), value.get('message', '')) if isinstance(value, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(message, str):
        wire.refuse('no error', 'error', expected='an object with type and message', got=str(value)[:60])
    return Raised(type=kind, message=message)
