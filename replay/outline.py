"""What a person decides about in each node of a run, and one line that says it.

Two runs are the same to a reader if texts, arguments, results, finish reasons and errors are the same. What a provider
or a clock churns (times, ids, usage, signatures, provider details, encrypted content) is left out here, tool-call ids
are numbered `#call-1`, `#call-2`, ... in order of appearance, and what holds until it changes (instructions, settings,
tools, model) stands apart from what a node adds. Comparing, showing and reporting all read this one form.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from .canon import CanonError, Json, JsonObject, dumps, loads
from .cassette import CUT, Attempt, Definition, Node, Raised, Run, ToolResult
from .printable import printable, shortened

__all__ = ('Item', 'Outliner', 'compact', 'outline_of', 'raised_line', 'read_args')

TEXT_LIMIT = 60
"""Most characters of a prompt, of arguments or of a result that a line shows."""

_CHURN = frozenset(
    (
        'part_kind',
        'timestamp',
        'tool_call_id',
        'id',
        'signature',
        'provider_name',
        'provider_url',
        'provider_details',
        'identifier',
        'dynamic_ref',
    )
)
"""Keys of parts that are no content: churn, or said in another way."""

_ENCRYPTED = frozenset(('encrypted_content', 'encrypted_index', 'encrypted_stdout'))
"""Keys inside the results of provider-run tools that differ at every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One place in the node sequence of a run, as a reader sees it."""

    kind: str
    """Name of the node, or `history` for a message that was handed in."""
    index: int
    """Number of the node in its run, or of the message among those handed in, from 0."""
    shape: tuple[str, ...]
    """Kinds of its parts with the names of their tools, in order: equal for nodes that do the same with other texts."""
    line: str
    """One safe line that says what it did."""
    content: JsonObject
    """What it adds: parts, errors, facts; no churn."""
    holds: JsonObject
    """What was in force at it, by name: instructions, settings, tools, output, model. Only what is known."""


def outline_of(run: Run) -> list[Item]:
    """Put the node sequence of a run into the form that readers compare.

    Args:
        run: The run; only messages and nodes count, the clock and provider ids do not.

    Returns:
        One item for each message handed in, then one for each node, in order.
    """
    outliner = Outliner()
    items = [outliner.history(index, message) for index, message in enumerate(run.history)]
    items.extend(outliner.node(index, node) for index, node in enumerate(run.nodes))
    return items


class Outliner:
    """Outlines one run item by item, as the run goes on; it numbers the calls."""

    def __init__(self) -> None:
        self._calls = _Calls()

    def history(self, index: int, message: JsonObject) -> Item:
        """Outline a message that was handed in.

        Args:
            index: Its number among those handed in, from 0.
            message: The whole wire message.
        """
        return _history_item(index, message, self._calls)

    def node(self, index: int, node: Node) -> Item:
        """Outline a node.

        Args:
            index: Its number in the run, from 0.
            node: The node; after all that came before it in the run.
        """
        return _node_item(index, node, self._calls)


def compact(value: Json, *, limit: int = TEXT_LIMIT) -> str:
    """Write a value as one safe line of JSON.

    Args:
        value: Any JSON.
        limit: Most characters shown before the line is cut.
    """
    return shortened(printable(dumps(value).decode()), limit=limit)


def raised_line(raised: Raised) -> str:
    """Name an error and its message in one safe line."""
    name = raised.type.rsplit('.', 1)[-1]
    return shortened(printable(f'{name}: {raised.message}' if raised.message else name), limit=2 * TEXT_LIMIT)


def read_args(args: Json) -> Json:
    """Read the arguments of a tool call that were sent as JSON text; spacing is the provider's habit, no content.

    Args:
        args: As the call holds them: an object, JSON text, or None.

    Returns:
        The object, or the text itself if it is not JSON.
    """
    if not isinstance(args, str):
        return args
    try:
        return loads(args)
    except CanonError:
        return args


# --- items ---


def _history_item(index: int, message: JsonObject, calls: '_Calls') -> Item:
    parts = _parts_of(message, calls)
    kind = str(message.get('kind'))
    return Item(
        kind='history',
        index=index,
        shape=(kind, *(part.shape for part in parts)),
        line=f'history {kind}{_listed([part.words for part in parts])}',
        content={'message': kind, **_message_content(message, parts)},
        holds={},
    )


def _node_item(index: int, node: Node, calls: '_Calls') -> Item:
    parts = [part for message in _messages_of(node) for part in _parts_of(message, calls)]
    words = [*map(_attempt_words, node.attempts), *(part.words for part in parts)]
    if 'output' in node.facts:
        words.append(f'output {compact(node.facts["output"])}')
    words.extend(f'{result.kind} of call {number}' for number, result in node.results.items())
    ending = f' !! {raised_line(node.raised)}' if node.raised else ' !! cancelled' if node.cut else ''
    return Item(
        kind=node.kind,
        index=index,
        shape=tuple(part.shape for part in parts),
        line=f'{node.kind}{_listed(words)}{ending}',
        content=_node_content(node, parts),
        holds=_holds(node),
    )


def _messages_of(node: Node) -> Sequence[JsonObject]:
    """The messages that a node appended; that of a `UserPromptNode` is shown by the request that sends it."""
    own = () if node.message is None or node.kind == 'UserPromptNode' else (node.message,)
    return (*own, *node.then)


def _message_content(message: JsonObject, parts: Sequence['_Part']) -> JsonObject:
    found: JsonObject = {'parts': [part.content for part in parts]} if parts else {}
    for key in ('finish_reason', 'metadata'):
        if message.get(key) is not None:
            found[key] = message[key]
    return found


def _node_content(node: Node, parts: Sequence['_Part']) -> JsonObject:
    found: JsonObject = {}
    for message in _messages_of(node):
        found.update(_message_content(message, parts))
    for key, order in (('started', node.started), ('finished', node.finished)):
        if order is not None:
            found[key] = list(order)
    if node.attempts:
        found['attempts'] = [_attempt(attempt) for attempt in node.attempts]
    if node.results:
        found['results'] = {str(number): _result(result) for number, result in node.results.items()}
    if node.types:
        found['types'] = node.types
    if node.from_history:
        found['from_history'] = True
    if node.raised:
        found['raised'] = _raised(node.raised)
    if node.cut:
        found['cut'] = CUT
    if node.facts:
        found['facts'] = node.facts
    return found


def _attempt(attempt: Attempt) -> JsonObject:
    if attempt.cut:
        return {'model': attempt.model, 'cut': CUT}
    if attempt.raised:
        return {'model': attempt.model, 'raised': _raised(attempt.raised)}
    response = attempt.response or {}
    return {'model': attempt.model, **_message_content(response, _parts_of(response, _Calls()))}


def _attempt_words(attempt: Attempt) -> str:
    came = f'!! {raised_line(attempt.raised)}' if attempt.raised else 'answered, passed over'
    came = '!! cancelled' if attempt.cut else came
    return f'asked {printable(attempt.model)} {came}'


def _result(result: ToolResult) -> JsonObject:
    known: JsonObject = {
        'content': result.content,
        'metadata': result.metadata,
        'user_content': result.user_content,
        'raised': _raised(result.raised) if result.raised else None,
    }
    return {'kind': result.kind, **{key: value for key, value in known.items() if value is not None}}


def _raised(raised: Raised) -> JsonObject:
    return {'type': raised.type, 'message': raised.message, **({'args': raised.args} if raised.args else {})}


def _holds(node: Node) -> JsonObject:
    if node.message is None:
        return {}
    if node.kind == 'ModelRequestNode':
        said: JsonObject = {'instructions': node.message.get('instructions')}
        return {**said, **_defined(node.definition)} if node.definition else said
    return {'model': node.message.get('model_name'), 'provider': node.message.get('provider_name')}


def _defined(definition: Definition) -> JsonObject:
    return {
        'instructions': definition.instructions,
        'settings': definition.settings,
        'tools': dict(definition.tools),
        'builtin_tools': list(definition.builtin_tools),
        'output': definition.output,
    }


# --- parts ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One part: for comparing (`content`), for aligning (`shape`), for reading (`words`)."""

    content: JsonObject
    shape: str
    words: str


