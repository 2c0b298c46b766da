"""Streamed requests on a tape."""

from dataclasses import replace
from typing import Any

import pytest

from replay.canon import JsonObject
from replay.cassette import Raised, Run, ToolResult
from replay.effects import Answered, Calls, Cut, Do, Ended, Failed, Outcome, Replay, Request
from replay.redact import Redactor
from replay.tape import Tape, TapeError
from replay.veil import Veil, leaks_of, veiled_run
from tests.replay import messages as m
from tests.replay.wire import answered, asked, call, calls, finish, request, returned, text, user

FIRST, ANSWER = asked(user()), answered(text())
OPENING: JsonObject = {'usage': {}}
PASSED = (OPENING, m.begun(0, text('Hel')), m.more(0, 'lo'))
BOOM = Raised(type='builtins.ValueError', message='boom')


def streamed(message: JsonObject = FIRST) -> Request:
    return replace(request(message), streamed=True)


def begun(tape: Tape) -> int:
    tape.node('UserPromptNode')
    tape.node('ModelRequestNode')
    answer = tape.begin(streamed())
    assert isinstance(answer, Do)
    for chunk in PASSED:
        tape.chunk(answer.token, chunk)
    return answer.token


def recorded(outcome: Outcome | None, *messages: JsonObject, veil: Veil | None = None, **end: Any) -> Run:
    tape = Tape(name='agent', agent='agent', veil=veil)
    token = begun(tape)
    if outcome is not None:
        tape.end(token, outcome)
    tape.finish(finish(FIRST, *messages, **end))
    assert tape.run is not None
    return tape.run


def replayed(run: Run, effect: Request) -> Outcome:
    tape = Tape(name='agent', agent='agent', recorded=run)
    tape.node('UserPromptNode')
    tape.node('ModelRequestNode')
    answer = tape.begin(effect)
    assert isinstance(answer, Replay)
    return answer.outcome


CASES = {
    'answered': (Answered(message=ANSWER), (ANSWER,), m.OVER),
    'failed': (Failed(raised=BOOM), (), {'raised': True}),
    'cut': (Cut(), (), {'cut': True}),
    'cancelled': (Cut(cancelled=True), (), {'cut': 'cancelled'}),
    'never ended': (None, (), {'cut': True}),
}


@pytest.mark.parametrize('case', CASES)
def test_what_passed_stands_on_the_request_with_how_it_ended(case: str):
    outcome, messages, end = CASES[case]
    run = recorded(outcome, *messages)
    assert run.nodes[1].stream == (*PASSED, end)
    again = replayed(run, streamed())
    expected = Cut() if outcome is None else outcome
    assert again == replace(expected, stream=(*PASSED, end))


def test_an_ending_that_is_told_is_kept():
    tape = Tape(name='agent', agent='agent')
    token = begun(tape)
    tape.chunk(token, {'finish_reason': 'stop', 'over': True})
    tape.end(token, Answered(message=ANSWER))
    tape.finish(finish(FIRST, ANSWER))
    assert tape.run is not None
    assert tape.run.nodes[1].stream == (*PASSED, {'finish_reason': 'stop', 'over': True})


def test_a_streamed_response_can_be_had_whole_and_the_other_way_round():
    run = recorded(Answered(message=ANSWER), ANSWER)
    assert replayed(run, request(FIRST)) == Answered(message=ANSWER)
    whole = replace(run, nodes=(run.nodes[0], replace(run.nodes[1], stream=None), *run.nodes[2:]))
    assert replayed(whole, streamed()) == Answered(message=ANSWER)


def test_chunks_come_only_while_a_streamed_request_is_made():
    tape = Tape(name='agent', agent='agent')
    tape.node('ModelRequestNode')
    answer = tape.begin(request(FIRST))
    assert isinstance(answer, Do)
    with pytest.raises(TapeError, match='chunk of effect 1 cannot come while the tape is doing'):
        tape.chunk(answer.token, OPENING)
    tape.end(answer.token, Answered(message=ANSWER))
    token = begun(tape)
    with pytest.raises(TapeError, match='chunk of effect 1'):
        tape.chunk(token - 1, OPENING)


def test_calls_that_run_when_a_stream_has_ended_belong_to_the_node_that_holds_the_response():
    response = answered(call('final_result', id='c1'), call('look', id='c2'))
    closing = asked(returned('ok', 'final_result', 'c1'), returned(5, 'look', 'c2'))
    batch: Calls = calls(response, 1)
    ended = Ended(started=[0], finished=[0], results={0: ToolResult(kind='return', content=5, user_content='more')})
    tape = Tape(name='agent', agent='agent')
    tape.end(begun(tape), Answered(message=response))
    answer = tape.begin(batch)
    assert isinstance(answer, Do)
    tape.end(answer.token, ended)
    tape.node('SetFinalResult')
    tape.node('End')
    tape.finish(finish(FIRST, response, closing))
    run = tape.run
    assert run is not None
    assert [dict(node.results) for node in run.nodes] == [{}, {}, {1: ended.results[0]}, {}]
    assert run.nodes[-1].then == (closing,)

    again = Tape(name='agent', agent='agent', recorded=run)
    again.node('UserPromptNode')
    again.node('ModelRequestNode')
    again.begin(streamed())
    assert again.begin(batch) == Replay(outcome=ended)


def test_what_passed_is_redacted_and_searched_for_secrets():
    secret = 'tiger-lily-4711'
    redactor = Redactor({'MY_TOKEN': secret})
    whole = answered(m.text(f'Hel{secret}'))
    tape = Tape(name='agent', agent='agent', veil=Veil(redactor))
    tape.node('ModelRequestNode')
    answer = tape.begin(streamed())
    assert isinstance(answer, Do)
    for chunk in (OPENING, m.begun(0, m.text('Hel')), m.more(0, 'tiger-'), m.more(0, 'lily-4711')):
        tape.chunk(answer.token, chunk)
    tape.end(answer.token, Answered(message=whole))
    tape.finish(finish(FIRST, whole))
    run = tape.run
    assert run is not None
    assert 'tiger' not in str(run)
    stream = (OPENING, m.begun(0, m.text('Hel')), m.more(0, 'tiger-'), m.more(0, 'lily-4711'), m.OVER)
    held = replace(run, nodes=(replace(run.nodes[0], stream=stream),))
    assert veiled_run(held, redactor) == run
    found = leaks_of(m.cassette(*held.nodes), redactor, text='')
    assert [leak.field for leak in found] == ['streamed parts[0].content']
