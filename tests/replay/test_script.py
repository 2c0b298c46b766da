"""What a recording tells of its agent, what it says to each question, and which runs cannot be played."""

from typing import Any

import pytest

from replay.canon import JsonObject
from replay.cassette import CUT, Definition, Node, Raised, Run
from replay.errors import NotSupported
from replay.script import (
    Limits,
    Script,
    instructions_of,
    is_edited,
    limits_of,
    script_of,
    verdict_on_call,
    verdict_on_text,
)
from tests.replay.messages import (
    END,
    NAME,
    PROMPT,
    answered,
    asked,
    called,
    request,
    response,
    retry,
    returned,
    text,
    user,
)
from tests.replay.wire import system

DONE = 'Final result processed.'
FAILED = 'Output tool not used - output failed validation.'
FILE: JsonObject = {'part_kind': 'file'}
EDIT: JsonObject = {'history_edit': {'at': 0, 'drop': 0, 'insert': []}}
HELLO = asked(request(user('Hi')))


def run_of(*nodes: Node, history: tuple[JsonObject, ...] = (), **facts: Any) -> Run:
    return Run(name=NAME, agent=NAME, history=history, nodes=(PROMPT, *nodes), facts=facts)


def script(*nodes: Node, **other: Any) -> Script:
    return script_of(run_of(*nodes, **other))


def calling(*names: str) -> Node:
    return answered(response(*[called(name, {}, f'c{index}') for index, name in enumerate(names, 1)]))


def closed_with(*parts: JsonObject) -> Node:
    """An end whose closing request has these parts."""
    return Node(kind='End', then=(request(*parts),))


# -- what the run was handed


def test_the_prompt_is_that_of_the_first_request() -> None:
    assert script(HELLO, answered(response(text('Hello'))), asked(request(user('And?')))).prompt == 'Hi'


def test_a_prompt_comes_behind_the_answers_to_calls_of_the_history() -> None:
    assert script(asked(request(user('stopped'), user('Hi'), returned('look', 1, 'c1')))).prompt == 'Hi'


@pytest.mark.parametrize(
    'nodes',
    [
        (),
        (answered(response(text('Hello'))), HELLO),
        (asked(request(user('Hi')), from_history=True),),
        (asked(request(returned('look', 1, 'c1'))),),
    ],
    ids=['no request', 'resumed', 'request of the history', 'request without one'],
)
def test_a_run_whose_first_request_no_prompt_made_has_none(nodes: tuple[Node, ...]) -> None:
    assert script(*nodes).prompt is None


def given(results: JsonObject, *nodes: Node) -> Script:
    """Script of a run that was handed results of calls."""
    first = Node(kind='UserPromptNode', facts={'deferred_tool_results': results})
    return script_of(Run(name=NAME, agent=NAME, nodes=(first, *nodes)))


def test_results_that_are_handed_in_are_given_to_the_run() -> None:
    assert given({'calls': {'c1': 1}}).deferred == {'calls': {'c1': 1}}


def test_a_prompt_beside_results_that_are_handed_in_stands_in_the_request_that_has_them() -> None:
    nodes = (calling('look'), asked(request(returned('look', 1, 'c1'), user('And now?'))))
    assert given({'calls': {'c1': 1}}, *nodes).prompt == 'And now?'


def test_results_that_are_handed_in_to_a_run_that_asked_nothing_bring_no_prompt() -> None:
    assert given({'calls': {'c1': 1}}, calling('look')).prompt is None


def test_system_prompts_are_those_of_the_first_request_with_their_references() -> None:
    parts = (system('Be brief.'), {**system('Today is Monday.'), 'dynamic_ref': 'today'})
    later = asked(request(system('Be long.')))
    found = script(asked(request(*parts, user('Hi'))), calling('look'), later).system
    assert found == (('Be brief.', None), ('Today is Monday.', 'today'))


def test_the_history_is_handed_in_as_it_stands() -> None:
    earlier = request(user('Before'))
    assert script(HELLO, history=(earlier,)).history == (earlier,)


