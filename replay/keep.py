"""The keep rule: what only a provider or a clock churns is no change of a recording.

A new recording is laid beside the old one, node by node. Where a node says the same, the old provider ids, times,
signatures, usage and stream cuts stay; values that were minted anew are written as they were. Text, arguments, results,
finish reasons and errors are content: what differs there is new, and only that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import cast

from . import logical
from .calls import calls_of, parts_of
from .canon import Json, JsonObject, dumps
from .cassette import CUT, Attempt, Cassette, Definition, Node, Run, ToolResult
from .codec import CHURN, MESSAGE_CHURN
from .exchange import Exchange, definition_fields, definition_with, respelt_definition
from .minted import pieces
from .streams import Stream, assembled, ending, response_to

__all__ = ('kept',)

_OWN = frozenset({'timestamp', 'run_id'})
_OF_PART = {'request': frozenset({'timestamp', 'tool_call_id'}), 'response': frozenset(CHURN)}
_OF_ANY_PART = frozenset[str]().union(*_OF_PART.values())
_OF_MESSAGE = {'request': _OWN, 'response': _OWN | frozenset(MESSAGE_CHURN)}


def kept(old: Cassette, new: Cassette) -> Cassette:
    """Write a new recording in the words of the old one, as far as it says the same.

    Args:
        old: What was recorded before.
        new: What was recorded now.

    Returns:
        The new recording; equal to the old one, `recorded` apart, if nothing but churn differs.
    """
    keeper = _Keeper(old, new)
    return replace(new, wire=old.wire, runs=tuple(map(keeper.run, new.runs)))


@dataclass(slots=True)
class _Pair:
    """A run and the one that it was before."""

    old: Run
    new: Run
    nodes: dict[int, int] = field(default_factory=dict[int, int])
    """Indexes of nodes that say the same: new to old."""


class _Keeper:
    """Knows what stands for what in two recordings."""

    def __init__(self, old: Cassette, new: Cassette) -> None:
        values = [str(one['value']) for run in old.runs for one in run.minted.values()]
        fresh = {str(one['value']) for run in new.runs for one in run.minted.values()}
        noted = {piece.key for value in fresh for piece in pieces(value)}
        imported = any('imported' in run.facts for run in new.runs)  # nobody saw what was minted in it
        self._exchange = Exchange(values, is_constant=lambda piece: not imported and piece.key not in noted)
        self._minted = noted | {piece.key for value in values for piece in pieces(value)}
        self._ids: dict[str, str] = {}
        before = {run.name: run for run in old.runs}
        self._pairs = {run.name: self._paired(before[run.name], run) for run in new.runs if run.name in before}
        self._drop_clashes(new)
        self._made: dict[bytes, JsonObject] = {}  # messages by what they were, for those that are told again

    def run(self, new: Run) -> Run:
        """Write one run."""
        pair = self._pairs.get(new.name) or _Pair(Run(name=new.name, agent=new.agent), new)
        old = pair.old
        history = tuple(
            self._told_again(message, old.history[index] if index < len(old.history) else None)
            for index, message in enumerate(new.history)
        )
        nodes = [self._node(node, pair, index) for index, node in enumerate(new.nodes)]
        nodes = [self._with_stream(nodes, pair, index) for index in range(len(nodes))]
        found = replace(new, history=history, nodes=tuple(nodes), facts=self._facts(new.facts, old.facts))
        return replace(found, minted=self._noted(found, old))

    # -- what stands for what

    def _paired(self, old: Run, new: Run) -> _Pair:
        pair = _Pair(old, new)
        before, after = ([self._signature(node) for node in run.nodes] for run in (old, new))
        pair.nodes = _aligned(before, after)
        for was, now in zip(old.history, new.history, strict=False):
            self._exchange.respelt(cast('Json', parts_of(was)), cast('Json', parts_of(now)))
        for after_at, before_at in pair.nodes.items():
            self._learn(old.nodes[before_at], new.nodes[after_at])
        for was, now in _changed(pair):
            self._learn_parts(was, now)
        mine, its = _run_id(new), _run_id(old)
        if mine is not None and its is not None:
            self._ids[mine] = its
        return pair

    def _learn(self, old: Node, new: Node) -> None:
        """Take note of the ids and minted values of two nodes that say the same."""
        for was, now in zip(_messages(old), _messages(new), strict=False):
            self._exchange.respelt(was, now)
            if was.get('kind') == 'response':
                self._ids.update(_ids_of(zip(parts_of(was), parts_of(now), strict=True)))
        for was, now in zip(_unheard(old), _unheard(new), strict=False):
            self._learn_aligned(parts_of(was), parts_of(now), ids=True)
        for place, result in new.results.items():
            if (told := old.results.get(place)) is not None:
                self._exchange.respelt(_said(told), _said(result))
        if old.definition is not None and new.definition is not None:
            respelt_definition(self._exchange, old.definition, new.definition)
        if old.stream is not None and new.stream is not None and ending(new.stream) != 'over':
            self._learn_aligned(assembled(old.stream), assembled(new.stream), ids=True)  # perhaps no response has them

    def _learn_parts(self, old: Node, new: Node) -> None:
        """Take note of them in two nodes that differ: of the parts that say the same."""
        for was, now in zip(_messages(old), _messages(new), strict=False):
            self._learn_aligned(parts_of(was), parts_of(now), ids=was.get('kind') == 'response')

    def _learn_aligned(self, old: Sequence[JsonObject], new: Sequence[JsonObject], *, ids: bool) -> None:
        told = [[self._part_signature(part) for part in parts] for parts in (old, new)]
        pairs = [(old[before], new[after]) for after, before in _aligned(*told).items()]
        for was, now in pairs:
            self._exchange.respelt(was, now)
        if ids:
            self._ids.update(_ids_of(pairs))

    def _drop_clashes(self, new: Cassette) -> None:
        """Rename no call to an id that another call has."""
        used = {
            str(part.get('tool_call_id')) for run in new.runs for message in run.messages for part in calls_of(message)
        }
        owners: dict[str, str] = {}
        for mine, its in list(self._ids.items()):
            if owners.setdefault(its, mine) != mine:
                del self._ids[mine]
        while clashes := [mine for mine, its in self._ids.items() if its in used and its not in self._ids]:
            for mine in clashes:
                del self._ids[mine]

    def _signature(self, node: Node) -> bytes:
        """What a node says, without what may churn."""
        messages = [_steady(message) for message in _messages(node)]
        raised = node.raised and [node.raised.type, node.raised.message]
        said = self._blank(cast('Json', messages))
        return dumps([node.kind, node.from_history, said, cast('Json', raised), *([CUT] if node.cut else [])])

    def _part_signature(self, part: JsonObject) -> bytes:
        return dumps(self._blank({key: one for key, one in part.items() if key not in _OF_ANY_PART}))

    def _blank(self, value: Json) -> Json:
        """A value with the shapes of its minted values in their places."""
        if isinstance(value, dict):
            return {key: self._blank(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._blank(one) for one in value]
        if not isinstance(value, str) or not self._minted:
            return value
        for piece in reversed(list(pieces(value))):
            if piece.key in self._minted:
                value = f'{value[: piece.start]}<{piece.shape}>{value[piece.end :]}'
        return value

    # -- writing

    def _node(self, new: Node, pair: _Pair, index: int) -> Node:
        at = pair.nodes.get(index)
        old = None if at is None else pair.old.nodes[at]
        churn = index == 0 or _keeps_stream(pair, index - 1)
        found = replace(
            new,
            message=None if new.message is None else self._message(new.message, old and old.message, churn=churn),
            definition=self._definition(new.definition, old and old.definition),
            results={
                place: replace(
                    result,
                    content=self._exchange.to_recorded(result.content),
                    metadata=self._exchange.to_recorded(result.metadata),
                    user_content=self._exchange.to_recorded(result.user_content),
                )
                for place, result in new.results.items()
            },
            facts=self._facts(new.facts, old.facts if old is not None else {}),
            then=self._messages(new.then, () if old is None else old.then),
            attempts=tuple(self._attempt(one, place, old) for place, one in enumerate(new.attempts)),
        )
        if old is None or old.raised is not None or new.raised is not None or _others_ended(old, new):
            return found
        counted = old.counted if old.counted is not None and new.counted is not None else new.counted
        return replace(found, counted=counted, started=old.started, finished=old.finished)

    def _attempt(self, attempt: Attempt, place: int, old: Node | None) -> Attempt:
        if attempt.response is None:
            return attempt
        was = old.attempts[place].response if old is not None and place < len(old.attempts) else None
        return replace(attempt, response=self._message(attempt.response, was))

    def _messages(self, new: Sequence[JsonObject], old: Sequence[JsonObject]) -> tuple[JsonObject, ...]:
        pairs = ((one, old[index] if index < len(old) else None) for index, one in enumerate(new))
        return tuple(self._message(message, was) for message, was in pairs)

    def _message(self, new: JsonObject, old: JsonObject | None, *, churn: bool = True) -> JsonObject:
        """Write a message; one that says what the old one said has that one's churn, if that may be kept."""
        told = self._renamed(new)
        respelt = cast('JsonObject', told if old is None else self._exchange.respelt(old, told))
        found = respelt if respelt is not told else cast('JsonObject', self._exchange.to_recorded(told))
        if churn and old is not None and dumps(_steady(found)) == dumps(_steady(old)):
            found = _with_churn(found, old)
        self._made[dumps(new)] = found
        return found

    def _told_again(self, message: JsonObject, old: JsonObject | None) -> JsonObject:
        made = self._made.get(dumps(message))
        return self._message(message, old) if made is None else made

    def _definition(self, new: Definition | None, old: Definition | None) -> Definition | None:
        if new is None:
            return None
        found = respelt_definition(self._exchange, old, new)
        if found is old:
            return found
        fields = definition_fields(found)
        told = {name: self._exchange.to_recorded(value) for name, value in fields.items()}
        return found if told == fields else definition_with(found, told)

    def _facts(self, new: JsonObject, old: JsonObject) -> JsonObject:
        found = cast('JsonObject', self._exchange.to_recorded(self._renamed(new, keys=True)))
        for name in ('messages', 'response'):
            if name in new:
                told = cast('list[JsonObject]', new[name] if name == 'messages' else [new[name]])
                was = cast('list[JsonObject]', old.get(name, []) if name == 'messages' else [old.get(name)])
                again = [self._told_again(one, was[at] if at < len(was) else None) for at, one in enumerate(told)]
                found[name] = [*again] if name == 'messages' else again[0]
        return found

    def _with_stream(self, nodes: Sequence[Node], pair: _Pair, index: int) -> Node:
        """Give a node the cuts of the old stream, if the response that it gave is the old one."""
        node = nodes[index]
        if node.stream is None:
            return node
        at = _asked_before(pair, index)
        before = None if at is None else pair.old.nodes[at].stream
        stream = tuple(map(self._renamed, node.stream))
        if at is not None and before is not None and _keeps_stream(pair, index):
            response = _told_by(stream, response_to(node, nodes[index + 1 :]))
            was = _told_by(before, response_to(pair.old.nodes[at], pair.old.nodes[at + 1 :]))
            if dumps(_steady(response)) == dumps(_steady(was)):
                return replace(node, stream=_moved(before, was, response))
        return replace(node, stream=stream)

    def _renamed(self, value: JsonObject, *, keys: bool = False) -> JsonObject:
        return cast('JsonObject', _renamed(value, self._ids, keys=keys))

    def _noted(self, run: Run, old: Run) -> Mapping[str, JsonObject]:
        """Minted values: old ones that are still there, new ones that no old text has as a constant."""
        if not old.minted and not run.minted:
            return run.minted
        text, before = _told(run), _told(old)
        found = {name: one for name, one in old.minted.items() if str(one['value']) in text}
        values = {str(one['value']) for one in old.minted.values()}
        for name, one in run.minted.items():
            value = self._exchange.as_noted(str(one['value']))
            if value not in values and value not in before:
                found[_free(name, found)] = {'value': value, 'by': one['by']}
        return found


