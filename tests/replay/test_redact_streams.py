"""Secrets that came in pieces."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.canon import JsonObject, dumps
from replay.redact import Redactor
from replay.redact_streams import redacted_stream
from replay.streams import Stream, assembled
from tests.replay import messages as m
from tests.replay.secrets_planted import SECRETS, heart

SECRET = 'tiger-lily-4711'
CUT: JsonObject = {'cut': True}
STAND_IN = '<secret:env MY_TOKEN>'
REDACTOR = Redactor({'MY_TOKEN': SECRET})


def streamed(text: str, cuts: list[int], end: JsonObject = m.OVER) -> Stream:
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[begin:stop] for begin, stop in itertools.pairwise(places)]
    start, *deltas = pieces
    events = [m.begun(0, m.text(start)), *(m.more(0, piece) for piece in deltas), m.ended(0, m.text(text))]
    return (m.opening(m.response()), *events, end)


def partials(stream: Stream) -> list[str]:
    found: list[str] = []
    for count in range(2, len(stream)):
        found.extend(str(part['content']) for part in assembled(stream[:count]))
    return found


def pieces(stream: Stream) -> list[Any]:
    deltas: list[Any] = [entry['delta'] for entry in stream if 'delta' in entry]
    return [delta['content_delta'] for delta in deltas]


def test_a_stream_without_secrets_stays_the_same_object():
    stream = streamed('Hello, world', [3, 5])
    assert redacted_stream(stream, REDACTOR) is stream


def test_pieces_of_a_secret_are_one_stand_in_in_one_piece():
    stream = redacted_stream(streamed(f'Use {SECRET} now', [2, 7, 9, 11, 21]), REDACTOR)
    assert partials(stream)[:1] == ['Us']
    assert pieces(stream) == [f'e {STAND_IN} n', 'ow']


def test_a_cut_at_the_edge_of_a_secret_stays():
    stream = redacted_stream(streamed(f'Use {SECRET} now', [4, 19]), REDACTOR)
    assert pieces(stream) == [STAND_IN, ' now']


def test_a_part_that_begins_inside_of_a_secret_begins_before_it():
    stream = redacted_stream(streamed(f'Use {SECRET}', [6]), REDACTOR)
    assert (partials(stream)[0], pieces(stream)) == ('', [f'Use {STAND_IN}'])


def test_arguments_thoughts_and_fields_of_other_names_are_redacted_as_well():
    call = m.called('look', f'{{"q": "{SECRET}"}}', 'c1', provider_details={'x': SECRET})
    details: JsonObject = {'provider_details': {'z': SECRET}}
    entries = (
        m.opening(m.response()),
        m.begun(0, {**call, 'args': None}),
        m.more_of_call(0, '{"q": "tiger', 'c1'),
        m.more_of_call(0, '-lily-4711"}', 'c1', provider_details={'y': SECRET}),
        m.more_of_call(0, None, 'c1'),
        m.ended(0, call),
        m.final('look', SECRET),
        details,
        m.more(9, SECRET),
        m.OVER,
    )
    redacted = redacted_stream(entries, REDACTOR)
    assert 'tiger' not in str(redacted)
    assert assembled(redacted)[0]['args'] == f'{{"q": "{STAND_IN}"}}'


def test_a_function_that_changes_more_than_secrets_leaves_one_piece():
    redactor = Redactor({}, [lambda text: text.replace('Hello', 'Bye') if 'Hello' in text else text])
    stream = redacted_stream(streamed('Hello, world', [3, 6]), redactor)
    assert (partials(stream)[0], pieces(stream)) == ('', ['Bye, world'])


def test_a_part_that_ended_as_another_one_shows_nothing_of_what_came():
    stream = (
        m.opening(m.response()),
        m.begun(0, m.text('tiger')),
        m.more(0, '-lily-4711'),
        m.ended(0, m.text('other')),
        m.OVER,
    )
    assert 'lily' not in str(redacted_stream(stream, REDACTOR))


@given(st.text('ab <', max_size=5), st.text('ab <', max_size=5), st.lists(st.integers(0, 20), max_size=6))
def test_no_partial_text_shows_a_part_of_a_secret(before: str, after: str, cuts: list[int]):
    text = f'{before}{SECRET}{after}'
    stream = redacted_stream(streamed(text, [min(cut, len(text)) for cut in cuts]), REDACTOR)
    redacted = f'{before}{STAND_IN}{after}'
    for partial in partials(stream):
        assert partial in before or partial.startswith(f'{before}{STAND_IN}')
    assert partials(stream)[-1] == redacted


@pytest.mark.parametrize('end', [CUT, {'raised': True}])
def test_a_known_secret_that_a_stream_was_cut_in_shows_nothing_of_itself(end: JsonObject):
    stream = redacted_stream((*streamed('Use tiger-lil', [4, 8], end)[:-2], end), REDACTOR)
    assert 'tiger' not in str(stream)
    assert STAND_IN in str(stream)


def test_parts_that_begin_again_have_texts_of_their_own():
    stream = (
        m.opening(m.response()),
        m.begun(0, m.text('Use ti')),
        m.begun(0, m.text('ger')),
        m.begun(1, m.text(SECRET[:7])),
        m.more(1, SECRET[7:]),
        CUT,
    )
    redacted = redacted_stream(stream, REDACTOR)
    assert [part['content'] for part in assembled(redacted)] == ['ger', STAND_IN]


def test_what_tells_of_a_part_that_never_began_is_left_as_it_is():
    stream = (m.opening(m.response()), m.more(0, 'x'), m.begun(0, m.text(SECRET)), m.final(), {**m.final(), 'index': 0})
    assert pieces(redacted_stream(stream, REDACTOR)) == ['x']


@pytest.mark.parametrize('kind', SECRETS)
def test_a_key_that_is_cut_in_two_anywhere_leaves_no_half(kind: str):
    text, heart_of_it = f'Use {SECRETS[kind]} now', heart(SECRETS[kind])
    whole = Redactor().text(text)
    for at in range(len(text) + 1):
        found = redacted_stream(streamed(text, [0, at]), Redactor())
        assert heart_of_it not in dumps([*found]).decode()
        assert partials(found)[-1] == whole
        assert all(whole.startswith(partial) for partial in partials(found))
