"""One line for each node, and what of it counts."""

from dataclasses import replace

import pytest

from replay.canon import JsonObject
from replay.cassette import Attempt, Definition, Node, Raised, ToolResult
from replay.outline import compact, outline_of, raised_line, read_args
from tests.wide import answers, asks, call, request, response, retry, returned, run, system, text, user


def lines(*nodes: Node) -> list[str]:
    return [item.line for item in outline_of(run(*nodes))]


def test_each_node_says_in_one_line_what_it_did() -> None:
    assert lines(
        asks(system('Be brief.'), user('Weather in Paris?')),
        answers(call('weather', {'city': 'x'}), text('Let me see..')),
        asks(returned('weather', {'sky': 'sunny'})),
        answers(text('Sunny')),
    ) == [
        'UserPromptNode',
        'ModelRequestNode: system 9 chars, user "Weather in Paris?"',
        'CallToolsNode: weather(city="x") #call-1, text 12 chars',
        'ModelRequestNode: weather -> {"sky":"sunny"} #call-1',
        'CallToolsNode: text 5 chars',
        'End',
    ]


@pytest.mark.parametrize(
    ('part', 'words'),
    [
        (user('a' * 100), f'user "{"a" * 59}... (42 more chars)'),
        (user(['a', {'kind': 'image-url', 'url': 'https://x.test/i'}, 7]), 'user ["a", image-url https://x.test/i, 7]'),
        (user([{'kind': 'cache-point', 'ttl': '5m'}]), 'user [cache-point]'),
        (retry('no', name='weather', id='other'), 'retry weather: "no"'),
        (retry([{'type': 'missing'}]), 'retry: 1 validation error'),
        (retry([{}, {}]), 'retry: 2 validation errors'),
        ({'part_kind': 'thinking', 'content': 'hm'}, 'thinking 2 chars'),
        ({'part_kind': 'file', 'content': {'kind': 'binary', 'media_type': 'image/png'}}, 'binary image/png'),
        (
            {'part_kind': 'builtin-tool-call', 'tool_name': 'web_search', 'args': '{"q":"x"}', 'tool_call_id': 'b'},
            'builtin web_search(q="x")',
        ),
        (
            {'part_kind': 'builtin-tool-return', 'tool_name': 'web_search', 'content': [1], 'tool_call_id': 'b'},
            'builtin web_search -> [1]',
        ),
        (call('f', None), 'f()'),
        (call('f', '{broken'), 'f("{broken")'),
        (call('\x1b[31m', {'\x07': '\x1b'}), '\\x1b[31m(\\x07="\\u001b")'),
        ({'part_kind': 'hologram'}, 'hologram'),
    ],
)  # fmt: skip
def test_a_part_of_any_kind_has_words(part: JsonObject, words: str) -> None:
    assert lines(asks(part))[1] == f'ModelRequestNode: {words}'


def test_calls_are_numbered_by_first_appearance_across_the_run() -> None:
    told = lines(
        answers(call('a', {}, id='zz'), call('b', {}, id='aa')),
        asks(returned('a', 1, id='zz'), returned('b', 2, id='aa')),
        answers(call('a', {}, id='qq')),
    )
    assert told[1] == 'CallToolsNode: a() #call-1, b() #call-2'
    assert told[2] == 'ModelRequestNode: a -> 1 #call-1, b -> 2 #call-2'
    assert told[3] == 'CallToolsNode: a() #call-3'


def test_messages_handed_in_stand_before_the_nodes() -> None:
    items = outline_of(run(history=(request(user('Hi')), response(text('Hello')))))
    assert [(item.kind, item.index, item.line) for item in items[:3]] == [
        ('history', 0, 'history request: user "Hi"'),
        ('history', 1, 'history response: text 5 chars'),
        ('UserPromptNode', 0, 'UserPromptNode'),
    ]


def test_the_closing_request_of_an_output_tool_stands_in_the_end() -> None:
    closing = request(returned('final_result', 'Final result processed.'))
    assert lines(Node(kind='End', then=(closing,)))[1] == 'End: final_result -> "Final result processed."'


def test_an_error_stands_at_the_end_of_its_line() -> None:
    raised = Raised(type='agentrun.exceptions.ModelHTTPError', message='status 500\nbody')
    assert lines(Node(kind='ModelRequestNode', message=request(user('x')), raised=raised))[1] == (
        'ModelRequestNode: user "x" !! ModelHTTPError: status 500\\nbody'
    )
    assert raised_line(Raised(type='TimeoutError')) == 'TimeoutError'