@dataclass(slots=True)
class _Calls:
    """The tool calls met so far in a run."""

    numbers: dict[str, int] = field(default_factory=dict[str, int])
    """Number by id, from 1."""
    places: dict[str, int] = field(default_factory=dict[str, int])
    """Place of each call among the calls of the latest response."""

    def number(self, part: JsonObject) -> str:
        """Say which call a part makes or answers: `#call-3`; nothing where no call is meant."""
        found = self.numbers.get(str(part.get('tool_call_id')))
        return f' #call-{found}' if found else ''

    def made(self, part: JsonObject) -> None:
        """Number a call, unless a wild provider used its id before."""
        self.numbers.setdefault(str(part.get('tool_call_id')), len(self.numbers) + 1)


def _parts_of(message: JsonObject, calls: _Calls) -> list[_Part]:
    raw = cast('list[JsonObject]', message.get('parts') or [])
    if message.get('kind') == 'response':
        made = [part for part in raw if part.get('part_kind') == 'tool-call']
        calls.places = {str(part.get('tool_call_id')): place for place, part in enumerate(made)}
        for part in raw:
            if part.get('part_kind') in {'tool-call', 'builtin-tool-call'}:
                calls.made(part)
        return [_part(part, calls) for part in raw]
    return _answers(raw, calls)


