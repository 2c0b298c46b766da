from typing import Any

import pytest

from replay.canon import JsonObject
from replay.cassette import Definition, Node
from replay.match import (
    ABSENT,
    Diverged,
    Divergence,
    first_difference,
    locate,
    match_definition,
    match_message,
    match_messages,
    match_node,
    merged,
)
from tests.replay.wire import answered, asked, call, retry, returned, system, text, user

CONTENT = 'parts[0].content'


def found(recorded: Any, live: Any) -> tuple[Any, ...]:
    difference = match_message(recorded, live)
    assert difference is not None
    return difference.cause, difference.field, difference.recorded, difference.live


@pytest.mark.parametrize(
    ('recorded', 'live', 'expected'),
    [
        (asked(user('a')), asked(user('b')), ('user prompt', 'parts[0].content', 'a', 'b')),
        (asked(system('a')), asked(system('b')), ('system prompt', 'parts[0].content', 'a', 'b')),
        (asked(returned(1)), asked(returned(2)), ('tool result', 'parts[0].content', 1, 2)),
        (asked(retry('a')), asked(retry('b')), ('tool result', 'parts[0].content', 'a', 'b')),
        (asked(returned(1)), asked(returned(True)), ('tool result', 'parts[0].content', 1, True)),
        (asked(user(['a', 'b'])), asked(user(['a'])), ('user prompt', 'parts[0].content[1]', 'b', ABSENT)),
        (
            asked(returned({'a': {'b': 1}})),
            asked(returned({'a': {}})),
            ('tool result', 'parts[0].content.a.b', 1, ABSENT),
        ),
        (asked(returned({})), asked(returned({'c': 2})), ('tool result', 'parts[0].content.c', ABSENT, 2)),
        (asked(), asked(user()), ('user prompt', 'parts[0]', ABSENT, user())),
        (asked(returned()), asked(), ('tool result', 'parts[0]', returned(), ABSENT)),
        (asked(instructions='a'), asked(instructions='b'), ('instructions', 'instructions', 'a', 'b')),
        (answered(text('a')), answered(text('b')), ('history', 'parts[0].content', 'a', 'b')),
        (answered(model='a'), answered(model='b'), ('history', 'model_name', 'a', 'b')),
        (asked(), answered(), ('order', 'kind', 'request', 'response')),
    ],
)
def test_a_difference_between_two_messages_is_classified(recorded: Any, live: Any, expected: Any):
    assert found(recorded, live) == expected


def test_times_and_run_ids_do_not_count():
    assert match_message(asked(user(time='1')), {**asked(user(time='2'), run_id='other'), 'timestamp': 'u'}) is None


def test_a_text_that_looks_like_an_absent_value_is_still_a_difference():
    assert found(asked(returned({})), asked(returned({'a': '(absent)'})))[3] == '(absent)'


def test_the_last_message_is_the_request_and_those_before_it_are_history():
    old = [asked(user('a')), answered(text()), asked(user('b'))]
    new = [asked(user('x')), answered(text()), asked(user('b'))]
    difference = match_messages(old, new)
    assert difference is not None
    assert (difference.cause, difference.field) == ('history', 'messages[0].parts[0].content')


def test_an_edited_response_of_the_run_itself_is_named_as_one():
    difference = match_messages([answered(text('a')), asked()], [answered(text('b')), asked()], first=3)
    assert difference is not None
    assert (difference.cause, difference.field) == ('response', 'messages[3].parts[0].content')


def test_another_number_of_messages_is_shown_as_an_outline():
    difference = match_messages([asked(user())], [asked(user()), answered(text()), asked(user())])
    assert difference is not None
    assert difference.recorded == ['request: user-prompt']
    assert difference.live == ['request: user-prompt', 'response: text', 'request: user-prompt']


def test_equal_messages_match():
    assert (
        match_messages(
            [asked(user()), answered(text()), asked(user())], [asked(user()), answered(text()), asked(user())]
        )
        is None
    )
    assert match_messages([], []) is None


A, B = {'kind': 'a'}, {'kind': 'b'}
AB: dict[str, JsonObject] = {'a': {}, 'b': {}}
BA: dict[str, JsonObject] = {'b': {}, 'a': {}}
TOOL: JsonObject = {'description': 'Looks.', 'parameters': {'type': 'object', 'required': ['a']}}


