"""A run as a session shows it."""

from replay.canon import JsonObject, dumps
from replay.cassette import Node
from replay.run_view import RunView
from tests.replay import messages as m

PROMPT = m.request(m.user('Weather?'))
CALL = m.response(m.called('get_weather', {'city': 'Oslo'}, 'c1'), usage={**m.USAGE, 'input_tokens': 7})
RESULT = m.request(m.returned('get_weather', 'rain', 'c1'))
ANSWER = m.response(m.text('Rain.'), usage={**m.USAGE, 'input_tokens': 9, 'output_tokens': 2, 'details': {'x': 1}})


def view(*before: JsonObject) -> RunView:
    new = [PROMPT, CALL, RESULT, ANSWER]
    nodes = (m.PROMPT, m.asked(PROMPT), m.answered(CALL), m.asked(RESULT), m.answered(ANSWER), m.END)
    return RunView(
        name='trip_agent',
        agent='trip_agent',
        node_kinds=tuple(node.kind for node in nodes),
        nodes=nodes,
        all_json=dumps([*before, *new]),
        new_json=dumps([*new]),
    )


def test_messages_are_those_of_the_history_and_of_the_run() -> None:
    assert view(ANSWER).messages == [ANSWER, PROMPT, CALL, RESULT, ANSWER]


def test_usage_sums_up_the_responses_of_the_run_itself_without_what_is_zero_or_no_count() -> None:
    assert view(ANSWER).usage == {'requests': 2, 'input_tokens': 16, 'output_tokens': 2}


def test_a_run_that_got_no_response_used_nothing() -> None:
    nodes = (Node(kind='UserPromptNode'),)
    empty = RunView(name='a', agent='a', node_kinds=('UserPromptNode',), nodes=nodes, all_json=b'[]', new_json=b'[]')

    assert empty.usage == {}


def test_the_outline_has_a_line_for_each_node_that_says_what_it_did() -> None:
    lines = view().outline

    assert len(lines) == 6
    assert 'Weather?' in lines[1]
    assert 'get_weather' in lines[2]


def test_steps_name_their_nodes_and_leave_out_what_churns() -> None:
    steps = view().steps

    assert [step['node'] for step in steps] == list(view().node_kinds)
    assert 'Oslo' in repr(steps)
    assert not any(word in repr(steps) for word in ('timestamp', 'usage', 'c1', 'run_id'))
