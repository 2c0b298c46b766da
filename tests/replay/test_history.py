"""Histories that people keep, made into cassettes and back."""

from typing import Any

import pytest

from replay import canon
from replay.canon import Json, JsonObject
from replay.cassette import Cassette, Raised
from replay.errors import HistoryInvalid, NotSupported
from replay.history import FACTS, from_history, to_history
from tests.helpers import CORPUS_ABSENT, corpus
from tests.replay import messages as m

ASKED = m.request(m.user('Hi'), run_id='r1')
TOLD = m.response(m.text('Hello'), run_id='r1')
CALL = m.response(m.called('get_weather', {}, 'c1'), run_id='r1')
TWO_CALLS = m.response(m.called('get_weather', {}, 'c1'), m.called('put_off', {}, 'c2'), run_id='r1')
RESULT = m.request(m.returned('get_weather', 1, 'c1'), run_id='r1')
FINAL = m.response(m.called('final_result', {}, 'c2'), run_id='r1')
CLOSING = m.request(m.returned('final_result', 'Final result processed.', 'c2'), run_id='r1')
OLD = [{**ASKED, 'run_id': 'r0'}, {**TOLD, 'run_id': 'r0'}]


def imported(*messages: JsonObject, **facts: Any) -> Any:
    found = from_history(canon.dumps([*messages]), **facts)
    assert to_history(found.cassette) == canon.dumps([*messages])
    return found


def kinds(*messages: JsonObject, **facts: Any) -> str:
    """First letters of the nodes, in lower case where one takes up a message of the history."""
    nodes = imported(*messages, **facts).cassette.runs[0].nodes
    return ''.join(node.kind[0].lower() if node.from_history else node.kind[0] for node in nodes)


def without(message: JsonObject, key: str) -> JsonObject:
    return {name: value for name, value in message.items() if name != key}


@pytest.mark.parametrize('line', range(208))
def test_nodes_and_messages_of_a_recorded_run_are_derived(line: int):
    if not corpus():
        pytest.skip(CORPUS_ABSENT)
    record = corpus()[line]
    found = from_history(
        record['all_messages_json'],
        new_from=record['history_messages_in'],
        output_mode=record['output_mode'],
        output_tool=record['output_tool_name'],
        end_strategy=record['end_strategy'],
        entry=record['driver'],
        error=record['error'],
    )
    run = found.cassette.runs[0]
    assert [node.kind for node in run.nodes] == record['node_sequence']
    assert to_history(found.cassette) == record['all_messages_json'].encode()
    assert canon.dumps([*run.new_messages]) == record['new_messages_json'].encode()
    assert found.assumed == ()


@pytest.mark.parametrize(
    ('messages', 'facts', 'nodes'),
    [
        ((ASKED, TOLD), {}, 'UMCE'),
        ((ASKED, CALL, RESULT, TOLD), {}, 'UMCMCE'),
        ((ASKED, FINAL, CLOSING), {}, 'UMCE'),
        ((ASKED, FINAL, CLOSING), {'output_tool': 'final_result'}, 'UMCE'),
        ((ASKED, CALL, RESULT), {'output_tool': 'get_weather'}, 'UMCE'),
        ((ASKED, CALL, RESULT), {'output_tool': 'other'}, 'UMCM'),
        ((ASKED, TWO_CALLS, RESULT), {}, 'UMCE'),
        ((ASKED, CALL, m.request(m.returned('get_weather', ['x'], 'c1'), run_id='r1')), {}, 'UMCM'),
        ((ASKED, CALL, RESULT), {'error': {'type': 'X', 'message': 'y'}}, 'UMCM'),
        ((ASKED, CALL), {'error': {'type': 'X'}}, 'UMC'),
        ((ASKED,), {'error': {'type': 'X'}}, 'UM'),
        ((ASKED,), {}, 'UM'),
        ((ASKED, TOLD), {'entry': 'run_stream'}, 'UMSE'),
        ((ASKED, TOLD), {'entry': 'run_stream_sync'}, 'UMSE'),
        ((ASKED, TOLD), {'entry': 'run_stream_events'}, 'UMCE'),
        ((ASKED, FINAL, CLOSING), {'entry': 'run_stream'}, 'UMSE'),
        ((ASKED, TOLD), {'entry': 'run_stream', 'error': {'type': 'X'}}, 'UMC'),
        ((*OLD, ASKED, TOLD), {}, 'UMCE'),
        ((*OLD, ASKED, TOLD), {'new_from': 2}, 'UMCE'),
        ((ASKED, TOLD), {'new_from': 1}, 'UmCE'),
        ((ASKED,), {'new_from': 1, 'error': {'type': 'X'}}, 'Um'),
        ((ASKED, TOLD), {'new_from': 2}, 'UcE'),
        ((ASKED, CALL, RESULT, TOLD), {'new_from': 2}, 'UcMCE'),
        ((ASKED, CALL, m.request(instructions='x'), TOLD), {'new_from': 2}, 'UMCE'),
        ((ASKED, CALL, m.request(), TOLD), {'new_from': 2}, 'UcMCE'),
        ((ASKED, TOLD, TOLD), {'new_from': 2}, 'UCE'),
        ((ASKED, ASKED, TOLD), {'new_from': 1}, 'UMCE'),
    ],
)
def test_a_history_tells_its_nodes(messages: tuple[JsonObject, ...], facts: Any, nodes: str):
    assert kinds(*messages, **facts) == nodes


