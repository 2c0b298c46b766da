"""Two recordings aligned and compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay import diff as diff_module
from replay.canon import Json, JsonObject
from replay.cassette import Cassette, Definition, Node, Run
from replay.diff import ABSENT, Absent, CassetteDiff, Change, diff_cassettes, diff_runs
from tests.wide import answers, asks, call, cassette, request, retry, returned, run, text, user


def compare(old: Cassette | None, new: Cassette | None) -> CassetteDiff:
    return diff_cassettes(old, new, old_label='old' if old else None, new_label='new' if new else None)


def statuses(old: Run, new: Run) -> list[str]:
    return [
        f'{node.status} {(node.new or node.old or pytest.fail("neither side")).kind}'
        for node in diff_runs(old, new).nodes
    ]


def fields(old: Run, new: Run) -> 'list[tuple[str, Json | Absent, Json | Absent]]':
    nodes = diff_runs(old, new).nodes
    return [(change.path, change.old, change.new) for node in nodes for change in node.changes]


def turn(number: int, result: str = 'sunny') -> tuple[Node, Node]:
    """One tool call and its result."""
    city = f'city {number}'
    return answers(call('weather', {'city': city}, id=f'c{number}')), asks(returned('weather', result, id=f'c{number}'))


BASE = run(asks(user('Weather?')), *turn(1), *turn(2), answers(text('Sunny')))


def test_a_recording_equals_itself() -> None:
    found = compare(cassette(BASE), cassette(BASE))
    assert not found.differs
    assert {node.status for node in found.runs[0].nodes} == {'same'}


def test_ids_times_and_provider_details_are_no_difference() -> None:
    def made(id: str, response_id: str) -> Run:
        return run(
            asks(user('x')),
            answers(call('f', '{"a":1}', id=id), response_id=response_id),
            asks(returned('f', 1, id=id), retry('again', id=response_id)),
        )

    assert not compare(cassette(made('1', 'x')), cassette(made('2', 'y'))).differs


def test_spacing_of_arguments_is_no_difference() -> None:
    assert fields(run(answers(call('f', '{"a":1}'))), run(answers(call('f', '{ "a" : 1 }')))) == []


def test_a_changed_argument_is_named_by_its_path_with_both_values() -> None:
    new = run(asks(user('Weather?')), *turn(1), *turn(7), answers(text('Sunny')))
    assert fields(BASE, new) == [('parts[0].args.city', 'city 2', 'city 7')]


def test_a_turn_inserted_in_the_middle_leaves_the_rest_the_same() -> None:
    new = run(asks(user('Weather?')), *turn(1), *turn(9), *turn(2), answers(text('Sunny')))
    assert statuses(BASE, new) == [
        'same UserPromptNode',
        'same ModelRequestNode',
        'same CallToolsNode',
        'same ModelRequestNode',
        'added CallToolsNode',
        'added ModelRequestNode',
        'same CallToolsNode',
        'same ModelRequestNode',
        'same CallToolsNode',
        'same End',
    ]


def test_a_turn_that_is_gone_is_removed() -> None:
    new = run(asks(user('Weather?')), *turn(2), answers(text('Sunny')))
    found = diff_runs(BASE, new)
    assert (found.count('removed'), found.count('same'), found.count('changed')) == (2, 6, 0)
    assert found.status == 'changed'


def test_when_every_text_changed_nodes_that_do_the_same_are_paired() -> None:
    old = run(asks(user('a')), answers(call('f', {'x': 1})), asks(returned('f', 1)), answers(text('p')))
    new = run(
        asks(user('b')),
        answers(call('g', {})),
        asks(returned('g', 0)),
        answers(call('f', {'x': 2})),
        asks(returned('f', 2)),
        answers(text('q')),
    )
    assert statuses(old, new) == [
        'same UserPromptNode',
        'changed ModelRequestNode',
        'added CallToolsNode',
        'added ModelRequestNode',
        'changed CallToolsNode',
        'changed ModelRequestNode',
        'changed CallToolsNode',
        'same End',
    ]


def test_nodes_of_one_kind_are_paired_where_nothing_else_fits() -> None:
    assert statuses(run(answers(text('a'))), run(answers(call('f', {}))))[1] == 'changed CallToolsNode'
    assert fields(run(answers(text('a'))), run(answers(call('f', {})))) == [
        ('parts[0]', {'part': 'text', 'content': 'a'}, ABSENT),
        ('parts[0]', ABSENT, {'part': 'tool-call', 'tool_name': 'f', 'args': {}}),
    ]


def test_a_part_inserted_before_others_does_not_change_them() -> None:
    old = run(answers(call('f', {'a': 1}), call('g', {'b': 2})))
    new = run(answers(text('First'), call('f', {'a': 1}), call('g', {'b': 3})))
    assert fields(old, new) == [
        ('parts[0]', ABSENT, {'part': 'text', 'content': 'First'}),
        ('parts[2].args.b', 2, 3),
    ]


def test_changed_instructions_are_told_once_not_at_every_request() -> None:
    def made(instructions: str) -> Run:
        given = Definition(instructions=instructions, tools={'f': {'parameters': {'type': 'object'}}})
        return run(*(asks(user(str(number)), definition=given) for number in range(3)))

    assert fields(made('Be brief.'), made('Be brief. Never guess.')) == [
        ('instructions', 'Be brief.', 'Be brief. Never guess.')
    ]


def test_a_tool_schema_is_compared_down_to_the_changed_key() -> None:
    def made(properties: JsonObject) -> Run:
        return run(asks(user('x'), definition=Definition(tools={'f': {'parameters': {'properties': properties}}})))

    assert fields(made({'a': {'type': 'string'}}), made({'a': {'type': 'integer'}, 'b c': {}})) == [
        ('tools.f.parameters.properties.a.type', 'string', 'integer'),
        ('tools.f.parameters.properties."b c"', ABSENT, {}),
    ]


def test_instructions_that_turn_elsewhere_are_told_where_they_turn() -> None:
    old = run(asks(user('1'), instructions='A'), asks(user('2'), instructions='B'), asks(user('3'), instructions='B'))
    new = run(asks(user('1'), instructions='A'), asks(user('2'), instructions='A'), asks(user('3'), instructions='B'))
    nodes = diff_runs(old, new).nodes
    assert [node.status for node in nodes] == ['same', 'same', 'changed', 'same', 'same']
    assert nodes[2].changes == (Change(path='instructions', old='B', new='A'),)


def test_what_an_imported_history_does_not_know_is_no_difference() -> None:
    known = run(asks(user('x'), definition=Definition(settings={'temperature': 0.0})))
    assert not compare(cassette(run(asks(user('x')))), cassette(known)).differs


def test_another_model_is_told_once() -> None:
    old = run(answers(text('a')), answers(text('b')))
    new = run(answers(text('a'), model='n'), answers(text('b'), model='n'))
    assert fields(old, new) == [('model', 'm', 'n')]


def test_messages_handed_in_are_compared_too() -> None:
    old = run(asks(user('x')), history=(request(user('before')),))
    new = run(asks(user('x')), history=(request(user('earlier')),))
    assert fields(old, new) == [('parts[0].content', 'before', 'earlier')]


@pytest.mark.parametrize(('old', 'new'), [(1, True), (1, 1.0), ('1', 1), (None, ''), ([1], {'a': 1})])
def test_values_of_other_types_are_never_equal(old: Json, new: Json) -> None:
    before, after = run(asks(returned('f', {'v': old}))), run(asks(returned('f', {'v': new})))
    assert fields(before, after) == [('parts[0].content.v', old, new)]


def test_members_of_lists_are_aligned() -> None:
    before, after = run(asks(returned('f', [1, 2, [3]]))), run(asks(returned('f', [2, [4], 'x'])))
    assert fields(before, after) == [
        ('parts[0].content[0]', 1, ABSENT),
        ('parts[0].content[1][0]', 3, 4),
        ('parts[0].content[2]', ABSENT, 'x'),
    ]


def test_runs_are_paired_by_name_whatever_their_order() -> None:
    first, second = run(asks(user('1')), name='a'), run(asks(user('2')), name='b')
    found = compare(cassette(first, second), cassette(second, first))
    assert not found.differs
    assert [other.name for other in found.runs] == ['b', 'a']


def test_runs_without_a_namesake_are_paired_by_agent_then_added_or_removed() -> None:
    old = cassette(run(name='a'), run(name='x/b'), run(name='gone'))
    new = cassette(run(name='a'), run(name='y/b'), run(name='c'))
    told = [(other.old, other.new, other.status) for other in compare(old, new).runs]
    assert told == [
        ('a', 'a', 'same'),
        ('x/b', 'y/b', 'changed'),
        (None, 'c', 'added'),
        ('gone', None, 'removed'),
    ]


def test_facts_and_marks_of_a_run_count() -> None:
    old = Run(name='a', agent='a', facts={'end_strategy': 'early', 'imported': True})
    new = Run(name='a', agent='a', facts={'end_strategy': 'exhaustive'}, marks=('edited',))
    assert diff_runs(old, new).changes == (
        Change(path='end_strategy', old='early', new='exhaustive'),
        Change(path='marks', old=ABSENT, new=['edited']),
    )


def test_a_side_that_is_not_there_differs() -> None:
    assert compare(None, cassette()).differs
    found = compare(cassette(BASE), None)
    assert found.differs
    assert [other.status for other in found.runs] == ['removed']
    assert found.runs[0].name == 'trip_agent'
    assert {node.item.line for node in found.runs[0].nodes if node.item is node.old} >= {'UserPromptNode', 'End'}


def call_or_result(name: str, value: dict[str, Json], *, is_call: bool) -> Node:
    return answers(call(name, value)) if is_call else asks(returned(name, value))


turns = st.builds(
    call_or_result,
    st.sampled_from(['f', 'g']),
    st.dictionaries(st.sampled_from('ab'), st.integers(0, 2), max_size=2),
    is_call=st.booleans(),
)


def as_run(nodes: list[Node]) -> Run:
    return run(*nodes)


runs = st.lists(turns, max_size=12).map(as_run)


@given(runs, runs)
def test_every_node_of_both_sides_stands_once_and_in_order(old: Run, new: Run) -> None:
    nodes = diff_runs(old, new).nodes
    assert [node.old.index for node in nodes if node.old] == list(range(len(old.nodes)))
    assert [node.new.index for node in nodes if node.new] == list(range(len(new.nodes)))
    assert all(node.old.kind == node.new.kind for node in nodes if node.old and node.new)


@given(runs, runs)
def test_two_runs_differ_both_ways_or_not_at_all(old: Run, new: Run) -> None:
    assert (diff_runs(old, new).status == 'same') == (diff_runs(new, old).status == 'same')
    assert diff_runs(old, old).status == 'same'
    assert (diff_runs(old, new).status == 'same') == (old.nodes == new.nodes)


def test_beyond_the_limit_equal_places_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_module, 'MOST_CELLS', 3)
    old = run(asks(user('1')), asks(user('2')), asks(user('3')))
    new = run(asks(user('x')), asks(user('2')), asks(user('y')))
    assert [node.status for node in diff_runs(old, new).nodes] == ['same', 'changed', 'same', 'changed', 'same']
