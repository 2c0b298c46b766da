"""A recording of one library version as another one would have made it: the same short form, read by another table."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import cast

from replay import logical
from replay.canon import Json, JsonObject, dumps, own
from replay.cassette import Cassette, Node, Run
from replay.errors import CassetteDamaged, CassetteInconsistent, NotRestorable, ReplayError, Where
from replay.shapes import TABLES, Shape, Table, narrowed, unknown_keys

from ._faults import Place
from ._read import read_cassette
from ._write import MisfitError, pack_cassette

_Change = Callable[[JsonObject], JsonObject]

_OF_RETRY = frozenset({'outcome', 'retry'})
"""Keys of a result that tell that its call is to be made again, where that is no part of another kind."""


class OtherVersion(ReplayError):  # noqa: N818, named for what is wrong, as its kin
    """A recording tells what messages of the library version that replays it cannot.

    Args:
        run: Name of the run.
        wire: Table that it was written with.
        to: Table of the version that replays.
        error: What does not fit.
    """

    def __init__(self, run: str, wire: str, to: str, error: Exception) -> None:
        super().__init__(
            f'a recording with messages of {wire} does not mean the same under {to}',
            expected=f'what messages of {to} can say',
            got=str(error),
            where=Where(run=run),
            next=(f'replay it with the version that wrote it ({wire})', 'or record it anew with the one that is here'),
        )
        self.wire = wire
        self.to = to


def as_version(run: Run, *, wire: str, to: str) -> Run:
    """Read a run as another library version would have written it.

    What goes without saying in the one goes without saying in the other; so keys that only one of them knows count
    only where they say something.

    Args:
        run: The run.
        wire: Table of the version that wrote it.
        to: Table of the version that replays it.

    Returns:
        The run itself where there is nothing to change, or nothing is known of a table.

    Raises:
        OtherVersion: If it says what the other version cannot.
    """
    if wire == to or wire not in TABLES or to not in TABLES:
        return run
    source, target = TABLES[wire], TABLES[to]
    unknown = unknown_keys(to, wire)
    untold = {**unknown, 'tool-return': unknown.get('tool-return', frozenset()) - _OF_RETRY}

    def known(message: JsonObject) -> JsonObject:
        if 'state' in unknown.get(str(message.get('kind')), ()) and message.get('state', 'complete') != 'complete':
            raise MisfitError(f'a {message["kind"]} in the state {message["state"]!r}')
        return narrowed(message, untold)

    try:
        bare = Cassette(wire=wire, runs=(_changed(run, known),))
        document = cast('JsonObject', own(dumps(pack_cassette(bare, _without(source, untold)))))
        _retell(cast('list[JsonObject]', document['runs'])[0], target)
        read = read_cassette({**document, 'wire': to}, Place(wire)).runs[0]
        return _with_facts(read, lambda message: _whole(known(message), target))
    except (CassetteDamaged, CassetteInconsistent, NotRestorable, MisfitError) as error:
        raise OtherVersion(run.name, wire, to, error) from None


def _changed(run: Run, change: _Change) -> Run:
    """A run with each of its messages changed; those in facts stay."""

    def node(node: Node) -> Node:
        attempts = tuple(
            one if one.response is None else replace(one, response=change(one.response)) for one in node.attempts
        )
        message = None if node.message is None else change(node.message)
        return replace(node, message=message, attempts=attempts, then=tuple(map(change, node.then)))

    return replace(run, history=tuple(map(change, run.history)), nodes=tuple(map(node, run.nodes)))


def _with_facts(run: Run, change: _Change) -> Run:
    """A run with the messages changed that its facts hold, and without those that its nodes tell as well."""

    def value(value: Json) -> Json:
        if isinstance(value, list):
            return [change(one) if _is_message(one) else one for one in cast('list[JsonObject]', value)]
        return facts(value) if isinstance(value, dict) else value

    def facts(told: Mapping[str, Json]) -> JsonObject:
        return {name: value(item) for name, item in told.items()}

    nodes = tuple(replace(node, facts=facts(node.facts)) if node.facts else node for node in run.nodes)
    changed = replace(run, facts=facts(run.facts), nodes=nodes)
    if changed.facts.get('messages') == run.messages:
        return replace(changed, facts={name: item for name, item in changed.facts.items() if name != 'messages'})
    return changed


def _is_message(value: Json) -> bool:
    return isinstance(value, dict) and value.get('kind') in {'request', 'response'} and 'parts' in value


def _without(table: Table, unknown: Mapping[str, Collection[str]]) -> Table:
    """A table without some keys, given by kind."""

    def shapes(kinds: Mapping[str, Shape]) -> dict[str, Shape]:
        return {kind: shape(found, unknown.get(kind, ())) for kind, found in kinds.items()}

    def shape(old: Shape, keys: Collection[str]) -> Shape:
        usual = {key: value for key, value in old.usual.items() if key not in keys}
        first, extra = (tuple(key for key in side if key not in keys) for side in (old.keys, old.extra))
        return Shape(first, usual, extra)

    return replace(
        table,
        messages=shapes(table.messages),
        request_parts=shapes(table.request_parts),
        response_parts=shapes(table.response_parts),
        usage=shape(table.usage, unknown.get('usage', ())),
    )


def _retell(packed: JsonObject, target: Table) -> None:
    """Say in a packed run what the other version says in other parts, and what it has a place for in its history."""
    nodes = cast('list[JsonObject]', packed['nodes'])
    history = [one for one in _listed(packed.get('history')) if 'parts' in one]
    for message in [*history, *nodes, *(one for node in nodes for one in _listed(node.get('then')))]:
        if isinstance(message.get('parts'), list):
            message['parts'] = [_retold(part, target) for part in _listed(message['parts'])]
    made_up = logical.call_id(cast('str', packed['run']), 1)  # the id of a retry of no tool, which nothing refers to
    for message in history:
        for part in _listed(message['parts']):
            if part.get('part') == 'retry-prompt':
                part.setdefault('tool_call_id', made_up)
        for key in target.messages[cast('str', message['kind'])].keys:
            if key in {'timestamp', 'run_id'}:
                message.setdefault(key, None)


def _listed(value: Json) -> list[JsonObject]:
    return cast('list[JsonObject]', value) if isinstance(value, list) else []


def _retold(part: JsonObject, target: Table) -> JsonObject:
    """A packed part that asks for a retry, in the kind of part that the other version has for that."""
    kind, feedback = part.get('part'), 'retry-feedback' in target.request_parts
    rest = {key: value for key, value in part.items() if key not in {'part', *_OF_RETRY}}
    if feedback and kind == 'retry-prompt' and part.get('tool_name') is not None:
        return {'part': 'tool-return', **rest, 'outcome': 'retried'}
    if feedback and kind == 'retry-prompt':
        return {'part': 'retry-feedback', **{key: rest[key] for key in rest if key != 'tool_call_id'}, 'retry': None}
    if kind == 'retry-prompt' and isinstance(part.get('tool_call_id'), int):  # generated ones are counted anew
        return {key: value for key, value in part.items() if key != 'tool_call_id'}
    if not feedback and (kind == 'retry-feedback' or part.get('outcome') == 'retried'):
        return {'part': 'retry-prompt', **rest}
    lost = _OF_RETRY - {*target.request_parts['tool-return'].keys} if kind == 'tool-return' else ()
    return {key: value for key, value in part.items() if key not in lost}


def _whole(message: JsonObject, target: Table) -> JsonObject:
    """A message with all keys of the other version in its order."""

    def filled(value: JsonObject, shape: Shape) -> JsonObject:
        known = {key: value.get(key, shape.usual.get(key)) for key in shape.keys}
        return known | {key: value[key] for key in shape.extra if key in value}

    kinds = target.request_parts if message['kind'] == 'request' else target.response_parts
    whole = filled(message, target.messages[cast('str', message['kind'])])
    parts = [_part(part, target) for part in _listed(message['parts'])]
    if unknown := [part['part_kind'] for part in parts if part['part_kind'] not in kinds]:
        raise MisfitError(f'part of kind {unknown[0]!r}')
    whole['parts'] = [filled(part, kinds[cast('str', part['part_kind'])]) for part in parts]
    if 'usage' in whole:
        whole['usage'] = filled(cast('JsonObject', whole['usage']), target.usage)
    return whole


def _part(part: JsonObject, target: Table) -> JsonObject:
    """The same of a part that is whole."""
    told = _retold({**part, 'part': part['part_kind']}, target)
    return {**told, 'part_kind': told['part']}
