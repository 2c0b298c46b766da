"""What passed of a streamed response, as plain facts."""

from typing import Any

import pytest

from replay.canon import JsonObject
from replay.cassette import Node
from replay.streams import assembled, ending, has_ending, is_event, response_to
from tests.replay import messages as m

CALL = m.called('look', '{"x":1}', 'c1')
THOUGHT = m.thinking('Hm. So.', signature='SIG', provider_name='openai')
ANSWER = m.response(m.text('Hello'))


@pytest.mark.parametrize(('last', 'end'), [(m.OVER, 'over'), ({'raised': True}, 'raised'), (m.more(0, ''), 'cut')])
def test_a_stream_without_an_ending_was_cut(last: JsonObject, end: str):
    assert ending((m.opening(ANSWER), last)) == end
    assert ending(()) == 'cut'
    assert has_ending(()) is False
    assert has_ending((last,)) is (not is_event(last))


def test_parts_are_put_together_from_events():
    thought = {**THOUGHT, 'content': 'Hm.', 'signature': None, 'provider_name': None}
    call = {**CALL, 'args': None}
    built: Any = m.called('look', None, 'c2')
    stream = (
        m.opening(ANSWER),
        m.begun(2, thought),
        m.more_thought(2, ' So'),
        m.more_thought(2, '.', signature_delta='SIG', provider_name='openai'),
        m.begun(0, call),
        m.more_of_call(0, '{"x":', ''),
        m.more_of_call(0, '1}', 'c1', provider_details={'a': 1}),
        m.more(5, 'no part'),
        m.begun(3, built),
        m.more_of_call(3, {'x': 1}, 'c2', tool_name_delta='ing'),
        m.more_of_call(3, None, 'c2'),
        m.OVER,
    )
    assert assembled(stream) == [
        {**CALL, 'provider_details': {'a': 1}},
        THOUGHT,
        {**built, 'tool_name': 'looking', 'args': {'x': 1}},
    ]


def test_a_response_is_found_where_a_node_keeps_it():
    asked = Node(kind='ModelRequestNode')
    took = Node(kind='CallToolsNode', message=ANSWER)
    assert response_to(asked, [took]) is ANSWER
    assert response_to(asked, [Node(kind='End')]) is None
    assert response_to(Node(kind='ModelRequestNode', then=(ANSWER,)), []) is ANSWER
    assert response_to(Node(kind='ModelRequestNode', facts={'response': ANSWER}), [took]) is ANSWER
