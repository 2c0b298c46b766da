"""Streams made short and brought back."""

import json
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.canon import Json, JsonObject, dumps, spaced
from replay.cuts import pack_stream, unpack_stream
from tests.helpers import CORPUS_ABSENT, corpus, corpus_path
from tests.replay import messages as m

HELLO = m.text('Hello, world')
CALL = m.called('look', '{"x":1}', 'c1')
THOUGHT = m.thinking('Hm. So.', signature='SIG', provider_name='openai')
ANSWER = m.response(HELLO)


def _is_streamed(segment: Any) -> bool:
    return segment['source'] == 'model_response'


def round_trip(response: JsonObject | None, *entries: JsonObject) -> list[Json]:
    stream = (m.opening(response or m.response()), *entries)
    line = pack_stream(stream, response)
    assert dumps([*unpack_stream(line, response)]) == dumps([*stream])
    return line


def test_a_text_is_told_by_the_lengths_of_its_pieces():
    start = m.begun(0, {**HELLO, 'content': 'He'})
    line = round_trip(ANSWER, start, m.final(), m.more(0, 'llo,'), m.more(0, ' world'), m.ended(0, HELLO), m.OVER)
    assert line == [{'part': 0, 'from': 2}, 'final', {'part': 0, 'cuts': '4 6'}, 'end']


def test_arguments_begin_as_null_and_carry_the_id_of_their_call():
    entries = (m.begun(0, {**CALL, 'args': None}), m.more_of_call(0, '{"x"', 'c1'), m.more_of_call(0, ':1}', 'c1'))
    line = round_trip(m.response(CALL), *entries, m.ended(0, CALL), m.OVER)
    assert line == [{'part': 0, 'cuts': '4 3'}, 'end']


def test_a_signature_and_a_delta_without_text_have_marks_of_their_own():
    response = m.response(THOUGHT)
    start = m.begun(0, {**THOUGHT, 'content': '', 'signature': None, 'provider_name': None})
    signed: Any = {'signature_delta': 'SIG', 'provider_name': 'openai'}
    pieces = (m.more_thought(0, 'Hm. So.'), m.more_thought(0, None), m.more_thought(0, None, **signed))
    assert round_trip(response, start, *pieces, m.ended(0, THOUGHT), m.OVER) == [{'part': 0, 'cuts': '7 - -s'}, 'end']


def test_parts_tell_their_kinds_to_their_neighbours():
    response = m.response(HELLO, CALL)
    entries = (m.begun(0, HELLO), m.final(), m.ended(0, HELLO, 'tool-call'), m.begun(1, CALL, 'text'))
    line = round_trip(response, *entries, m.ended(1, CALL), m.OVER)
    assert line == [{'part': 0}, 'final', 'end', {'part': 1}, 'end']


def test_a_result_begun_by_a_call_is_told_by_the_call():
    final = m.final('look', 'c1')
    assert round_trip(m.response(CALL), m.begun(0, CALL), final, m.OVER) == [{'part': 0}, 'final']


def test_a_part_that_begins_empty_and_gets_nothing_is_told_from_a_whole_one():
    start = m.begun(0, {**HELLO, 'content': ''})
    assert round_trip(ANSWER, start, {'cut': True})[0] == {'part': 0, 'cuts': ''}


def test_what_differs_in_a_start_is_told_once():
    start = m.begun(0, {**HELLO, 'content': 'He', 'id': 'other'})
    line = round_trip(ANSWER, start, m.more(0, 'llo, world'), m.OVER)
    assert line == [{'part': 0, 'from': 2, 'start': {'id': 'other'}, 'cuts': '10'}]


def test_what_differs_alike_in_many_deltas_is_told_once():
    details: Any = {'provider_details': {'a': 1}}
    entries = (m.begun(0, {**HELLO, 'content': ''}), *(m.more(0, piece, **details) for piece in 'Hel'), m.more(0, 'l'))
    line = round_trip(ANSWER, *entries, m.OVER)
    assert line == [{'part': 0, 'as': details, 'cuts': '1 1 1'}, {'part': 0, 'cuts': '1'}]


def test_arguments_that_come_as_objects_are_told_as_they_are():
    call = m.called('look', {'x': 1}, 'c1')
    entries = (m.begun(0, {**call, 'args': None}), m.more_of_call(0, {'x': 1}, 'c1'), m.ended(0, call), m.OVER)
    line = round_trip(m.response(call), *entries)
    assert line == [{'part': 0, 'as': {'args_delta': {'x': 1}}, 'cuts': '-'}, 'end']


