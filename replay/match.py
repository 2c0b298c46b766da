"""Is this request the recorded one? If it is not: what differs, where, and which change that stands for.

All of it is pure and works on wire JSON. A request is what the model is sent (messages and what goes with them, the
definition); logical times and run ids are apart, everything else counts. Requests are matched by position, never by
"closest", so there is no search here: two values go in, nothing or one divergence comes out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal, TypeAlias, cast

from .canon import Json, JsonObject
from .cassette import Definition, Node
from .errors import ReplayError, Where

Cause: TypeAlias = Literal[
    'instructions',
    'system prompt',
    'user prompt',
    'tool set',
    'tool schema',
    'tool result',
    'builtin tools',
    'output',
    'settings',
    'history',
    'response',
    'error',
    'order',
    'cancellation',
]
"""What kind of change a divergence stands for. The same cause in many tests is one finding."""

NO_ANSWER: tuple[Cause, ...] = ('order', 'error', 'cancellation')
"""Causes that no recorded answer can be kept for: the run does something else altogether."""


Field: TypeAlias = Literal['instructions', 'messages', 'settings', 'tools', 'output']
"""What of a request is compared; built-in tools are `tools`."""

FIELDS: tuple[Field, ...] = ('instructions', 'messages', 'settings', 'tools', 'output')

FIELD_OF: Mapping[Cause, Field] = {
    'instructions': 'instructions',
    'system prompt': 'messages',
    'user prompt': 'messages',
    'tool result': 'messages',
    'history': 'messages',
    'response': 'messages',
    'tool set': 'tools',
    'tool schema': 'tools',
    'builtin tools': 'tools',
    'output': 'output',
    'settings': 'settings',
}
"""The field that a change is one of; an error, or another order of nodes, is always compared."""


class _Absent(str):
    """A text that equals no text of a message: types count in a comparison."""

    __slots__ = ()


ABSENT = _Absent('(absent)')
"""Stands for a value that one side does not have."""

VOLATILE = frozenset({'timestamp', 'run_id', 'conversation_id', 'model_id'})
"""Fields of messages and their parts that a match leaves aside: logical times, ids of runs, who was to answer."""

_CAUSE_OF_PART: Mapping[str, Cause] = {
    'system-prompt': 'system prompt',
    'user-prompt': 'user prompt',
    'tool-return': 'tool result',
    'retry-prompt': 'tool result',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place at which two values differ."""

    cause: Cause
    field: str
    """Path to the place: `parts[0].content`, `tools.get_weather.parameters.required`."""
    recorded: Json
    live: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """A difference and its place: which run, which node."""

    cause: Cause
    field: str
    recorded: Json
    live: Json
    run: str
    agent: str
    node: int
    """Index of the node in the run, from 0."""
    kind: str
    """Kind of the recorded node, or of the live one where the recording has no such node."""

    @property
    def headline(self) -> str:
        """One line that says what changed."""
        if self.cause == 'order':
            return f'order of nodes of {self.agent} changed'
        if self.cause == 'cancellation':
            return f'{self.agent} was not cancelled where its recording was'
        return f'{self.cause} of {self.agent} changed'

    @property
    def place(self) -> str:
        """The node as people write it: `3 ModelRequestNode`."""
        return f'{self.node} {self.kind}'


LIVE_TOOLS = 'to execute the tools, if something depends on more than what they return'
"""Why somebody whose run differs would have its tools executed."""


class Diverged(ReplayError):  # noqa: N818  # named like the other errors of this package
    """A run did something else than its recording.

    Args:
        divergence: What differs, and where.
        cassette: Path of the cassette.
        next: Commands or steps that help.
        unexecuted: Names of tools that were called before and not executed: what they do may be what is missing.
        versions: The library version that recorded and the one that replays, if they are not the same.
    """

    def __init__(
        self,
        divergence: Divergence,
        *,
        cassette: str | None = None,
        next: tuple[str, ...] = (),
        unexecuted: tuple[str, ...] = (),
        versions: tuple[str, str] | None = None,
    ) -> None:
        details = (('not run', f'{", ".join(unexecuted)} (results are those recorded)'),) if unexecuted else ()
        if versions is not None:
            details += (('versions', f'recorded by {versions[0]}, replayed by {versions[1]}'),)
        super().__init__(
            divergence.headline,
            expected=shown(divergence.recorded),
            got=shown(divergence.live),
            where=Where(cassette=cassette, run=divergence.run, node=divergence.place, field=divergence.field),
            details=details,
            next=next,
        )
        self.divergence = divergence
        self.unexecuted = unexecuted
        self.versions = versions


