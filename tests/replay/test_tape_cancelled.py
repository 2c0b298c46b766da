"""Cancelled runs as the tape records and replays them."""

from dataclasses import replace
from typing import Any

import pytest

from replay.cassette import Attempt, Definition, Node, Raised, Run, ToolResult
from replay.effects import Answered, Calls, Count, Counted, Cut, Do, Ended, Failed, Outcome, Replay, Stop, Wait
from replay.outline import outline_of
from replay.tape import Apart, Tape, TapeError
from tests.replay.wire import answered, asked, call, calls, do, finish, request, returned, text, user

FIRST, LAST = asked(user()), answered(text())
RESPONSE = answered(call(id='c1'), call('jump', id='c2'), call('wait', id='c3'))
CUT = Cut(cancelled=True)
INSIDE = replace(request(FIRST), inside='slow')
CANCELLED: Any = {'interrupted': 'cancelled'}
SEEN = ToolResult(kind='return', content=1)
HALF = Ended(started=[0, 1, 2], finished=[1], results={1: SEEN, 2: SEEN}, cut=True)
ANSWERED = Answered(message=RESPONSE)


def begun(tape: Tape, *kinds: str) -> Tape:
    for kind in ('UserPromptNode', 'ModelRequestNode', *kinds):
        assert tape.node(kind) is None
    return tape


def recorded(*outcomes: tuple[Any, Outcome], then: tuple[str, ...] = (), messages: Any = (FIRST,), **end: Any) -> Run:
    """A run whose requests and calls come to something; `then` are the nodes after its first request."""
    tape = begun(Tape(name='agent', agent='agent'))
    rest = list(then)
    for effect, outcome in outcomes:
        if isinstance(effect, Calls):
            tape.node(rest.pop(0))
        do(tape, effect, outcome)
    for kind in rest:
        tape.node(kind)
    tape.finish(finish(*messages, **{'facts': CANCELLED, **end}))
    assert tape.run is not None
    return tape.run


def player(run: Run, apart: Apart = 'stop') -> Tape:
    return Tape(name='agent', agent='agent', recorded=run, apart=apart)


def outcome(answer: Any) -> Any:
    assert isinstance(answer, Replay)
    return answer.outcome


IN_REQUEST = recorded((request(FIRST), CUT))
IN_CALLS = recorded(
    (request(FIRST), ANSWERED), (calls(RESPONSE), HALF), then=('CallToolsNode',), messages=(FIRST, RESPONSE)
)


def test_a_request_that_was_cancelled_is_cut_and_cut_again():
    assert IN_REQUEST.nodes[-1].cut
    assert IN_REQUEST.facts == CANCELLED
    tape = begun(player(IN_REQUEST))
    assert outcome(tape.begin(request(FIRST))) == CUT
    tape.finish(finish(FIRST, facts=CANCELLED))
    assert (tape.divergence, tape.unplayed) == (None, ())


def test_a_request_that_was_cancelled_is_still_compared():
    tape = begun(player(IN_REQUEST))
    other = asked(user('Bye'))
    assert isinstance(tape.begin(request(other)), Stop)


def test_a_request_that_was_cancelled_is_cut_as_a_stream_too_and_the_other_way_round():
    streamed = replace(request(FIRST), streamed=True)
    assert outcome(begun(player(IN_REQUEST)).begin(streamed)) == CUT
    passed: Any = ({'usage': {}}, {'cut': 'cancelled'})
    node = Node(kind='ModelRequestNode', message=FIRST, definition=Definition(), stream=passed)
    run = Run(name='agent', agent='agent', nodes=(IN_REQUEST.nodes[0], node))
    assert outcome(begun(player(run)).begin(request(FIRST))) == CUT


def test_calls_that_ended_before_and_after_a_cancellation_are_told_apart():
    node = IN_CALLS.nodes[-1]
    assert (node.cut, node.started, node.finished, dict(node.results)) == (True, None, (1,), {1: SEEN, 2: SEEN})
    tape = begun(player(IN_CALLS))
    assert outcome(tape.begin(request(FIRST))) == ANSWERED
    tape.node('CallToolsNode')
    assert outcome(tape.begin(calls(RESPONSE))) == HALF
    tape.finish(finish(FIRST, RESPONSE, facts=CANCELLED))
    assert tape.divergence is None