def test_a_run_without_nodes_has_an_empty_script() -> None:
    found = script_of(Run(name=NAME, agent=NAME))
    assert (found.prompt, found.deferred, found.system, found.function_tools) == (None, None, (), ())
    assert (found.allows_image, found.allows_deferred, found.limits) == (False, False, Limits(usage={}))


def test_a_run_that_has_a_history_and_no_nodes_did_not_end_in_its_last_message() -> None:
    assert not script_of(Run(name=NAME, agent=NAME, history=(response(FILE),))).allows_image


# -- what its agent was


def test_recorded_definitions_tell_tools_and_output() -> None:
    output: JsonObject = {'mode': 'tool', 'tools': {'done': {}}, 'allow_text': True, 'allow_image': True}
    known = Definition(tools={'look': {}, 'jump': {}}, output=output)
    found = script(asked(request(user('Hi')), definition=known), calling('hop'), END)
    assert (found.function_tools, found.output_tools) == (('look', 'jump'), ('done',))
    assert (found.mode, found.allows_text, found.allows_image) == ('tool', True, True)


def test_a_definition_that_says_nothing_of_the_output_allows_text_alone() -> None:
    found = script(asked(request(user('Hi')), definition=Definition()), answered(response(FILE)), END)
    assert (found.mode, found.output_tools, found.allows_text, found.allows_image) == ('text', (), True, False)


def test_a_definition_tells_which_tools_wait_for_somebody() -> None:
    known = Definition(tools={'look': {}, 'pay': {'kind': 'unapproved'}})
    assert script(asked(request(user('Hi')), definition=known)).tool_kinds == {'pay': 'unapproved'}


def test_a_tool_that_several_requests_define_is_known_once() -> None:
    known = Definition(tools={'look': {}})
    nodes = [asked(request(user('Hi')), definition=known), asked(request(), definition=known)]
    assert script(*nodes).function_tools == ('look',)


def test_without_definitions_all_tools_are_usual_functions() -> None:
    assert script(HELLO, calling('look')).tool_kinds == {}


def test_a_tool_that_was_called_is_known_once() -> None:
    assert script(HELLO, calling('look', 'jump', 'look')).function_tools == ('look', 'jump')


def test_an_output_tool_is_no_function_tool() -> None:
    assert script(HELLO, calling('done', 'look'), output_tool='done').function_tools == ('look',)


def test_names_of_tools_are_read_off_an_error_about_an_unknown_one() -> None:
    wrong = retry("Unknown tool name: 'hop'. Available tools: 'done', 'look', 'jump'", 'hop', 'c1')
    found = script(HELLO, calling('hop'), asked(request(wrong)), output_tool='done')
    assert found.function_tools == ('look', 'jump')


@pytest.mark.parametrize(
    'told',
    [
        'No tools available.',
        "Available tools: 'lo'ok'",
        "Available tools: 'a', jump, 'b'",
        "Available tools: 'a', {[]: 1}, 'b'",
        f"Available tools: 'a', {'-' * 100_000}1, 'b'",
    ],
    ids=['none', 'no literal', 'a name', 'a key that is none', 'nested too deep'],
)
def test_an_error_about_an_unknown_tool_that_lists_no_names_tells_none(told: str) -> None:
    wrong = retry(f"Unknown tool name: 'hop'. {told}", 'hop', 'c1')
    assert script(HELLO, calling('hop'), asked(request(wrong))).function_tools == ()


@pytest.mark.parametrize(
    'part',
    [
        returned('hop', "Unknown tool name: 'hop'. Available tools: 'jump'", 'c1'),
        retry([{'msg': 'wrong'}], 'hop', 'c1'),
        retry("Unknown tool name: 'skip'. Available tools: 'jump'", 'hop', 'c1'),
    ],
    ids=['a result', 'details', 'of another tool'],
)
def test_what_is_no_error_about_the_tool_that_was_called_names_no_tools(part: JsonObject) -> None:
    assert script(HELLO, calling('hop'), asked(request(part))).function_tools == ('hop',)


