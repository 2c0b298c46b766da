"""A run while it is being recorded, fed by direct calls."""

from dataclasses import replace
from typing import Any

import pytest

from replay.attempts import definition_json
from replay.canon import JsonObject
from replay.cassette import Attempt, Definition, Raised, Run
from replay.draft import Draft
from replay.effects import Answered, Cut, Failed, Finish, Outcome, Request
from tests.replay.wire import answered, asked, call, finish, request, returned, text, user

FIRST, LAST = asked(user()), answered(text())
RESPONSE = answered(call())
SECOND = asked(returned())
BOOM = Raised(type='builtins.ValueError', message='boom')
INSIDE = replace(request(FIRST), inside='slow')
AGAIN = replace(request(FIRST, appended=False), inside='quick')


def fed(*steps: str | tuple[Request, Outcome]) -> Draft:
    """A draft of nodes, by kind, and of requests with what came of them."""
    draft = Draft()
    for step in steps:
        if isinstance(step, str):
            draft.node(step, {})
        else:
            draft.begin(step[0])
            draft.end(step[1])
    return draft


def written(draft: Draft, end: Finish) -> Run:
    return draft.written(end, name='agent', agent='agent', facts={})


def of_two_models(*first: tuple[Request, Outcome], last: Request = AGAIN) -> Run:
    draft = fed('ModelRequestNode', *first, (last, Answered(message=LAST)), 'CallToolsNode', 'End')
    return written(draft, finish(FIRST, LAST))


@pytest.mark.parametrize(
    ('outcome', 'attempt'),
    [
        (Failed(raised=BOOM), Attempt(model='slow', raised=BOOM)),
        (Answered(message=RESPONSE), Attempt(model='slow', response=RESPONSE)),
        (Cut(cancelled=True), Attempt(model='slow', cut=True)),
    ],
    ids=['failed', 'answered', 'cut'],
)
def test_a_model_that_another_one_was_asked_after_is_an_attempt(outcome: Outcome, attempt: Attempt):
    run = of_two_models((INSIDE, outcome))
    assert run.nodes[0].attempts == (attempt,)
    assert (run.nodes[0].raised, run.nodes[0].cut, run.nodes[0].facts) == (None, False, {})
    assert run.messages == [FIRST, LAST]


def test_another_definition_for_the_second_model_is_kept_with_its_request():
    definition = Definition(instructions='Be brief.')
    run = of_two_models((INSIDE, Failed(raised=BOOM)), last=replace(AGAIN, definition=definition))
    assert run.nodes[0].definition == Definition()
    assert run.nodes[0].facts == {'resent': {'1': {'definition': definition_json(definition)}}}


def test_other_messages_for_the_second_model_are_kept_as_an_edit():
    other = asked(user('Hi again'))
    run = of_two_models((INSIDE, Failed(raised=BOOM)), last=replace(AGAIN, sent=request(other).sent))
    edit = {'history_edit': {'at': 0, 'drop': 1, 'insert': [other]}}
    assert run.nodes[0].facts == {'resent': {'1': edit}}


def test_what_is_sent_with_another_time_is_no_edit():
    later: JsonObject = {**RESPONSE, 'timestamp': 'later'}
    draft = fed('ModelRequestNode', (request(FIRST), Answered(message=RESPONSE)), 'CallToolsNode')
    draft.node('ModelRequestNode', {})
    draft.begin(request(SECOND, later))
    draft.end(Answered(message=LAST))
    run = written(draft, finish(FIRST, RESPONSE, SECOND, LAST))
    assert run.nodes[2].facts == {}
    assert run.messages == [FIRST, RESPONSE, SECOND, LAST]


def passed_over(*messages: JsonObject) -> Run:
    """Code put another request in the place of the node that was to take the first answer up."""
    again = request(SECOND)
    draft = fed(
        'ModelRequestNode', (request(FIRST), Answered(message=RESPONSE)),
        'ModelRequestNode', (again, Answered(message=LAST)), 'CallToolsNode', 'End',
    )  # fmt: skip
    return written(draft, finish(*messages))


def test_an_answer_that_no_node_took_up_stands_behind_its_request_if_the_run_shows_it():
    run = passed_over(FIRST, RESPONSE, SECOND, LAST)
    assert run.nodes[0].then == (RESPONSE,)
    assert 'response' not in run.nodes[0].facts
    assert run.messages == [FIRST, RESPONSE, SECOND, LAST]


def test_an_answer_that_no_node_took_up_is_a_fact_of_its_request_if_the_run_does_not_show_it():
    run = passed_over(FIRST, SECOND, LAST)
    assert run.nodes[0].then == ()
    assert run.nodes[0].facts['response'] == RESPONSE
    assert run.messages == [FIRST, SECOND, LAST]


def test_facts_of_a_node_that_are_nothing_are_left_out():
    draft, facts = Draft(), dict[str, Any](output=None, kept=0)
    draft.node('End', facts)
    assert written(draft, finish()).nodes[0].facts == {'kept': 0}