def test_a_count_that_was_cancelled_is_told_from_the_request_behind_it():
    run = recorded((Count(), CUT))
    assert (run.nodes[-1].cut, run.nodes[-1].definition) == (True, None)
    assert outcome(begun(player(run)).begin(Count())) == CUT
    counted = Counted(usage={'input_tokens': 5})
    run = recorded((Count(), counted), (request(FIRST), CUT))
    tape = begun(player(run))
    assert outcome(tape.begin(Count())) == counted
    assert outcome(tape.begin(request(FIRST))) == CUT


def test_a_model_that_was_given_up_by_the_one_around_it_is_an_attempt():
    run = recorded((INSIDE, CUT), (INSIDE, Answered(message=LAST)), then=('CallToolsNode', 'End'),
                   messages=(FIRST, LAST), facts={})  # fmt: skip
    assert run.nodes[1].attempts == (Attempt(model='slow', cut=True),)
    assert not run.nodes[1].cut
    tape = begun(player(run))
    assert outcome(tape.begin(INSIDE)) == CUT
    assert outcome(tape.begin(INSIDE)) == Answered(message=LAST)


def test_a_model_that_others_gave_up_and_that_failed_then_is_cut():
    tape = begun(Tape(name='agent', agent='agent'))
    do(tape, INSIDE, CUT)
    raised = Raised(type='builtins.RuntimeError', message='gave up')
    tape.finish(finish(FIRST, raised=raised))
    assert tape.run is not None
    assert (tape.run.nodes[-1].cut, tape.run.nodes[-1].raised) == (True, raised)
    again = begun(player(tape.run))
    assert outcome(again.begin(INSIDE)) == CUT
    again.finish(finish(FIRST, raised=raised))
    assert again.divergence is None


# -- cancelled between what it asked for


BETWEEN = recorded(
    (request(FIRST), ANSWERED),
    (calls(RESPONSE), Ended(started=[0, 1, 2], finished=[0, 1, 2], results={0: SEEN, 1: SEEN, 2: SEEN})),
    then=('CallToolsNode',),
    messages=(FIRST, RESPONSE),
)


def test_a_run_that_was_cancelled_between_nodes_waits_for_it_before_the_next():
    tape = begun(player(BETWEEN))
    tape.begin(request(FIRST))
    tape.node('CallToolsNode')
    assert not outcome(tape.begin(calls(RESPONSE))).cut
    assert tape.node('ModelRequestNode') == Wait()
    tape.finish(finish(FIRST, RESPONSE, facts=CANCELLED))
    assert tape.kinds == ['UserPromptNode', 'ModelRequestNode', 'CallToolsNode']
    assert tape.divergence is None


def test_a_run_that_was_cancelled_before_its_first_node_waits_there():
    run = Run(name='agent', agent='agent', facts=CANCELLED)
    assert player(run).node('UserPromptNode') == Wait()


def test_a_run_that_was_cancelled_before_it_asked_waits_where_it_asks():
    tape = begun(Tape(name='agent', agent='agent'))
    tape.finish(finish(FIRST, facts=CANCELLED))
    assert tape.run is not None
    assert not tape.run.nodes[-1].cut
    assert outcome(begun(player(tape.run)).begin(Count())) == CUT
    processed = asked(user('Hi'), instructions='processed')
    assert outcome(begun(player(tape.run)).begin(request(processed))) == CUT


def test_a_run_that_was_cancelled_when_it_had_ended_waits_for_nothing():
    run = recorded((request(FIRST), Answered(message=LAST)), then=('CallToolsNode', 'End'), messages=(FIRST, LAST))
    tape = begun(player(run))
    tape.begin(request(FIRST))
    assert tape.node('CallToolsNode') is None
    assert tape.node('End') is None
    tape.finish(finish(FIRST, LAST))
    assert tape.divergence is None


@pytest.mark.parametrize('kind', ['ModelRequestNode', 'CallToolsNode'])
def test_recordings_of_before_say_only_that_they_were_interrupted(kind: str):
    request_node = IN_CALLS.nodes[1]
    if kind == 'ModelRequestNode':
        run = Run(name='agent', agent='agent', nodes=(IN_CALLS.nodes[0], request_node), facts=CANCELLED)
        assert outcome(begun(player(run)).begin(request(FIRST))) == CUT
        return
    node = Node(kind=kind, message=RESPONSE, finished=(1,), results={1: SEEN})
    run = Run(name='agent', agent='agent', nodes=(*IN_CALLS.nodes[:2], node), facts=CANCELLED)
    tape = begun(player(run))
    tape.begin(request(FIRST))
    tape.node(kind)
    assert outcome(tape.begin(calls(RESPONSE))) == Ended(started=[0, 1, 2], finished=[1], results={1: SEEN}, cut=True)


