"""A cassette as text, and back."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from replay import canon, logical
from replay.canon import JsonObject
from replay.cassette import Cassette, Definition, Node, Raised, Run, ToolResult
from replay.codec import Limits, dumps, loads, seal_of
from replay.codec._state import offset
from replay.errors import CassetteDamaged, CassetteInconsistent, CassetteTooNew, NotRestorable
from replay.history import from_history, to_history
from replay.shapes import FULL, TABLES
from tests.helpers import CORPUS_ABSENT, corpus
from tests.replay import messages as m

WEATHER: JsonObject = {
    'description': 'Weather of a city.',
    'parameters': {
        'additionalProperties': False,
        'type': 'object',
        'properties': {'city': {'type': 'string'}},
        'required': ['city'],
    },
}
TICKET: JsonObject = {'parameters': {'additionalProperties': False, 'type': 'object', 'properties': {}}}
AGENT = Definition(
    instructions='Answer briefly. Use the tools.',
    settings={'temperature': 0.0},
    tools={'get_weather': WEATHER, 'new_ticket': TICKET},
)
INSTRUCTED: Any = {'instructions': AGENT.instructions}
TICKET_ID = '5f0c9a52-7d1e-4b7e-9c55-0b6a4f6f2c11'
MODEL: Any = {'model_name': 'gpt-4o-2024-08-06', 'provider_url': 'https://api.openai.com/v1/'}


def usage(**counts: int) -> Any:
    return m.USAGE | counts


WHOLE = Cassette(
    test='tests/test_trip.py::test_forecast[Paris]',
    recorded={'on': '2026-11-20', 'by': 'agentrun 0.1.0'},
    runs=(
        Run(
            name='trip_agent',
            agent='trip_agent',
            nodes=(
                Node(kind='UserPromptNode'),
                m.asked(m.request(m.user('Weather in Paris? And open a ticket.'), **INSTRUCTED), definition=AGENT),
                m.answered(
                    m.response(
                        m.called('get_weather', '{"city":"Paris"}', 'call_q2UyBR'),
                        m.called('new_ticket', '{}', 'call_b51ijc'),
                        usage=usage(input_tokens=96, output_tokens=34),
                        provider_response_id='chatcmpl-C2QD1k',
                        provider_details={'finish_reason': 'tool_calls', 'timestamp': '2026-11-20T09:50:39Z'},
                        **MODEL,
                    ),
                    finished=(1, 0),
                ),
                m.asked(
                    m.request(
                        m.returned('get_weather', {'sky': 'sunny', 'celsius': 21.0}, 'call_q2UyBR'),
                        m.returned('new_ticket', TICKET_ID, 'call_b51ijc'),
                        at=2,
                        **INSTRUCTED,
                    ),
                    definition=AGENT,
                    types={'parts/0/content': 'Weather', 'parts/1/content': 'uuid'},
                ),
                m.answered(
                    m.response(
                        m.text(
                            '**Paris**: sunny, 21 degrees, hardly any wind, no rain before Sunday.\n\n'
                            f'Ticket: {TICKET_ID}'
                        ),
                        at=2,
                        usage=usage(input_tokens=151, output_tokens=31),
                        provider_response_id='chatcmpl-C2QD2N',
                        provider_details={'finish_reason': 'stop', 'timestamp': '2026-11-20T09:50:41Z'},
                        **MODEL,
                    )
                ),
                Node(kind='End'),
            ),
        ),
    ),
)

TEXT = """\
{
  "format": "agentrun-replay/1",
  "test": "tests/test_trip.py::test_forecast[Paris]",
  "wire": "pydantic-ai 1.38",
  "recorded": {"on": "2026-11-20", "by": "agentrun 0.1.0"},
  "agents": {
    "trip_agent": {
      "instructions": "Answer briefly. Use the tools.",
      "settings": {"temperature": 0.0},
      "tools": {
        "get_weather": {
          "description": "Weather of a city.",
          "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"]
          }
        },
        "new_ticket": {"parameters": {"type": "object", "properties": {}}}
      }
    }
  },
  "runs": [
    {
      "run": "trip_agent",
      "model": {"model_name": "gpt-4o-2024-08-06", "provider_name": "openai", "provider_url": "https://api.openai.com/v1/"},
      "nodes": [
        {"node": "UserPromptNode"},
        {
          "node": "ModelRequestNode",
          "parts": [
            {"part": "user-prompt", "content": "Weather in Paris? And open a ticket."}
          ]
        },
        {
          "node": "CallToolsNode",
          "parts": [
            {"part": "tool-call", "tool_name": "get_weather", "args_json": {"city": "Paris"}},
            {"part": "tool-call", "tool_name": "new_ticket", "args_json": {}}
          ],
          "finished": [1, 0]
        },
        {
          "node": "ModelRequestNode",
          "parts": [
            {
              "part": "tool-return",
              "tool_name": "get_weather",
              "content": {"sky": "sunny", "celsius": 21.0},
              "types": {"content": "Weather"}
            },
            {
              "part": "tool-return",
              "tool_name": "new_ticket",
              "content": "5f0c9a52-7d1e-4b7e-9c55-0b6a4f6f2c11",
              "types": {"content": "uuid"}
            }
          ]
        },
        {
          "node": "CallToolsNode",
          "parts": [
            {
              "part": "text",
              "content|": [
                "**Paris**: sunny, 21 degrees, hardly any wind, no rain before Sunday.",
                "",
                "Ticket: 5f0c9a52-7d1e-4b7e-9c55-0b6a4f6f2c11"
              ]
            }
          ]
        },
        {"node": "End"}
      ],
      "provider": [
        {"usage": {"input_tokens": 96, "output_tokens": 34}, "provider_response_id": "chatcmpl-C2QD1k", "provider_details": {"finish_reason": "tool_calls", "timestamp": "2026-11-20T09:50:39Z"}, "parts": [{"tool_call_id": "call_q2UyBR"}, {"tool_call_id": "call_b51ijc"}]},
        {"usage": {"input_tokens": 151, "output_tokens": 31}, "provider_response_id": "chatcmpl-C2QD2N", "provider_details": {"finish_reason": "stop", "timestamp": "2026-11-20T09:50:41Z"}}
      ]
    }
  ],