def test_a_part_that_takes_the_place_of_another_one_begins_again():
    entries = (m.begun(0, {**HELLO, 'content': 'He'}), m.begun(0, HELLO, 'text'), m.ended(0, HELLO), m.OVER)
    assert round_trip(ANSWER, *entries) == [{'part': 0, 'from': 2}, {'part': 0, 'start': {}}, 'end']


def test_usage_is_told_where_it_changes_by_what_changes():
    first: JsonObject
    last: JsonObject
    first, last = {**m.USAGE, 'input_tokens': 5}, {**m.USAGE, 'input_tokens': 5, 'output_tokens': 2}
    start = m.begun(0, {**HELLO, 'content': ''})
    entries: list[JsonObject] = [
        start, {'usage': first}, m.more(0, HELLO['content']), {'usage': last, 'over': True},
    ]  # fmt: skip
    assert round_trip(m.response(HELLO, usage=last), *entries) == [
        {'part': 0, 'cuts': ''},
        {'usage': {'input_tokens': 5}},
        {'part': 0, 'cuts': '12'},
        {'over': True, 'usage': {'output_tokens': 2}},
    ]


def test_what_the_response_tells_of_its_end_is_named_where_it_was_known():
    response = m.response(HELLO, provider_response_id='r1')
    told: JsonObject = {'provider_response_id': 'r1', 'finish_reason': 'stop'}
    line = round_trip(response, m.begun(0, HELLO), told, m.OVER)
    assert line == [{'part': 0}, {'known': 'provider_response_id finish_reason'}]


def test_an_opening_that_is_not_the_usual_one_is_told():
    stream = (m.opening(ANSWER, model_name='other', usage={**m.USAGE, 'input_tokens': 1}), m.OVER)
    line = pack_stream(stream, ANSWER)
    assert line == [{'usage': {'input_tokens': 1}, 'model_name': 'other'}]
    assert unpack_stream(line, ANSWER) == stream


@pytest.mark.parametrize('end', [{'cut': True}, {'cut': 'cancelled'}, {'raised': True}])
def test_a_stream_that_no_response_came_of_brings_its_parts(end: JsonObject):
    line = round_trip(None, m.begun(0, {**HELLO, 'content': 'Hel'}), m.more(0, 'lo'), end)
    assert line[0] == {'parts': [{**HELLO, 'content': 'Hello'}]}
    assert line[2:] == [{'part': 0, 'from': 3, 'cuts': '2'}, end]


@pytest.mark.parametrize(
    'event',
    [
        m.begun(3, HELLO),
        m.begun(0, HELLO, 'file'),
        m.begun(0, CALL),
        m.more(7, 'x'),
        {**m.more(0, 'x'), 'delta': {'content_delta': 'x', 'part_delta_kind': 'text'}},
        m.ended(0, CALL),
        m.ended(0, HELLO, 'file'),
        m.final('a', 'b'),
    ],
)
def test_an_event_that_does_not_follow_from_the_response_stands_whole(event: JsonObject):
    start = m.begun(0, {**HELLO, 'content': 'He'})
    after = round_trip(ANSWER, start, event, m.more(0, 'llo'), m.OVER)
    assert after[0] in ({'part': 0, 'from': 2}, {'whole': True})
    assert event in round_trip(ANSWER, event, m.OVER)


def test_a_delta_that_is_no_piece_of_its_part_brings_its_text():
    start = m.begun(0, {**HELLO, 'content': ''})
    line = round_trip(ANSWER, start, m.more(0, 'Other'), m.more(0, 'Hello'), m.OVER)
    assert line == [{'part': 0, 'as': {'content_delta': 'Other'}, 'cuts': '-'}, {'part': 0, 'cuts': '5'}]


def test_what_has_no_short_form_stands_as_it_was():
    odd: JsonObject = {'usage': m.USAGE}
    assert round_trip(ANSWER, odd, m.OVER)[0] == {'whole': True}
    assert pack_stream((m.OVER,), ANSWER) == [{'whole': True}, m.OVER]


@pytest.mark.parametrize(
    'line',
    [
        ['end'],
        ['final'],
        [3],
        [{'whole': True}, 3],
        [{'part': 0, 'cuts': '99'}],
        [{'part': 0, 'cuts': '1x'}],
        [{'part': 0, 'cuts': 3}],
        [{'part': 0, 'from': -1}],
        [{'part': 0, 'from': '1'}],
        [{'part': 0, 'as': []}],
        [{'part': 0, 'more': 1}],
        [{'part': True}],
        [{'part': -1}],
        [{'part': 5}],
        [{'event_kind': 'part_start'}],
        [{'usage': 3}],
        [{'known': 3}],
        [{'known': 'nothing'}],
        [{'part': 0}, {'nothing': 1}],
        [{'part': 0}, {'over': True, 'nothing': 1}],
    ],
)
def test_a_line_that_tells_no_stream_is_refused(line: list[Json]):
    with pytest.raises(ValueError, match=' '):
        unpack_stream(line, ANSWER)


