"""Whole messages of the wire table, and strategies for runs made of them."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from replay import logical
from replay.canon import Json, JsonObject
from replay.cassette import Cassette, Definition, Node, Raised, Run, ToolResult
from replay.streams import STATE

NAME = 'trip_agent'
USAGE: JsonObject = {
    'input_tokens': 0,
    'cache_write_tokens': 0,
    'cache_read_tokens': 0,
    'output_tokens': 0,
    'input_audio_tokens': 0,
    'cache_audio_read_tokens': 0,
    'output_audio_tokens': 0,
    'details': {},
}


def user(content: Json, **other: Json) -> JsonObject:
    return {'content': content, 'timestamp': logical.stamp(0), 'part_kind': 'user-prompt'} | other


def returned(tool: str, content: Json, call_id: str, **other: Json) -> JsonObject:
    part: JsonObject = {'tool_name': tool, 'content': content, 'tool_call_id': call_id, 'metadata': None}
    return part | {'timestamp': logical.stamp(1), 'part_kind': 'tool-return'} | other


def retry(content: Json, tool: str | None, call_id: str, **other: Json) -> JsonObject:
    part: JsonObject = {'content': content, 'tool_name': tool, 'tool_call_id': call_id}
    return part | {'timestamp': logical.stamp(1), 'part_kind': 'retry-prompt'} | other


def called(tool: str, args: Json, call_id: str, **other: Json) -> JsonObject:
    part: JsonObject = {'tool_name': tool, 'args': args, 'tool_call_id': call_id, 'id': None}
    return part | {'provider_details': None, 'part_kind': 'tool-call'} | other


def builtin_called(call_id: str, **other: Json) -> JsonObject:
    part: JsonObject = {'tool_name': 'web_search', 'args': None, 'tool_call_id': call_id, 'id': None}
    return part | {'provider_details': None, 'provider_name': 'openai', 'part_kind': 'builtin-tool-call'} | other


def builtin_returned(call_id: str, **other: Json) -> JsonObject:
    part: JsonObject = {'tool_name': 'web_search', 'content': {}, 'tool_call_id': call_id, 'metadata': None}
    more: JsonObject = {'timestamp': logical.stamp(1), 'provider_name': 'openai', 'provider_details': None}
    return part | more | {'part_kind': 'builtin-tool-return'} | other


def text(content: str, **other: Json) -> JsonObject:
    return {'content': content, 'id': None, 'provider_details': None, 'part_kind': 'text'} | other


def thinking(content: str, **other: Json) -> JsonObject:
    part: JsonObject = {'content': content, 'id': None, 'signature': None, 'provider_name': None}
    return part | {'provider_details': None, 'part_kind': 'thinking'} | other


def request(*parts: JsonObject, at: int = 1, **other: Json) -> JsonObject:
    message: JsonObject = {'parts': [*parts], 'timestamp': logical.stamp(at), 'instructions': None, 'kind': 'request'}
    return message | {'run_id': logical.run_id(NAME), 'metadata': None} | other


def response(*parts: JsonObject, at: int = 1, **other: Json) -> JsonObject:
    calls = any(part['part_kind'] == 'tool-call' for part in parts)
    message: JsonObject = {
        'parts': [*parts],
        'usage': USAGE,
        'model_name': 'gpt-4o',
        'timestamp': logical.stamp(at),
        'kind': 'response',
        'provider_name': 'openai',
        'provider_url': None,
        'provider_details': None,
        'provider_response_id': None,
        'finish_reason': 'tool_call' if calls else 'stop',
        'run_id': logical.run_id(NAME),
        'metadata': None,
    }
    return message | other


def opening(response: JsonObject, **other: Json) -> JsonObject:
    """The state of a response when its stream opens, where that is the usual one."""
    unknown: JsonObject = {'provider_details': None, 'provider_response_id': None, 'finish_reason': None}
    known: JsonObject = {**response, **unknown, 'usage': USAGE}
    return {key: known[key] for key in STATE} | other


def begun(index: int, part: JsonObject, before: str | None = None) -> JsonObject:
    return {'index': index, 'part': part, 'previous_part_kind': before, 'event_kind': 'part_start'}


def more(index: int, content: Json, **other: Json) -> JsonObject:
    delta: JsonObject = {'content_delta': content, 'provider_details': None, 'part_delta_kind': 'text'}
    return {'index': index, 'delta': delta | other, 'event_kind': 'part_delta'}


def more_thought(index: int, content: Json, **other: Json) -> JsonObject:
    delta: JsonObject = {'content_delta': content, 'signature_delta': None, 'provider_name': None}
    usual: JsonObject = {'provider_details': None, 'part_delta_kind': 'thinking'}
    return {'index': index, 'delta': delta | usual | other, 'event_kind': 'part_delta'}


def more_of_call(index: int, args: Json, call_id: str, **other: Json) -> JsonObject:
    delta: JsonObject = {'tool_name_delta': None, 'args_delta': args, 'tool_call_id': call_id}
    usual: JsonObject = {'provider_details': None, 'part_delta_kind': 'tool_call'}
    return {'index': index, 'delta': delta | usual | other, 'event_kind': 'part_delta'}


def ended(index: int, part: JsonObject, after: str | None = None) -> JsonObject:
    return {'index': index, 'part': part, 'next_part_kind': after, 'event_kind': 'part_end'}


def final(tool: str | None = None, call_id: str | None = None) -> JsonObject:
    return {'tool_name': tool, 'tool_call_id': call_id, 'event_kind': 'final_result'}


OVER: JsonObject = {'over': True}


def cassette(*nodes: Node, **run: Any) -> Cassette:
    run.setdefault('name', NAME)
    return Cassette(runs=(Run(agent=NAME, nodes=nodes, **run),))


def asked(message: JsonObject, **other: Any) -> Node:
    return Node(kind='ModelRequestNode', message=message, **other)


def answered(message: JsonObject, **other: Any) -> Node:
    return Node(kind='CallToolsNode', message=message, **other)


PROMPT = Node(kind='UserPromptNode')
END = Node(kind='End')

# Strategies: keys never are `item`, which marks the short form of a file; a test of its own looks at that.
keys = st.text(max_size=6).filter(lambda key: key != 'item') | st.sampled_from(['a', 'a|', '|', '||', 'content|'])
words = st.text(max_size=20) | st.sampled_from(['x' * 90, 'first line\n' * 9, '\n' * 81, '{"a": 1}', '{"a":1.0}', '{}'])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
values: st.SearchStrategy[Json] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(keys, values, max_size=3)
times = st.integers(0, 3).map(logical.stamp) | st.datetimes().map(lambda moment: f'{moment.isoformat()}Z')
ids = st.integers(1, 9).map(lambda number: logical.call_id(NAME, number)) | st.sampled_from(['c1', 'c2', 'c3']) | words
tools = st.sampled_from(['get_weather', 'new_ticket'])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def shaped(**fields: st.SearchStrategy[Any] | Json) -> st.SearchStrategy[JsonObject]:
    """Objects with these keys in this order."""
    known = [value if isinstance(value, st.SearchStrategy) else st.just(value) for value in fields.values()]
    return st.tuples(*known).map(lambda found: dict(zip(fields, found, strict=True)))


detail = {'id': maybe(words), 'provider_details': maybe(objects)}
url = shaped(
    url=words,
    force_download=st.booleans(),
    vendor_metadata=maybe(objects),
    kind='image-url',
    media_type='image/png',
    identifier=words,
)
marker = shaped(kind='cache-point', ttl=st.sampled_from(['5m', '1h']))
binary = shaped(data=words, media_type='image/png', vendor_metadata=maybe(objects), kind='binary', identifier=words)
request_parts = st.one_of(
    shaped(content=words, timestamp=times, dynamic_ref=maybe(words), part_kind='system-prompt'),
    shaped(
        content=words | st.lists(words | url | marker | binary, max_size=3), timestamp=times, part_kind='user-prompt'
    ),
    shaped(
        tool_name=tools, content=values, tool_call_id=ids, metadata=values, timestamp=times, part_kind='tool-return'
    ),
    shaped(content=values, tool_name=maybe(tools), tool_call_id=ids, timestamp=times, part_kind='retry-prompt'),
)
args = maybe(words | objects)
response_parts = st.one_of(
    shaped(content=words, **detail, part_kind='text'),
    shaped(
        content=words,
        id=maybe(words),
        signature=maybe(words),
        provider_name=maybe(st.just('openai')),
        provider_details=maybe(objects),
        part_kind='thinking',
    ),
    shaped(tool_name=tools, args=args, tool_call_id=ids, **detail, part_kind='tool-call'),
    shaped(
        tool_name=tools,
        args=args,
        tool_call_id=ids,
        **detail,
        provider_name=maybe(st.just('openai')),
        part_kind='builtin-tool-call',
    ),
    shaped(
        tool_name=tools,
        content=values,
        tool_call_id=ids,
        metadata=values,
        timestamp=times,
        provider_name=maybe(words),
        provider_details=maybe(objects),
        part_kind='builtin-tool-return',
    ),
    shaped(
        content=binary, id=maybe(words), provider_name=maybe(words), provider_details=maybe(objects), part_kind='file'
    ),
)
run_ids = st.sampled_from([logical.run_id(NAME), None, 'other'])
counts = st.integers(0, 9)
usages = shaped(
    input_tokens=counts,
    cache_write_tokens=counts,
    cache_read_tokens=counts,
    output_tokens=counts,
    input_audio_tokens=counts,
    cache_audio_read_tokens=counts,
    output_audio_tokens=counts,
    details=st.dictionaries(keys, counts, max_size=2),
)
requests = shaped(
    parts=st.lists(request_parts, max_size=3),
    timestamp=maybe(times),
    instructions=maybe(words),
    kind='request',
    run_id=run_ids,
    metadata=maybe(objects),
)
responses = shaped(
    parts=st.lists(response_parts, max_size=4),
    usage=usages,
    model_name=maybe(words),
    timestamp=times,
    kind='response',
    provider_name=maybe(st.just('openai')),
    provider_url=maybe(words),
    provider_details=maybe(objects),
    provider_response_id=maybe(words),
    finish_reason=st.sampled_from([None, 'stop', 'tool_call', 'length']),
    run_id=run_ids,
    metadata=maybe(objects),
)
definitions = st.builds(
    Definition,
    instructions=maybe(words),
    settings=maybe(objects),
    tools=st.dictionaries(
        tools,
        st.fixed_dictionaries({'description': maybe(words)})
        | st.just({'parameters': {'additionalProperties': False, 'type': 'object'}})
        | st.just({'parameters': {'type': 'object'}})
        | st.just({'parameters': {'type': 'object', 'additionalProperties': False}})
        | st.just({'parameters': {'additionalProperties': True}}),
        max_size=2,
    ),
    builtin_tools=st.lists(objects, max_size=1).map(tuple),
    output=maybe(objects),
)
raised = st.builds(Raised, type=words, bases=st.lists(words, max_size=2).map(tuple), message=words, args=objects)
results = st.builds(ToolResult, kind=words, content=values, metadata=values, user_content=values, raised=maybe(raised))
orders = maybe(st.permutations(range(2)).map(tuple))
then = st.lists(requests | responses, max_size=2).map(tuple)
paths = st.sampled_from(['parts/0/content', 'parts/1/args/when', 'parts/9/content', 'metadata/x', 'parts', 'parts/0'])
types = st.dictionaries(paths, words, max_size=2)


def _of_its_calls(node: Node) -> Node:
    """The node without orders and results of calls that it did not make."""
    parts: Any = node.message['parts'] if node.message else []
    made = sum(part['part_kind'] == 'tool-call' for part in parts) if node.message else 99
    kept = {index: result for index, result in node.results.items() if index < made}
    return node if made >= 2 and kept == node.results else replace(node, results=kept, started=None, finished=None)


def nodes(*, known: bool) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(Node, kind=st.just('UserPromptNode'), facts=objects),
        st.builds(
            Node,
            kind=st.just('ModelRequestNode'),
            message=maybe(requests),
            definition=maybe(definitions) if known else st.none(),
            counted=maybe(objects),
            raised=maybe(raised),
            then=then,
            types=types,
        ),
        st.builds(
            Node,
            kind=st.sampled_from(['CallToolsNode', 'SetFinalResult']),
            message=maybe(responses),
            started=orders,
            finished=orders,
            results=st.dictionaries(st.integers(0, 12), results, max_size=2),
            types=types,
        ).map(_of_its_calls),
        st.builds(Node, kind=st.just('End'), then=then, facts=objects),
    )


def _runs(*, known: bool, imported: bool) -> st.SearchStrategy[Run]:
    return st.builds(
        Run,
        name=st.just(NAME),
        agent=st.sampled_from([NAME, 'other']),
        history=st.lists(requests | responses, max_size=2).map(tuple),
        nodes=st.lists(nodes(known=known), max_size=5).map(tuple),
        facts=st.just({'imported': True})
        if imported
        else st.sampled_from(['run', 'iter']).map(lambda how: {'entry': how}),
        marks=st.lists(words, max_size=1).map(tuple),
    )


runs = st.booleans().flatmap(
    lambda known: st.booleans().flatmap(lambda imported: _runs(known=known, imported=imported))
)
cassettes = st.builds(
    Cassette, test=maybe(words), recorded=objects, runs=st.lists(runs, min_size=1, max_size=2).map(tuple)
)