def test_a_name_that_is_no_text_is_left_to_the_play() -> None:
    call = called('look', {}, 'c1', tool_name=7)
    assert script(HELLO, answered(response(call, called('jump', {}, 'c2')))).function_tools == ('jump',)


def test_an_output_tool_is_known_by_the_result_that_closes_a_run() -> None:
    found = script(HELLO, calling('answer'), closed_with(returned('answer', DONE, 'c1')))
    assert (found.output_tools, found.mode, found.function_tools) == (('answer',), 'tool', ())


def test_an_output_tool_that_closes_a_run_twice_is_known_once() -> None:
    end = closed_with(returned('answer', DONE, 'c1'), returned('answer', DONE, 'c2'))
    assert script(HELLO, calling('answer', 'answer'), end).output_tools == ('answer',)


def test_a_run_in_which_no_tool_gave_the_output_has_no_output_tool() -> None:
    found = script(HELLO, calling('look'), asked(request(returned('look', 1, 'c1'))))
    assert (found.output_tools, found.mode) == ((), 'text')


@pytest.mark.parametrize('mode', ['tool', 'auto'])
def test_an_output_tool_that_was_never_called_has_its_usual_name(mode: str) -> None:
    assert script(HELLO, output_mode=mode).output_tools == ('final_result',)


@pytest.mark.parametrize(
    ('mode', 'last', 'text_allowed', 'image_allowed'),
    [
        ('tool', response(text('Hello')), True, False),
        ('tool', response(text('Hello'), called('look', {}, 'c1')), False, False),
        ('tool', response(FILE), False, True),
        ('text', response(FILE), True, True),
        ('text', response(text('Hello'), FILE), True, False),
        ('image', response(text('Hello')), False, True),
    ],
)
def test_what_may_be_the_output_is_read_off_the_mode_and_the_end(
    mode: str, last: JsonObject, text_allowed: bool, image_allowed: bool
) -> None:
    found = script(HELLO, answered(last), END, output_mode=mode)
    assert (found.allows_text, found.allows_image) == (text_allowed, image_allowed)


@pytest.mark.parametrize(
    'nodes',
    [
        (HELLO, answered(response(text('Hello')))),
        (HELLO, answered(response(text('Hello'))), closed_with(returned('final_result', DONE, 'c1'))),
        (END,),
    ],
    ids=['left', 'closed by a request', 'no messages'],
)
def test_text_is_no_output_of_a_run_that_did_not_end_in_it(nodes: tuple[Node, ...]) -> None:
    assert not script(*nodes, output_mode='tool').allows_text


def test_calls_that_a_run_ended_with_were_put_off() -> None:
    assert script(HELLO, calling('look', 'pay'), closed_with(returned('look', 1, 'c1'))).allows_deferred


@pytest.mark.parametrize(
    'nodes',
    [
        (HELLO, calling('look')),
        (HELLO, END),
        (HELLO, calling('look'), closed_with(returned('look', 1, 'c1'))),
        (HELLO, calling('done', 'look'), closed_with(returned('done', DONE, 'c1'))),
    ],
    ids=['left', 'no response', 'all answered', 'an output tool ended it'],
)
def test_a_run_without_calls_that_it_ended_with_puts_none_off(nodes: tuple[Node, ...]) -> None:
    assert not script(*nodes).allows_deferred


def test_the_end_strategy_is_early_unless_the_run_says_another() -> None:
    assert script(HELLO).end_strategy == 'early'
    assert script(HELLO, end_strategy='exhaustive').end_strategy == 'exhaustive'


def test_a_response_that_no_node_took_ends_a_stream() -> None:
    last = response(text('Hello'))
    assert script(HELLO, Node(kind='SetFinalResult', message=last), END).streamed_end
    assert not script(HELLO, answered(last), END).streamed_end


# -- limits