def test_a_closing_request_follows_the_end():
    nodes = imported(ASKED, FINAL, CLOSING).cassette.runs[0].nodes
    assert nodes[-1].then == (CLOSING,)


def test_an_error_stands_on_the_last_node():
    nodes = imported(ASKED, error={'type': 'ModelHTTPError', 'message': 'status_code: 404'}).cassette.runs[0].nodes
    assert nodes[-1].raised == Raised(type='ModelHTTPError', message='status_code: 404')


def test_what_is_not_given_is_assumed_in_sentences():
    assert imported(*OLD, ASKED, FINAL, CLOSING).assumed == (
        'no new_from given: assumed 2 (where the run id of the last message begins).',
        'no entry given: assumed run.',
        'no end_strategy given: assumed early.',
        'no output_mode given: assumed tool.',
        'no output_tool given: assumed final_result, which the closing request names.',
    )
    assert imported(without_id(ASKED), entry='iter', end_strategy='early').assumed == (
        'no new_from given: assumed 0 (all messages are of this run).',
        'no output_mode given: assumed text.',
        'no error given, and the last request was never answered: assumed that the run was left there.',
    )


def without_id(message: JsonObject) -> JsonObject:
    return {**message, 'run_id': None}


def test_facts_that_differ_from_the_usual_stand_on_the_run():
    facts: Any = {'entry': 'run_stream', 'end_strategy': 'exhaustive', 'output_mode': 'native', 'output_tool': 'x'}
    run = imported(ASKED, TOLD, run='support/ask/researcher#2', **facts).cassette.runs[0]
    assert (run.facts, run.agent) == ({'imported': True, **facts}, 'researcher')
    assert imported(ASKED, TOLD, output_mode='text').cassette.runs[0].facts == {'imported': True}


def test_facts_stand_beside_the_messages_and_arguments_win():
    deferred: JsonObject = {'calls': {'c1': 1}}
    source: JsonObject = {'messages': [ASKED, CALL, RESULT, TOLD], 'new_from': 0, 'deferred_tool_results': deferred}
    run = from_history(canon.dumps({**source, 'entry': 'iter'}), new_from=2).cassette.runs[0]
    assert (len(run.history), run.facts['entry']) == (2, 'iter')
    assert run.nodes[0].facts == {'deferred_tool_results': deferred}
    again = from_history(canon.dumps([ASKED, CALL, RESULT, TOLD]), new_from=2, deferred_tool_results=deferred)
    assert again.cassette.runs[0].nodes[0] == run.nodes[0]


def test_older_field_names_are_read_under_their_present_ones():
    old = without(without(TOLD, 'provider_details'), 'provider_response_id')
    usage: JsonObject = {'requests': 1, 'request_tokens': 3, 'response_tokens': 4, 'total_tokens': 7, 'details': None}
    found = from_history(canon.dumps([ASKED, {**old, 'vendor_details': {'a': 1}, 'vendor_id': 'x', 'usage': usage}]))
    expected = {'provider_details': {'a': 1}, 'provider_response_id': 'x'}
    assert found.cassette.runs[0].messages[1] == {
        **TOLD,
        **expected,
        'usage': m.USAGE | {'input_tokens': 3, 'output_tokens': 4},
    }
    assert found.assumed[:2] == (
        'messages[1]: older field names (vendor_details, vendor_id) were read under their present names',
        'messages[1].usage: older field names (request_tokens, response_tokens) were read under their present names',
    )