def test_facts_and_results_that_no_message_tells_are_told() -> None:
    raised = Raised(type='ValueError', message='no', args={'code': 1})
    node = Node(
        kind='CallToolsNode',
        message=response(call('f', {})),
        started=(0,),
        finished=(0,),
        results={0: ToolResult(kind='raised', raised=raised), 1: ToolResult(kind='retry', content='again')},
        types={'parts[0]': 'uuid'},
        raised=raised,
        facts={'output': 3},
        from_history=True,
    )
    item = outline_of(run(node))[1]
    assert item.line == 'CallToolsNode: f() #call-1, output 3, raised of call 0, retry of call 1 !! ValueError: no'
    told: JsonObject = {'type': 'ValueError', 'message': 'no', 'args': {'code': 1}}
    assert item.content == {
        'parts': [{'part': 'tool-call', 'tool_name': 'f', 'args': {}}],
        'started': [0],
        'finished': [0],
        'results': {'0': {'kind': 'raised', 'raised': told}, '1': {'kind': 'retry', 'content': 'again'}},
        'types': {'parts[0]': 'uuid'},
        'from_history': True,
        'raised': told,
        'facts': {'output': 3},
    }


def test_churn_is_no_content() -> None:
    part: JsonObject = {
        'part_kind': 'builtin-tool-return',
        'tool_name': 'web_search',
        'content': [{'title': 't', 'encrypted_content': 'zzz'}],
        'tool_call_id': 'b',
        'timestamp': 'now',
        'provider_name': 'p',
        'provider_details': {'x': 1},
        'metadata': None,
    }
    assert outline_of(run(answers(part, finish='stop')))[1].content == {
        'parts': [{'part': 'builtin-tool-return', 'tool_name': 'web_search', 'content': [{'title': 't'}]}],
        'finish_reason': 'stop',
    }


def test_a_result_out_of_call_order_says_which_call_it_answers() -> None:
    made = answers(call('a', {}, id='1'), call('a', {}, id='2'))
    swapped = asks(returned('a', 'x', id='2'), returned('a', 'x', id='1'), returned('a', 'x', id='elsewhere'))
    parts = outline_of(run(made, swapped))[2].content['parts']
    assert isinstance(parts, list)
    assert [part.get('answers') for part in parts if isinstance(part, dict)] == [1, 0, None]


def test_what_is_in_force_is_known_from_the_definition_or_the_message() -> None:
    definition = Definition(instructions='Be brief.', settings={'temperature': 0.0}, tools={'f': {'parameters': {}}})
    items = outline_of(run(asks(user('x'), definition=definition), answers(text('y')), asks(instructions='Old.')))
    assert [item.holds for item in items] == [
        {},
        {
            'instructions': 'Be brief.',
            'settings': {'temperature': 0.0},
            'tools': {'f': {'parameters': {}}},
            'builtin_tools': [],
            'output': None,
        },
        {'model': 'm', 'provider': None},
        {'instructions': 'Old.'},
        {},
    ]


@pytest.mark.parametrize(
    ('args', 'read'),
    [({'a': 1}, {'a': 1}), ('{ "a": 1 }', {'a': 1}), ('[NaN]', '[NaN]'), ('{', '{'), (None, None)],
)
def test_arguments_sent_as_text_are_read(args: str, read: str) -> None:
    assert read_args(args) == read


def test_a_long_value_is_cut_and_says_so() -> None:
    assert compact([1, 2, 3], limit=4) == '[1,2... (3 more chars)'


def test_models_that_were_asked_in_vain_stand_before_the_answer() -> None:
    attempts = (
        Attempt(model='first', raised=Raised(type='a.b.Busy', message='later')),
        Attempt(model='second', response=response(text('Hm'))),
    )
    node = replace(asks(user('Go')), attempts=attempts)
    outlined = outline_of(run(node))[1]
    assert (
        outlined.line == 'ModelRequestNode: asked first !! Busy: later, asked second answered, passed over, user "Go"'
    )
    assert outlined.content['attempts'] == [
        {'model': 'first', 'raised': {'type': 'a.b.Busy', 'message': 'later'}},
        {'model': 'second', 'parts': [{'part': 'text', 'content': 'Hm'}]},
    ]