@pytest.mark.parametrize(
    ('message', 'limits'),
    [
        ('Something else', Limits(usage={}, tool_retries=None)),
        ('The next request would exceed the request_limit of 1', Limits(usage={'request_limit': 1}, before=True)),
        (
            'The next request would exceed the total_tokens_limit of 9 (total_tokens=36)',
            Limits(usage={'total_tokens_limit': 9}, counted=36, counted_as='total_tokens', before=True),
        ),
        (
            'Exceeded the output_tokens_limit of 1 (output_tokens=5)',
            Limits(usage={'output_tokens_limit': 1}, counted=5, counted_as='output_tokens'),
        ),
        (
            'The next tool call(s) would exceed the tool_calls_limit of 1 (tool_calls=2).',
            Limits(usage={'tool_calls_limit': 1}),
        ),
        ('Exceeded maximum retries (2) for output validation', Limits(usage={}, output_retries=2)),
        ("Tool 'look' exceeded max retries count of 3", Limits(usage={}, tool_retries={'look': 3})),
    ],
)
def test_limits_are_read_off_the_error_that_names_them(message: str, limits: Limits) -> None:
    assert limits_of(Raised(type='UsageLimitExceeded', message=message)) == limits


def test_without_an_error_there_are_no_limits() -> None:
    assert limits_of(None) == Limits(usage={})


def test_the_limits_of_a_run_are_those_of_the_error_at_its_last_node() -> None:
    raised = Raised(type='UsageLimitExceeded', message='The next request would exceed the request_limit of 1')
    assert script(HELLO, calling('look'), asked(request(), raised=raised)).limits.usage == {'request_limit': 1}


def test_an_output_tool_that_failed_beside_another_had_as_many_tries_as_requests_in_a_row_asked_again() -> None:
    again = asked(request(retry('Again.', 'done', 'c1')))
    kept = asked(request(returned('look', 1, 'c1')))
    end = closed_with(returned('done', DONE, 'c1'), returned('other', FAILED, 'c2'))
    turns = [node for one in (again, kept, again, again) for node in (calling('done'), one)]
    assert script(HELLO, *turns, calling('done', 'other'), end).limits.output_retries == 2


# -- instructions

FIRST = asked(request(user('Hi'), instructions='a'))
SECOND = asked(request(returned('look', 1, 'c1'), instructions='b'))


def test_instructions_are_those_of_each_request_in_turn() -> None:
    run = run_of(FIRST, calling('look'), SECOND)
    assert [instructions_of(run, index) for index in range(3)] == ['a', 'b', None]


def test_a_run_that_goes_on_with_a_response_asks_once_more_before_its_first_request() -> None:
    run = run_of(calling('look'), SECOND)
    assert [instructions_of(run, index) for index in range(3)] == [None, 'b', None]


def test_a_run_without_nodes_has_no_instructions() -> None:
    assert instructions_of(Run(name=NAME, agent=NAME), 0) is None


# -- verdicts on outputs


def test_an_output_tool_s_call_is_rejected_by_the_retry_that_answers_it() -> None:
    wrong = retry('Again.', 'done', 'c2')
    assert verdict_on_call([asked(request(retry('Other.', 'done', 'c1'), wrong))], 'c2') == wrong


def test_an_output_tool_s_call_that_failed_beside_another_is_rejected_with_a_text() -> None:
    end = closed_with(returned('done', DONE, 'c1'), returned('other', FAILED, 'c2'))
    assert verdict_on_call([end], 'c2') == FAILED


@pytest.mark.parametrize(
    'later',
    [
        [],
        [closed_with(returned('done', DONE, 'c1'))],
        [closed_with(returned('done', FAILED, 'c2'))],
        [closed_with(user(FAILED, tool_call_id='c1'))],
    ],
    ids=['nothing', 'its result', 'that of another call', 'no result'],
)
def test_an_output_tool_s_call_that_nothing_rejects_is_accepted(later: list[Node]) -> None:
    assert verdict_on_call(later, 'c1') is None