# -- helpers


def _told(run: Run) -> str:
    """All that a run tells, as one text: messages, definitions, results that no request has taken up."""
    definitions = {id(node.definition): node.definition for node in run.nodes if node.definition is not None}
    told = [definition_fields(definition) for definition in definitions.values()]
    said = [_said(result) for node in run.nodes for result in node.results.values()]
    return dumps(cast('Json', [*run.messages, *told, *said, run.facts])).decode()


def _messages(node: Node) -> list[JsonObject]:
    return [*([] if node.message is None else [node.message]), *node.then]


def _unheard(node: Node) -> list[JsonObject]:
    """Responses to the request of a node that are no messages of its run: passed over, or too much for a limit."""
    passed_over = [attempt.response for attempt in node.attempts if attempt.response is not None]
    return [*passed_over, *([cast('JsonObject', node.facts['response'])] if 'response' in node.facts else [])]


def _others_ended(old: Node, new: Node) -> bool:
    """Whether other calls had ended when a node was cancelled."""
    return new.cut and sorted(old.finished or ()) != sorted(new.finished or ())


def _said(result: ToolResult) -> Json:
    return [result.content, result.metadata, result.user_content]


def _steady(message: JsonObject) -> JsonObject:
    """A message without what may churn."""
    kind = cast('str', message.get('kind'))
    parts = [{key: one for key, one in part.items() if key not in _OF_PART[kind]} for part in parts_of(message)]
    rest = {key: one for key, one in message.items() if key not in _OF_MESSAGE[kind]}
    return {**rest, 'parts': cast('Json', parts)}


