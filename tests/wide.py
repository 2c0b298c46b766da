"""Whole wire messages and runs, made short: what tests of showing and comparing are about stands in the call."""

from replay.canon import Json, JsonObject
from replay.cassette import Cassette, Definition, Node, Run

COUNTERS = (
    'input_tokens',
    'cache_write_tokens',
    'cache_read_tokens',
    'output_tokens',
    'input_audio_tokens',
    'cache_audio_read_tokens',
    'output_audio_tokens',
)
TIME = '2000-01-01T00:00:01Z'


def user(content: Json) -> JsonObject:
    return {'content': content, 'timestamp': TIME, 'part_kind': 'user-prompt'}


def system(content: str) -> JsonObject:
    return {'content': content, 'timestamp': TIME, 'dynamic_ref': None, 'part_kind': 'system-prompt'}


def text(content: str) -> JsonObject:
    return {'content': content, 'id': None, 'provider_details': None, 'part_kind': 'text'}


def call(name: str, args: Json, *, id: str = 'c1') -> JsonObject:
    return {
        'tool_name': name,
        'args': args,
        'tool_call_id': id,
        'id': None,
        'provider_details': None,
        'part_kind': 'tool-call',
    }


def returned(name: str, content: Json, *, id: str = 'c1') -> JsonObject:
    return {
        'tool_name': name,
        'content': content,
        'tool_call_id': id,
        'metadata': None,
        'timestamp': TIME,
        'part_kind': 'tool-return',
    }


def retry(content: Json, *, name: str | None = None, id: str = 'c1') -> JsonObject:
    return {'content': content, 'tool_name': name, 'tool_call_id': id, 'timestamp': TIME, 'part_kind': 'retry-prompt'}


def request(*parts: JsonObject, instructions: str | None = None) -> JsonObject:
    return {
        'parts': list(parts),
        'timestamp': TIME,
        'instructions': instructions,
        'kind': 'request',
        'run_id': 'r',
        'metadata': None,
    }


def response(*parts: JsonObject, model: str = 'm', finish: str | None = None, response_id: str = 'x') -> JsonObject:
    return {
        'parts': list(parts),
        'usage': {**dict.fromkeys(COUNTERS, 0), 'input_tokens': 1, 'output_tokens': 1, 'details': {}},
        'model_name': model,
        'timestamp': TIME,
        'kind': 'response',
        'provider_name': None,
        'provider_url': None,
        'provider_details': None,
        'provider_response_id': response_id,
        'finish_reason': finish,
        'run_id': 'r',
        'metadata': None,
    }


def asks(*parts: JsonObject, definition: Definition | None = None, instructions: str | None = None) -> Node:
    given = definition.instructions if definition else instructions
    return Node(kind='ModelRequestNode', message=request(*parts, instructions=given), definition=definition)


def answers(*parts: JsonObject, model: str = 'm', finish: str | None = None, response_id: str = 'x') -> Node:
    message = response(*parts, model=model, finish=finish, response_id=response_id)
    return Node(kind='CallToolsNode', message=message)


def run(*nodes: Node, name: str = 'trip_agent', history: tuple[JsonObject, ...] = ()) -> Run:
    whole = (Node(kind='UserPromptNode'), *nodes, Node(kind='End'))
    return Run(name=name, agent=name.rpartition('/')[2].partition('#')[0], history=history, nodes=whole)


def cassette(*runs: Run, recorded: JsonObject | None = None) -> Cassette:
    return Cassette(test='tests/test_trip.py::test_forecast', recorded=recorded or {}, runs=runs)