def shown(value: Json) -> str:
    """A value as text for a report: text as it is, anything else as Python would write it."""
    return value if isinstance(value, str) else repr(value)


def match_messages(recorded: Sequence[JsonObject], live: Sequence[JsonObject], *, first: int = 0) -> Difference | None:
    """Compare what the model was sent with what it would be sent now.

    The last message is the request itself; what stands before it is history.

    Args:
        recorded: Messages of the recording, oldest first.
        live: Messages of this run, oldest first.
        first: Index that the first of them has among all that the model is sent; for the path.

    Returns:
        The first difference, or None if they match.
    """
    if len(recorded) != len(live):
        return Difference(cause='history', field='messages', recorded=_outline(recorded), live=_outline(live))
    for index, (old, new) in enumerate(zip(recorded[:-1], live[:-1], strict=True)):
        found = match_message(old, new)
        if found is not None:
            cause = 'response' if first and new.get('kind') == 'response' else 'history'
            return replace(found, cause=cause, field=f'messages[{first + index}].{found.field}')
    return match_message(recorded[-1], live[-1]) if recorded else None


def match_message(recorded: JsonObject, live: JsonObject) -> Difference | None:
    """Compare two messages, times and run ids apart, and say what kind of change the first difference is."""
    if recorded.get('kind') != live.get('kind'):
        return Difference(cause='order', field='kind', recorded=recorded.get('kind'), live=live.get('kind'))
    rest = {key: value for key, value in recorded.items() if key not in VOLATILE and key != 'parts'}
    rest_now = {key: value for key, value in live.items() if key not in VOLATILE and key != 'parts'}
    found = first_difference(rest, rest_now)
    if found is not None:
        cause: Cause = 'instructions' if found[0] == 'instructions' else 'history'
        return Difference(cause=cause, field=found[0], recorded=found[1], live=found[2])
    return _difference_of_parts(
        cast('list[JsonObject]', recorded.get('parts', [])), cast('list[JsonObject]', live.get('parts', []))
    )


def match_definition(recorded: Definition, live: Definition) -> Difference | None:
    """Compare what goes with a request: instructions, tools, built-in tools, output, settings.

    Returns:
        The first difference in that order, or None if they match.
    """
    return next(definition_differences(recorded, live), None)


def definition_differences(recorded: Definition, live: Definition) -> Iterator[Difference]:
    """Find the first difference of each of these, in that order."""
    if recorded is live:
        return
    if list(recorded.tools) != list(live.tools):
        yield Difference(cause='tool set', field='tools', recorded=list(recorded.tools), live=list(live.tools))
    for cause, name in _DEFINITION_FIELDS:
        old, new = cast('tuple[Json, Json]', (getattr(recorded, name), getattr(live, name)))
        found = first_difference(_listed(old), _listed(new), name)
        if found is not None:
            field, was, now = found
            yield Difference(cause=cause, field=field, recorded=was, live=now)


_DEFINITION_FIELDS: tuple[tuple[Cause, str], ...] = (
    ('instructions', 'instructions'),
    ('tool schema', 'tools'),
    ('builtin tools', 'builtin_tools'),
    ('output', 'output'),
    ('settings', 'settings'),
)


def match_node(recorded: Node | None, kind: str, facts: Mapping[str, Json]) -> Difference | None:
    """Compare the kind of a node, and those facts that the live side states, with the recorded node.

    Args:
        recorded: The node at the same place of the recording; None if the recording ended before.
        kind: Kind of the live node.
        facts: What the live side knows of it.

    Returns:
        The difference, or None if the node is the recorded one.
    """
    if recorded is None or recorded.kind != kind:
        return Difference(cause='order', field='node', recorded=recorded.kind if recorded else ABSENT, live=kind)
    for name, value in facts.items():
        found = first_difference(recorded.facts.get(name), value, name)
        if found is not None:
            field, was, now = found
            return Difference(cause='history', field=field, recorded=was, live=now)
    return None


def locate(difference: Difference, *, run: str, agent: str, node: int, kind: str) -> Divergence:
    """Give a difference its place."""
    return Divergence(
        cause=difference.cause,
        field=difference.field,
        recorded=difference.recorded,
        live=difference.live,
        run=run,
        agent=agent,
        node=node,
        kind=kind,
    )


