"""The wide form made short: what can be derived is left out, what a provider churns goes to the end of the run."""

from collections.abc import Mapping
from typing import cast

from replay import logical
from replay.canon import Json, JsonObject, dumps
from replay.cassette import CUT, FORMAT, Attempt, Cassette, Definition, Node, Raised, Run, ToolResult
from replay.errors import NotRestorable, Where
from replay.shapes import FULL, Shape, Table

from ._definitions import Book, pack_instructions
from ._layout import Broken, Line, Lines
from ._state import (
    CALL_PARTS,
    CHURN,
    MESSAGE_CHURN,
    MODEL_KEYS,
    RESULT_PARTS,
    BuiltinPlaces,
    Course,
    conversation_of,
    is_placed,
    offset,
    usual_finish,
    usual_provider,
)
from ._streams import pack_streams
from ._text import pack_args, pack_long


class MisfitError(Exception):
    """A message does not have the shape that the table says; another table may fit."""


def pack_cassette(cassette: Cassette, table: Table | None) -> JsonObject:
    """Make the document of a cassette, without its seal.

    Args:
        cassette: What is written.
        table: Shapes of its messages; None to write them whole.

    Raises:
        MisfitError: If a message does not fit the table.
        NotRestorable: If the cassette contradicts itself.
    """
    book = Book()
    runs = Broken()
    earlier: list[Run] = []
    for run in cassette.runs:
        runs.append(_RunWriter(run, table, book, earlier).pack())
        earlier.append(run)
    document: JsonObject = {'format': FORMAT}
    if cassette.test is not None:
        document['test'] = cassette.test
    document['wire'] = table.name if table else FULL
    document['recorded'] = cassette.recorded
    if book.written:
        document['agents'] = book.written
    document['runs'] = runs
    return document


def agent_of(run: str) -> str:
    """The agent that a run's name tells: its last segment without the ordinal."""
    return run.rsplit('/', 1)[-1].split('#', 1)[0]