def test_a_text_is_rejected_by_the_retry_that_belongs_to_no_tool() -> None:
    wrong = retry('Again.', None, 'c2')
    assert verdict_on_text([asked(request(retry('Other.', 'look', 'c1'), wrong))]) == wrong


def test_a_text_that_an_empty_request_follows_was_no_output() -> None:
    assert verdict_on_text([asked(request())]) == 'an earlier text that was no output'


@pytest.mark.parametrize(
    'later',
    [[], [closed_with(retry('Again.', None, 'c1'))], [asked(request(retry('Again.', 'look', 'c1')))]],
    ids=['nothing', 'the end', 'the retry of a tool'],
)
def test_a_text_that_nothing_rejects_is_accepted(later: list[Node]) -> None:
    assert verdict_on_text(later) is None


# -- what cannot be played


def test_a_run_is_edited_if_one_of_its_nodes_is() -> None:
    assert is_edited(run_of(HELLO, asked(request(), facts=EDIT)))
    assert not is_edited(run_of(HELLO))


def test_a_run_whose_messages_its_own_code_changed_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotSupported) as caught:
        script(HELLO, messages=[])
    error = caught.value
    assert error.headline == 'a run whose history its own code changed cannot be played without that code'
    assert (error.got, error.where.run) == ('a run whose history its own code changed', NAME)
    assert error.expected == 'a run whose messages follow from prompts and outcomes'
    assert error.next == ('play it with its own agent, in its test',)


def test_a_run_whose_edits_are_recorded_is_played() -> None:
    assert script(asked(request(user('Hi')), facts=EDIT), messages=[]).prompt == 'Hi'


def test_a_run_that_was_stopped_from_outside_is_refused() -> None:
    with pytest.raises(NotSupported, match='replay: a run that was stopped from outside cannot be played'):
        script(HELLO, interrupted='KeyboardInterrupt')


def test_a_run_that_was_cancelled_is_played() -> None:
    assert script(HELLO, interrupted=CUT).prompt == 'Hi'


STEERED = {
    'put aside': asked(request(user('Hi')), then=(response(text('Hello')),)),
    'answered by code': asked(request(user('Hi')), facts={'response': {}}),
    'without a request': Node(kind='ModelRequestNode'),
    'with a prompt added': asked(request(user('Hi'), user('And?'))),
}


@pytest.mark.parametrize('node', STEERED.values(), ids=STEERED)
def test_a_run_whose_nodes_its_own_code_changed_is_refused(node: Node) -> None:
    with pytest.raises(NotSupported, match='replay: a run whose nodes its own code changed cannot be played'):
        script(node, END)


@pytest.mark.parametrize('node', STEERED.values(), ids=STEERED)
def test_a_last_node_may_have_been_changed(node: Node) -> None:
    assert script(node).end_strategy == 'early'


def test_prompts_beside_results_are_of_the_tools() -> None:
    both = asked(request(returned('look', 1, 'c1'), user('a picture'), user('another')))
    assert script(HELLO, calling('look'), both, END).prompt == 'Hi'


def test_a_node_that_failed_was_not_put_aside() -> None:
    failed = asked(request(user('Hi')), facts={'response': {}}, raised=Raised(type='ValueError'))
    assert script(failed, END).prompt == 'Hi'


@pytest.mark.parametrize(
    'message',
    [
        'Exceeded the nonsense_limit of 3 (input_tokens=4)',
        'Exceeded the input_tokens_limit of 3 (nonsense=4)',
        f'The next request would exceed the request_limit of {"9" * 5000}',
        f'Exceeded maximum retries ({"9" * 5000}) for output validation',
        f"Tool 'look' exceeded max retries count of {'9' * 5000}",
    ],
)
def test_names_and_numbers_that_no_limit_has_are_read_as_none(message: str) -> None:
    assert limits_of(Raised(type='UsageLimitExceeded', message=message)) == Limits(usage={})
