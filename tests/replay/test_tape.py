from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from replay import canon
from replay.cassette import Definition, Node, Raised, Run, ToolResult
from replay.effects import Answered, Count, Counted, Do, Ended, Failed, Replay, Request, Stop
from replay.modes import MODES, Action, Found
from replay.playback import Playback, all_messages, new_from, node_of_message
from replay.redact import Redactor
from replay.tape import Tape, TapeError
from replay.veil import Veil
from tests.replay.wire import answered, asked, call, calls, do, finish, record, request, results, returned, text, user

FIRST, LAST = asked(user()), answered(text())
RESPONSE = answered(call(id='c1'), call('jump', id='c2'))
SECOND = asked(returned(1), returned(2, 'jump', 'c2'))
BOOM = Raised(type='builtins.ValueError', message='boom')


def recorder() -> Tape:
    return Tape(name='agent', agent='agent')


def player(run: Run) -> Tape:
    return Tape(name='agent', agent='agent', recorded=run)


def outcome(answer: Any) -> Any:
    assert isinstance(answer, Replay)
    return answer.outcome


def written(tape: Tape) -> Run:
    assert tape.run is not None
    return tape.run


def start(tape: Tape, *kinds: str) -> Tape:
    for kind in kinds or ('UserPromptNode', 'ModelRequestNode'):
        tape.node(kind)
    return tape


# -- modes


@pytest.mark.parametrize(
    ('mode', 'actions'),
    [
        ('none', (Action.REPLAY, Action.REFUSE, Action.REFUSE)),
        ('once', (Action.REPLAY, Action.REFUSE, Action.RECORD)),
        ('new_episodes', (Action.EXTEND, Action.RECORD, Action.RECORD)),
        ('all', (Action.RECORD, Action.RECORD, Action.RECORD)),
        ('rewrite', (Action.RECORD, Action.RECORD, Action.RECORD)),
        ('rebind', (Action.REBIND, Action.REFUSE, Action.REFUSE)),
    ],
)
def test_each_mode_says_what_to_do_with_what_is_there(mode: Any, actions: tuple[Action, ...]):
    assert tuple(MODES[mode][found] for found in (Found.RECORDED, Found.LACKING, Found.NO_CASSETTE)) == actions


# -- the short way


@pytest.fixture(name='known')
def known_definition() -> tuple[Playback, Definition]:
    """A recording whose first request was found to carry the recorded definition."""
    definition = Definition(instructions='Look.')
    run = record()
    nodes = [replace(one, definition=one.definition and definition) for one in run.nodes]
    playback = Playback(replace(run, nodes=tuple(nodes)))
    live = Definition(instructions='Look.')
    playback.node('UserPromptNode', {})
    playback.node('ModelRequestNode', {})
    first = request(FIRST, definition=live)
    assert playback.straight(first) is None
    assert playback.compare(first) is None
    playback.know(live, live)
    playback.answer(first)
    playback.node('CallToolsNode', {})
    return playback, live


def test_the_short_way_gives_what_the_long_one_gives(known: tuple[Playback, Definition]):
    playback, live = known
    batch = calls(RESPONSE)
    assert playback.straight(batch) is None  # the order in which the calls ended was recorded
    playback.node('ModelRequestNode', {})
    second = request(SECOND, RESPONSE, definition=live)
    assert playback.straight(second) == Answered(message=LAST)
    assert playback.straight(second) is None  # a node's second request may be another one
    playback.node('CallToolsNode', {})
    playback.node('End', {})
    assert playback.ends_as_recorded(finish(FIRST, RESPONSE, SECOND, LAST))


def test_the_short_way_gives_the_results_of_calls_in_their_order():
    node = replace(record().nodes[2], started=None, finished=None)
    nodes = (*record().nodes[:2], node, *record().nodes[3:])
    playback = Playback(replace(record(), nodes=nodes))
    for kind in ('UserPromptNode', 'ModelRequestNode', 'CallToolsNode'):
        playback.node(kind, {})
    assert playback.straight(calls(RESPONSE)) == playback.answer(calls(RESPONSE))
    assert playback.straight(calls(RESPONSE, 0)) is None
    assert playback.straight(calls(RESPONSE, 1, 0)) is None
    assert playback.straight(calls(answered(call(id='c1'), call('jump', id='other')))) is None