def _with_churn(new: JsonObject, old: JsonObject) -> JsonObject:
    """A message with the churn of the old one; ids of calls and logical times are its own."""
    kind = cast('str', new['kind'])
    names = (_OF_MESSAGE[kind] - _OWN) | {'timestamp'}
    own = _OF_PART[kind] - {'tool_call_id'}
    parts = [_taking(now, was, own) for was, now in zip(parts_of(old), parts_of(new), strict=True)]
    return {**_taking(new, old, names), 'parts': cast('Json', parts)}


def _taking(new: JsonObject, old: JsonObject, names: frozenset[str]) -> JsonObject:
    return {
        key: old[key] if key in names and key in old and not (_is_logical(one) or _is_logical(old[key])) else one
        for key, one in new.items()
    }


def _is_logical(value: Json) -> bool:
    """Whether a value is a reading of the logical clock: it follows from its place."""
    return isinstance(value, str) and value.startswith(_LOGICAL_DAY)


_LOGICAL_DAY = logical.stamp(0).partition('T')[0] + 'T'


def _aligned(old: Sequence[bytes], new: Sequence[bytes]) -> dict[int, int]:
    """Indexes of what is equal, new to old, in order."""
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return {block.b + step: block.a + step for block in blocks for step in range(block.size)}


def _changed(pair: _Pair) -> Iterator[tuple[Node, Node]]:
    """Nodes of one kind that differ, between the same equal ones, in order: old and new."""
    end = (len(pair.new.nodes), len(pair.old.nodes))
    last = (-1, -1)
    for now, was in (*pair.nodes.items(), end):
        between = pair.old.nodes[last[1] + 1 : was], pair.new.nodes[last[0] + 1 : now]
        yield from ((one, other) for one, other in zip(*between, strict=False) if one.kind == other.kind)
        last = (now, was)


