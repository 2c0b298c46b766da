"""The tool calls of a response and what came of them, where the next request tells it.

A cassette says a tool's outcome once: in the part of the next request that carries it. Only what that part cannot tell
(a deferral, an error, extra user content, a result that the user edited away) stands on the node itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from .canon import Json, JsonObject
from .cassette import Node, ToolResult

_KIND_OF_PART = {'tool-return': 'return', 'retry-prompt': 'retry'}


def parts_of(message: JsonObject | None) -> list[JsonObject]:
    """Parts of a wire message, in order; none if there is no message."""
    parts: Any = message['parts'] if message else []  # a cast is a call, and this is asked several times for each node
    return parts


def calls_of(response: JsonObject | None) -> list[JsonObject]:
    """Calls of function and output tools in a response, in call order. An index into them names a call."""
    return [part for part in parts_of(response) if part['part_kind'] == 'tool-call']


def places(calls: Sequence[JsonObject], some: Sequence[JsonObject]) -> list[int]:
    """Find some of the calls of a response again among all of them.

    Args:
        calls: All calls of a response, in call order.
        some: Calls out of them, with at least name and id, in any order.

    Returns:
        The index of each, in the order of `some`; equal calls get theirs in call order, unknown ones get -1.
    """
    if len(calls) == len(some) and all(map(_named_alike, calls, some)):
        return list(range(len(calls)))
    free = list(range(len(calls)))
    found: list[int] = []
    for call in some:
        place = next((i for i in free if _named_alike(calls[i], call)), -1)
        if place >= 0:
            free.remove(place)
        found.append(place)
    return found


def told(
    response: JsonObject | None, following: JsonObject | None, types: Mapping[str, Json] | None = None
) -> dict[int, ToolResult]:
    """Read the outcomes of calls off the message that follows the response.

    Args:
        response: The response that made the calls.
        following: That message.
        types: The type marks of its node.

    Returns:
        Outcomes by call index; calls that the message does not answer are absent.
    """
    answers = [part for part in parts_of(following) if part['part_kind'] in _KIND_OF_PART]
    found: dict[int, ToolResult] = {}
    for index, call in enumerate(calls_of(response)):
        part = _taken(answers, call)
        if part is not None:
            kind = 'retry' if part.get('outcome') == 'retried' else _KIND_OF_PART[cast('str', part['part_kind'])]
            found[index] = ToolResult(kind=kind, content=part['content'], metadata=part.get('metadata'))
            if types:
                found[index] = replace(found[index], types=_types_at(f'parts/{_place(part, following)}/', types))
    return found


def told_in_order(
    recorded: JsonObject | None, made: JsonObject | None, some: Sequence[JsonObject], following: JsonObject | None
) -> dict[int, ToolResult] | None:
    """The same as `told`, the quick way: for all calls of a response, answered in their order.

    Args:
        recorded: The response as it was recorded.
        made: The response that made the calls.
        some: Those of its calls that run.
        following: The message that follows the recorded response.

    Returns:
        None if that is not how it is.
    """
    calls, live, parts = calls_of(recorded), parts_of(made), parts_of(following)
    if not len(calls) == len(live) == len(some) <= len(parts):
        return None
    found: dict[int, ToolResult] = {}
    for index, (call, one, other) in enumerate(zip(calls, live, some, strict=True)):
        part = parts[index]
        answers: Any = part['part_kind']
        kind = 'retry' if part.get('outcome') == 'retried' else _KIND_OF_PART.get(answers)
        call_id, name = call['tool_call_id'], call['tool_name']
        if kind is None or part['tool_call_id'] != call_id or part['tool_name'] != name:
            return None
        if one['tool_call_id'] != call_id or one['tool_name'] != name:
            return None
        if other is not one and not _named_alike(other, call):
            return None
        found[index] = ToolResult(kind=kind, content=part['content'], metadata=part.get('metadata'))
    return found


def typed_parts(
    response: JsonObject | None, following: JsonObject | None, results: Mapping[int, ToolResult]
) -> JsonObject:
    """The type marks of outcomes that the following message tells, as marks of its node.

    Args:
        response: The response that made the calls.
        following: The message.
        results: All outcomes, by call index.
    """
    found: JsonObject = {}
    answers = [part for part in parts_of(following) if part['part_kind'] in _KIND_OF_PART]
    known = told(response, following)
    for index, result in sorted(results.items()):
        if result.types and known.get(index) == replace(result, types={}):
            call = calls_of(response)[index]
            part = next(part for part in answers if _named_alike(part, call))
            answers.remove(part)
            found.update({f'parts/{_place(part, following)}/{path}': name for path, name in result.types.items()})
    return found


def caller(node: Node, later: Sequence[Node]) -> tuple[Node, Sequence[Node]]:
    """The node whose calls run while a node does, and the nodes after it.

    That is the node itself, but where its stream has ended in the result: then it is the node that holds the response.
    """
    if node.kind == 'ModelRequestNode' and later and later[0].kind == 'SetFinalResult':
        return later[0], later[1:]
    return node, later


def results_of(
    response: JsonObject | None,
    node: Node,
    message: JsonObject | None,
    *,
    types: Mapping[str, Json] | None = None,
    imported: bool = False,
) -> dict[int, ToolResult]:
    """All outcomes that are known of the calls of a response, by call index.

    Args:
        response: The response that made the calls.
        node: The `CallToolsNode` that ran them.
        message: The message that was made next.
        types: The type marks of its node.
        imported: Whether the run is an imported history, in which user content of tools stands in the message alone.
    """
    found = {**told(response, message, types), **node.results}
    if not imported:
        return found
    contents = [part['content'] for part in parts_of(message) if part['part_kind'] == 'user-prompt']
    left = [index for index, result in sorted(found.items()) if result.kind == 'return']
    for content in contents:
        owner = next((index for index in left if _belongs(content, found[index])), next(iter(left), None))
        if owner is None:
            break  # more prompts than tools: the run's own
        left = [index for index in left if index > owner]
        found[owner] = replace(found[owner], user_content=content)
    return found


def arrivals(response: JsonObject | None, message: JsonObject | None) -> list[int]:
    """Indexes of the answered calls of a response, in the order of the times that their answers carry."""
    answers = [part for part in parts_of(message) if part['part_kind'] in _KIND_OF_PART]
    where = places(calls_of(response), answers)
    times = {place: cast('str', part['timestamp']) for place, part in zip(where, answers, strict=True) if place >= 0}
    return sorted(sorted(times), key=times.__getitem__)


def untold(
    response: JsonObject | None,
    following: JsonObject | None,
    results: Mapping[int, ToolResult],
    *,
    marked: bool = False,
) -> dict[int, ToolResult]:
    """Keep only those outcomes that the following message and the marks of its node do not tell."""
    known = told(response, following, typed_parts(response, following, results) if marked else None)
    return {index: result for index, result in sorted(results.items()) if known.get(index) != result}


class _HoldsRequest(Protocol):
    """A node, recorded or being recorded."""

    @property
    def kind(self) -> str: ...
    @property
    def message(self) -> JsonObject | None: ...
    @property
    def then(self) -> tuple[JsonObject, ...]: ...


def following(nodes: Sequence[_HoldsRequest]) -> JsonObject | None:
    """The request that tells what tools gave: that of the next node, or the closing request of an `End`.

    Args:
        nodes: The nodes after the one whose calls ran, in order.
    """
    if not nodes:
        return None
    return nodes[0].message if nodes[0].kind == 'ModelRequestNode' else next(iter(nodes[0].then), None)


def _taken(answers: list[JsonObject], call: JsonObject) -> JsonObject | None:
    """Take the first answer to a call out of those that are left."""
    for place, part in enumerate(answers):
        if _named_alike(part, call):
            return answers.pop(place)
    return None


def _place(part: JsonObject, message: JsonObject | None) -> int:
    return next(index for index, one in enumerate(parts_of(message)) if one is part)


def _types_at(place: str, types: Mapping[str, Json]) -> JsonObject:
    return {path.removeprefix(place): name for path, name in types.items() if path.startswith(place)}


def _named_alike(one: JsonObject, other: JsonObject) -> bool:
    return one.get('tool_call_id') == other.get('tool_call_id') and one.get('tool_name') == other.get('tool_name')


def _belongs(content: Json, result: ToolResult) -> bool:
    """Whether user content holds the files that a return refers to by their identifiers."""
    first = content[0] if isinstance(content, list) and content else None
    name = first.removeprefix('This is file ').removesuffix(':') if isinstance(first, str) else None
    returned = result.content if isinstance(result.content, list) else [result.content]
    return name is not None and f'See file {name}' in returned