OTHERS: list[Callable[[Definition], Request]] = [
    lambda live: request(SECOND, answered(call(id='c1'), call('jump', id='c2', args={'n': 1})), definition=live),
    lambda live: request(asked(returned(2), returned(2, 'jump', 'c2')), RESPONSE, definition=live),
    lambda live: request(SECOND, FIRST, RESPONSE, definition=live, appended=False),
    lambda live: request(SECOND, RESPONSE, definition=Definition(instructions='Look twice.')),
    lambda live: replace(request(SECOND, RESPONSE, definition=live), streamed=True),
    lambda live: replace(request(SECOND, RESPONSE, definition=live), message=canon.dumps(FIRST)),
]


@pytest.mark.parametrize(
    'other',
    OTHERS,
    ids=['response', 'request', 'all', 'definition', 'streamed', 'message'],
)
def test_what_is_not_exactly_as_recorded_goes_the_long_way(
    known: tuple[Playback, Definition], other: Callable[[Definition], Request]
):
    playback, live = known
    playback.node('ModelRequestNode', {})
    assert playback.straight(other(live)) is None


# -- record


def test_a_recording_holds_each_message_in_the_node_that_made_it():
    run = record()
    assert [node.kind for node in run.nodes] == [
        'UserPromptNode', 'ModelRequestNode', 'CallToolsNode', 'ModelRequestNode', 'CallToolsNode', 'End',
    ]  # fmt: skip
    assert run.messages == [FIRST, RESPONSE, SECOND, LAST]
    assert run.facts == {}


def test_a_recording_keeps_the_order_in_which_calls_ended_only_if_it_is_not_call_order():
    node = record().nodes[2]
    assert (node.started, node.finished) == (None, (1, 0))
    assert node.results == {}


def test_outcomes_that_the_next_request_does_not_tell_stand_on_the_node():
    tape = start(recorder())
    do(tape, request(FIRST), Answered(message=RESPONSE))
    tape.node('CallToolsNode')
    failed = {0: ToolResult(kind='raised', raised=BOOM)}
    do(tape, calls(RESPONSE), Ended(started=[0, 1], finished=[0], results=failed))
    tape.finish(finish(FIRST, RESPONSE, raised=BOOM))
    assert written(tape).nodes[-1].results == failed
    assert written(tape).nodes[-1].raised == BOOM


def test_a_closing_request_stands_at_the_end():
    closing = asked(returned('Final result processed.'))
    response = answered(call())
    tape = start(recorder())
    do(tape, request(FIRST), Answered(message=response))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(FIRST, response, closing))
    assert written(tape).nodes[-1].then == (closing,)


def test_counted_usage_and_facts_are_kept():
    tape = recorder()
    tape.node('UserPromptNode', deferred_tool_results={'calls': {}}, nothing=None)
    tape.node('ModelRequestNode')
    do(tape, Count(), Counted(usage={'input_tokens': 5}))
    do(tape, request(FIRST), Answered(message=LAST))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(FIRST, LAST))
    assert written(tape).nodes[0].facts == {'deferred_tool_results': {'calls': {}}}
    assert written(tape).nodes[1].counted == {'input_tokens': 5}


def test_an_error_of_the_model_is_an_outcome():
    tape = start(recorder())
    do(tape, request(FIRST), Failed(raised=BOOM))
    tape.finish(finish(FIRST, raised=BOOM))
    assert written(tape).nodes[-1].raised == BOOM
    again = start(player(written(tape)))
    assert outcome(again.begin(request(FIRST))) == Failed(raised=BOOM)
    again.finish(finish(FIRST, raised=BOOM))
    assert again.divergence is None


def test_a_request_that_was_never_sent_is_told_by_the_messages():
    tape = start(recorder())
    tape.finish(finish(FIRST, raised=BOOM))
    assert written(tape).messages == [FIRST]
    assert written(tape).nodes[-1].definition is None


def test_a_response_that_exceeded_a_limit_is_kept_on_its_request():
    tape = start(recorder())
    do(tape, request(FIRST), Answered(message=LAST))
    tape.finish(finish(FIRST, raised=BOOM))
    assert written(tape).nodes[-1].facts == {'response': LAST}
    again = start(player(written(tape)))
    assert outcome(again.begin(request(FIRST))) == Answered(message=LAST)


def test_a_response_that_no_node_took_up_stands_behind_its_request():
    tape = start(recorder())
    do(tape, request(FIRST), Answered(message=LAST))
    tape.finish(finish(FIRST, LAST))
    assert written(tape).nodes[-1].then == (LAST,)
    again = start(player(written(tape)))
    assert outcome(again.begin(request(FIRST))) == Answered(message=LAST)


