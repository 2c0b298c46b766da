"""Live values that stand for recorded ones."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.canon import Json, JsonObject, dumps
from replay.cassette import Definition, Run
from replay.effects import Request
from replay.exchange import Exchange, definition_fields, definition_with, respelt_definition, respelt_messages
from replay.minted import Piece, pieces
from replay.minting import Minting

A, B = 'e3e70682-c209-4cac-a29f-6fbed82c07cd', '21636369-8b52-4b4a-97b7-50923ceb3ffd'
X, Y = '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'


@pytest.mark.parametrize(
    ('values', 'recorded', 'live'),
    [
        ([A], f'open {A}', f'open {X}'),
        ([A], f'open {A.upper()}', f'open {X.upper()}'),
        ([A], f'{A} twice: {A}', f'{X} twice: {X}'),
        ([A, B], f'{A} and {B}', f'{X} and {Y}'),
        ([A, B], f'{A} and {B}', f'{B} and {A}'),
        ([A], {'id': A, 'more': [1, A, None]}, {'id': X, 'more': [1, X, None]}),
        ([A], [A, 'a'], [X, 'a']),
        (['2026-11-20', 'Friday'], 'Today is Friday, 2026-11-20.', 'Today is Saturday, 2026-11-21.'),
        (['9f86d081884c7d65'], 'token 9f86d081884c7d65', 'token 0123456789abcdef'),
        (['1795186434'], 1795186434, 1795272834),
        (['1795186434.25'], 1795186434.25, 1795272834.5),
        (['731234567890123'], 'Trace 731234567890123', 'Trace 731234567890124'),
        (['14:53', '14:54'], 'from 14:53 to 14:54', 'from 16:01 to 16:01'),
        (['31 December', '1 January'], 'from 31 December to 1 January', 'from 1 January to 2 January'),
    ],
)
def test_a_value_of_the_same_kind_at_the_same_place_stands_for_the_recorded_one(
    values: list[str], recorded: Json, live: Json
) -> None:
    exchange = Exchange(values)

    found = exchange.respelt(recorded, live)

    assert found == recorded
    assert exchange.bound


@pytest.mark.parametrize(
    ('values', 'recorded', 'live'),
    [
        ([A], f'{A} and {A}', f'{X} and {Y}'),  # two where one was recorded
        ([A, B], f'{A} and {B}', f'{X} and {X}'),  # one where two were
        ([A], f'{A} and {B}', f'{X} and {Y}'),  # B was not minted
        ([A], f'open {A}', f'close {X}'),
        ([A], f'open {A}', f'open {X.upper()}'),  # written otherwise
        ([A], f'open {A}', f'open {X.replace("-", "")}'),
        ([A], f'open {A}', 'open 2026-11-20'),
        ([], f'open {A}', f'open {X}'),
        ([A], 'open', f'open {X}'),
        ([A], A, 5),
        ([A], {'id': A}, [X]),
        (['2026-11-20'], 'Today 2026-11-20, due 2026-11-20', 'Today 2026-11-21, due 2026-11-20'),
        (['2026-11-20'], 'Today 2026-11-20', 'Today 2026-02-31'),
        (['1795186434'], 1795186434, 1795272834.0),  # another type
        (['1795186434'], 1795186434, True),
        (
            ['2026-11-20T10:00:00', '2026-11-20T10:00:05'],
            'from 2026-11-20T10:00:00 to 2026-11-20T10:00:05',
            'from 2026-11-21T10:00:05 to 2026-11-21T10:00:00',  # the other way round
        ),
        (
            ['2026-11-20T10:00:00', '2026-11-20T10:00:05'],
            'from 2026-11-20T10:00:00 to 2026-11-20T10:00:05',
            'from 2026-11-21T10:00:00 to 2026-11-21T18:00:00',  # much further apart
        ),
    ],
)
def test_anything_else_stays_as_it_is_and_binds_nothing(values: list[str], recorded: Json, live: Json) -> None:
    exchange = Exchange(values)

    assert exchange.respelt(recorded, live) is live
    assert not exchange.bound


@pytest.mark.parametrize(
    ('recorded', 'live'), [(f'again {A}', f'again {Y}'), (f'again {B}', f'again {X}'), (f'{A} {B}', f'{Y} {X}')]
)
def test_what_is_bound_stays_bound(recorded: str, live: str) -> None:
    exchange = Exchange([A, B])
    exchange.respelt(f'open {A}', f'open {X}')

    assert exchange.respelt(recorded, live) is live
    assert exchange.to_recorded([X, Y]) == [A, Y]


def test_a_text_binds_all_of_its_values_or_none() -> None:
    exchange = Exchange([A, B])
    exchange.respelt(A, X)

    assert exchange.respelt(f'{B} {A}', f'{Y} {Y}') == f'{Y} {Y}'
    assert exchange.respelt(f'{B} {A}', f'{Y} {Y[:-1]}c') == f'{Y} {Y[:-1]}c'
    assert exchange.to_recorded(Y) == Y


def test_clocks_run_at_another_pace_in_a_replay() -> None:
    exchange = Exchange(['2026-11-20T10:00:00', '2026-11-20T10:00:05'])

    for moment in ('2026-11-20T10:00:00', '2026-11-20T10:00:05'):
        assert exchange.respelt(moment, '2026-11-21T18:00:00') == moment


def test_dates_of_one_text_keep_their_order() -> None:
    exchange = Exchange(['2026-11-20', '2026-11-21'])
    recorded, swapped = 'from 2026-11-20 to 2026-11-21', 'from 2026-11-21 to 2026-11-20'
    assert exchange.respelt(recorded, swapped) == swapped
    assert exchange.respelt(recorded, 'from 2026-12-31 to 2027-01-01') == recorded


NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ('recorded', 'live', 'stands'),
    [
        ('2026-11-20', '2027-01-01', True),
        ('2026-11-20', '2027-01-02', True),
        ('2026-11-20', '2027-01-03', False),
        ('2026-11-20', '2019-11-20', False),
        ('20 November', '31 December', True),
        ('20 November', '21 November', False),
        ('2026-11-20T10:00:00Z', '2027-01-01T09:59:00Z', True),
        ('2026-11-20T10:00:00Z', '2026-11-20T10:00:01Z', False),
        ('Friday', 'Saturday', True),
        ('Friday', 'Monday', False),
        ('1795186434', '1798804800', True),
        ('1795186434', '1795186435', False),
        ('10:00', '04:00', True),
        (A, X, True),
    ],
)
def test_a_day_stands_for_the_recorded_one_only_if_it_is_that_of_the_replay(
    recorded: str, live: str, *, stands: bool
) -> None:
    exchange = Exchange([recorded], now=lambda: NOW)
    assert exchange.respelt(f'({recorded})', f'({live})') == (f'({recorded})' if stands else f'({live})')


def test_what_changed_from_one_request_to_the_next_may_be_far_from_now() -> None:
    noted = [(f'2030-01-01T10:00:0{second}Z', 'instructions') for second in (0, 1)] + [('2030-01-01', 'prompt')]
    minted = {f'datetime-{number}': {'value': value, 'by': by} for number, (value, by) in enumerate(noted)}
    exchange = Exchange.of([Run(name='a', agent='a', nodes=(), minted=cast('Any', minted))], now=lambda: NOW)
    assert exchange.respelt('until 2030-01-01T10:00:00Z', 'until 2030-02-01T10:00:00Z') == 'until 2030-01-01T10:00:00Z'
    assert exchange.respelt('2030-01-01', '2030-02-01') == '2030-02-01'


def test_three_readings_of_one_text_keep_their_order() -> None:
    recorded = [f'2026-11-20T10:00:0{second}' for second in (0, 1, 5)]
    exchange = Exchange(recorded)

    assert exchange.respelt(' '.join(recorded), ' '.join(recorded).replace('-20T', '-21T')) == ' '.join(recorded)


def test_items_that_came_on_top_stay() -> None:
    assert Exchange([A]).respelt([A], [X, Y]) == [A, Y]


def test_a_whole_number_does_not_become_a_part_of_one() -> None:
    exchange = Exchange(['1795186434.25'])
    exchange.respelt('at 1795186434.25', 'at 1795272834')

    assert exchange.to_recorded([1795272834, '1795272834']) == [1795272834, '1795186434.25']


def test_nothing_is_exchanged_before_anything_is_bound() -> None:
    assert Exchange([A]).to_recorded({'id': X, 'n': 1795272834, 'f': 0.5}) == {'id': X, 'n': 1795272834, 'f': 0.5}


def test_trying_binds_nothing() -> None:
    exchange = Exchange([A])

    assert exchange.tried([A, A], [X, X]) == [A, A]
    assert exchange.tried(A, Y) == A
    assert not exchange.bound


def test_values_of_all_runs_are_known() -> None:
    runs = [Run(name='a', agent='a', minted={'uuid-1': {'value': value, 'by': 'prompt'}}) for value in (A, B)]

    assert Exchange.of(runs).tried([A, B], [X, Y]) == [A, B]
    assert Exchange.of(runs)
    assert not Exchange()


WRITINGS: tuple[Callable[[str], Json], ...] = (
    lambda value: value,
    lambda value: value.upper(),
    lambda value: value.replace('-', ''),
    lambda value: f'see {value}, and {value}',
    lambda value: {value: [value, 7, None, True]},
    lambda value: json.dumps({'id': value}),
)


@pytest.mark.parametrize('write', WRITINGS)
def test_bound_values_are_exchanged_wherever_and_however_they_stand(write: Callable[[str], Json]) -> None:
    exchange = Exchange([A])
    exchange.respelt(A, X)

    assert exchange.to_recorded(write(X)) == write(A)
    assert exchange.to_live(write(A)) == write(X)


@pytest.mark.parametrize(('recorded', 'live'), [(1795186434, 1795272834), (1795186434.25, 1795272834.5)])
def test_numbers_are_exchanged_as_numbers(recorded: Json, live: Json) -> None:
    exchange = Exchange([repr(recorded)])
    exchange.respelt(recorded, live)

    found = exchange.to_recorded([live, 5, 5.5, False])
    assert found == [recorded, 5, 5.5, False]
    assert exchange.to_live(recorded) == live


@pytest.mark.parametrize(
    ('live', 'told'),
    [
        ('Today is Saturday, 2026-11-21.', 'Today is Friday, 2026-11-20.'),
        ('Is it open on Saturday?', 'Is it open on Saturday?'),
        ('on 2026-11-21', 'on 2026-11-20'),
    ],
)
def test_a_day_of_the_week_is_exchanged_beside_a_date_only(live: str, told: str) -> None:
    exchange = Exchange(['Friday', '2026-11-20'])
    exchange.respelt('Friday, 2026-11-20', 'Saturday, 2026-11-21')

    assert exchange.to_recorded(live) == told


uuids = st.uuids().map(str)


@given(st.lists(st.tuples(uuids, uuids), min_size=1, max_size=8))
def test_what_is_bound_is_a_bijection_and_back_and_forth_is_the_identity(pairs: list[tuple[str, str]]) -> None:
    exchange = Exchange(recorded for recorded, _ in pairs)
    bound = [(recorded, live) for recorded, live in pairs if exchange.respelt(recorded, live) == recorded]

    assert len({recorded for recorded, _ in bound}) == len({live for _, live in bound}) == len(set(bound))
    for recorded, live in bound:
        assert exchange.to_recorded(live) == recorded or live == recorded
        assert exchange.to_live(exchange.to_recorded(live)) == live
        assert exchange.to_recorded(exchange.to_live(recorded)) == recorded


@given(st.lists(uuids, min_size=1, max_size=4, unique=True), st.data())
def test_only_a_renaming_of_minted_values_matches(recorded: list[str], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.sampled_from(recorded), min_size=1, max_size=6))
    live_values = data.draw(st.lists(st.uuids().map(str), min_size=1, max_size=4, unique=True))
    live = [data.draw(st.sampled_from(live_values)) for _ in places]

    found = Exchange(recorded).respelt(' '.join(places), ' '.join(live)) == ' '.join(places)

    renaming = set(zip(places, live, strict=True))
    assert found == (len(renaming) == len(set(places)) == len(set(live)))


@given(uuids, st.text(max_size=20), st.text(max_size=20))
def test_nothing_but_the_value_may_differ(value: str, before: str, after: str) -> None:
    recorded, live = f'[{before}] {value}', f'[{after}] {UUID(int=5, version=4)}'

    assert (Exchange([value]).respelt(recorded, live) == recorded) is (before == after)


# -- messages, definitions


def message(text: str) -> JsonObject:
    return {'parts': [{'content': text}], 'kind': 'request'}


def test_messages_are_compared_from_their_ends() -> None:
    recorded, live = [message('old'), message(A)], [message('a'), message('b'), message(X)]

    assert respelt_messages(Exchange([A]), recorded, live) == [message('a'), message('b'), message(A)]
    assert respelt_messages(Exchange([A]), recorded, live[2:]) == [message(A)]


def definition(value: str, **fields: Any) -> Definition:
    return Definition(
        instructions=f'Ticket {value}',
        settings={'user': value},
        tools={'look': {'description': f'Look at {value}'}},
        builtin_tools=({'kind': 'web_search', 'user': value},),
        **fields,
    )


def test_a_definition_that_differs_in_minted_values_is_the_recorded_one() -> None:
    recorded = definition(A)

    assert respelt_definition(Exchange([A]), recorded, definition(X)) is recorded


def test_what_else_differs_in_a_definition_stays() -> None:
    live = definition(X, output={'mode': 'tool'})

    assert respelt_definition(Exchange([A]), definition(A), live) == definition(A, output={'mode': 'tool'})


@pytest.mark.parametrize('recorded', [None, Definition(instructions='Else')])
def test_a_definition_without_minted_values_is_left_alone(recorded: Definition | None) -> None:
    live = definition(X)

    assert respelt_definition(Exchange([A]), recorded, live) is live
    assert respelt_definition(Exchange([A]), live, live) is live


def test_fields_of_a_definition_go_back_and_forth() -> None:
    fields = definition_fields(definition(A))

    assert definition_with(Definition(), fields) == definition(A)
    assert cast('list[Json]', fields['builtin_tools']) == [{'kind': 'web_search', 'user': A}]


# -- constants beside what is minted, anywhere

WRITTEN: Mapping[str, Callable[[Random], str]] = {
    'uuid': lambda drawn: str(UUID(int=drawn.getrandbits(128), version=4)),
    'hash': lambda drawn: f'a1{drawn.getrandbits(160):040x}',
    'order': lambda drawn: f'ORD-8F3K{"".join(drawn.choices("BCDFGHJKLMNPQRSTVWXYZ23456789", k=12))}7X7',
}
"""Ways to write an id."""

SLOTS = st.tuples(st.sampled_from(sorted(WRITTEN)), st.booleans(), st.integers(0, 2))
"""A place for an id: how it is written, whether it is a constant, and which one of these."""
TEXTS = st.lists(st.one_of(st.sampled_from(['Order', 'and', 'of today:']), SLOTS), min_size=1, max_size=4)
VALUES = st.recursive(TEXTS, lambda inner: st.dictionaries(st.sampled_from('abc'), inner, max_size=3), max_leaves=4)


def filled(plan: Any, ids: Mapping[tuple[str, bool, int], str]) -> Json:
    """A value as a plan has it, with ids in their places."""
    if isinstance(plan, dict):
        return {key: filled(one, ids) for key, one in cast('dict[str, Any]', plan).items()}
    return ' '.join(one if isinstance(one, str) else ids[one] for one in plan)


@given(plans=st.lists(VALUES, min_size=1, max_size=3), seed=st.integers(0, 1 << 32), edited=st.data())
def test_an_edited_constant_is_a_difference_and_a_fresh_id_is_none_wherever_they_stand(
    plans: list[Any], seed: int, edited: st.DataObject
) -> None:
    drawn = Random(seed)
    slots = [(kind, constant, which) for kind in sorted(WRITTEN) for constant in (False, True) for which in range(3)]
    recorded, live, other = ({slot: WRITTEN[slot[0]](drawn) for slot in slots} for _ in range(3))
    source = {ids[slot] for ids in (recorded, other) for slot in slots if slot[1]}

    def is_constant(piece: Piece) -> bool:
        return any(piece.text in one for one in source)

    def part(plan: Any, ids: Mapping[tuple[str, bool, int], str]) -> JsonObject:
        return {'part_kind': 'user-prompt', 'content': filled(plan, ids)}

    run = Minting(lambda: NOW, is_constant=is_constant).run()
    message = dumps({'kind': 'request', 'parts': [part(plan, recorded) for plan in plans]})
    run.asked(Request(message=message, sent=[message], appended=True, definition=Definition()))
    values = [str(one['value']) for one in run.noted.values()]
    was = cast('Json', [part(plan, recorded) for plan in plans])
    fresh = {slot: (recorded if slot[1] else live)[slot] for slot in slots}
    now = cast('Json', [part(plan, fresh) for plan in plans])
    changed = edited.draw(st.sampled_from([slot for slot in slots if slot[1]]))
    wrong = cast('Json', [part(plan, {**fresh, changed: other[changed]}) for plan in plans])

    assert Exchange(values, is_constant=is_constant).respelt(was, now) == was
    assert (Exchange(values, is_constant=is_constant).respelt(was, wrong) == was) == (wrong == now)
    noted = [piece.text for value in recorded.values() for piece in pieces(value)]  # as if looks were all there is
    assert (Exchange(noted, is_constant=is_constant).respelt(was, wrong) == was) == (wrong == now)


def test_pairs_are_the_recorded_values_and_those_that_stand_for_them() -> None:
    exchange = Exchange([A, B])
    exchange.respelt(f'see {A}', f'see {X}')

    assert exchange.pairs == [(A, X)]


def test_only_recorded_values_that_came_again_as_others_are_stood_for() -> None:
    exchange = Exchange([A, B])
    exchange.respelt([A, B], [X, B])

    assert exchange.stands_for(A)
    assert not exchange.stands_for(X)


def test_without_minted_values_nothing_is_respelt() -> None:
    assert Exchange().respelt({'id': A}, {'id': X}) == {'id': X}


def test_live_values_are_their_own_before_anything_is_bound() -> None:
    assert Exchange([A]).to_live([f'open {A}']) == [f'open {A}']


def test_a_weekday_by_itself_is_written_as_recorded_where_it_was_noted() -> None:
    exchange = Exchange(['2026-11-20', 'Friday'])
    exchange.respelt('Friday, 2026-11-20', 'Saturday, 2026-11-21')

    assert exchange.to_recorded('Saturday') == 'Saturday'
    assert exchange.as_noted('Saturday') == 'Friday'


@pytest.mark.parametrize(
    ('live', 'told'),
    [('2030-01-01T11:00:00', '2030-01-01T10:00:00'), ('2030-01-02T11:00:00', '2030-01-02T11:00:00')],
)
def test_a_clock_that_a_test_has_set_may_go_on_within_its_day(live: str, told: str) -> None:
    def now() -> datetime:
        return datetime(2026, 11, 20, tzinfo=UTC)

    def seen() -> datetime:
        return datetime.fromisoformat(f'{live}+00:00')

    assert Exchange(['2030-01-01T10:00:00'], now=now, seen=seen).respelt('2030-01-01T10:00:00', live) == told