def _answers(raw: Sequence[JsonObject], calls: _Calls) -> list[_Part]:
    """Parts of a request. A result is known by its place: only one that is out of call order says what it answers."""
    found: list[_Part] = []
    answered = 0
    for part in raw:
        made = _part(part, calls)
        place = calls.places.get(str(part.get('tool_call_id')))
        if place is not None:
            if place != answered:
                made.content['answers'] = place
            answered += 1
        found.append(made)
    return found


def _part(part: JsonObject, calls: _Calls) -> _Part:
    kind = str(part.get('part_kind'))
    name = part.get('tool_name')
    content: JsonObject = {'part': kind}
    content.update({key: value for key, value in part.items() if key not in _CHURN and value is not None})
    if 'args' in content:
        content['args'] = read_args(content['args'])
    if kind == 'builtin-tool-return':
        content['content'] = _without_encrypted(content.get('content'))
    return _Part(
        content=content,
        shape=f'{kind} {name}' if name else kind,
        words=_WORDS.get(kind, _other_words)(part) + calls.number(part),
    )


def _without_encrypted(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_encrypted(inner) for key, inner in value.items() if key not in _ENCRYPTED}
    if isinstance(value, list):
        return [_without_encrypted(inner) for inner in value]
    return value


# --- words ---


def _listed(words: Sequence[str]) -> str:
    return f': {", ".join(words)}' if words else ''


def _tool(part: JsonObject) -> str:
    return printable(str(part.get('tool_name')))


def _length(part: JsonObject) -> str:
    return f'{len(str(part.get("content") or ""))} chars'


def _user_words(part: JsonObject) -> str:
    content = part.get('content')
    if not isinstance(content, list):
        return f'user {compact(content)}'
    texts = [compact(item) if isinstance(item, str) else _medium(item) for item in content]
    return f'user [{", ".join(texts)}]'


def _medium(item: Json) -> str:
    """Name a file, a link to one, or a marker inside a prompt."""
    if not isinstance(item, dict):
        return compact(item)
    kind = str(item.get('kind'))
    named = item.get('url') or item.get('media_type')
    return printable(shortened(f'{kind} {named}' if named else kind, limit=TEXT_LIMIT))


def _call_words(part: JsonObject) -> str:
    args = read_args(part.get('args'))
    if isinstance(args, dict):
        inside = ', '.join(f'{printable(key)}={compact(value)}' for key, value in args.items())
    else:
        inside = '' if args is None else compact(args)
    return f'{_tool(part)}({shortened(inside, limit=2 * TEXT_LIMIT)})'


def _retry_words(part: JsonObject) -> str:
    content = part.get('content')
    named = f' {_tool(part)}' if part.get('tool_name') else ''
    if isinstance(content, list):
        return f'retry{named}: {len(content)} validation error{"" if len(content) == 1 else "s"}'
    return f'retry{named}: {compact(content)}'


def _other_words(part: JsonObject) -> str:
    return printable(str(part.get('part_kind')))


_WORDS: Mapping[str, Callable[[JsonObject], str]] = {
    'system-prompt': lambda part: f'system {_length(part)}',
    'user-prompt': _user_words,
    'tool-return': lambda part: f'{_tool(part)} -> {compact(part.get("content"))}',
    'retry-prompt': _retry_words,
    'text': lambda part: f'text {_length(part)}',
    'thinking': lambda part: f'thinking {_length(part)}',
    'tool-call': _call_words,
    'builtin-tool-call': lambda part: f'builtin {_call_words(part)}',
    'builtin-tool-return': lambda part: f'builtin {_tool(part)} -> {compact(part.get("content"))}',
    'file': lambda part: _medium(part.get('content')),
}