def test_history_handed_in_is_what_stands_before_the_first_new_message():
    history = [asked(user('a'), run_id='0'), answered(text('b'), run_id='0')]
    tape = start(recorder())
    do(tape, request(FIRST, *history), Answered(message=LAST))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(*history, FIRST, LAST, new_from=2))
    assert written(tape).history == tuple(history)
    again = start(player(written(tape)))
    assert outcome(again.begin(request(FIRST, *history))) == Answered(message=LAST)
    changed = start(player(written(tape))).begin(request(FIRST, asked(user('z')), history[1]))
    assert isinstance(changed, Stop)
    assert changed.divergence.field == 'messages[0].parts[0].content'


def test_a_request_taken_up_again_from_the_history_is_no_new_message():
    tape = start(recorder())
    do(tape, request(FIRST), Answered(message=LAST))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(FIRST, LAST, new_from=1))
    run = written(tape)
    assert (run.history, run.nodes[1].from_history, run.messages) == ((FIRST,), True, [FIRST, LAST])
    again = start(player(run))
    assert outcome(again.begin(request(FIRST))) == Answered(message=LAST)


def test_a_run_that_goes_on_with_the_calls_of_its_history_holds_that_response():
    tape = start(recorder(), 'UserPromptNode', 'CallToolsNode')
    do(tape, calls(RESPONSE), Ended(started=[0, 1], finished=[0, 1], results=results(SECOND)))
    tape.node('ModelRequestNode')
    do(tape, request(SECOND, FIRST, RESPONSE), Answered(message=LAST))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(FIRST, RESPONSE, SECOND, LAST, new_from=2))
    run = written(tape)
    assert run.nodes[1].from_history
    assert run.messages == [FIRST, RESPONSE, SECOND, LAST]
    again = start(player(run), 'UserPromptNode', 'CallToolsNode')
    assert outcome(again.begin(calls(RESPONSE))).results == results(SECOND)
    again.node('ModelRequestNode')
    assert outcome(again.begin(request(SECOND, FIRST, RESPONSE))) == Answered(message=LAST)


def test_messages_that_user_code_changed_on_the_way_are_kept_as_a_fact():
    changed = asked(user('changed later'))
    tape = start(recorder())
    do(tape, request(FIRST), Answered(message=LAST))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(changed, LAST))
    run = written(tape)
    assert (all_messages(run), new_from(run)) == ([changed, LAST], 0)
    again = start(player(run))
    again.begin(request(FIRST))
    start(again, 'CallToolsNode', 'End')
    again.finish(finish(changed, LAST))
    assert again.divergence is None


def test_a_run_that_was_left_before_its_first_node_holds_only_its_history():
    tape = recorder()
    tape.finish(finish(FIRST, new_from=1))
    assert written(tape) == Run(name='agent', agent='agent', history=(FIRST,))


def edited_run(play: Tape) -> Tape:
    """A history processor drops the first two messages before the second request."""
    start(play)
    answer = play.begin(request(FIRST))
    if isinstance(answer, Do):
        play.end(answer.token, Answered(message=RESPONSE))
    play.node('CallToolsNode')
    answer = play.begin(calls(RESPONSE))
    if isinstance(answer, Do):
        play.end(answer.token, Ended(started=[0, 1], finished=[0, 1], results=results(SECOND)))
    play.node('ModelRequestNode')
    return play


def test_an_edit_of_the_history_is_kept_and_compared():
    tape = edited_run(recorder())
    do(tape, request(SECOND, appended=False), Answered(message=LAST))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(SECOND, LAST))
    run = written(tape)
    assert run.nodes[3].facts == {'history_edit': {'at': 0, 'drop': 2, 'insert': []}}
    again = edited_run(player(run))
    assert outcome(again.begin(request(SECOND, appended=False))) == Answered(message=LAST)
    other = edited_run(player(run))
    assert isinstance(other.begin(request(SECOND, RESPONSE)), Stop)


def test_requests_that_a_run_joins_before_it_sends_them_are_no_edit():
    tape = edited_run(recorder())
    do(tape, request(SECOND, FIRST, RESPONSE, appended=False), Answered(message=LAST))
    tape.finish(finish(FIRST, RESPONSE, SECOND, LAST))
    assert 'history_edit' not in written(tape).nodes[3].facts