def test_missing_fields_get_their_usual_values():
    part: JsonObject = {'content': 'Hi', 'part_kind': 'user-prompt', 'mood': 1}
    request: JsonObject = {'kind': 'request', 'parts': [part]}
    response: JsonObject = {'kind': 'response', 'parts': [part_of(TOLD)], 'timestamp': '2026-11-20T10:00:00+00:00'}
    late: JsonObject = {'kind': 'request', 'parts': [{'content': 'x', 'part_kind': 'user-prompt'}]}
    dated: JsonObject = {'content': 'Hi', 'part_kind': 'user-prompt', 'timestamp': '2026-11-20T09:00:00.12Z'}
    found = from_history(canon.dumps([{**request, 'parts': [dated]}, response, late]))
    messages = found.cassette.runs[0].messages
    assert messages == [
        m.request({**dated, 'timestamp': '2026-11-20T09:00:00.120000Z'}, timestamp=None, run_id=None),
        {**TOLD, 'model_name': None, 'provider_name': None, 'finish_reason': None, 'run_id': None}
        | {'timestamp': '2026-11-20T10:00:00Z'},
        m.request(m.user('x', timestamp='2026-11-20T10:00:00Z'), timestamp=None, run_id=None),
    ]
    assert 'messages[2].parts[0]: has no timestamp; taken from the message around or before it' in found.assumed
    surplus = from_history(canon.dumps([m.request({**part, 'timestamp': '2026-11-20T10:00:00Z'})]))
    assert surplus.assumed[0] == 'messages[0].parts[0]: fields that 1.38 does not know were left out: mood'
    with pytest.raises(HistoryInvalid, match='timestamp is missing'):
        from_history(canon.dumps([request]))


def part_of(message: JsonObject) -> Json:
    parts = message['parts']
    assert isinstance(parts, list)
    return parts[0]


@pytest.mark.parametrize('moment', ['2026-11-20T09:00:00+05:30', '2026-11-20T09:00:00'])
def test_the_offset_of_a_time_is_kept(moment: str):
    assert from_history(canon.dumps([{**ASKED, 'timestamp': moment}])).cassette.runs[0].messages[0] == {
        **ASKED,
        'timestamp': moment,
    }


def user(**other: Json) -> list[Json]:
    return [m.request({**m.user('Hi'), **other})]


def response(**other: Json) -> list[Json]:
    return [ASKED, {**TOLD, **other}]


