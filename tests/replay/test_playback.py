"""What is compared with a recorded run, and the outcomes that it gives, by direct calls."""

from dataclasses import replace
from typing import Any

import pytest

from replay.canon import JsonObject
from replay.cassette import Attempt, Definition, Node, Run, ToolResult
from replay.effects import Answered, Count, Ended
from replay.exchange import Exchange
from replay.match import ABSENT, Difference
from replay.playback import Playback, counted_runs
from tests.replay.wire import answered, asked, call, calls, finish, request, retry, returned, text, user

RECORDED_ID, LIVE_ID = 'e3e70682-c209-4cac-a29f-6fbed82c07cd', '21636369-8b52-4b4a-97b7-50923ceb3ffd'
FIRST, LAST = asked(user()), answered(text())
RESPONSE = answered(call(id='c1'), call('jump', id='c2'))
SHARED = Definition(instructions='Look.')
ASKED = Node(kind='ModelRequestNode', message=FIRST, definition=SHARED)
ANSWERED = Node(kind='CallToolsNode', message=LAST)
CALLING = Node(kind='CallToolsNode', message=RESPONSE)
END = Node(kind='End')


def at_last(*nodes: Node, facts: Any = None, **options: Any) -> Playback:
    """A playback that has come to its first node."""
    playback = Playback(Run(name='agent', agent='agent', nodes=nodes, facts=facts or {}), **options)
    assert playback.node(nodes[0].kind, {}) is None
    return playback


def field(found: Any) -> tuple[str, str]:
    assert isinstance(found, Difference)
    return found.cause, found.field


# -- minted values


@pytest.mark.parametrize(('known', 'same'), [([RECORDED_ID], True), ([], False)])
def test_a_fact_of_a_node_may_hold_another_minted_value(known: list[str], *, same: bool):
    run = Run(name='agent', agent='agent', nodes=(replace(END, facts={'output': RECORDED_ID}),))
    found = Playback(run, exchange=Exchange(known)).node('End', {'output': LIVE_ID})
    assert (found is None) is same


def test_of_a_request_that_sends_what_was_recorded_only_the_definition_is_respelt():
    recorded = Definition(instructions=RECORDED_ID)
    playback = at_last(replace(ASKED, definition=recorded), ANSWERED, exchange=Exchange([RECORDED_ID]))
    found = playback.respelt(request(FIRST, definition=Definition(instructions=LIVE_ID)))
    assert found == request(FIRST, definition=recorded)
    assert playback.respelt(request(FIRST, definition=recorded)) is None


def test_equal_definitions_are_respelt_once():
    playback = at_last(
        replace(ASKED, definition=Definition(instructions=RECORDED_ID)), exchange=Exchange([RECORDED_ID])
    )
    live = request(FIRST, definition=Definition(instructions=LIVE_ID))
    first, again = playback.respelt(live), playback.respelt(live)
    assert first is not None
    assert again is not None
    assert again.definition is first.definition


def test_a_request_that_differs_in_no_minted_value_is_not_respelt():
    playback = at_last(ASKED, ANSWERED, exchange=Exchange([RECORDED_ID]))
    assert playback.respelt(request(asked(user('Bye')), definition=SHARED)) is None


# -- what the recording has as well


@pytest.mark.parametrize(('made', 'has'), [(RESPONSE, True), (answered(call(id='other')), False)])
def test_the_recording_has_the_calls_that_its_response_made(made: Any, *, has: bool):
    assert at_last(CALLING, END).has(calls(made)) is has


def test_a_count_tells_nothing_that_the_recording_has_not():
    assert at_last(ASKED, ANSWERED).has(Count())


# -- what is compared


def test_messages_are_compared_where_the_definition_is_known_already():
    second = asked(returned(), returned(2, 'jump', 'c2'))
    playback = at_last(ASKED, CALLING, replace(ASKED, message=second), ANSWERED)
    live = Definition(instructions='Look.')
    assert playback.compare(request(FIRST, definition=live)) is None
    playback.answer(request(FIRST, definition=live))
    playback.node('CallToolsNode', {})
    playback.node('ModelRequestNode', {})
    other = asked(returned(), returned(3, 'jump', 'c2'))
    assert field(playback.compare(request(other, RESPONSE, definition=live))) == ('tool result', 'parts[1].content')