def test_an_edit_of_the_first_request_is_kept_too():
    history = [asked(user('a')), answered(text('b'))]
    tape = start(recorder())
    do(tape, request(FIRST), Answered(message=LAST))
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(*history, FIRST, LAST, new_from=2))
    assert written(tape).nodes[1].facts == {'history_edit': {'at': 0, 'drop': 2, 'insert': []}}
    again = start(player(written(tape)))
    assert outcome(again.begin(request(FIRST))) == Answered(message=LAST)


def test_a_response_that_was_edited_before_the_next_request_is_an_edit():
    edited = {**RESPONSE, 'model_name': 'edited'}
    tape = edited_run(recorder())
    do(tape, request(SECOND, edited), Answered(message=LAST))
    assert isinstance(tape.begin(Count()), Do)
    tape.finish(finish(FIRST, edited, SECOND, LAST))
    edit = written(tape).nodes[3].facts['history_edit']
    assert edit == {'at': 1, 'drop': 1, 'insert': [edited]}
    assert outcome(edited_run(player(written(tape))).begin(request(SECOND, edited))) == Answered(message=LAST)


# -- replay


def test_a_replay_of_the_same_run_gives_the_recorded_outcomes():
    run = record()
    tape = start(player(run))
    assert tape.replaying
    assert outcome(tape.begin(request(FIRST))) == Answered(message=RESPONSE)
    tape.node('CallToolsNode')
    assert outcome(tape.begin(calls(RESPONSE))) == Ended(started=[0, 1], finished=[1, 0], results=results(SECOND))
    tape.node('ModelRequestNode')
    assert outcome(tape.begin(request(SECOND, RESPONSE))) == Answered(message=LAST)
    start(tape, 'CallToolsNode', 'End')
    tape.finish(finish(FIRST, RESPONSE, SECOND, LAST))
    assert (tape.divergence, tape.unplayed, tape.requests) == (None, (), 2)


def test_a_batch_of_some_calls_is_answered_in_its_own_indexes():
    tape = start(player(record()))
    tape.begin(request(FIRST))
    tape.node('CallToolsNode')
    played = outcome(tape.begin(calls(RESPONSE, 1)))
    assert (played.finished, played.results) == ([0], {0: ToolResult(kind='return', content=2)})


def test_requests_match_apart_from_times():
    tape = edited_run(player(record()))
    later = {**SECOND, 'timestamp': 'later'}
    assert outcome(tape.begin(request(later, RESPONSE))) == Answered(message=LAST)


def test_a_changed_tool_result_is_found_at_its_node():
    tape = edited_run(player(record()))
    answer = tape.begin(request(asked(returned(1), returned(3, 'jump', 'c2')), RESPONSE))
    assert isinstance(answer, Stop)
    found = answer.divergence
    assert (found.cause, found.field, found.node, found.kind) == (
        'tool result', 'parts[1].content', 3, 'ModelRequestNode',
    )  # fmt: skip


def test_a_changed_definition_is_found():
    tape = start(player(record()))
    answer = tape.begin(request(FIRST, definition=Definition(settings={'seed': 1})))
    assert isinstance(answer, Stop)
    assert answer.divergence.cause == 'settings'


def test_changed_instructions_are_named_as_such_even_if_messages_differ_too():
    tape = start(player(record()))
    answer = tape.begin(request(asked(user('other')), definition=Definition(instructions='New.')))
    assert isinstance(answer, Stop)
    assert answer.divergence.cause == 'instructions'


def test_a_recording_without_definitions_compares_messages_alone():
    bare = Node(kind='ModelRequestNode', message=FIRST)
    nodes = (Node(kind='UserPromptNode'), bare, Node(kind='CallToolsNode', message=LAST))
    run = Run(name='a', agent='a', nodes=nodes)
    tape = start(player(run))
    assert outcome(tape.begin(request(FIRST, definition=Definition(instructions='New.')))) == Answered(message=LAST)


@pytest.mark.parametrize(('live', 'searched'), [(FIRST, False), (asked(user('another question')), True)])
def test_a_request_is_searched_for_secrets_unless_the_recording_has_it(live: Any, searched: bool):
    seen: list[str] = []

    def search(found: str) -> str:
        seen.append(found)
        return found

    tape = start(Tape(name='agent', agent='agent', recorded=record(), veil=Veil(Redactor(rules=[search]))))
    assert isinstance(tape.begin(request(live)), Stop if searched else Replay)
    assert (live['parts'][0]['content'] in seen) is searched