@pytest.mark.parametrize(
    ('source', 'path', 'headline'),
    [
        ([], 'messages', 'there are no messages'),
        ({'messages': 1}, 'messages', 'there are no messages'),
        ({'messages': [ASKED], 'mood': 1}, 'mood', "unknown key 'mood'"),
        ({}, None, 'this is no history'),
        (1, None, 'this is no history'),
        ([1], 'messages[0]', 'no object'),
        ([{}], 'messages[0].kind', 'a message without a kind'),
        ([{'kind': 'request'}], 'messages[0].parts', 'parts are missing'),
        ([{'kind': 'request', 'parts': 1}], 'messages[0].parts', 'parts are no array'),
        ([{'kind': 'request', 'parts': [1]}], 'messages[0].parts[0]', 'no object'),
        ([{'kind': 'request', 'parts': [{}]}], 'messages[0].parts[0].part_kind', 'a part without a kind'),
        (user(content=1), 'messages[0].parts[0].content', 'content of a user-prompt part'),
        (user(timestamp='soon'), 'messages[0].parts[0].timestamp', 'no time'),
        (user(timestamp=1), 'messages[0].parts[0].timestamp', 'no time'),
        ([{**ASKED, 'instructions': 1}], 'messages[0].instructions', 'instructions is no text'),
        (response(timestamp=1), 'messages[1].timestamp', 'no time'),
        (response(timestamp=None), 'messages[1].timestamp', 'no time'),
        (response(provider_details=1), 'messages[1].provider_details', 'provider_details is no object'),
        (response(usage=1), 'messages[1].usage', 'no object'),
        (response(usage={'input_tokens': 'x'}), 'messages[1].usage.input_tokens', 'usage'),
        (response(parts=[m.text(1)]), 'messages[1].parts[0].content', 'content of a text part'),  # type: ignore[arg-type]
        (response(parts=[m.called('x', 1, 'c')]), 'messages[1].parts[0].args', 'arguments of a call'),
        (response(parts=[m.called('x', {}, None)]), 'messages[1].parts[0].tool_call_id', 'tool_call_id is no text'),  # type: ignore[arg-type]
        (
            response(parts=[without(m.called('x', {}, 'c'), 'tool_call_id')]),
            'messages[1].parts[0].tool_call_id',
            'tool_call_id is missing',
        ),
        ([m.request(m.retry('x' * 99, 1, 'c'))], 'messages[0].parts[0].tool_name', 'tool_name is no text'),  # type: ignore[arg-type]
        ({'messages': [ASKED], 'new_from': 2}, 'new_from', 'new_from is no index of a message'),
        ({'messages': [ASKED], 'new_from': True}, 'new_from', 'new_from is no index of a message'),
        ({'messages': [ASKED], 'entry': 'jump'}, 'entry', 'unknown entry'),
        ({'messages': [ASKED], 'end_strategy': 1}, 'end_strategy', 'unknown end_strategy'),
        ({'messages': [ASKED], 'output_mode': 'smoke'}, 'output_mode', 'unknown output_mode'),
        ({'messages': [ASKED], 'output_tool': 1}, 'output_tool', 'output_tool is no text'),
        ({'messages': [ASKED], 'error': 'x'}, 'error', 'no error'),
        ({'messages': [ASKED], 'error': {'type': 'X', 'message': 1}}, 'error', 'no error'),
        ({'messages': [ASKED], 'deferred_tool_results': 1}, 'deferred_tool_results', 'deferred tool results are no'),
    ],
)
def test_what_is_no_history_is_refused_with_its_path(source: Json, path: str | None, headline: str):
    with pytest.raises(HistoryInvalid) as caught:
        from_history(canon.dumps(source), name='history.json')
    assert (caught.value.where.field, caught.value.where.cassette) == (path, 'history.json')
    assert caught.value.headline.startswith(headline)


@pytest.mark.parametrize('source', ['', '[', b'\xff', '[1, NaN]', '{"messages": [], "messages": []}'])
def test_what_is_no_json_is_refused(source: str | bytes):
    with pytest.raises(HistoryInvalid, match='the history cannot be read'):
        from_history(source)


@pytest.mark.parametrize(
    ('messages', 'path', 'headline'),
    [
        ([{'kind': 'poem'}], 'messages[0].kind', "unknown kind of message 'poem'"),
        ([m.request({'part_kind': 'smell'})], 'messages[0].parts[0].part_kind', "unknown kind of part 'smell'"),
        ([m.request(m.text('x'))], 'messages[0].parts[0].part_kind', "unknown kind of part 'text'"),
    ],
)
def test_an_unknown_kind_is_refused_by_name(messages: list[Json], path: str, headline: str):
    with pytest.raises(NotSupported) as caught:
        from_history(canon.dumps(messages))
    assert (caught.value.where.field, caught.value.headline) == (path, headline)


def test_a_long_wrong_value_is_cut_in_the_error():
    with pytest.raises(HistoryInvalid) as caught:
        from_history(canon.dumps(user(timestamp='x' * 99)))
    assert caught.value.got
    assert len(caught.value.got) == 60


def test_a_run_is_exported_by_its_name():
    one = imported(ASKED, TOLD, run='one').cassette.runs[0]
    two = imported(ASKED, CALL, RESULT, TOLD, run='two').cassette.runs[0]
    both = Cassette(runs=(one, two))
    assert to_history(both, 'one') == canon.dumps([ASKED, TOLD])
    with pytest.raises(HistoryInvalid, match='which run') as caught:
        to_history(both)
    assert caught.value.expected == 'one of one, two'
    with pytest.raises(HistoryInvalid, match='no run of that name'):
        to_history(Cassette(), 'three')


def test_every_fact_is_an_argument():
    assert set(FACTS) <= set(from_history.__kwdefaults__ or {})
