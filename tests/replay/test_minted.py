"""Values that look minted, by their looks alone."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.minted import Kind, Piece, clock_piece, is_plausible, pattern_of, piece_of, pieces, read_as

ONE = 'e3e70682-c209-4cac-a29f-6fbed82c07cd'


def found(text: str) -> list[tuple[Kind, str]]:
    return [(piece.kind, piece.text) for piece in pieces(text)]


@pytest.mark.parametrize(
    ('text', 'kind', 'shape'),
    [
        (ONE, 'uuid', 'uuid'),
        (ONE.upper(), 'uuid', 'UUID'),
        (ONE.replace('-', ''), 'uuid', 'hex 32'),
        (ONE.replace('-', '').upper(), 'uuid', 'HEX 32'),
        ('2026-11-20T14:53:54', 'datetime', 'iso second'),
        ('2026-11-20 14:53', 'datetime', 'iso'),
        ('2026-11-20T14:53:54.123456+01:00', 'datetime', 'iso second zone'),
        ('2026-11-20 14:53:54 UTC', 'datetime', 'iso second zone'),
        ('20261120T145354Z', 'datetime', 'basic second zone'),
        ('Nov  3 14:53:54 2026', 'datetime', 'asctime second short'),
        ('2026-11-20', 'date', 'y-m-d'),
        ('2026/11/20', 'date', 'y/m/d'),
        ('20 November 2026', 'date', 'd month y'),
        ('1st of May 2026', 'date', 'd month y th'),
        ('20-Nov-2026', 'date', 'd month y short'),
        ('November 20, 2026', 'date', 'month d y'),
        ('Nov 20th 2026', 'date', 'month d y th short'),
        ('11/20/2026', 'date', 'n/n/y'),
        ('20/11/2026', 'date', 'n/n/y'),
        ('20.11.2026', 'date', 'd.m.y'),
        ('20 November', 'date', 'd month'),
        ('November 20th', 'date', 'month d th'),
        ('20261120', 'date', 'ymd'),
        ('14:53', 'time', 'time'),
        ('2:53 PM', 'time', 'time half'),
        ('12:53:01 a.m.', 'time', 'time second half'),
        ('Friday', 'weekday', 'weekday'),
        ('Fri', 'weekday', 'weekday short'),
        ('1795186434', 'epoch', 'seconds'),
        ('1795186434.25', 'epoch', 'seconds'),
        ('1795186434250', 'epoch', 'milliseconds'),
        ('9f86d081884c7d65', 'token', 'hex 16'),
        ('9F86D081884C7D65', 'token', 'HEX 16'),
        ('k3x9zq81mwp0', 'token', 'base36 12'),
        ('K3X9ZQ81MWP0', 'token', 'BASE36 12'),
        ('aZ3kQ9xR1bT7', 'token', 'base62 12'),
        ('731234567890123', 'number', 'digits 15'),
    ],
)
def test_what_looks_minted_is_recognised(text: str, kind: Kind, shape: str) -> None:
    (piece,) = pieces(f'It is ({text}), so.')

    assert (piece.kind, piece.text, piece.shape) == (kind, text, shape)
    assert piece.start == len('It is (')
    assert piece_of(text, kind) == Piece(kind, 0, len(text), text, shape, piece.key, piece.moment)
    assert piece_of(text, 'uuid' if kind != 'uuid' else 'token') is None
    again = read_as(text, shape)
    assert again is not None
    assert again.key == piece.key


@pytest.mark.parametrize(
    'text',
    [
        '',
        'ok',
        'a plain sentence without any of it',
        'get_weather_of_a_city',
        'HTTPConnectionPool2',
        'a1' * 3,
        '2026-02-31',
        '31/31/2026',
        '13:77',
        '13:00 PM',
        '0:15 am',
        'version 1.2.14',
        '127.0.0.1:8080',
        'deadbeefcafebabe'.replace('e', 'a'),
        'Fridays',
        '12345678901',
    ],
)
def test_other_words_and_numbers_do_not_look_minted(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ('text', 'inside'),
    [
        ('report-2026-11-20', '2026-11-20'),
        ('order_of_the_day-2026-11-20', '2026-11-20'),
        (f'ticket:{ONE}', ONE),
        ('9f86d081884c7d65-west', '9f86d081884c7d65'),
    ],
)
def test_pieces_are_found_inside_of_words(text: str, inside: str) -> None:
    assert [text for _, text in found(text)] == [inside]


@pytest.mark.parametrize(
    ('one', 'other', 'equal'),
    [
        (ONE, ONE.upper(), True),
        (ONE, ONE.replace('-', ''), True),
        ('9f86d081884c7d65', '9F86D081884C7D65', True),
        ('2026-11-20', '2026/11/20', False),
        ('k3x9zq81mwp0', 'K3X9ZQ81MWP0', False),
    ],
)
def test_a_key_is_equal_for_the_spellings_of_one_value(one: str, other: str, *, equal: bool) -> None:
    keys = {piece.key for text in (one, other) for piece in pieces(text)}

    assert (len(keys) == 1) is equal


@given(st.uuids())
def test_every_uuid_is_recognised_in_every_spelling(value: UUID) -> None:
    texts = [str(value), str(value).upper()]

    assert [found(f'id {text}.') for text in texts] == [[('uuid', text)] for text in texts]


@given(st.text(alphabet='0123456789abcdefABCDEF-: T/.,PMovN'))
def test_pieces_are_cut_out_of_the_text_in_order_and_read_again(text: str) -> None:
    end = 0
    for piece in pieces(text):
        assert end <= piece.start < piece.end
        assert text[piece.start : piece.end] == piece.text
        again = read_as(piece.text, piece.shape)
        assert again is not None
        assert again.key == piece.key
        end = piece.end


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2029, 12, 31)), st.sampled_from(['T', ' ']))  # noqa: DTZ001  # written without a zone
def test_every_time_is_read_as_what_it_is(value: datetime, between: str) -> None:
    piece = clock_piece(value.isoformat(between))

    assert piece is not None
    assert piece.kind == 'datetime'
    assert piece.moment == value.replace(tzinfo=UTC).timestamp()


NOW = datetime(2026, 11, 20, 23, 30, 5, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ('text', 'plausible'),
    [
        (ONE, True),
        ('9f86d081884c7d65', True),
        ('aB3xK9qRt2Zm', True),
        ('getUserByIdV2', False),
        ('Get_User_By_IdV12', False),
        ('731234567890123', False),
        ('2026-11-20', True),
        ('2026-11-21', True),
        ('2026-11-22', False),
        ('2025-11-20', False),
        ('20 November', True),
        ('November 25', False),
        ('29 February', False),
        ('11/20/2026', True),
        ('20/11/2026', True),
        ('21:30', True),  # in UTC
        ('23:31', True),
        ('12:00', False),
        ('03:00:06', True),  # somewhere
        ('03:07:06', False),
        ('1795210205', True),
        ('1795210205000', True),
        ('1495210205', False),
        ('Friday', False),
    ],
)
def test_minted_is_what_may_be_of_this_moment(text: str, *, plausible: bool) -> None:
    (piece,) = pieces(text)

    assert is_plausible(piece, now=NOW) is plausible


@pytest.mark.parametrize(('day', 'plausible'), [('Thursday', True), ('Friday', True), ('Sat', True), ('Sunday', False)])
def test_names_of_days_are_minted_beside_other_clock_text(day: str, *, plausible: bool) -> None:
    (piece,) = pieces(day)

    assert is_plausible(piece, now=NOW, near_clock=True) is plausible


@pytest.mark.parametrize(('text', 'day'), [('12/11/2026', date(2026, 11, 12)), ('11/12/2026', date(2026, 11, 12))])
def test_a_date_of_numbers_may_have_its_day_first(text: str, day: date) -> None:
    (piece,) = pieces(text)

    assert is_plausible(piece, now=datetime.combine(day, time(12), UTC))


def test_a_date_without_a_year_may_be_across_new_year() -> None:
    (piece,) = pieces('1 January')

    assert is_plausible(piece, now=datetime(2026, 12, 31, tzinfo=UTC))


def test_a_leap_day_counts_in_years_that_have_it() -> None:
    (piece,) = pieces('29 February')

    assert is_plausible(piece, now=datetime(2028, 2, 29, tzinfo=UTC))


@pytest.mark.parametrize(
    ('text', 'shape'),
    [(ONE, 'UUID'), (f'{ONE}0', 'uuid'), ('2026-11-20', 'iso'), ('nothing', 'time'), ('', 'uuid')],
)
def test_what_is_written_otherwise_is_not_read_as_a_shape(text: str, shape: str) -> None:
    assert read_as(text, shape) is None


def test_all_writings_of_a_shape_match_its_pattern() -> None:
    for text in (ONE, ONE.upper(), '9f86d081884c7d65', '2026-11-20', 'Nov 20th 2026', '14:53', '1795186434.25'):
        (piece,) = pieces(text)
        assert re.fullmatch(pattern_of(piece.shape), text)


def test_a_value_of_several_pieces_is_none() -> None:
    assert piece_of('2026-11-20 and 2026-11-21', 'date') is None


FRAGMENTS = """
0 1 7 12 20 23 2026 59 1795186434 st th of T Z : / - . , ( _ é UTC PM May Nov November Mon Monday Sun Thu Thursday
sunday a F dead deadbeef aZ3kQ9xR1bT7 abcdefghijkl aaaaaaaa aaaa aaaaaaaaaaaa 2026-11-20 14:53
"""


@given(st.lists(st.sampled_from([' ', ' ', ' ', '-', ':', *FRAGMENTS.split()]), max_size=14).map(''.join))
def test_no_piece_is_missed_in_a_text_that_a_first_look_clears(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('replay.minted.may_hold', _yes)
        thorough = found(text)

    assert found(text) == thorough


def _yes(_text: str, _pattern: str) -> bool:
    return True


def test_a_text_that_cannot_be_looked_through_at_once_is_read_all_the_same() -> None:
    assert found('\ud800 since 2026-11-20') == [('date', '2026-11-20')]