def test_counted_tokens_are_replayed_and_their_errors_too():
    counted = Node(kind='ModelRequestNode', message=FIRST, counted={'input_tokens': 3})
    failed = Node(kind='ModelRequestNode', message=FIRST, raised=BOOM)
    user_node = Node(kind='UserPromptNode')
    tape = start(player(Run(name='a', agent='a', nodes=(user_node, counted))))
    assert outcome(tape.begin(Count())) == Counted(usage={'input_tokens': 3})
    tape = start(player(Run(name='a', agent='a', nodes=(user_node, failed))))
    assert outcome(tape.begin(Count())) == Failed(raised=BOOM)


def test_an_effect_that_the_recording_never_came_to_is_a_divergence():
    node = Node(kind='ModelRequestNode', message=FIRST)
    tape = start(player(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'), node))))
    answer = tape.begin(Count())
    assert isinstance(answer, Stop)
    assert (answer.divergence.cause, answer.divergence.field) == ('order', 'count')


def test_another_node_than_the_recorded_one_is_a_divergence():
    tape = player(record())
    assert tape.node('UserPromptNode') is None
    stop = tape.node('CallToolsNode')
    assert isinstance(stop, Stop)
    assert (stop.divergence.cause, stop.divergence.node, stop.divergence.kind) == ('order', 1, 'ModelRequestNode')


def test_a_node_after_the_recorded_end_is_a_divergence():
    tape = start(player(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'),))), 'UserPromptNode')
    stop = tape.node('End')
    assert isinstance(stop, Stop)
    assert (stop.divergence.node, stop.divergence.kind) == (1, 'End')


def test_once_diverged_a_tape_stays_diverged():
    tape = start(player(record()))
    first = tape.begin(request(asked(user('other'))))
    assert tape.begin(request(FIRST)) == first
    assert tape.node('End') == first
    tape.finish(finish(FIRST))
    assert tape.divergence is not None
    assert Stop(divergence=tape.divergence) == first


def test_nodes_that_were_never_played_are_told():
    tape = start(player(record()))
    tape.begin(request(FIRST))
    tape.finish(finish(FIRST, raised=BOOM))
    assert [node.kind for node in tape.unplayed] == ['CallToolsNode', 'ModelRequestNode', 'CallToolsNode', 'End']
    assert tape.divergence is None
    assert tape.raised == BOOM


def play(run: Run, **end: Any) -> Tape:
    tape = edited_run(player(run))
    tape.begin(request(SECOND, RESPONSE))
    start(tape, 'CallToolsNode', 'End')
    messages = end.pop('messages', (FIRST, RESPONSE, SECOND, LAST))
    tape.finish(finish(*messages, **end))
    return tape


@pytest.mark.parametrize(
    ('end', 'expected'),
    [
        ({'raised': BOOM}, ('error', 'raised', 5)),
        ({'new_from': 1}, ('history', 'new_messages', 5)),
        ({'messages': (FIRST, RESPONSE)}, ('history', 'new_messages', 5)),
        ({'messages': (FIRST, RESPONSE, SECOND, answered(text('x')))}, ('history', 'parts[0].content', 4)),
        ({'messages': (FIRST, RESPONSE, {**SECOND, 'timestamp': 'u'}, LAST)}, ('history', 'timestamp', 3)),
    ],
)
def test_what_a_replayed_run_ends_with_is_compared_strictly(end: dict[str, Any], expected: tuple[str, str, int]):
    divergence = play(record(), **end).divergence
    assert divergence is not None
    assert (divergence.cause, divergence.field, divergence.node) == expected


def test_times_of_messages_that_were_handed_in_do_not_count_at_the_end():
    history = asked(user('a'), run_id='0')
    run = Run(name='a', agent='a', history=(history,), nodes=(Node(kind='UserPromptNode'),))
    tape = start(player(run), 'UserPromptNode')
    tape.finish(finish({**history, 'timestamp': 'u'}, new_from=1))
    assert tape.divergence is None


def test_each_message_belongs_to_a_node():
    run = record()
    assert [node_of_message(run, index) for index in range(5)] == [1, 2, 3, 4, 5]
    assert node_of_message(Run(name='a', agent='a', history=(FIRST,), nodes=run.nodes), 0) == 0


# -- order of events


def test_an_illegal_order_names_state_and_event():
    tape = recorder()
    with pytest.raises(TapeError, match='begin of Request cannot come while the tape is new') as caught:
        tape.begin(request(FIRST))
    assert (caught.value.state, caught.value.event) == ('new', 'begin of Request')
    tape.node('UserPromptNode')
    with pytest.raises(TapeError, match=r'begin of Calls cannot come while the tape is in a node \(UserPromptNode\)'):
        tape.begin(calls(RESPONSE))
    tape.node('ModelRequestNode')
    with pytest.raises(TapeError, match='chunk of effect 0 cannot come while the tape is in a node'):
        tape.chunk(0, {})
    answer = tape.begin(request(FIRST))
    assert isinstance(answer, Do)
    with pytest.raises(TapeError, match='node cannot come while the tape is doing'):
        tape.node('CallToolsNode')
    with pytest.raises(TapeError, match='end of effect 7 with Answered'):
        tape.end(7, Answered(message=LAST))
    with pytest.raises(TapeError, match='end of effect 1 with Counted'):
        tape.end(answer.token, Counted(usage={}))
    tape.end(answer.token, Answered(message=LAST))
    with pytest.raises(TapeError, match='end cannot come while the tape is in a node'):
        tape.end(answer.token, Answered(message=LAST))
    tape.finish(finish(FIRST, LAST))
    with pytest.raises(TapeError, match='finish cannot come while the tape is over') as caught:
        tape.finish(finish())
    assert caught.value.expected == 'nothing'


class Runs(RuleBasedStateMachine):
    """Two runs, recorded in any interleaving, replay in any other interleaving to the same outcomes and bytes."""

    @initialize(turns=st.lists(st.integers(0, 2), min_size=2, max_size=2))
    def begin(self, turns: list[int]) -> None:
        self.scripts = [self.script(index, turn) for index, turn in enumerate(turns)]
        self.recorders = [Tape(name=f'run{index}', agent='a') for index in range(2)]
        self.players: list[Tape | None] = [None, None]
        self.steps = [0, 0]

    @staticmethod
    def script(run: int, turns: int) -> list[tuple[str, Any, Any]]:
        """Steps: a node, an effect with its outcome, or the end."""
        message = asked(user(f'run {run}'))
        messages, before = [message], []
        steps: list[tuple[str, Any, Any]] = [('node', 'UserPromptNode', None), ('node', 'ModelRequestNode', None)]
        for turn in range(turns):
            response = answered(call(id=f'{turn}'))
            steps.append(('effect', request(message, *before), Answered(message=response)))
            message = asked(returned(turn, id=f'{turn}'))
            ended = Ended(started=[0], finished=[0], results=results(message))
            steps += [('node', 'CallToolsNode', None), ('effect', calls(response), ended)]
            steps.append(('node', 'ModelRequestNode', None))
            messages += [response, message]
            before = [response]
        last = answered(text(f'{run}'))
        steps.append(('effect', request(message, *before), Answered(message=last)))
        steps += [('node', 'CallToolsNode', None), ('node', 'End', None)]
        return [*steps, ('finish', finish(*messages, last), None)]

    def feed(self, tape: Tape, step: tuple[str, Any, Any]) -> None:
        kind, event, expected = step
        if kind == 'node':
            assert tape.node(event) is None
        elif kind == 'finish':
            tape.finish(event)
        else:
            answer = tape.begin(event)
            if isinstance(answer, Do):
                tape.end(answer.token, expected)
            else:
                assert outcome(answer) == expected

    @rule(run=st.integers(0, 1))
    def step(self, run: int) -> None:
        if self.steps[run] == len(self.scripts[run]):
            self.players[run] = player(written(self.players[run] or self.recorders[run]))
            self.steps[run] = 0
        self.feed(self.players[run] or self.recorders[run], self.scripts[run][self.steps[run]])
        self.steps[run] += 1

    @precondition(lambda self: any(self.players))
    @rule()
    def nothing_differs(self) -> None:
        for tape, steps, script in zip(self.players, self.steps, self.scripts, strict=True):
            assert tape is None or tape.divergence is None
            if tape is not None and steps == len(script):
                assert tape.unplayed == ()
                assert canon.dumps(all_messages(written(tape))) == script[-1][1].messages  # type: ignore[arg-type]


TestInterleavedRuns = Runs.TestCase
TestInterleavedRuns.settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
