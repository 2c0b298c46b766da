"""The nodes that a run must have had, from its messages and the few facts that they do not tell."""

from dataclasses import dataclass, replace

from replay.canon import Json, JsonObject
from replay.cassette import Node, Raised

CLOSING_TEXTS = frozenset(
    {
        'Final result processed.',
        'Output tool not used - a final result was already processed.',
        'Tool not executed - a final result was already processed.',
        'Output tool not used - output failed validation.',
    }
)
"""Contents of a closing request that nothing else has, as in pydantic-ai 1.38."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the messages of a run do not tell of it."""

    new_from: int
    """Index of the first new message."""
    entry: str = 'run'
    output_tool: str | None = None
    error: Raised | None = None
    deferred: JsonObject | None = None
    """Results handed in for calls of the history."""


def derive_nodes(messages: list[JsonObject], facts: Facts) -> tuple[Node, ...]:
    """Tell the nodes of a run.

    A request was made by a `ModelRequestNode`, a response taken by a `CallToolsNode`, or, the last one of
    `run_stream`, by `SetFinalResult`. A last request that closes an output tool follows `End`. A run that ended in an
    error has it on its last node and no `End`; so has one that was left with an open request, without the error.
    """
    history, new = messages[: facts.new_from], messages[facts.new_from :]
    first = Node(kind='UserPromptNode', facts={'deferred_tool_results': facts.deferred} if facts.deferred else {})
    nodes = [first, *_resumed(history, new)]
    closing = new[-1:] if facts.error is None and closes(messages, facts.new_from, facts.output_tool) else []
    for message in new[: len(new) - len(closing)]:
        kind = 'ModelRequestNode' if message['kind'] == 'request' else 'CallToolsNode'
        nodes.append(Node(kind=kind, message=message))
    if facts.error is not None:
        return (*nodes[:-1], replace(nodes[-1], raised=facts.error))
    if nodes[-1].kind != 'CallToolsNode':
        return tuple(nodes)
    if facts.entry.startswith('run_stream') and facts.entry != 'run_stream_events':
        nodes[-1] = replace(nodes[-1], kind='SetFinalResult')
    return (*nodes, Node(kind='End', then=tuple(closing)))


def closes(messages: list[JsonObject], new_from: int, output_tool: str | None) -> bool:
    """Whether the last message is a request that closes the calls of an output tool."""
    if len(messages) - new_from < 2 or messages[-1]['kind'] != 'request' or messages[-2]['kind'] != 'response':
        return False
    if output_tool is not None and any(part.get('tool_name') == output_tool for part in calls_of(messages[-2])):
        return True
    answered = {str(part.get('tool_call_id')) for part in parts_of(messages[-1], 'tool-return', 'retry-prompt')}
    if any(call.get('tool_call_id') not in answered for call in calls_of(messages[-2])):
        return True  # no request is sent while a call is open: the run ended by putting it off
    contents = [part.get('content') for part in parts_of(messages[-1], 'tool-return')]
    return any(isinstance(content, str) and content in CLOSING_TEXTS for content in contents)


def output_tool_of(messages: list[JsonObject]) -> str | None:
    """The output tool that a closing request tells, if there is one."""
    for part in parts_of(messages[-1], 'tool-return') if messages else []:
        if part.get('content') == 'Final result processed.':
            return str(part.get('tool_name'))
    return None


def calls_of(message: JsonObject) -> list[JsonObject]:
    """The calls of a response to tools of the agent."""
    return parts_of(message, 'tool-call')


def parts_of(message: JsonObject, *kinds: str) -> list[JsonObject]:
    """The parts of a message that are of some kind, in order."""
    parts: Json = message['parts']
    found = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [part for part in found if part.get('part_kind') in kinds]


def _resumed(history: list[JsonObject], new: list[JsonObject]) -> list[Node]:
    """The node that takes up the last message of the history, if one does."""
    if not history:
        return []
    last = history[-1]
    if last['kind'] == 'request':
        return [] if new and new[0]['kind'] == 'request' else [_again('ModelRequestNode', last)]
    if not new or _goes_on(new[0]):
        return [_again('CallToolsNode', last)]
    return []


def _goes_on(message: JsonObject) -> bool:
    """Whether a first new message follows from the last response of the history, not from a prompt."""
    if message['kind'] != 'request':
        return False
    if not message['parts']:
        return message['instructions'] is None
    return bool(parts_of(message, 'tool-return', 'retry-prompt'))


def _again(kind: str, message: JsonObject) -> Node:
    return Node(kind=kind, message=message, from_history=True)