def first_difference(recorded: Json, live: Json, path: str = '') -> tuple[str, Json, Json] | None:
    """Find the first place at which two JSON values differ. Key order does not count, types do (`1` is not `1.0`).

    Returns:
        Path, recorded value, live value; None if there is no difference.
    """
    if isinstance(recorded, dict) and isinstance(live, dict):
        return _first_of(_pairs_by_key(recorded, live, path))
    if isinstance(recorded, list) and isinstance(live, list):
        return _first_of(_pairs_by_place(recorded, live, path))
    if type(recorded) is type(live) and recorded == live:
        return None
    return path, recorded, live


def merged(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """Join neighbours of one kind, as a run does before it sends a history (as in pydantic-ai 1.38).

    Requests join if their instructions agree, tool results first; responses join only if no model is named.
    """
    found: list[JsonObject] = []
    for message in messages:
        last = found[-1] if found else None
        joined = _joined(last, message) if last is not None and last['kind'] == message['kind'] else None
        if joined is None:
            found.append(message)
        else:
            found[-1] = joined
    return found


def _joined(last: JsonObject, message: JsonObject) -> JsonObject | None:
    parts = [*cast('list[JsonObject]', last['parts']), *cast('list[JsonObject]', message['parts'])]
    if message['kind'] == 'response':
        named = any(side.get(key) is not None for side in (last, message) for key in _NAMES_OF_MODEL)
        return None if named else {**last, 'parts': cast('Json', parts)}
    old, new = last.get('instructions'), message.get('instructions')
    if old and new and old != new:
        return None
    parts.sort(key=lambda part: _CAUSE_OF_PART.get(cast('str', part.get('part_kind'))) != 'tool result')
    joined: JsonObject = {
        'instructions': old or new,
        'timestamp': message.get('timestamp') or last.get('timestamp'),
        'run_id': None,
        'metadata': None,
    }
    return {**last, **{key: value for key, value in joined.items() if key in last}, 'parts': cast('Json', parts)}


_NAMES_OF_MODEL = ('provider_response_id', 'provider_name', 'model_name')


def _difference_of_parts(recorded: Sequence[JsonObject], live: Sequence[JsonObject]) -> Difference | None:
    for index, (old, new) in enumerate(zip_longest(recorded, live)):
        if old is None or new is None:
            one = cast('JsonObject', old if new is None else new)
            return Difference(
                cause=_cause_of(one),
                field=f'parts[{index}]',
                recorded=ABSENT if old is None else cast('Json', old),
                live=ABSENT if new is None else cast('Json', new),
            )
        found = first_difference(_steady(old), _steady(new), f'parts[{index}]')
        if found is not None:
            field, was, now = found
            return Difference(cause=_cause_of(old), field=field, recorded=was, live=now)
    return None


def _steady(part: JsonObject) -> JsonObject:
    return {key: value for key, value in part.items() if key not in VOLATILE}


def _cause_of(part: JsonObject) -> Cause:
    return _CAUSE_OF_PART.get(cast('str', part.get('part_kind')), 'history')


def _outline(messages: Sequence[JsonObject]) -> Json:
    """Messages as the kinds of their parts: enough to see which of them is one too many."""
    return [f'{message.get("kind")}: {", ".join(_kinds(message))}' for message in messages]


def _kinds(message: JsonObject) -> list[str]:
    return [str(part.get('part_kind')) for part in cast('list[JsonObject]', message['parts'])]


def _listed(value: Json) -> Json:
    return list(cast('Sequence[Json]', value)) if isinstance(value, tuple) else value


def _pairs_by_key(recorded: JsonObject, live: JsonObject, path: str) -> Iterator[tuple[str, Json, Json]]:
    for key in [*recorded, *(key for key in live if key not in recorded)]:
        yield f'{path}.{key}' if path else key, recorded.get(key, ABSENT), live.get(key, ABSENT)


def _pairs_by_place(recorded: list[Json], live: list[Json], path: str) -> Iterator[tuple[str, Json, Json]]:
    for index, (old, new) in enumerate(zip_longest(recorded, live, fillvalue=ABSENT)):
        yield f'{path}[{index}]', old, new


def _first_of(pairs: Iterator[tuple[str, Json, Json]]) -> tuple[str, Json, Json] | None:
    for path, old, new in pairs:
        found = first_difference(old, new, path)
        if found is not None:
            return found
    return None