class _RunWriter:
    """Writes one run, message by message."""

    def __init__(self, run: Run, table: Table | None, book: Book, earlier: list[Run]) -> None:
        self.run = run
        self.table = table
        self.book = book
        self.earlier = earlier
        new = run.new_messages
        self.course = Course(
            name=run.name,
            run_id=_own_id(run, new),
            conversation_id=_own_conversation(run, new),
            model=_model(new),
            imported=bool(run.facts.get('imported')),
        )
        self.provider = Lines()
        self.times = Lines()
        self.known = any(node.definition is not None for node in run.nodes)
        self.base = self._base()

    def pack(self) -> JsonObject:
        """Make the object that stands under `runs`."""
        run = self.run
        packed: JsonObject = {'run': run.name}
        if run.agent != agent_of(run.name):
            packed['agent'] = run.agent
        if self.base is not None and (name := self.book.name_of(run.agent, self.base)) != run.agent:
            packed['definition'] = name
        if self.known is self.course.imported:
            packed['definitions'] = self.known
        if run.marks:
            packed['marks'] = [*run.marks]
        if self.course.model and self.table:
            packed['model'] = Line(self.course.model)
        if run.facts:
            packed['facts'] = run.facts
        if run.history:
            packed['history'] = self._history()
            self._seen(run.history[-1])
        packed['nodes'] = Broken(self._node(index, node) for index, node in enumerate(run.nodes))
        ends: dict[str, Json] = {
            'minted': {**run.minted},
            'provider': self.provider if any(self.provider) else None,
            'streams': pack_streams(run.nodes),
            'times': self.times,
        }
        packed.update({key: value for key, value in ends.items() if value})
        if self.table and self.course.run_id != logical.run_id(run.name):
            packed['run_id'] = self.course.run_id
        if self.table and self.course.conversation_id != conversation_of(run.name, run.history):
            packed['conversation_id'] = self.course.conversation_id
        return packed

    def _base(self) -> Definition | None:
        """The definition that goes without saying in this run: of its first request, or just its instructions."""
        if self.known:
            return next(node.definition for node in self.run.nodes if node.definition is not None)
        texts = (node.message.get('instructions') for node in self.run.nodes if node.message and not node.from_history)
        first = next((text for text in texts if isinstance(text, str)), None)
        return Definition(instructions=first) if self.table else None

    def _history(self) -> Json:
        history = [*self.run.history]
        for run in {run.name: run for run in reversed(self.earlier)}.values():  # the first of each name
            if len(run.messages) >= len(history) and dumps([*run.messages[: len(history)]]) == dumps([*history]):
                return Line({'run': run.name, 'messages': len(history)})
        return Broken(pack_message(message, self.table) if self.table else message for message in history)

    def _node(self, index: int, node: Node) -> JsonObject:
        packed: JsonObject = {'node': node.kind}
        if node.kind == 'ModelRequestNode':
            before = self.course.now()
            self.course.begun += 1
            packed.update(self._definition(node))
        else:
            before = ''
        if node.from_history:
            if not self.run.history or node.message is None or dumps(node.message) != dumps(self.run.history[-1]):
                raise NotRestorable(
                    'a node takes up a message that does not end the history',
                    expected='the last message of the history',
                    got='another message' if node.message else 'no message',
                    where=Where(run=self.run.name, node=f'{index} {node.kind}'),
                )
            packed['from_history'] = True
        elif node.message is not None:
            self._message(packed, node, before)
        if node.facts:
            packed['facts'] = node.facts
        self._types(packed, node)
        if node.attempts:
            packed['attempts'] = Broken(self._attempt(attempt) for attempt in node.attempts)
        packed.update(_outcomes(node))
        if node.then:
            packed['then'] = Broken(self._then(message) for message in node.then)
        return packed

    def _definition(self, node: Node) -> JsonObject:
        if node.definition is None:
            return {'definition': None} if self.known else {}
        return self.book.pack(node.definition, base=self.base)

    def _instructions(self, node: Node) -> str | None:
        """The instructions that go without saying in a node's message."""
        definition = node.definition if self.known else self.base
        return definition.instructions if definition and node.kind == 'ModelRequestNode' else None

    def _message(self, packed: JsonObject, node: Node, before: str) -> None:
        message = cast('JsonObject', node.message)
        if self.table is None:
            packed['message'] = message
        elif node.kind == 'ModelRequestNode':
            fields = self._request(message, before, self._instructions(node))
            packed.update(pack_instructions(fields, name='sent_instructions' if self.known else 'instructions'))
        else:
            packed.update(self._response(message))

    def _then(self, message: JsonObject) -> JsonObject:
        if self.table is None:
            return message
        if message.get('kind') == 'response':
            return {'kind': 'response', **self._response(message)}
        return {'kind': 'request', **pack_instructions(self._request(message, self.course.now(), None))}

    def _attempt(self, attempt: Attempt) -> JsonObject:
        if attempt.raised is not None:
            return {'model': attempt.model, 'raised': _pack_raised(attempt.raised)}
        if attempt.cut:
            return {'model': attempt.model, 'cut': CUT}
        return {'model': attempt.model, 'response': self._then(cast('JsonObject', attempt.response))}

    def _request(self, message: JsonObject, before: str, instructions: str | None) -> JsonObject:
        """Make the fields of a request; `before` is the logical time of its parts."""
        table = cast('Table', self.table)
        usual: JsonObject = {
            'timestamp': self._time(message, self.course.now()),
            'run_id': self.course.run_id,
            'conversation_id': self.course.conversation_id,
            'instructions': instructions,
        }
        fields = strip(table.messages['request'], message, usual)
        parts = Broken(self._request_part(part, before, table) for part in parts_of(message))
        del fields['parts']
        return {**fields, 'parts': parts}

    def _request_part(self, part: JsonObject, before: str, table: Table) -> JsonObject:
        usual: JsonObject = {'timestamp': part.get('timestamp') if self.course.imported else before}
        answers: JsonObject = {}
        if part.get('part_kind') in RESULT_PARTS:
            call_id = part.get('tool_call_id')
            answers = self._answer(part, call_id)
            usual['tool_call_id'] = call_id
        return {**pack_long(pack_part(part, table.request_parts, table, usual)), **answers}

    def _answer(self, part: JsonObject, call_id: Json) -> JsonObject:
        """Say which call a result answers, unless it is the one at its place."""
        course = self.course
        if is_placed(part):
            place = course.place
            course.place += 1
            if place < len(course.calls) and course.calls[place] == call_id:
                return {}
            if call_id in course.calls:
                return {'call': course.calls.index(call_id)}
            number = course.number_of(call_id)
        else:
            number = course.number_of(call_id)
            if number == course.next_call:
                course.take_generated()
                return {}
        if number is None:
            return {'tool_call_id': call_id}
        course.generated(number)
        return {'tool_call_id': number}

    def _response(self, message: JsonObject) -> JsonObject:
        """Make the fields of a response, and its line of the provider."""
        table = cast('Table', self.table)
        self._seen(message)
        time = self._time(message, self.course.now())
        usual: JsonObject = {
            **{key: self.course.model.get(key) for key in MODEL_KEYS},
            'timestamp': time,
            'run_id': self.course.run_id,
            'conversation_id': self.course.conversation_id,
            'finish_reason': usual_finish(self.course.calls, message.get('provider_name')),
        }
        fields = strip(table.messages['response'], message, usual)
        del fields['parts']
        fields['usage'] = pack_usage(fields['usage'], table)
        if not fields['usage']:
            del fields['usage']
        line: JsonObject = {key: fields.pop(key) for key in MESSAGE_CHURN if key in fields}
        packed, churned = self._response_parts(message, table)
        if churned:
            line['parts'] = churned
        self.provider.append(line)
        return {**fields, 'parts': packed}

    def _response_parts(self, message: JsonObject, table: Table) -> tuple[Broken, list[Json]]:
        packed, churned = Broken(), list[Json]()
        builtin = BuiltinPlaces()
        for part in parts_of(message):
            usual: JsonObject = {
                'timestamp': part.get('timestamp') if self.course.imported else self.course.now(),
            }
            if 'provider_name' in part:
                usual['provider_name'] = usual_provider(part, message.get('provider_name'))
            extra = self._call_id(part, builtin)
            if 'tool_call_id' in part:
                usual['tool_call_id'] = part['tool_call_id']
            fields = pack_part(part, table.response_parts, table, usual)
            churned.append({**extra, **{key: fields.pop(key) for key in CHURN if key in fields}})
            packed.append(pack_long(fields))
        while churned and not churned[-1]:
            churned.pop()
        return packed, churned

    def _call_id(self, part: JsonObject, builtin: BuiltinPlaces) -> JsonObject:
        """Say the id of a call or a built-in return, unless it can be derived."""
        kind, call_id = part.get('part_kind'), part.get('tool_call_id')
        if kind == 'builtin-tool-return':
            return {} if builtin.answered() == call_id else {'tool_call_id': call_id}
        if kind not in CALL_PARTS:
            return {}
        if kind == 'builtin-tool-call':
            builtin.called(call_id)
        number = self.course.number_of(call_id)
        if number is None:
            return {'tool_call_id': call_id}
        if number == self.course.next_call:
            self.course.take_generated()
            return {}
        self.course.generated(number)
        return {'tool_call_id': number}

    def _time(self, message: JsonObject, derived: str) -> Json:
        """The time of a message that goes without saying; imported ones get their line of times."""
        if not self.course.imported:
            return derived
        base = message.get('timestamp')
        parts = [part['timestamp'] for part in parts_of(message) if 'timestamp' in part]
        self.times.append([base, *(offset(base, moment) for moment in parts)])
        return base

    def _seen(self, message: JsonObject) -> None:
        if message.get('kind') == 'response':
            self.course.response_seen(message)

    def _types(self, packed: JsonObject, node: Node) -> None:
        """Put each type mark on the part that it speaks of, others on the node."""
        parts = packed.get('parts')
        for path, name in node.types.items():
            head, _, rest = path.partition('/')
            index, _, inner = rest.partition('/')
            if head == 'parts' and inner and isinstance(parts, list) and index in map(str, range(len(parts))):
                marks = cast('JsonObject', cast('JsonObject', parts[int(index)]).setdefault('types', {}))
                marks[inner] = name
            else:
                cast('JsonObject', packed.setdefault('types', {}))[path] = name