CHANGED_DEFINITIONS: list[tuple[Definition, Definition, tuple[Any, ...]]] = [
    (Definition(instructions='a'), Definition(instructions='b'), ('instructions', 'instructions', 'a', 'b')),
    (Definition(tools={'a': TOOL}), Definition(), ('tool set', 'tools', ['a'], [])),
    (
        Definition(tools={'a': {}, 'b': {}}),
        Definition(tools={'b': {}, 'a': {}}),
        ('tool set', 'tools', ['a', 'b'], ['b', 'a']),
    ),
    (
        Definition(tools={'a': TOOL}),
        Definition(tools={'a': {**TOOL, 'parameters': {'type': 'object', 'required': []}}}),
        ('tool schema', 'tools.a.parameters.required[0]', 'a', ABSENT),
    ),
    (
        Definition(builtin_tools=({'kind': 'a'},)),
        Definition(builtin_tools=({'kind': 'b'},)),
        ('builtin tools', 'builtin_tools[0].kind', 'a', 'b'),
    ),
    (Definition(output={'mode': 'tool'}), Definition(), ('output', 'output', {'mode': 'tool'}, None)),
    (Definition(settings={'seed': 1}), Definition(settings={'seed': 2}), ('settings', 'settings.seed', 1, 2)),
]


@pytest.mark.parametrize(('recorded', 'live', 'expected'), CHANGED_DEFINITIONS)
def test_a_difference_between_two_definitions_is_classified(recorded: Any, live: Any, expected: Any):
    difference = match_definition(recorded, live)
    assert difference is not None
    assert (difference.cause, difference.field, difference.recorded, difference.live) == expected


def test_equal_definitions_match():
    one = Definition(instructions='a', tools={'a': TOOL})
    assert match_definition(one, one) is None
    assert match_definition(one, Definition(instructions='a', tools={'a': TOOL})) is None


def test_a_node_matches_by_kind_and_by_the_facts_that_the_live_side_states():
    node = Node(kind='UserPromptNode', facts={'other': 1})
    assert match_node(node, 'UserPromptNode', {'deferred_tool_results': None}) is None
    difference = match_node(node, 'UserPromptNode', {'deferred_tool_results': {'calls': {}}})
    assert difference is not None
    assert (difference.cause, difference.field) == ('history', 'deferred_tool_results')


@pytest.mark.parametrize('recorded', [None, Node(kind='End')])
def test_another_kind_of_node_is_a_difference_of_order(recorded: Any):
    difference = match_node(recorded, 'ModelRequestNode', {})
    assert difference is not None
    assert (difference.cause, difference.recorded) == ('order', recorded.kind if recorded else ABSENT)


def test_a_divergence_says_what_changed_and_where():
    difference = match_message(asked(instructions='a'), asked(instructions='b'))
    assert difference is not None
    divergence = locate(difference, run='support/look', agent='look', node=3, kind='ModelRequestNode')
    error = Diverged(divergence, cassette='cassettes/x.json', next=('replay record',))
    assert error.headline == 'instructions of look changed'
    assert (error.expected, error.got) == ('a', 'b')
    assert str(error.where) == 'cassettes/x.json  run support/look  node 3 ModelRequestNode  field instructions'
    assert error.divergence is divergence


def test_a_divergence_of_order_speaks_of_nodes_and_values_are_shown_as_python_writes_them():
    difference = match_node(None, 'End', {})
    assert difference is not None
    assert locate(difference, run='a', agent='a', node=1, kind='End').headline == 'order of nodes of a changed'
    other = match_message(asked(returned(1)), asked(returned([2])))
    assert other is not None
    assert Diverged(locate(other, run='a', agent='a', node=1, kind='End')).got == '[2]'


def test_neighbouring_requests_are_joined_with_tool_results_first():
    joined = merged([asked(user('a')), asked(user('b'), returned()), answered()])
    assert [one['kind'] for one in joined] == ['request', 'response']
    assert joined[0]['parts'] == [returned(), user('a'), user('b')]
    assert joined[0]['run_id'] is None


def test_requests_with_other_instructions_stay_apart():
    assert len(merged([asked(instructions='a'), asked(instructions='b')])) == 2
    assert merged([asked(instructions='a'), asked()])[0]['instructions'] == 'a'


def test_responses_are_joined_only_if_no_model_is_named():
    assert len(merged([answered(), answered()])) == 2
    assert merged([answered(call(), model=None), answered(text(), model=None)])[0]['parts'] == [call(), text()]


def test_the_order_of_keys_does_not_count():
    assert first_difference({'a': 1, 'b': [2]}, {'b': [2], 'a': 1}) is None


def test_a_run_that_was_not_cancelled_as_its_recording_was_is_told_in_those_words():
    divergence = Divergence(
        cause='cancellation', field='raised', recorded='a', live='b', run='r', agent='look', node=2, kind='End'
    )
    assert divergence.headline == 'look was not cancelled where its recording was'


def test_versions_of_the_library_stand_in_the_text_if_they_differ():
    divergence = Divergence(
        cause='tool set', field='tools', recorded='a', live='b', run='r', agent='look', node=2, kind='End'
    )
    error = Diverged(divergence, versions=('1.0', '2.0'))
    assert error.details == (('versions', 'recorded by 1.0, replayed by 2.0'),)
    assert error.versions == ('1.0', '2.0')
