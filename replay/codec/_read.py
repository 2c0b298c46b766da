"""The short form made wide again, strictly: what is not of this format is refused by name."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from replay import logical
from replay.canon import Json, JsonObject
from replay.cassette import NODE_KINDS, Cassette, Definition, Node, Raised, Run, ToolResult
from replay.errors import CassetteTooNew, NotSupported
from replay.shapes import FULL, TABLES

from ._definitions import FIELDS, read_book, read_definition, read_instructions
from ._faults import Place
from ._parts import MISSING, PartReader, templates
from ._state import CHURN, MESSAGE_CHURN, MODEL_KEYS, BuiltinPlaces, Course, is_placed, later, usual_finish
from ._state import usual_provider as _usual_provider
from ._text import unpack_long
from ._write import agent_of

T = TypeVar('T')

CASSETTE_KEYS = frozenset({'format', 'test', 'wire', 'recorded', 'agents', 'runs', 'seal'})
RUN_KEYS = frozenset(
    {
        'run', 'agent', 'definition', 'definitions', 'marks', 'model', 'facts', 'history', 'nodes', 'provider',
        'streams', 'times', 'run_id',
    }
)  # fmt: skip
NODE_KEYS = frozenset({'node', 'facts', 'types', 'raised', 'then'})
REQUEST_FIELDS = frozenset({'parts', 'timestamp', 'run_id', 'metadata', 'instructions', 'instructions|'})
RESPONSE_FIELDS = frozenset({'parts', *MODEL_KEYS, 'finish_reason', 'run_id', 'metadata'})
REQUEST_NODE = frozenset(
    {'message', 'from_history', 'definition', *FIELDS, 'sent_instructions', 'sent_instructions|', 'counted'}
)
RESPONSE_NODE = frozenset({'message', 'from_history', 'started', 'finished', 'results'})
KEYS_BY_KIND = {
    'UserPromptNode': NODE_KEYS,
    'ModelRequestNode': NODE_KEYS | REQUEST_NODE | REQUEST_FIELDS,
    'CallToolsNode': NODE_KEYS | RESPONSE_NODE | RESPONSE_FIELDS,
    'SetFinalResult': NODE_KEYS | RESPONSE_NODE | RESPONSE_FIELDS,
    'End': NODE_KEYS,
}
LINE_KEYS = frozenset({*MESSAGE_CHURN, 'parts'})
CHURN_KEYS = frozenset(CHURN)
RESULT_KEYS = frozenset(
    {'kind', 'content', 'content|', 'metadata', 'metadata|', 'user_content', 'user_content|', 'raised'}
)
RAISED_KEYS = frozenset({'type', 'bases', 'message', 'message|', 'args'})
THEN_KEYS = {'request': REQUEST_FIELDS | {'kind'}, 'response': RESPONSE_FIELDS | {'kind'}}


def read_cassette(document: JsonObject, place: Place) -> Cassette:
    """Restore a cassette from its document.

    Args:
        document: The parsed file; format and seal are already known to be good.
        place: For errors.

    Raises:
        CassetteDamaged: If it holds what the format does not know.
        CassetteInconsistent: If its parts contradict each other.
        CassetteTooNew: If its messages have shapes that are not known.
        NotSupported: If it holds streams.
    """
    place.object(document, 'cassette', CASSETTE_KEYS)
    wire = place.text(document.get('wire'), 'wire')
    if wire != FULL and wire not in TABLES:
        raise CassetteTooNew(
            f'unknown table of message shapes {wire!r}',
            expected=f'one of {", ".join([*TABLES, FULL])}',
            got=wire,
            where=place.where('wire'),
            next=('pip install --upgrade agentrun-replay',),
        )
    book = read_book(document.get('agents', {}), place)
    runs: list[Run] = []
    for packed in place.array(document.get('runs'), 'runs'):
        runs.append(_RunReader(place.object(packed, 'runs', RUN_KEYS), wire, book, runs, place).read())
        place.run = place.node = None
    return Cassette(
        test=place.optional_text(document.get('test'), 'test'),
        wire=wire,
        recorded=place.object(document.get('recorded', {}), 'recorded'),
        runs=tuple(runs),
    )


class _RunReader:
    """Reads one run, node by node."""

    def __init__(
        self, packed: JsonObject, wire: str, book: dict[str, Definition], earlier: list[Run], place: Place
    ) -> None:
        self.packed = packed
        self.book = book
        self.earlier = earlier
        self.place = place
        self.full = wire == FULL
        self.parts = PartReader(next(iter(TABLES)) if self.full else wire, place)
        self.templates = templates(next(iter(TABLES)) if self.full else wire)
        self.name = place.run = place.text(packed.get('run'), 'run')
        self.agent = place.text(packed.get('agent', agent_of(self.name)), 'agent')
        self.facts = place.object(packed.get('facts', {}), 'facts')
        if packed.get('streams') is not None:
            raise NotSupported(
                'streamed responses cannot be played by this version',
                expected='no streams',
                got='streams',
                where=place.where('streams'),
                next=('pip install --upgrade agentrun-replay',),
            )
        self.course = Course(
            name=self.name,
            run_id=place.text(packed.get('run_id', logical.run_id(self.name)), 'run_id'),
            model=place.object(packed.get('model', {}), 'model', frozenset(MODEL_KEYS)),
            imported=bool(self.facts.get('imported')),
        )
        self.known = packed.get('definitions', not self.course.imported) is True
        self.base = self._base()
        self.history: tuple[JsonObject, ...] = ()
        self.provider = self._lines('provider')
        self.times = self._lines('times')
        self.part_times: Iterator[Json] = iter(())
        self.time: Json = None
        self.types: JsonObject = {}

    def read(self) -> Run:
        """Restore the run."""
        place = self.place
        self.history = self._history()
        if self.history and self.history[-1].get('kind') == 'response':
            self.course.response_seen(self.history[-1])
        nodes: list[Node] = []
        for index, packed in enumerate(place.array(self.packed.get('nodes'), 'nodes')):
            place.node = str(index)
            node = place.object(packed, 'node')
            kind = node.get('node')
            if not isinstance(kind, str) or kind not in KEYS_BY_KIND:
                place.damaged(
                    f'unknown kind of node {kind!r}', field='node', expected=f'one of {", ".join(NODE_KINDS)}'
                )
            place.node = f'{index} {kind}'
            place.object(node, 'node', KEYS_BY_KIND[kind])
            nodes.append(self._node(kind, node))
        place.node = None
        self._used_up(self.provider, 'provider', 'responses')
        self._used_up(self.times, 'times', 'messages')
        marks = place.array(self.packed.get('marks', []), 'marks')
        return Run(
            name=self.name,
            agent=self.agent,
            history=self.history,
            nodes=tuple(nodes),
            facts=self.facts,
            marks=tuple(place.text(mark, 'marks') for mark in marks),
        )

    def _base(self) -> Definition:
        name = self.place.text(self.packed.get('definition', self.agent), 'definition')
        if name in self.book:
            return self.book[name]
        if 'definition' in self.packed:
            self.place.inconsistent(
                'the run refers to a definition that is not there', expected=f'agents.{name}', got='nothing'
            )
        return Definition()

    def _lines(self, key: str) -> Iterator[Json] | None:
        """The lines of provider or times; None if there are none at all."""
        value = self.packed.get(key)
        return None if value is None else iter(self.place.array(value, key))

    def _used_up(self, lines: Iterator[Json] | None, key: str, things: str) -> None:
        if lines is not None and (left := sum(1 for _ in lines)):
            self.place.inconsistent(
                f'more lines of {key} than {things}', expected=f'one line for each of the {things}', got=f'{left} more'
            )

    def _next_line(self, lines: Iterator[Json] | None, key: str, things: str) -> Json:
        if lines is None:
            return None
        line = next(lines, MISSING)
        if line is MISSING:
            self.place.inconsistent(
                f'fewer lines of {key} than {things}', expected=f'one line for each of the {things}', got='too few'
            )
        return line

    def _history(self) -> tuple[JsonObject, ...]:
        value = self.packed.get('history', [])
        if isinstance(value, dict):
            return self._referred(value)
        messages = self.place.array(value, 'history')
        if self.full:
            return tuple(self.place.object(message, 'history') for message in messages)
        return tuple(self.parts.message(message, f'history.{index}') for index, message in enumerate(messages))

    def _referred(self, value: JsonObject) -> tuple[JsonObject, ...]:
        self.place.object(value, 'history', frozenset({'run', 'messages'}))
        count = value.get('messages')
        run = next((run for run in self.earlier if run.name == value.get('run')), None)
        if run is None or type(count) is not int or not 0 < count <= len(run.messages):
            self.place.inconsistent(
                'the history refers to messages that are not there',
                expected='a run that stands before this one, and at most as many messages as it has',
                got=f'{count} messages of run {value.get("run")}',
                field='history',
            )
        return tuple(run.messages[:count])

    def _node(self, kind: str, packed: JsonObject) -> Node:
        self.types = {}
        before = self.course.now()
        definition: Definition | None = None
        if kind == 'ModelRequestNode':
            self.course.begun += 1
            definition = self._definition(packed)
        message, from_history = self._node_message(kind, packed, before, definition)
        place = self.place
        types = {**place.object(packed['types'], 'types'), **self.types} if 'types' in packed else self.types
        counted = packed.get('counted')
        return Node(
            kind=kind,
            message=message,
            from_history=from_history,
            definition=definition,
            counted=None if counted is None else place.object(counted, 'counted'),
            started=place.indexes(packed.get('started'), 'started'),
            finished=place.indexes(packed.get('finished'), 'finished'),
            results=self._results(packed['results']) if 'results' in packed else {},
            types=types,
            raised=self._raised(packed['raised'], 'raised') if 'raised' in packed else None,
            facts=place.object(packed['facts'], 'facts') if 'facts' in packed else {},
            then=self._then(packed['then']) if 'then' in packed else (),
        )

    def _definition(self, packed: JsonObject) -> Definition | None:
        if not self.known or ('definition' in packed and packed['definition'] is None):
            return None
        if packed.keys().isdisjoint(FIELDS) and 'instructions|' not in packed:
            return self.base
        return read_definition(packed, self.base, self.book, self.place, 'node')

    def _node_message(
        self, kind: str, packed: JsonObject, before: str, definition: Definition | None
    ) -> tuple[JsonObject | None, bool]:
        """Restore the message of a node, and tell whether it is one of the history."""
        if 'from_history' in packed:
            if packed['from_history'] is not True or not self.history:
                self.place.inconsistent(
                    'a node takes up a message of a history that is not there',
                    expected='a run with a history',
                    got='none' if not self.history else repr(packed['from_history']),
                )
            return self._fitting(kind, self.history[-1]), True
        if self.full:
            message = packed.get('message')
            return (None if message is None else self._fitting(kind, self.place.object(message, 'message'))), False
        if 'message' in packed:
            self.place.damaged('a whole message in a file with a wire table', field='message', cause='unknown-key')
        if 'parts' not in packed:
            return None, False
        if kind == 'ModelRequestNode':
            return self._request(packed, before, self._instructions(packed, definition)), False
        return self._response(packed), False

    def _fitting(self, kind: str, message: JsonObject) -> JsonObject:
        """See to it that a whole message is one that such a node makes."""
        expected = 'request' if kind == 'ModelRequestNode' else 'response'
        if message.get('kind') != expected:
            self.place.inconsistent(
                f'the message of a {kind} is no {expected}', expected=expected, got=repr(message.get('kind'))
            )
        if expected == 'response':
            self.course.response_seen(message)
        return message

    def _instructions(self, packed: JsonObject, definition: Definition | None) -> str | None:
        """What the request says of instructions."""
        name = 'sent_instructions' if self.known else 'instructions'
        if name in packed or f'{name}|' in packed:
            return read_instructions(packed, self.place, 'node', name=name)
        if self.known:
            return definition.instructions if definition else None
        return self.base.instructions

    def _then(self, value: Json) -> tuple[JsonObject, ...]:
        messages = self.place.array(value, 'then')
        return tuple(self._then_message(self.place.object(message, 'then')) for message in messages)

    def _then_message(self, packed: JsonObject) -> JsonObject:
        kind = packed.get('kind')
        if not isinstance(kind, str) or kind not in THEN_KEYS:
            self.place.damaged(
                f'unknown kind of message {kind!r}', field='then.kind', expected='request or response', got=repr(kind)
            )
        if self.full:
            if kind == 'response':
                self.course.response_seen(packed)
            return packed
        self.place.object(packed, 'then', THEN_KEYS[kind])
        if kind == 'response':
            return self._response(packed)
        named = 'instructions' in packed or 'instructions|' in packed
        return self._request(
            packed, self.course.now(), read_instructions(packed, self.place, 'then') if named else None
        )

    def _request(self, packed: JsonObject, before: str, instructions: str | None) -> JsonObject:
        self._begin_times(packed)
        wide = self.templates.messages['request'].blank.copy()
        shorts = self.place.array(packed.get('parts'), 'parts')
        wide['parts'] = [self._request_part(short, index, before) for index, short in enumerate(shorts)]
        wide['timestamp'] = self.place.optional_text(
            packed.get('timestamp', self.time if self.course.imported else self.course.now()), 'timestamp'
        )
        wide['instructions'] = instructions
        wide['run_id'] = packed.get('run_id', self.course.run_id)
        wide['metadata'] = packed.get('metadata')
        self._end_times()
        return wide

    def _request_part(self, short: Json, index: int, before: str) -> JsonObject:
        wide = self.parts.part(short, self.templates.request_parts, f'parts.{index}')
        if wide['timestamp'] is MISSING or self.course.imported:
            wide['timestamp'] = self._part_time(before)
        if 'tool_call_id' in wide:
            wide['tool_call_id'] = self._answered(wide, index)
        if self.parts.types is not None:
            self._types(index, self.parts.types)
        return wide

    def _answered(self, part: JsonObject, index: int) -> str:
        """Which call a result answers."""
        course, call_id, call = self.course, part['tool_call_id'], self.parts.call
        field = f'parts.{index}.tool_call_id'
        placed = is_placed(part)
        place = course.place
        course.place += placed
        if call_id is not MISSING:
            return self._named(call_id, field)
        if call is None and not placed:
            return course.take_generated()
        at = place if call is None else call
        if type(at) is not int or not 0 <= at < len(course.calls):
            self.place.inconsistent(
                'a result of a call that was never made',
                expected=f'one of the {len(course.calls)} calls of the response before',
                got=f'a result for call {at}',
                field=field,
            )
        return self.place.text(course.calls[at], field)

    def _named(self, call_id: Json, field: str) -> str:
        """An id that is written: as text, or as the number of a generated one."""
        if type(call_id) is int and call_id > 0:
            return self.course.generated(call_id)
        return self.place.text(call_id, field)

    def _response(self, packed: JsonObject) -> JsonObject:
        self._begin_times(packed)
        value = self._next_line(self.provider, 'provider', 'responses')
        line = {} if value is None else self.place.object(value, 'provider', LINE_KEYS)
        course = self.course
        wide = self.templates.messages['response'].blank.copy()
        for key in MODEL_KEYS:
            wide[key] = packed[key] if key in packed else course.model.get(key)
        wide['timestamp'] = line.get('timestamp', self.time if course.imported else course.now())
        wide['parts'] = self._response_parts(packed, line, wide['provider_name'])
        wide['usage'] = self.parts.usage(line.get('usage'), 'provider.usage')
        wide['provider_details'] = line.get('provider_details')
        wide['provider_response_id'] = line.get('provider_response_id')
        wide['run_id'] = packed.get('run_id', course.run_id)
        wide['metadata'] = packed.get('metadata')
        course.response_seen(wide)
        wide['finish_reason'] = packed['finish_reason'] if 'finish_reason' in packed else usual_finish(course.calls)
        self._end_times()
        return wide

    def _response_parts(self, packed: JsonObject, line: JsonObject, provider: Json) -> list[Json]:
        shorts = self.place.array(packed.get('parts'), 'parts')
        churned = self.place.array(line.get('parts', []), 'provider.parts')
        if len(churned) > len(shorts):
            self.place.inconsistent(
                'the provider tells of parts that are not there',
                expected=f'at most {len(shorts)} parts',
                got=f'{len(churned)}',
                field='provider.parts',
            )
        builtin = BuiltinPlaces()
        found: list[Json] = []
        for index, short in enumerate(shorts):
            wide = self.parts.part(short, self.templates.response_parts, f'parts.{index}')
            if self.parts.types is not None:
                self._types(index, self.parts.types)
            churn = churned[index] if index < len(churned) else {}
            self._complete(wide, self.place.object(churn, f'provider.parts.{index}', CHURN_KEYS), builtin, provider)
            found.append(wide)
        return found

    def _complete(self, wide: JsonObject, churn: JsonObject, builtin: BuiltinPlaces, provider: Json) -> None:
        """Put what the provider churns into a part, and derive what it does not say."""
        if not churn.keys() <= wide.keys():
            key = next(key for key in churn if key not in wide)
            self.place.damaged(
                f'a {wide["part_kind"]} part has no {key!r}', cause='unknown-key', field=f'provider.parts.{key}'
            )
        wide.update(churn)
        if 'tool_call_id' in wide:
            wide['tool_call_id'] = self._called(wide, builtin)
        if 'provider_name' in wide and 'provider_name' not in churn:
            wide['provider_name'] = _usual_provider(wide, provider)
        if 'timestamp' in wide and (wide['timestamp'] is MISSING or self.course.imported):
            wide['timestamp'] = self._part_time(self.course.now())

    def _called(self, part: JsonObject, builtin: BuiltinPlaces) -> Json:
        call_id = part['tool_call_id']
        if part['part_kind'] == 'builtin-tool-return':
            usual = builtin.answered()
            if call_id is MISSING and usual is None:
                self.place.inconsistent(
                    'a result of a built-in call that was never made', expected='a built-in call', got='none'
                )
            return usual if call_id is MISSING else self._named(call_id, 'provider.parts.tool_call_id')
        if call_id is MISSING:
            call_id = self.course.take_generated()
        else:
            call_id = self._named(call_id, 'provider.parts.tool_call_id')
        if part['part_kind'] == 'builtin-tool-call':
            builtin.called(call_id)
        return call_id

    def _begin_times(self, packed: JsonObject) -> None:
        """Take the line of times of an imported message."""
        if not self.course.imported:
            return
        line = self.place.array(self._next_line(self.times or iter(()), 'times', 'messages'), 'times')
        if not line or 'timestamp' in packed:
            self.place.inconsistent('an imported message without its time', expected='its time first', got=repr(line))
        self.time, *offsets = line
        self.part_times = iter(offsets)

    def _part_time(self, derived: str) -> Json:
        if not self.course.imported:
            return derived
        steps = next(self.part_times, MISSING)
        if steps is MISSING:
            self.place.inconsistent('fewer times than parts', expected='a time for each part that has one', got='none')
        return self._checked(lambda: later(self.time, steps), 'times')

    def _end_times(self) -> None:
        if next(self.part_times, MISSING) is not MISSING:
            self.place.inconsistent('more times than parts', expected='a time for each part that has one', got='more')

    def _types(self, index: int, value: Json) -> None:
        marks = self.place.object(value, f'parts.{index}.types')
        self.types.update({f'parts/{index}/{path}': name for path, name in marks.items()})

    def _results(self, value: Json) -> dict[int, ToolResult]:
        found: dict[int, ToolResult] = {}
        for index, packed in self.place.object(value, 'results').items():
            field = f'results.{index}'
            if not index.isascii() or not index.isdigit() or str(int(index)) != index:
                self.place.damaged(f'{index!r} is no index of a call', field=field, expected='an index', got=index)
            fields = self._long(self.place.object(packed, field, RESULT_KEYS), field)
            found[int(index)] = ToolResult(
                kind=self.place.text(fields.get('kind'), f'{field}.kind'),
                content=fields.get('content'),
                metadata=fields.get('metadata'),
                user_content=fields.get('user_content'),
                raised=self._raised(fields['raised'], f'{field}.raised') if 'raised' in fields else None,
            )
        return found

    def _raised(self, value: Json, field: str) -> Raised:
        place = self.place
        fields = self._long(place.object(value, field, RAISED_KEYS), field)
        bases = place.array(fields.get('bases', []), f'{field}.bases')
        return Raised(
            type=place.text(fields.get('type'), f'{field}.type'),
            bases=tuple(place.text(base, f'{field}.bases') for base in bases),
            message=place.text(fields.get('message', ''), f'{field}.message'),
            args=place.object(fields.get('args', {}), f'{field}.args'),
        )

    def _long(self, fields: JsonObject, field: str) -> JsonObject:
        return self._checked(lambda: unpack_long(fields), field)

    def _checked(self, read: Callable[[], T], field: str) -> T:
        try:
            return read()
        except ValueError as error:
            self.place.damaged(str(error), field=field)


__all__ = ('read_cassette',)