@pytest.mark.parametrize('fields', [('instructions', 'messages'), ('messages',)])
def test_another_definition_for_a_second_model_differs_if_it_is_compared(fields: Any):
    node = replace(ASKED, attempts=(Attempt(model='one', response=RESPONSE),))
    playback = at_last(node, ANSWERED, fields=fields)
    first = request(FIRST, appended=False, definition=SHARED)
    assert playback.compare(first) is None
    assert playback.answer(first) == Answered(message=RESPONSE)
    found = playback.compare(replace(first, definition=Definition(instructions='Listen.')))
    kept = found or playback.left_out[0]
    assert (found is None) is (fields == ('messages',))
    assert field(kept) == ('instructions', 'instructions')


def test_instructions_that_are_not_compared_hide_no_other_change():
    fields: Any = ('messages',)
    playback = at_last(replace(ASKED, definition=None), ANSWERED, fields=fields)
    found = playback.compare(request(asked(user('Bye'), instructions='New.')))
    assert field(found) == ('user prompt', 'parts[0].content')
    assert [one.cause for one in playback.left_out] == ['instructions']


def test_instructions_that_are_not_compared_may_differ_at_the_end():
    fields: Any = ('messages',)
    playback = at_last(replace(ASKED, definition=None), fields=fields)
    assert playback.finish(finish({**FIRST, 'instructions': 'New.'})) is None
    found = playback.finish(finish({**FIRST, 'instructions': 'New.', 'timestamp': 'later'}))
    assert found is not None
    assert (found[0], field(found[1])) == (0, ('history', 'timestamp'))


UNKNOWN = {'request': ('metadata',)}


@pytest.mark.parametrize(('unknown', 'same'), [(UNKNOWN, True), (None, False)])
def test_what_another_version_does_not_know_or_makes_up_is_not_compared(unknown: Any, *, same: bool):
    recorded = asked(user(), retry(name=None, id='a'))
    live: JsonObject = {**asked(user(), retry(name=None, id='b')), 'metadata': {'new': 1}}
    playback = at_last(replace(ASKED, message=recorded), ANSWERED, unknown=unknown)
    found = playback.compare(request(live, definition=SHARED))
    assert (found is None) is same


# -- outcomes


def test_a_model_that_was_asked_once_has_no_second_answer():
    playback = at_last(ASKED, ANSWERED)
    assert playback.answer(request(FIRST)) == Answered(message=LAST)
    assert field(playback.answer(request(FIRST))) == ('order', 'request')


def test_a_request_that_came_to_nothing_when_it_was_recorded_has_no_answer():
    assert field(at_last(ASKED, END).answer(request(FIRST))) == ('order', 'request')


def test_a_call_without_a_recorded_result_differs():
    found = at_last(CALLING, END).answer(calls(RESPONSE))
    assert found == Difference(cause='tool result', field='look', recorded=ABSENT, live='called')


def test_calls_that_an_imported_run_has_no_answer_to_were_put_off():
    external = ToolResult(kind='external')
    playback = at_last(CALLING, END, facts={'imported': True})
    assert playback.answer(calls(RESPONSE)) == Ended(
        started=[0, 1], finished=[0, 1], results={0: external, 1: external}
    )


# -- runs that count into others


def test_runs_that_count_into_another_one_are_told_with_those_that_count_into_them():
    def run(name: str, **counted: Any) -> Run:
        return Run(name=name, agent='agent', facts={'counted_in': counted} if counted else {})

    parent, inner = run('a'), run('a/look/b', call=0)
    deeper, other, alone = run('a/look/b/jump/c', call=3), run('a/jump/b', call=1), run('a/look/d')
    runs = (parent, inner, deeper, other, alone)
    assert list(counted_runs(runs, 'a')) == [inner, deeper, other]
    assert list(counted_runs(runs, 'a', 1)) == [other]