def pack_message(message: JsonObject, table: Table) -> JsonObject:
    """Write a message that no run derives anything for: only what is usual is left out."""
    kind = message.get('kind')
    shape = table.messages.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise MisfitError(f'message of kind {kind!r}')
    fields = strip(shape, message, {})
    shapes = table.request_parts if kind == 'request' else table.response_parts
    if 'usage' in fields:
        fields['usage'] = pack_usage(fields['usage'], table)
    del fields['parts']
    parts = Broken(pack_long(pack_part(part, shapes, table, {})) for part in parts_of(message))
    return {'kind': kind, **pack_instructions(fields), 'parts': parts}


def pack_part(part: JsonObject, shapes: Mapping[str, Shape], table: Table, usual: JsonObject) -> JsonObject:
    """Write a part without what is usual, its kind first; long text is left to `pack_long`."""
    kind = part.get('part_kind')
    shape = shapes.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise MisfitError(f'part of kind {kind!r}')
    fields: JsonObject = {}
    for key, value in strip(shape, part, usual).items():
        if key == 'args':
            form, args = pack_args(value)
            fields[form] = args
        elif key == 'content' and kind in {'user-prompt', 'file'}:
            fields[key] = _pack_content(value, table)
        else:
            fields[key] = value
    return {'part': kind, **fields}


