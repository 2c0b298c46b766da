"""The short form made wide again, strictly: what is not of this format is refused by name."""

from replay import logical
from replay.canon import Json, JsonObject
from replay.cassette import CUT, NODE_KINDS, Attempt, Cassette, Definition, Node, Raised, Run, ToolResult
from replay.errors import CassetteTooNew
from replay.shapes import FULL, TABLES

from ._definitions import FIELDS, read_book, read_definition, read_instructions
from ._faults import Place
from ._minted import read_minted
from ._read_messages import MessageReader
from ._state import MODEL_KEYS, SELDOM, Course, conversation_of
from ._streams import read_streams
from ._text import unpack_long
from ._write import agent_of

CASSETTE_KEYS = frozenset({'format', 'test', 'wire', 'recorded', 'agents', 'runs', 'seal'})
RUN_KEYS = frozenset(
    {
        'run', 'agent', 'definition', 'definitions', 'marks', 'model', 'facts', 'history', 'nodes', 'minted',
        'provider', 'streams', 'times', 'run_id', 'conversation_id',
    }
)  # fmt: skip
NODE_KEYS = frozenset({'node', 'facts', 'types', 'raised', 'then'})
REQUEST_FIELDS = frozenset({'parts', 'timestamp', 'run_id', 'metadata', 'instructions', 'instructions|', *SELDOM})
RESPONSE_FIELDS = frozenset({'parts', *MODEL_KEYS, 'finish_reason', 'run_id', 'metadata', *SELDOM})
REQUEST_NODE = frozenset(
    {
        'message', 'from_history', 'definition', *FIELDS, 'sent_instructions', 'sent_instructions|', 'counted',
        'attempts', 'cut',
    }
)  # fmt: skip
RESPONSE_NODE = frozenset({'message', 'from_history', 'started', 'finished', 'results', 'cut'})
KEYS_BY_KIND = {
    'UserPromptNode': NODE_KEYS,
    'ModelRequestNode': NODE_KEYS | REQUEST_NODE | REQUEST_FIELDS,
    'CallToolsNode': NODE_KEYS | RESPONSE_NODE | RESPONSE_FIELDS,
    'SetFinalResult': NODE_KEYS | RESPONSE_NODE | RESPONSE_FIELDS,
    'End': NODE_KEYS,
}
RESULT_KEYS = frozenset(
    {
        'kind',
        'content',
        'content|',
        'metadata',
        'metadata|',
        'user_content',
        'user_content|',
        'types',
        'raised',
        'usage',
    }
)
ATTEMPT_KEYS = frozenset({'model', 'raised', 'response', 'cut'})
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
        self.name = place.run = place.text(packed.get('run'), 'run')
        self.agent = place.text(packed.get('agent', agent_of(self.name)), 'agent')
        self.facts = place.object(packed.get('facts', {}), 'facts')
        self.course = Course(
            name=self.name,
            run_id=place.text(packed.get('run_id', logical.run_id(self.name)), 'run_id'),
            conversation_id='',
            model=place.object(packed.get('model', {}), 'model', frozenset(MODEL_KEYS)),
            imported=bool(self.facts.get('imported')),
        )
        self.known = packed.get('definitions', not self.course.imported) is True
        self.base = self._base()
        self.history: tuple[JsonObject, ...] = ()
        self.messages = MessageReader(next(iter(TABLES)) if self.full else wire, packed, self.course, place)

    def read(self) -> Run:
        """Restore the run."""
        place = self.place
        self.history = self._history()
        conversation = self.packed.get('conversation_id', conversation_of(self.name, self.history))
        self.course.conversation_id = place.text(conversation, 'conversation_id')
        if self.history and self.history[-1].get('kind') == 'response':
            self.course.response_seen(self.history[-1])
        nodes: list[Node] = []
        short = place.array(self.packed.get('nodes'), 'nodes')
        for index, packed in enumerate(short):
            short[index] = None  # so that the short form goes as the wide one comes
            place.node = str(index)
            node = place.object(packed, 'node')
            kind = node.get('node')
            if not isinstance(kind, str) or kind not in KEYS_BY_KIND:
                place.damaged(
                    f'unknown kind of node {kind!r}', field='node', expected=f'one of {", ".join(NODE_KINDS)}'
                )
            place.node = f'{index} {kind}'
            if not node.keys() <= KEYS_BY_KIND[kind]:
                place.object(node, 'node', KEYS_BY_KIND[kind])
            nodes.append(self._node(kind, node))
        place.node = None
        self.messages.finish()
        marks = place.array(self.packed.get('marks', []), 'marks')
        return Run(
            name=self.name,
            agent=self.agent,
            history=self.history,
            nodes=read_streams(nodes, self.packed.get('streams'), place),
            facts=self.facts,
            marks=tuple(place.text(mark, 'marks') for mark in marks),
            minted=read_minted(self.packed.get('minted', {}), place),
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

    def _history(self) -> tuple[JsonObject, ...]:
        value = self.packed.get('history', [])
        if isinstance(value, dict):
            return self._referred(value)
        messages = self.place.array(value, 'history')
        if self.full:
            return tuple(self.place.object(message, 'history') for message in messages)
        return tuple(self.messages.parts.message(message, f'history.{index}') for index, message in enumerate(messages))

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
        types = self.messages.types = {}
        before = self.course.now()
        definition: Definition | None = None
        if kind == 'ModelRequestNode':
            self.course.begun += 1
            definition = self._definition(packed)
        message, from_history = self._node_message(kind, packed, before, definition)
        if packed.keys() <= {'node', 'parts'}:  # most nodes: nothing but a message
            return Node(kind=kind, message=message, definition=definition, types=types)
        place = self.place
        types = {**place.object(packed['types'], 'types'), **types} if 'types' in packed else types
        counted = packed.get('counted')
        if message is not None:
            self._of_calls(packed)
        return Node(
            kind=kind,
            message=message,
            from_history=from_history,
            definition=definition,
            attempts=self._attempts(packed['attempts']) if 'attempts' in packed else (),
            counted=None if counted is None else place.object(counted, 'counted'),
            started=place.indexes(packed.get('started'), 'started'),
            finished=place.indexes(packed.get('finished'), 'finished'),
            results=self._results(packed['results']) if 'results' in packed else {},
            types=types,
            raised=self._raised(packed['raised'], 'raised') if 'raised' in packed else None,
            cut='cut' in packed and self._cut(packed['cut'], 'cut'),
            facts=place.object(packed['facts'], 'facts') if 'facts' in packed else {},
            then=self._then(packed['then']) if 'then' in packed else (),
        )

    def _of_calls(self, packed: JsonObject) -> None:
        """See to it that orders and results of a node speak of calls that its response made."""
        made = len(self.course.calls)
        for key in ('started', 'finished', 'results'):
            named = packed.get(key)
            indexes = [str(index) for index in named] if isinstance(named, list | dict) else []
            if any(index.isdecimal() and int(index) >= made for index in indexes):
                self.place.inconsistent(
                    f'{key} speaks of a call that was never made',
                    expected=f'indexes of the {made} calls of the response, from 0',
                    got=', '.join(indexes),
                    field=key,
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
            return self.messages.request(packed, before, self._instructions(packed, definition)), False
        return self.messages.response(packed), False

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
            return self.messages.response(packed)
        named = 'instructions' in packed or 'instructions|' in packed
        return self.messages.request(
            packed, self.course.now(), read_instructions(packed, self.place, 'then') if named else None
        )

    def _attempts(self, value: Json) -> tuple[Attempt, ...]:
        found: list[Attempt] = []
        for index, item in enumerate(self.place.array(value, 'attempts')):
            field = f'attempts.{index}'
            fields = self.place.object(item, field, ATTEMPT_KEYS)
            model = self.place.text(fields.get('model'), f'{field}.model')
            if len(fields.keys() - {'model'}) != 1:
                self.place.damaged(
                    'an attempt failed, or was answered or cut', field=field, expected='`raised`, `response` or `cut`'
                )
            if 'cut' in fields:
                found.append(Attempt(model=model, cut=self._cut(fields['cut'], f'{field}.cut')))
                continue
            if 'raised' in fields:
                found.append(Attempt(model=model, raised=self._raised(fields['raised'], f'{field}.raised')))
                continue
            response = self._then_message(self.place.object(fields['response'], f'{field}.response'))
            if response['kind'] != 'response':
                self.place.damaged('an attempt was answered by no response', field=field, expected='a response')
            found.append(Attempt(model=model, response=response))
        return tuple(found)

    def _cut(self, value: Json, field: str) -> bool:
        if value != CUT:
            self.place.damaged('unknown way to be cut', field=field, expected=repr(CUT), got=repr(value))
        return True

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
                types=self.place.object(fields.get('types', {}), f'{field}.types'),
                raised=self._raised(fields['raised'], f'{field}.raised') if 'raised' in fields else None,
                usage=self._usage(fields.get('usage', {}), f'{field}.usage'),
            )
        return found

    def _usage(self, value: Json, field: str) -> JsonObject:
        counts = self.place.object(value, field)
        details = self.place.object(counts.get('details', {}), f'{field}.details')
        for count in ({**counts, 'details': 0} | details).values():
            if type(count) is not int:
                self.place.damaged('a count is no number', field=field, expected='an integer', got=repr(count))
        return counts

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
        try:
            return unpack_long(fields)
        except ValueError as error:
            self.place.damaged(str(error), field=field)


__all__ = ('read_cassette',)