def _asked_before(pair: _Pair, index: int) -> int | None:
    """Index of the old node that asked for what a new one asked for, or else for the response that it was given."""
    at, answer = pair.nodes.get(index), pair.nodes.get(index + 1)
    return at if at is not None else answer - 1 if answer else None


def _keeps_stream(pair: _Pair, index: int) -> bool:
    """Whether the old stream can stand for that of a node, if it has one; only with it old churn agrees."""
    stream, at = pair.new.nodes[index].stream, _asked_before(pair, index)
    before = None if at is None else pair.old.nodes[at].stream
    return stream is None or (before is not None and before[-1] == stream[-1])


def _ids_of(pairs: Iterable[tuple[JsonObject, JsonObject]]) -> dict[str, str]:
    """Ids of the calls in parts, old and new: new to old; those that are made from the run's name stay."""
    ids = ((part.get('tool_call_id'), was.get('tool_call_id')) for was, part in pairs)
    return {now: was for now, was in ids if isinstance(now, str) and isinstance(was, str) and not _is_made(now, was)}


def _is_made(now: str, was: str) -> bool:
    return now == was or (now.startswith('pyd_ai_') and was.startswith('pyd_ai_'))


def _run_id(run: Run) -> str | None:
    """The id of a run that is not made from its name: that of an imported one."""
    found = next((one for message in run.new_messages if isinstance(one := message.get('run_id'), str)), None)
    return None if found == logical.run_id(run.name) else found


def _renamed(value: Json, ids: Mapping[str, str], *, keys: bool) -> Json:
    """Rename the ids of calls and runs in a message, or, with `keys`, wherever they stand."""
    if isinstance(value, dict):
        return {
            ids.get(key, key) if keys else key: ids.get(one, one)
            if isinstance(one, str) and (keys or key in {'tool_call_id', 'run_id'})
            else _renamed(one, ids, keys=keys)
            for key, one in value.items()
        }
    return [_renamed(one, ids, keys=keys) for one in value] if isinstance(value, list) else value


def _told_by(stream: Stream, response: JsonObject | None) -> JsonObject:
    """The response of a stream; where it broke off and left none, the parts that came."""
    return response or {'kind': 'response', 'parts': cast('Json', assembled(stream))}


def _moved(stream: Stream, old: JsonObject, new: JsonObject) -> Stream:
    """The old stream with the time and the ids that its response has now."""
    ids = {
        was: now
        for one, other in zip(parts_of(old), parts_of(new), strict=True)
        if isinstance(was := one.get('tool_call_id'), str) and isinstance(now := other.get('tool_call_id'), str)
    }
    moved = [cast('JsonObject', _renamed(entry, ids, keys=False)) for entry in stream]
    time = old.get('timestamp')
    return tuple(
        {**entry, 'timestamp': new.get('timestamp')} if 'timestamp' in entry and entry['timestamp'] == time else entry
        for entry in moved
    )


def _free(name: str, taken: Mapping[str, object]) -> str:
    """A name of this kind that is free."""
    kind = name.rpartition('-')[0]
    number = 1
    while f'{kind}-{number}' in taken:
        number += 1
    return f'{kind}-{number}'