def test_nothing_is_known_of_a_response_that_never_came():
    with pytest.raises(ValueError, match='tells of no state'):
        unpack_stream([{'parts': []}, {'over': True, 'known': 'usage'}], None)
    with pytest.raises(ValueError, match='is no array'):
        unpack_stream([{'parts': {}}], None)


@st.composite
def streams(draw: st.DrawFn) -> tuple[JsonObject | None, list[JsonObject]]:
    """A stream that a provider may have sent, with oddities in it, and the response that came of it."""
    parts: list[JsonObject] = []
    entries: list[JsonObject] = []
    usage = dict(m.USAGE)
    for index in range(draw(st.integers(0, 3))):
        whole, made = (
            draw(st.sampled_from(['text', 'thinking', 'call', 'builtin'])),
            draw(st.lists(st.text(max_size=5))),
        )
        text = ''.join(made)
        kinds: dict[str, Any] = {
            'text': (m.text(text), partial(m.more, index)),
            'thinking': (m.thinking(text), partial(m.more_thought, index)),
            'call': (m.called('t', text or None, f'c{index}'), partial(m.more_of_call, index, call_id=f'c{index}')),
            'builtin': (m.builtin_called(f'c{index}', args={'q': text}), None),
        }
        part, piece_of = kinds[whole]
        before = cast('str', parts[-1]['part_kind']) if parts else None
        if piece_of is None:
            entries.append(m.begun(index, part, before))
        else:
            head = made[0] if made and draw(st.booleans()) else ''
            field = 'args' if whole == 'call' else 'content'
            entries.append(m.begun(index, {**part, field: head or (None if field == 'args' else '')}, before))
            for piece in made[1:] if head else made:
                entries.append(piece_of(piece))
                if draw(st.booleans()):
                    usage = {**usage, 'output_tokens': draw(st.integers(0, 9))}
                    entries.append({'usage': usage})
        parts.append(part)
        if draw(st.booleans()):
            entries.append(m.ended(index, part, draw(st.sampled_from([None, 'text']))))
        if draw(st.booleans()):
            entries.append(m.final(*draw(st.sampled_from([(None, None), ('t', f'c{index}')]))))
    entries.append(
        draw(st.sampled_from([m.OVER, {'cut': True}, {'raised': True}, {'finish_reason': 'stop', **m.OVER}]))
    )
    return (m.response(*parts) if draw(st.booleans()) else None), entries


@given(streams())
def test_every_stream_comes_back(drawn: tuple[JsonObject | None, list[JsonObject]]):
    response, entries = drawn
    round_trip(response, *entries)


@pytest.mark.skipif(corpus_path() is None, reason=CORPUS_ABSENT)
def test_what_providers_streamed_is_a_line_of_five_characters_a_delta():
    deltas = size = lines = 0
    for run in corpus():
        new = json.loads(run['all_messages_json'])[run['history_messages_in'] :]
        responses = [message for message in new if message['kind'] == 'response']
        segments: list[Any] = list(filter(_is_streamed, run['events'] or []))
        for response, segment in zip(responses, segments, strict=False):
            if segment['n'] and segment['events_json']:
                events = json.loads(segment['events_json'])
                line = pack_stream((m.opening(response), *events, m.OVER), response)
                back = unpack_stream(line, response)
                assert dumps([*back[1:-1]]).decode() == segment['events_json']
                deltas += sum(event['event_kind'] == 'part_delta' for event in events)
                size += len(spaced(line))
                lines += 1
    assert (lines, deltas) == (36, 5226)
    assert size < 20_000


def test_a_file_has_no_text_to_cut():
    file: JsonObject = {'content': {'kind': 'binary'}, 'id': None, 'part_kind': 'file'}
    assert round_trip(m.response(file), m.begun(0, {**file, 'id': 'x'}), m.OVER) == [{'part': 0, 'start': {'id': 'x'}}]


@pytest.mark.parametrize(('provider', 'system'), [('openai', 'openai'), ('other', None), (None, None)])
def test_events_of_versions_that_tell_the_system_of_a_part_go_without_saying(provider: str | None, system: str | None):
    part = {**HELLO, 'provider_name': provider}
    response = m.response(part, canonical_system='openai')
    told: JsonObject = {'canonical_system': system}
    start, end = m.begun(0, part), m.ended(0, part)
    entries = [
        {**{key: one for key, one in entry.items() if key != 'event_kind'}, **told, 'event_kind': entry['event_kind']}
        for entry in (start, end)
    ]
    assert round_trip(response, *entries, m.OVER) == [{'part': 0}, 'end']
