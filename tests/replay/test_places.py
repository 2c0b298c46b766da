"""Which recording a run is: equal agent and first request, else equal agent in order, else in order."""

from dataclasses import replace
from typing import Any

import pytest

from replay.adapters import Started
from replay.canon import JsonObject
from replay.cassette import Node, Run
from replay.places import Places
from tests.replay.wire import answered, asked, text, user


def run(name: str, prompt: str = 'Hi', *, agent: str | None = None, history: Any = (), **facts: Any) -> Run:
    nodes = (Node(kind='ModelRequestNode', message=asked(user(prompt))), Node(kind='End'))
    agent = agent or name.rpartition('/')[2].partition('#')[0]
    return Run(name=name, agent=agent, history=tuple(history), nodes=nodes, facts=facts)


def started(
    prompt: str | None = 'Hi', *, agent: str = 'trip', within: tuple[str, str] | None = None, history: Any = ()
) -> Started:
    made: list[JsonObject] = list(history)
    return Started(agent=agent, within=within, prompt=prompt, history=lambda: made, facts={})


def found(places: Places, *starts: Started) -> list[str | None]:
    names: list[str | None] = []
    for one in starts:
        recording = places.find(one.agent or 'agent', one)
        if recording is not None:
            places.claim(recording)
        names.append(recording and recording.name)
    return names


OLD = [asked(user('Before')), answered(text())]


@pytest.mark.parametrize(
    ('recorded', 'starts', 'names'),
    [
        ([run('trip', 'a'), run('trip#2', 'b')], [started('b'), started('a')], ['trip#2', 'trip']),
        ([run('trip', 'a'), run('trip#2', 'a')], [started('a'), started('a')], ['trip', 'trip#2']),
        ([run('trip', 'a'), run('trip#2', 'b')], [started('changed'), started('b')], ['trip', 'trip#2']),
        ([run('trip', 'a'), run('trip#2', 'b')], [started('a'), started('changed')], ['trip', 'trip#2']),
        ([run('trip', history=OLD), run('trip#2')], [started(), started(history=OLD)], ['trip#2', 'trip']),
        ([run('trip'), run('shop')], [started(agent='shop'), started(agent='trip')], ['shop', 'trip']),
        ([run('trip'), run('shop')], [started(agent='renamed'), started(agent='shop')], ['trip', 'shop']),
        ([run('trip')], [started(), started()], ['trip', None]),
        ([run('trip'), run('trip/look/scout')], [started(agent='scout', within=('trip', 'look'))], ['trip/look/scout']),
        ([run('trip/look/scout')], [started(agent='scout')], [None]),
        ([run('trip', 'a'), run('trip#2', 'b')], [started(None), started('b')], ['trip', 'trip#2']),
        # a processor changed the messages of the first, so its history is not the one that was handed in
        ([run('trip', messages=[]), run('trip#2', history=OLD)], [started(history=OLD)] * 2, ['trip', 'trip#2']),
    ],
)
def test_a_run_plays_the_recording_at_its_place_that_is_most_like_it(
    recorded: list[Run], starts: list[Started], names: list[str | None]
):
    assert found(Places(recorded), *starts) == names


def test_runs_inside_of_a_call_that_was_replayed_need_not_start():
    places = Places([run('trip'), run('trip/look/scout'), run('trip/book/clerk')])
    places.claim(run('trip'))
    places.cover(('trip', 'look'), 0)
    assert [one.name for one in places.never_played()] == ['trip/book/clerk']


def test_a_run_that_left_its_recording_gives_up_what_was_inside_of_it_but_for_calls_replayed_before():
    inside = [
        run('trip/look/scout', counted_in={'call': 0, 'tool_calls': 0}),
        run('trip/look/scout/ask/clerk'),
        run('trip/look/scout#2', counted_in={'call': 1, 'tool_calls': 0}),
        run('trip/book/clerk'),
    ]
    places = Places([run('trip'), *inside, run('trip#2')])
    places.cover(('trip', 'look'), 0)
    places.release('trip')
    assert [one.name for one in places.never_played()] == ['trip', 'trip#2']
    assert places.name('scout', started(agent='scout', within=('trip', 'look'))) == 'trip/look/scout#2'
    kept = [one.name for one in places.in_order([run('trip', 'new')], keep=True)]
    assert kept == ['trip', 'trip/look/scout', 'trip/look/scout/ask/clerk', 'trip#2']


@pytest.mark.parametrize(
    ('keep', 'names'),
    [(True, ['a', 'trip', 'shop', 'shop/look/scout', 'new']), (False, ['trip', 'new'])],
)
def test_new_recordings_stand_where_the_earlier_ones_stood_and_others_are_kept_or_dropped(keep: bool, names: list[str]):
    earlier = [run('a'), run('trip'), run('trip/look/scout'), run('shop'), run('shop/look/scout')]
    places = Places(earlier=earlier)
    assert [one.name for one in places.in_order([run('new'), run('trip')], keep=keep)] == names


def test_runs_that_race_keep_the_names_that_they_had():
    places = Places(earlier=[run('trip', 'a'), run('trip#2', 'b')])
    assert [places.name('trip', started(prompt)) for prompt in 'bca'] == ['trip#2', 'trip', 'trip#3']


def test_recordings_that_were_made_anew_are_taken():
    places = Places([run('trip', 'a'), run('trip#2', 'b')])
    places.claim_all(['trip', 'shop'])
    assert [one.name for one in places.never_played()] == ['trip#2']
    assert places.name('shop', started(agent='shop')) == 'shop#2'


def test_a_run_plays_the_equal_recording_rather_than_one_that_is_equal_but_for_minted_values():
    first, second = (f'e3e70682-c209-4cac-a29f-6fbed82c07c{digit}' for digit in 'ab')
    runs = [
        replace(run(name, f'open {value}'), minted={'uuid-1': {'value': value, 'by': 'prompt'}})
        for name, value in (('trip', first), ('trip#2', second))
    ]
    assert found(Places(runs), started(f'open {second}'), started(f'open {first}')) == ['trip#2', 'trip']
    assert found(Places(runs), started(f'close {second}'), started(f'open {first[::-1]}')) == ['trip', 'trip#2']


def test_a_recording_that_ended_before_its_first_request_is_found_by_its_prompt():
    ended = [
        Run(name=name, agent='trip', facts={'prompt': prompt}) for name, prompt in (('trip', 'a'), ('trip#2', 'b'))
    ]
    assert found(Places(ended), started('b'), started('a')) == ['trip#2', 'trip']


def test_a_run_that_is_recorded_anew_keeps_its_name_though_what_it_was_handed_was_made_anew():
    history, other = OLD, [asked(user('Before')), answered(text('Something else'))]
    earlier = [run('trip', 'a', history=history), run('trip#2', 'b', history=history)]
    places = Places(earlier=earlier)
    starts = [started('b', history=other), started('a', history=other)]
    assert [places.name('trip', one) for one in starts] == ['trip#2', 'trip']
