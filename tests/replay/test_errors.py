"""Errors as facts and as text."""

import pytest

from replay.errors import CassetteDamaged, ReplayError, Where


def test_an_error_says_all_its_facts_in_order():
    error = ReplayError(
        'no cassette',
        expected='cassettes/test_trip.json',
        got='nothing of that name',
        details=(('first', 'run trip_agent, prompt "Weather?"'),),
        where=Where(cassette='a.json', run='trip_agent', node='1 ModelRequestNode', field='instructions'),
        next=('pytest --replay-record=once', 'git checkout -- a.json'),
    )
    assert str(error) == (
        'replay: no cassette\n'
        '   expected  cassettes/test_trip.json\n'
        '   got       nothing of that name\n'
        '   first     run trip_agent, prompt "Weather?"\n'
        '   where     a.json  run trip_agent  node 1 ModelRequestNode  field instructions\n'
        '   next      pytest --replay-record=once\n'
        '             git checkout -- a.json'
    )
    assert error.headline == 'no cassette'


def test_what_is_not_known_is_left_out():
    assert ReplayError('it failed', where=Where(run='a')).render() == 'replay: it failed\n   where     run a'
    assert ReplayError('it failed').render() == 'replay: it failed'


def test_damage_has_a_cause_of_the_list():
    assert CassetteDamaged('the cassette is empty', cause='empty').cause == 'empty'
    with pytest.raises(ValueError, match=r"cause 'tired' is none of empty, truncated, "):
        CassetteDamaged('the cassette is tired', cause='tired')