# -- a run that is not cancelled


@pytest.mark.parametrize(
    ('effect', 'where'),
    [(request(FIRST), 'cancelled while the model was asked'), (None, 'cancelled before the first node')],
)
def test_a_run_that_nobody_cancels_has_left_its_recording(effect: Any, where: str):
    tape = player(IN_REQUEST if effect else Run(name='agent', agent='agent', facts=CANCELLED))
    if effect:
        begun(tape).begin(effect)
    else:
        tape.node('UserPromptNode')
    answer = tape.uncancelled(seconds=10, again=True)
    assert isinstance(answer, Stop)
    found = answer.divergence
    field = 'cut' if effect else 'interrupted'
    assert (found.cause, found.field) == ('cancellation', field)
    assert (found.recorded, found.live) == (where, 'not cancelled within 10 s')
    assert found.headline == 'agent was not cancelled where its recording was'
    assert tape.divergence is found


def test_a_run_that_was_cancelled_between_nodes_and_is_left_there_now_differs():
    tape = begun(player(BETWEEN))
    tape.begin(request(FIRST))
    tape.node('CallToolsNode')
    tape.begin(calls(RESPONSE))
    tape.finish(finish(FIRST, RESPONSE))
    assert tape.divergence is not None
    assert (tape.divergence.cause, tape.divergence.place) == ('cancellation', '2 CallToolsNode')


def test_a_run_that_may_go_on_from_its_recording_asks_then():
    tape = begun(player(IN_REQUEST, apart='record'))
    assert outcome(tape.begin(request(FIRST))) == CUT
    answer = tape.uncancelled(seconds=10, again=True)
    assert isinstance(answer, Do)
    tape.end(answer.token, Answered(message=LAST))
    tape.node('CallToolsNode')
    tape.node('End')
    tape.finish(finish(FIRST, LAST))
    assert tape.run is not None
    assert [node.cut for node in tape.run.nodes] == [False] * 4
    assert tape.run.messages == [FIRST, LAST]


def test_a_run_that_may_go_on_from_its_recording_comes_to_another_node_then():
    tape = begun(player(BETWEEN, apart='record'))
    tape.begin(request(FIRST))
    tape.node('CallToolsNode')
    tape.begin(calls(RESPONSE))
    assert tape.node('ModelRequestNode') == Wait()
    assert tape.uncancelled(seconds=10, again=True) is None
    assert tape.node('ModelRequestNode') is None
    more = asked(returned(1), returned(1, 'jump', 'c2'), returned(1, 'wait', 'c3'))
    do(tape, request(more, RESPONSE), Answered(message=LAST))


@pytest.mark.parametrize('apart', ['record', 'rebind'])
def test_calls_of_which_some_have_arrived_are_not_made_again(apart: Any):
    tape = begun(player(IN_CALLS, apart=apart))
    tape.begin(request(FIRST))
    tape.node('CallToolsNode')
    tape.begin(calls(RESPONSE))
    assert isinstance(tape.uncancelled(seconds=10), Stop)


def test_answers_are_not_bound_to_a_run_that_is_not_cancelled():
    tape = begun(player(IN_REQUEST, apart='rebind'))
    tape.begin(request(FIRST))
    assert isinstance(tape.uncancelled(seconds=10, again=True), Stop)


def test_a_batch_is_no_outcome_of_a_count():
    tape = begun(Tape(name='agent', agent='agent'))
    answer = tape.begin(Count())
    assert isinstance(answer, Do)
    with pytest.raises(TapeError, match='end of effect 1 with Ended'):
        tape.end(answer.token, HALF)


def test_a_reader_is_told_which_node_was_cancelled():
    assert outline_of(IN_REQUEST)[-1].line.endswith(' !! cancelled')
    assert outline_of(IN_CALLS)[-1].content['cut'] == 'cancelled'
    given_up = Run(
        name='a', agent='a', nodes=(Node(kind='ModelRequestNode', attempts=(Attempt(model='m', cut=True),)),)
    )
    (item,) = outline_of(given_up)
    assert 'asked m !! cancelled' in item.line
    assert item.content['attempts'] == [{'model': 'm', 'cut': 'cancelled'}]


def test_a_failed_request_is_none_that_was_cancelled():
    run = recorded((request(FIRST), Failed(raised=Raised(type='builtins.ValueError'))), facts={})
    assert not run.nodes[-1].cut
    assert isinstance(outcome(begun(player(run)).begin(request(FIRST))), Failed)