def pack_usage(usage: Json, table: Table) -> JsonObject:
    """Write usage without its zeros."""
    if not isinstance(usage, dict):
        raise MisfitError('usage')
    return strip(table.usage, usage, {})


def strip(shape: Shape, value: JsonObject, usual: JsonObject) -> JsonObject:
    """Leave out what is usual.

    Args:
        shape: The keys that there must be, and values that are always usual.
        value: What is written.
        usual: Values that are usual here; they win over those of the shape.

    Raises:
        MisfitError: If the value has other keys, or in another order.
    """
    if tuple(value) != shape.keys and tuple(value) != (*shape.keys, *(key for key in shape.extra if key in value)):
        raise MisfitError(f'keys {", ".join(value)}')
    known = {**shape.usual, **usual}
    return {
        key: item
        for key, item in value.items()
        if key not in known or type(item) is not type(known[key]) or item != known[key]
    }


def parts_of(message: JsonObject) -> list[JsonObject]:
    """The parts of a message.

    Raises:
        MisfitError: If it has none, or if they are no objects.
    """
    parts = message.get('parts')
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise MisfitError('parts')
    return cast('list[JsonObject]', parts)


def _pack_content(content: Json, table: Table) -> Json:
    if isinstance(content, list):
        return [_pack_item(item, table) for item in content]
    return _pack_item(content, table)


def _pack_item(item: Json, table: Table) -> Json:
    """Write one file or marker without what is usual; text and other shapes stay."""
    kind = item.get('kind') if isinstance(item, dict) else None
    shape = table.items.get(kind) if isinstance(kind, str) else None
    if shape is None or not isinstance(item, dict) or tuple(item) != shape.keys:
        return item
    return {'item': kind, **strip(shape, item, {})}


def _outcomes(node: Node) -> JsonObject:
    """Write what came of a node beside its message."""
    packed: JsonObject = {}
    if node.started is not None:
        packed['started'] = [*node.started]
    if node.finished is not None:
        packed['finished'] = [*node.finished]
    if node.results:
        packed['results'] = {str(index): _pack_result(result) for index, result in node.results.items()}
    if node.counted is not None:
        packed['counted'] = node.counted
    if node.raised is not None:
        packed['raised'] = _pack_raised(node.raised)
    if node.cut:
        packed['cut'] = CUT
    return packed


def _pack_result(result: ToolResult) -> JsonObject:
    packed: JsonObject = {}
    packed.update(
        {
            key: value
            for key in ('content', 'metadata', 'user_content')
            if (value := cast('Json', getattr(result, key))) is not None
        }
    )
    if result.types:
        packed['types'] = result.types
    if result.raised is not None:
        packed['raised'] = _pack_raised(result.raised)
    if result.usage:
        packed['usage'] = result.usage
    return {'kind': result.kind, **pack_long(packed)}


def _pack_raised(raised: Raised) -> JsonObject:
    packed: JsonObject = {}
    if raised.bases:
        packed['bases'] = [*raised.bases]
    if raised.message:
        packed['message'] = raised.message
    if raised.args:
        packed['args'] = raised.args
    return {'type': raised.type, **pack_long(packed)}


def _own_id(run: Run, new: list[JsonObject]) -> str:
    """The run's id: that of its first message that has one."""
    found = (message.get('run_id') for message in new)
    return next((text for text in found if isinstance(text, str)), logical.run_id(run.name))


def _own_conversation(run: Run, new: list[JsonObject]) -> str:
    """The run's conversation: that of its first message that has one."""
    found = (message.get('conversation_id') for message in new)
    return next((text for text in found if isinstance(text, str)), conversation_of(run.name, run.history))


def _model(new: list[JsonObject]) -> JsonObject:
    """What the first response says of model and provider."""
    for message in new:
        if message.get('kind') == 'response':
            return {key: message[key] for key in MODEL_KEYS if message.get(key) is not None}
    return {}
