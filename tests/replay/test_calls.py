from replay.calls import (
    arrivals,
    caller,
    calls_of,
    following,
    parts_of,
    places,
    results_of,
    told,
    told_in_order,
    typed_parts,
    untold,
)
from replay.canon import Json
from replay.cassette import Node, ToolResult
from tests.replay.wire import answered, asked, call, retry, returned, text, user

RESPONSE = answered(text(), call(id='c1'), call('jump', id='c2'))


def test_calls_are_the_tool_call_parts_in_order():
    assert [part['tool_call_id'] for part in calls_of(RESPONSE)] == ['c1', 'c2']
    assert parts_of(None) == []


def test_calls_are_found_again_by_name_and_id():
    made = calls_of(answered(call(id='a'), call(id='a'), call(id='b')))
    assert places(made, [call(id='b'), call(id='a'), call(id='a'), call(id='z')]) == [2, 0, 1, -1]


def test_the_next_request_tells_returns_and_retries():
    request = asked(returned(5, metadata={'m': 1}), retry('No.', 'jump', 'c2'), user())
    assert told(RESPONSE, request) == {
        0: ToolResult(kind='return', content=5, metadata={'m': 1}),
        1: ToolResult(kind='retry', content='No.'),
    }


def test_a_return_that_asks_for_a_retry_tells_one_the_quick_way_too():
    response, request = answered(call(id='c1')), asked({**returned('No.'), 'outcome': 'retried'})
    expected = {0: ToolResult(kind='retry', content='No.')}
    assert told(response, request) == expected
    assert told_in_order(response, response, calls_of(response), request) == expected


def test_what_the_next_request_does_not_tell_is_kept():
    request = asked(returned(5))
    deferred = ToolResult(kind='external')
    results = {1: deferred, 0: ToolResult(kind='return', content=5)}
    assert untold(RESPONSE, request, results) == {1: deferred}
    assert results_of(RESPONSE, Node(kind='CallToolsNode', results={1: deferred}), request) == results


def test_user_content_of_an_imported_run_goes_to_the_tool_whose_file_it_holds():
    request = asked(returned('See file 1'), returned('See file 2', 'jump', 'c2'), user(['This is file 2:', 'x']))
    found = results_of(RESPONSE, Node(kind='CallToolsNode'), request, imported=True)
    assert [result.user_content for result in found.values()] == [None, ['This is file 2:', 'x']]
    assert results_of(RESPONSE, Node(kind='CallToolsNode'), request)[1].user_content is None


def test_more_prompts_than_tools_are_the_runs_own():
    request = asked(returned(5), user('a'), user('b'))
    found = results_of(answered(call()), Node(kind='CallToolsNode'), request, imported=True)
    assert found[0].user_content == 'a'


def test_answers_are_ordered_by_their_times():
    late, early = {**returned(1), 'timestamp': '2'}, {**returned(2, 'jump', 'c2'), 'timestamp': '1'}
    assert arrivals(RESPONSE, asked(late, early, returned(3, 'other', 'c9'))) == [1, 0]


def test_equal_calls_get_their_answers_in_order():
    response = answered(call(), call())
    assert [result.content for result in told(response, asked(returned(1), returned(2))).values()] == [1, 2]


def test_the_following_request_is_that_of_the_next_node_or_the_closing_one():
    message = asked(returned())
    assert following([]) is None
    assert following([Node(kind='ModelRequestNode', message=message)]) is message
    assert following([Node(kind='End', then=(message,))]) is message
    assert following([Node(kind='End')]) is None


def test_the_marks_of_a_node_tell_the_types_of_what_tools_gave():
    request = asked(user(), returned(['1']), returned('2026-11-20', 'jump', 'c2'))
    types: dict[str, Json] = {'parts/1/content': 'set', 'parts/2/content': 'date'}
    found = told(RESPONSE, request, types)
    assert [result.types for result in found.values()] == [{'content': 'set'}, {'content': 'date'}]
    assert typed_parts(RESPONSE, request, found) == types


def test_only_marks_of_what_the_request_tells_are_those_of_its_node():
    request = asked(returned(5), returned(6, 'jump', 'c2'))
    results = {
        0: ToolResult(kind='return', content=7, types={'content': 'date'}),
        1: ToolResult(kind='return', content=6),
    }
    assert typed_parts(RESPONSE, request, results) == {}
    assert untold(RESPONSE, request, results, marked=True) == {0: results[0]}


def test_calls_run_in_the_node_itself_or_in_the_one_that_ends_its_stream():
    request, took, final = (Node(kind=kind) for kind in ('ModelRequestNode', 'CallToolsNode', 'SetFinalResult'))
    assert caller(took, [request]) == (took, [request])
    assert caller(request, []) == (request, [])
    assert caller(request, [took]) == (request, [took])
    assert caller(request, [final, took]) == (final, [took])