"""  # noqa: E501  # lines of the provider are never broken


def bytes_of(cassette: Cassette) -> list[bytes]:
    return [canon.dumps([*run.messages]) for run in cassette.runs]


def sealed(text: str) -> str:
    """The text up to its seal, or one that lacks it, with the seal that belongs to it."""
    body = text[: text.rindex('  "seal"')]
    return f'{body}  "seal": "{seal_of(body)}"\n}}\n'


def changed(cassette: Cassette, old: str, new: str) -> str:
    """The text of a cassette with one place changed by hand, and sealed again."""
    text = dumps(cassette)
    assert text.count(old) == 1, text
    return sealed(text.replace(old, new))


@pytest.mark.parametrize(('key', 'value'), [('mode', 1), ('tools', 3.5)])
def test_an_output_that_cannot_be_one_is_refused(key: str, value: float):
    definition = Definition(output={'mode': 'tool', 'tools': {}, key: value})
    node = Node(kind='ModelRequestNode', message=m.request(m.user('Hi')), definition=definition)
    with pytest.raises(NotRestorable) as caught:
        dumps(Cassette(runs=(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'), node)),)))
    assert caught.value.got is not None
    assert f'output.{key} is no' in caught.value.got


def test_a_cassette_without_runs_has_its_seal_on_a_line_of_its_own_too():
    text = dumps(Cassette())
    assert text.splitlines()[-2].startswith('  "seal": ')
    assert loads(text) == Cassette()


def test_a_cassette_reads_as_the_format_says():
    text = dumps(WHOLE)
    assert text == f'{TEXT}  "seal": "{seal_of(TEXT)}"\n}}\n'
    assert loads(text) == WHOLE


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(m.cassettes)
def test_every_run_of_known_shapes_comes_back(cassette: Cassette):
    found = loads(dumps(cassette))
    assert found.wire == 'pydantic-ai 1.38'
    assert (found, bytes_of(found)) == (cassette, bytes_of(cassette))


def test_a_run_without_instructions_keeps_none_beside_one_of_the_same_agent_that_has_some():
    request: JsonObject = {'parts': [], 'timestamp': None, 'instructions': None, 'kind': 'request', 'run_id': None}
    node = Node(kind='ModelRequestNode', message={**request, 'metadata': None})
    told = Node(kind='ModelRequestNode', definition=Definition(instructions='Be brief.'))
    cassette = Cassette(
        runs=tuple(Run(name=f'a#{n}', agent='a', nodes=(one,)) for n, one in enumerate((node, told), 1))
    )
    assert loads(dumps(cassette)) == cassette


@pytest.mark.parametrize('line', range(208))
def test_every_recorded_history_comes_back(line: int):
    if not corpus():
        pytest.skip(CORPUS_ABSENT)
    record = corpus()[line]
    cassette = from_history(
        record['all_messages_json'],
        new_from=record['history_messages_in'],
        output_tool=record['output_tool_name'],
        entry=record['driver'],
        error=record['error'],
    ).cassette
    text = dumps(cassette)
    assert to_history(loads(text)) == record['all_messages_json'].encode()
    assert loads(text) == cassette
    assert len(text.encode()) <= 1.25 * len(record['all_messages_json'].encode()) + 1024


@pytest.mark.parametrize('cut', range(4))
def test_a_cassette_that_was_cut_off_anywhere_is_refused(cut: int):
    data = dumps(WHOLE).encode()
    for end in range(cut, len(data), 4):
        with pytest.raises(CassetteDamaged):
            loads(data[:end])


def test_a_changed_byte_is_refused_or_does_not_matter():
    data = dumps(m.cassette(m.PROMPT, m.asked(m.request(m.user('Hi'))), m.answered(m.response(m.text('é'))))).encode()
    same = loads(data)
    for place in range(len(data)):
        for byte in (0, 10, 32, 34, 48, 97, 255):
            try:
                found = loads(data[:place] + bytes([byte]) + data[place + 1 :])
            except CassetteDamaged:
                continue
            assert found == same


def test_line_ends_of_another_system_do_not_break_the_seal():
    assert loads(dumps(WHOLE).replace('\n', '\r\n')) == WHOLE


@pytest.mark.parametrize(
    ('text', 'cause'),
    [
        ('', 'empty'),
        (b'\xff\xfe{', 'binary'),
        (b'\x89PNG\r\n\x1a\n', 'binary'),
        ('{"format": ', 'truncated'),
        ('{"a": 1, "a": 2}', 'duplicate-key'),
        ('[' * 100_000, 'too-deep'),
        ('[1e999]', 'number'),
        ('nonsense', 'syntax'),
        ('{\n<<<<<<< ours\n  "a": 1\n=======\n  "a": 2\n>>>>>>> theirs\n}', 'conflict'),
        ('[]', 'shape'),
        ('{}', 'shape'),
        ('{"format": "somebody else/3"}', 'shape'),
        ('{"format": "agentrun-replay/1"}', 'seal'),
        ('{"format": "agentrun-replay/0"}', 'shape'),
        (dumps(WHOLE).replace('sunny, 21', 'rainy, 11'), 'seal'),
        (dumps(WHOLE)[:-1], 'seal'),
    ],
)
def test_damage_is_told_by_its_cause(text: str | bytes, cause: str):
    with pytest.raises(CassetteDamaged) as caught:
        loads(text, name='cassettes/a.json')
    assert (caught.value.cause, caught.value.where.cassette) == (cause, 'cassettes/a.json')
    assert caught.value.next


def test_a_text_over_the_limit_is_not_parsed():
    with pytest.raises(CassetteDamaged, match='the cassette is too large') as caught:
        loads('[' * 100, limits=Limits(size=99))
    assert caught.value.cause == 'too-large'


def test_a_newer_format_is_told_as_such():
    with pytest.raises(CassetteTooNew, match='pip install --upgrade agentrun-replay'):
        loads('{"format": "agentrun-replay/2", "whatever": 1}')


A_TURN = (
    m.PROMPT,
    m.asked(m.request(m.user('Hi')), definition=Definition()),
    m.answered(m.response(m.called('get_weather', {}, 'c1'))),
    m.asked(m.request(m.returned('get_weather', 1, 'c1'), at=2), definition=Definition()),
    m.answered(m.response(m.text('Hello'), at=2)),
    m.END,
)
TURN = m.cassette(*A_TURN)


@pytest.mark.parametrize(
    ('old', 'new', 'headline'),
    [
        ('"format"', '"extra": 1,\n  "format"', "unknown key 'extra'"),
        ('"run": ', '"extra": 1, "run": ', "unknown key 'extra'"),
        ('{"node": "End"', '{"extra": 1, "node": "End"', "unknown key 'extra'"),
        ('"content": "Hi"', '"content": "Hi", "extra": 1', "unknown key 'extra'"),
        ('"content": "Hi"', '"content": "Hi", "args_json": {}', "unknown key 'args_json'"),
        ('"content": "Hi"', '"content": "Hi", "part_kind": "text"', "unknown key 'part_kind'"),
        ('"content": "Hi"', '"content": "Hi", "extra|": [""]', "unknown key 'extra|'"),
        ('"content": "Hi"', '"content|": "Hi"', '"content|" holds no lines of text'),
        ('"content": "Hi"', '"content|": []', '"content|" holds no lines of text'),
        ('"content": "Hi"', '"content|": [1]', '"content|" holds no lines of text'),
        (', "content": "Hi"', '', "parts.0 lacks 'content'"),
        ('"user-prompt"', '"telepathy"', "unknown kind of part 'telepathy'"),
        ('"user-prompt"', '7', 'unknown kind of part 7'),
        ('"user-prompt"', '"text"', "unknown kind of part 'text'"),
        ('{"part": "user-prompt", "content": "Hi"}', '"Hi"', 'parts.0 is no object'),
        ('"content": "Hi"', '"content": [{"item": "smell"}]', "unknown kind of content 'smell'"),
        ('"content": "Hi"', '"content": [{"item": 7}]', 'unknown kind of content a number'),
        ('"content": "Hi"', '"content": [{"item": "image-url"}]', "parts.0.content lacks 'url'"),
        ('"content": "Hi"', '"content": "Hi", "types": 1', 'parts.0.types is no object'),
        ('"node": "End"', '"node": "Beginning"', "unknown kind of node 'Beginning'"),
        ('"node": "End"', '"node": 7', 'unknown kind of node 7'),
        ('{"node": "End"}', '[]', 'node is no object'),
        ('"wire": "pydantic-ai 1.38"', '"wire": 1', 'wire is no string'),
        ('"recorded": {}', '"recorded": []', 'recorded is no object'),
        ('"recorded": {}', '"recorded": {}, "test": 1', 'test is no string'),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"extra": 1}}', "unknown key 'extra'"),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"instructions|": 1}}', '"instructions|" holds no lines'),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"settings": 1}}', 'agents.a.settings is no object'),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"tools": 1}}', 'agents.a.tools is no object'),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"tools": {"t": 1}}}', 'tools.t is no object'),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"builtin_tools": 1}}', 'builtin_tools is no array'),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"output": 1}}', 'agents.a.output is no object'),
        ('"run": "trip_agent"', '"run": 1', 'run is no string'),
        ('"run": "trip_agent"', '"run": "trip_agent", "marks": [1]', 'marks is no string'),
        ('"node": "End"', '"node": "End", "then": 1', 'then is no array'),
        ('"node": "End"', '"node": "End", "then": [{"kind": "poem"}]', "unknown kind of message 'poem'"),
        ('"node": "End"', '"node": "End", "then": [{"kind": "request", "x": 1}]', "unknown key 'x'"),
        ('"node": "End"', '"node": "End", "then": [{"kind": "request"}]', 'parts is no array'),
        ('"node": "End"', '"node": "End", "raised": {"type": "X", "x": 1}', "unknown key 'x'"),
        ('"node": "End"', '"node": "End", "raised": {"type": "X", "message|": 1}', '"message|" holds no lines'),
        ('"args_json"', '"args"', None),
        ('"args": {}', '"args_json": 1', 'parts.0.args_json is no object'),
        ('"args": {}', '"args": {"x|": 1}', '"x|" holds no lines of text'),
        ('"args": {}', '"args_json": {"x|": 1}', '"x|" holds no lines of text'),
        ('[{"tool_call_id": "c1"}]', '[{"signature": "c1"}]', "a tool-call part has no 'signature'"),
        ('[{"tool_call_id": "c1"}]', '[{"extra": "c1"}]', "unknown key 'extra'"),
        ('[{"tool_call_id": "c1"}]', '[{"tool_call_id": false}]', 'provider.parts.tool_call_id is no string'),
        ('{"parts": [{"tool_call_id": "c1"}]}', '{"extra": 1}', "unknown key 'extra'"),
        ('{"parts": [{"tool_call_id": "c1"}]}', '{"usage": 1}', 'provider.usage is no object'),
        ('{"parts": [{"tool_call_id": "c1"}]}', '{"usage": {"x": 1}}', "unknown key 'x'"),
    ],
)
def test_what_the_format_does_not_know_is_refused_by_name(old: str, new: str, headline: str | None):
    if headline is None:
        old, new, headline = '"args": {}', '"args": {}, "message": {}', "unknown key 'message'"
    with pytest.raises(CassetteDamaged) as caught:
        loads(changed(TURN, old, new), name='cassettes/a.json')
    assert caught.value.headline.startswith(headline) or headline in caught.value.headline


@pytest.mark.parametrize(
    ('old', 'new', 'headline'),
    [
        ('"content": 1', '"content": 1, "call": 1', 'a result of a call that was never made'),
        ('"content": 1', '"content": 1, "call": "0"', 'a result of a call that was never made'),
        ('[{"tool_call_id": "c1"}]', '[{}, {}]', 'the provider tells of parts that are not there'),
        ('        {}\n', '        {},\n        {}\n', 'more lines of provider than responses'),
        (',\n        {}\n', '\n', 'fewer lines of provider than responses'),
        ('"run": "trip_agent"', '"run": "trip_agent", "definition": "x"', 'the run refers to a definition'),
        ('"run": "trip_agent"', '"run": "trip_agent", "history": {"run": "x", "messages": 1}', 'the history refers to'),
        ('{"node": "UserPromptNode"}', '{"node": "CallToolsNode", "from_history": true}', 'a node takes up a message'),
        ('"recorded": {}', '"recorded": {}, "agents": {"a": {"tools": {"t": "b"}}}', 'tool t refers to a definition'),
        ('"part": "text"', '"part": "builtin-tool-return", "tool_name": "x"', 'a result of a built-in call'),
        (
            '"run": "trip_agent"',
            '"run": "trip_agent", "facts": {"imported": true}',
            'fewer lines of times than messages',
        ),
    ],
)
def test_parts_that_contradict_each_other_are_refused(old: str, new: str, headline: str):
    with pytest.raises(CassetteInconsistent) as caught:
        loads(changed(TURN, old, new), name='cassettes/a.json')
    assert caught.value.headline.startswith(headline)


def test_shapes_that_are_not_known_are_of_a_newer_version():
    with pytest.raises(CassetteTooNew, match='unknown table of message shapes') as caught:
        loads(changed(TURN, '"pydantic-ai 1.38"', '"pydantic-ai 3.0"'))
    assert caught.value.expected == f'one of {", ".join([*TABLES, FULL])}'


def streamed(answer: JsonObject) -> Cassette:
    stream = (
        m.opening(answer),
        m.begun(0, {**m.text('Hello'), 'content': 'He'}),
        m.more(0, 'llo'),
        m.ended(0, m.text('Hello')),
    )
    nodes = (m.asked(m.request(m.user('Hi'))), m.answered(answer), m.asked(m.request(m.user('And?'))))
    asked = replace(nodes[0], stream=(*stream, m.OVER))
    return Cassette(runs=(Run(name='a', agent='a', nodes=(asked, *nodes[1:])),))


def test_a_streamed_response_is_a_line_of_cuts_at_the_end_of_its_run():
    cassette = streamed(m.response(m.text('Hello'), model_name='m'))
    text = dumps(cassette)
    assert '      "streams": [\n        [{"part": 0, "from": 2, "cuts": "3"}, "end"],\n        null\n      ]' in text
    assert loads(text) == cassette


@pytest.mark.parametrize(
    ('old', 'new', 'kind', 'headline'),
    [
        ('"cuts": "3"', '"cuts": "4"', CassetteDamaged, 'a stream cannot be read: a cut of 4 characters where 3 are'),
        ('"cuts": "3"', '"cuts": "x"', CassetteDamaged, "a stream cannot be read: 'x' is no cut"),
        ('"cuts": "3"', '"cuts": 3', CassetteDamaged, 'a stream cannot be read: an entry lacks what it needs'),
        ('"part": 0', '"part": 1', CassetteDamaged, 'a stream cannot be read: an entry lacks what it needs'),
        ('"part": 0', '"part": -1', CassetteDamaged, 'a stream cannot be read: '),
        ('"from": 2', '"from": 9', CassetteDamaged, 'a stream cannot be read: part 0 cannot begin with 9 characters'),
        (', "end"]', ', "final!"]', CassetteDamaged, "a stream cannot be read: 'final!' is no entry"),
        (', "end"]', ', {"x": 1}]', CassetteDamaged, "a stream cannot be read: {'x': 1} is no entry"),
        (',\n        null\n', '\n', CassetteInconsistent, 'fewer lines of streams than requests'),
        ('        null\n', '        null, null\n', CassetteInconsistent, 'more lines of streams than requests'),
        ('        null\n', '        {}\n', CassetteDamaged, ''),
    ],
)
def test_lines_of_streams_that_tell_no_stream_are_refused(old: str, new: str, kind: Any, headline: str):
    with pytest.raises(kind) as caught:
        loads(changed(streamed(m.response(m.text('Hello'), model_name='m')), old, new))
    assert caught.value.headline.startswith(headline)


def test_an_error_says_what_to_type():
    text = dumps(WHOLE).replace('sunny, 21', 'rainy, 11')
    with pytest.raises(CassetteDamaged) as caught:
        loads(text, name='cassettes/a [1].json')
    assert caught.value.next == (
        "git checkout -- 'cassettes/a [1].json'     to go back to the recording under version control",
        "pytest 'tests/test_trip.py::test_forecast[Paris]' --replay-record=rewrite     to record it anew",
        "replay seal 'cassettes/a [1].json'     if it was edited on purpose",
    )
    with pytest.raises(CassetteDamaged) as caught:
        loads('  "test": "\\q",\n<<<<<<< ours\n', name='a.json')
    assert caught.value.next == (
        "git checkout --ours -- a.json     to keep this branch's recording",
        'pytest --replay-record=rewrite     to record it anew',
    )


def test_a_history_is_a_reference_to_the_first_run_of_a_name():
    first, second = TURN.runs[0], m.cassette(m.PROMPT, m.asked(m.request(m.user('Hi')))).runs[0]
    cassette = Cassette(runs=(first, second, replace(second, history=tuple(second.messages))))
    assert loads(dumps(cassette)) == cassette


def test_an_error_names_run_node_and_field():
    with pytest.raises(CassetteDamaged) as caught:
        loads(changed(TURN, '"content": "Hi"', '"content": "Hi", "extra": 1'), name='cassettes/a.json')
    assert str(caught.value.where) == 'cassettes/a.json  run trip_agent  node 1 ModelRequestNode  field parts.0.extra'


@pytest.mark.parametrize('orders', ['["0"]', '[0, 0]', '{}', '[-1]', '[true]'])
def test_an_order_that_is_none_is_refused(orders: str):
    good = replace(TURN.runs[0], nodes=(*A_TURN[:2], replace(A_TURN[2], finished=(0,)), *A_TURN[3:]))
    text = changed(replace(TURN, runs=(good,)), '"finished": [0]', f'"finished": {orders}')
    with pytest.raises(CassetteDamaged):
        loads(text)


@pytest.mark.parametrize(
    'outcome', [{'started': (1,)}, {'finished': (0, 1)}, {'results': {1: ToolResult(kind='external')}}]
)
def test_what_came_of_a_call_that_was_never_made_is_refused(outcome: Any):
    nodes = (*A_TURN[:2], replace(A_TURN[2], **outcome), *A_TURN[3:])
    with pytest.raises(NotRestorable, match='speaks of a call that was never made'):
        dumps(m.cassette(*nodes))


def test_results_stand_under_the_index_of_their_call():
    nodes = (*A_TURN[:2], replace(A_TURN[2], results={0: ToolResult(kind='external')}), *A_TURN[3:])
    cassette = m.cassette(*nodes)
    assert loads(dumps(cassette)) == cassette
    with pytest.raises(CassetteDamaged, match="'00' is no index of a call"):
        loads(changed(cassette, '"results": {"0"', '"results": {"00"'))


HISTORY = (m.request(m.user('Hi')), m.response(m.text('Hello')))


@pytest.mark.parametrize(
    ('old', 'new', 'headline'),
    [
        ('"kind": "request"', '"kind": "poem"', "unknown kind of message 'poem'"),
        ('"content": "Hi"', '"content": "Hi", "call": 0', "unknown key 'call'"),
        (', "timestamp": "2000-01-01T00:00:00Z"', '', "history.0.parts.0 lacks 'timestamp'"),
        ('"content": "Hi"', '"content": "Hi", "types": {}', 'a part of the history has marks of a run'),
        ('"kind": "request"', '"kind": "request", "extra": 1', "unknown key 'extra'"),
    ],
)
def test_a_history_is_read_as_strictly(old: str, new: str, headline: str):
    with pytest.raises(CassetteDamaged) as caught:
        loads(changed(m.cassette(m.PROMPT, history=HISTORY), old, new))
    assert caught.value.headline == headline


def test_a_history_that_an_earlier_run_made_is_a_reference():
    first, second = TURN.runs[0], replace(TURN.runs[0], name='trip_agent#2', history=tuple(TURN.runs[0].messages))
    cassette = Cassette(runs=(first, second))
    text = dumps(cassette)
    assert '"history": {"run": "trip_agent", "messages": 4}' in text
    assert loads(text) == cassette


def test_a_response_of_the_history_is_answered_by_the_first_request():
    history = (m.request(m.user('Hi')), m.response(m.called('get_weather', {}, 'c1')))
    taken_up = m.answered(history[1], from_history=True)
    cassette = m.cassette(m.PROMPT, taken_up, m.asked(m.request(m.returned('get_weather', 1, 'c1'))), history=history)
    text = dumps(cassette)
    assert '{"node": "CallToolsNode", "from_history": true}' in text
    assert loads(text) == cassette
    assert loads(text).runs[0].new_messages == cassette.runs[0].new_messages == [cassette.runs[0].nodes[2].message]
    with pytest.raises(CassetteInconsistent, match='a node takes up a message of a history that is not there'):
        loads(changed(cassette, '"from_history": true', '"from_history": 1'))
    with pytest.raises(CassetteInconsistent, match='the message of a ModelRequestNode is no request'):
        loads(changed(cassette, '"CallToolsNode", "from', '"ModelRequestNode", "from'))


@pytest.mark.parametrize('message', [None, HISTORY[0]])
def test_a_node_can_only_take_up_the_end_of_the_history(message: Any):
    with pytest.raises(NotRestorable, match='a node takes up a message that does not end the history'):
        dumps(m.cassette(Node(kind='CallToolsNode', message=message, from_history=True), history=HISTORY))


ODD: Any = {**HISTORY[0], 'mood': 'good'}


@pytest.mark.parametrize(
    'cassette',
    [
        m.cassette(m.asked(ODD), m.answered({'kind': 'response'}), replace(m.END, then=(ODD, HISTORY[1]))),
        m.cassette(m.asked(ODD), history=(ODD,)),
        m.cassette(m.asked({**HISTORY[0], 'parts': [1]})),
        m.cassette(m.asked({**HISTORY[0], 'parts': [{'part_kind': 'telepathy'}]})),
        m.cassette(m.answered({**HISTORY[1], 'usage': None})),
        m.cassette(history=({'kind': 'poem'},)),
        m.cassette(m.asked(m.request(m.user([{'item': 'x'}])))),
        m.cassette(m.answered(HISTORY[1]), m.asked(HISTORY[0], definition=Definition(instructions='x'))),
    ],
)
def test_messages_of_another_shape_stand_in_the_file_whole(cassette: Cassette):
    text = dumps(cassette)
    found = loads(text)
    assert bytes_of(found) == bytes_of(cassette)
    assert replace(found, wire=cassette.wire) == cassette
    assert (found.wire == 'full') is ('"wire": "full"' in text)


def test_a_whole_message_belongs_to_a_node_of_its_kind():
    cassette = m.cassette(m.asked(ODD))
    with pytest.raises(CassetteInconsistent, match='the message of a CallToolsNode is no response'):
        loads(changed(cassette, '"ModelRequestNode"', '"CallToolsNode"'))
    text = dumps(m.cassette(m.asked(HISTORY[0])))
    with pytest.raises(CassetteDamaged, match='a whole message in a file with a wire table'):
        loads(sealed(text.replace('"parts"', '"message": {}, "parts"')))


@pytest.mark.parametrize('value', [float('nan'), float('inf'), '\ud800', object()])
def test_what_json_cannot_hold_is_not_written(value: Any):
    with pytest.raises(NotRestorable, match='so it is not written') as caught:
        dumps(replace(WHOLE, recorded={'on': value}), name='cassettes/a.json')
    assert caught.value.where.cassette == 'cassettes/a.json'


def test_what_would_be_too_deep_to_read_is_not_written():
    deep: Any = 1
    for _ in range(201):
        deep = [deep]
    with pytest.raises(NotRestorable, match='nested deeper than 200 levels'):
        dumps(replace(WHOLE, recorded={'on': deep}))


def test_a_writer_that_loses_something_is_caught(monkeypatch: pytest.MonkeyPatch):
    def careless(*_: object, **__: object) -> Cassette:
        return replace(WHOLE, test='another')

    monkeypatch.setattr('replay.codec.loads', careless)
    with pytest.raises(NotRestorable, match=r'and then .*another'):
        dumps(WHOLE)


def test_definitions_stand_once_and_tools_refer_to_them():
    other = replace(AGENT, instructions='Answer at length.')
    fewer = replace(AGENT, tools={'get_weather': WEATHER}, settings=None)
    mine = Run(name='trip_agent#2', agent='trip_agent', nodes=(m.asked(m.request(), definition=other),))
    same = Run(name='trip_agent#3', agent='trip_agent', nodes=(m.asked(m.request(), definition=other),))
    first = Run(
        name='trip_agent',
        agent='trip_agent',
        nodes=(m.asked(m.request(), definition=AGENT), m.asked(m.request(), definition=fewer)),
    )
    cassette = Cassette(runs=(first, mine, same))
    text = dumps(cassette)
    assert text.count('"parameters"') == 2
    assert text.count('"get_weather": "trip_agent"') == 2
    assert text.count('"definition": "trip_agent~2"') == 2
    assert text.count('Answer at length.') == 1
    assert loads(text) == cassette


def test_a_request_may_carry_no_definition_among_others_that_do():
    cassette = m.cassette(m.asked(m.request(), definition=AGENT), m.asked(m.request(instructions='x')))
    assert loads(dumps(cassette)) == cassette


def test_a_later_time_that_is_none_is_refused():
    cassette = from_history(canon.dumps([*HISTORY])).cassette
    for old, new in (('-1000000]', '999999999999999999999]'), ('-1000000]', '"x", 1]'), ('-1000000]', ']')):
        text = dumps(cassette)
        assert text.count(old) == 1
        with pytest.raises((CassetteDamaged, CassetteInconsistent)):
            loads(sealed(text.replace(f', {old}' if new == ']' else old, new)))


def test_an_imported_message_needs_its_time():
    text = dumps(from_history(canon.dumps([*HISTORY])).cassette)
    with pytest.raises(CassetteInconsistent, match='an imported message without its time'):
        loads(sealed(text.replace('["2000-01-01T00:00:01Z", -1000000]', '[]')))


def test_an_error_and_a_long_message_come_back():
    raised = Raised(type='x.Y', bases=('Z',), message='line\n' * 30, args={'status_code': 500, 'body|': 'x\n' * 50})
    cassette = m.cassette(m.PROMPT, replace(m.asked(m.request()), raised=raised))
    assert loads(dumps(cassette)) == cassette


def test_outcomes_of_every_sort_come_back():
    results = {
        0: ToolResult(kind='return', content=1, metadata={'a': 'x\n' * 50}, user_content='x'),
        1: ToolResult(kind='raised', raised=Raised(type='ValueError')),
    }
    two = m.response(m.called('get_weather', {}, 'c1'), m.called('get_weather', {}, 'c2'))
    cassette = m.cassette(
        replace(A_TURN[2], message=two, results=results, started=(0,), raised=Raised(type='X', message='y'))
    )
    assert loads(dumps(cassette)) == cassette


def test_logical_ids_are_left_out_and_skipped_ones_are_numbers():
    first, third = logical.call_id(m.NAME, 1), logical.call_id(m.NAME, 3)
    cassette = m.cassette(
        m.asked(m.request(m.user('Hi'))),
        m.answered(m.response(m.called('get_weather', {}, first), m.called('get_weather', {}, third))),
        m.asked(m.request(m.returned('get_weather', 1, third), m.retry('x', None, logical.call_id(m.NAME, 4)), at=2)),
    )
    text = dumps(cassette)
    assert 'pyd_ai' not in text
    assert '{"parts": [{}, {"tool_call_id": 3}]}' in text
    assert '"call": 1' in text
    assert loads(text) == cassette


def test_definitions_of_imported_runs_are_just_their_instructions():
    kept = m.request(m.user('Hi'), instructions='Be brief.\n' * 20)
    cassette = from_history(canon.dumps([kept, HISTORY[1]])).cassette
    text = dumps(cassette)
    assert '"instructions|": [' in text
    assert loads(text) == cassette


@pytest.mark.parametrize('args', ['[1, 2]', '{"a": 1,"b": 2}', '{"a":1.50}', '', None, '{"a": "\\u00e9"}', {'a': 1}])
def test_arguments_come_back_as_they_were_sent(args: Any):
    cassette = m.cassette(m.answered(m.response(m.called('get_weather', args, 'c1'))))
    assert bytes_of(loads(dumps(cassette))) == bytes_of(cassette)


@pytest.mark.parametrize(
    ('args', 'written'),
    [('{"a":1,"b":[2.0]}', '"args_json": {"a": 1, "b": [2.0]}'), ('{"a": 1}', '"args_json_spaced": {"a": 1}')],
)
def test_arguments_that_are_json_read_as_json(args: str, written: str):
    assert written in dumps(m.cassette(m.answered(m.response(m.called('get_weather', args, 'c1')))))


def test_a_time_that_is_none_is_kept_as_it_is():
    cassette = m.cassette(m.asked(m.request(m.user('Hi', timestamp='soon'))), facts={'imported': True})
    assert bytes_of(loads(dumps(cassette))) == bytes_of(cassette)


@pytest.mark.parametrize(
    'parameters',
    [
        {'additionalProperties': False, 'type': 'object'},
        {'type': 'object', 'additionalProperties': False},
        {'type': 'object'},
        {'additionalProperties': True},
        {'additionalProperties': {'type': 'string'}},
        None,
    ],
)
def test_the_parameters_of_a_tool_come_back_in_their_order(parameters: Any):
    definition = Definition(tools={'t': {'parameters': parameters}})
    cassette = m.cassette(m.asked(m.request(), definition=definition))
    found = loads(dumps(cassette)).runs[0].nodes[0].definition
    assert found
    assert canon.dumps(found.tools['t']) == canon.dumps(definition.tools['t'])


@pytest.mark.parametrize('settings', [None, {'a': 1}])
def test_a_node_says_where_it_differs_from_its_run(settings: Any):
    other = replace(AGENT, settings=settings, builtin_tools=({'kind': 'web_search'},), output={'mode': 'native'})
    cassette = m.cassette(
        m.asked(m.request(**INSTRUCTED), definition=AGENT),
        m.asked(m.request(**INSTRUCTED), definition=other),
        m.asked(m.request(**INSTRUCTED), definition=replace(AGENT, tools={'t': {'description': 'x'}})),
        m.asked(m.request(**INSTRUCTED), definition=replace(AGENT, tools={'t': {'description': 'x'}})),
        m.asked(m.request(), definition=replace(AGENT, instructions=None)),
    )
    assert loads(dumps(cassette)) == cassette


def test_a_result_with_a_generated_id_of_no_call_is_a_number():
    cassette = m.cassette(m.asked(m.request(m.returned('t', 1, logical.call_id(m.NAME, 2)))))
    text = dumps(cassette)
    assert '"tool_call_id": 2' in text
    assert loads(text) == cassette


def test_long_instructions_of_the_history_are_lines():
    cassette = m.cassette(m.PROMPT, history=(m.request(m.user('Hi'), instructions='Be brief.\n' * 20),))
    text = dumps(cassette)
    assert '"instructions|": [' in text
    assert loads(text) == cassette


def test_a_request_that_says_more_than_its_parts_comes_back_where_requests_have_no_time():
    told: list[JsonObject] = [
        {'parts': [], 'instructions': None, 'kind': 'request', 'run_id': run_id} for run_id in ('r-1', 'r-2')
    ]
    nodes = tuple(Node(kind='ModelRequestNode', message=message) for message in told)
    cassette = Cassette(wire='pydantic-ai 1.15', runs=(Run(name='a#1', agent='a', nodes=nodes),))
    assert loads(dumps(cassette)) == cassette


@pytest.mark.parametrize(('base', 'moment'), [(None, 't'), ('2000-01-01T00:00:00Z', None), ('no time', 'nor this')])
def test_what_is_no_time_is_not_written_as_one_after_another(base: str | None, moment: str | None):
    assert offset(base, moment) == moment
