"""Minted values in the text of a cassette."""

import json
from dataclasses import replace
from typing import Any

import pytest

from replay.codec import dumps, loads, loads_edited
from replay.errors import CassetteDamaged
from tests.wide import answers, asks, cassette, run, text, user

A = 'e3e70682-c209-4cac-a29f-6fbed82c07cd'
MINTED: dict[str, Any] = {
    'uuid-1': {'value': A, 'by': 'new_ticket'},
    'date-1': {'value': '2026-11-20', 'by': 'instructions'},
    'weekday-12': {'value': 'Friday', 'by': 'instructions'},
    'epoch-1': {'value': '1795186434.25', 'by': 'prompt'},
}


def written(minted: dict[str, Any]) -> str:
    whole = cassette(replace(run(asks(user(f'open {A}')), answers(text('ok'))), minted=minted))
    return dumps(whole)


def test_minted_values_are_written_and_read_in_their_order() -> None:
    assert list(loads(written(MINTED)).runs[0].minted.items()) == list(MINTED.items())


def test_one_value_is_one_line() -> None:
    lines = written({'uuid-1': MINTED['uuid-1']}).splitlines()

    assert f'      "minted": {{"uuid-1": {{"value": "{A}", "by": "new_ticket"}}}},' in lines


def test_many_values_are_a_line_each() -> None:
    lines = written(MINTED).splitlines()

    assert f'        "uuid-1": {{"value": "{A}", "by": "new_ticket"}},' in lines


def test_a_run_without_any_says_nothing_of_them() -> None:
    assert 'minted' not in written({})


@pytest.mark.parametrize(
    ('minted', 'told'),
    [
        ([], 'minted'),
        ({'uuid-1': 5}, 'minted.uuid-1'),
        ({'uuid-1': {'value': A, 'by': 'x', 'why': 'y'}}, 'why'),
        ({'uuid-1': {'by': 'x'}}, 'minted.uuid-1.value'),
        ({'uuid-1': {'value': A}}, 'minted.uuid-1.by'),
        ({'uuid-1': {'value': A, 'by': 5}}, 'minted.uuid-1.by'),
        ({'uuid': {'value': A, 'by': 'x'}}, 'minted.uuid'),
        ({'uuid-x': {'value': A, 'by': 'x'}}, 'minted.uuid-x'),
        ({'uuid-²': {'value': A, 'by': 'x'}}, 'minted.uuid-²'),
        ({'thing-1': {'value': A, 'by': 'x'}}, 'minted.thing-1'),
        ({'date-1': {'value': A, 'by': 'x'}}, 'minted.date-1.value'),
        ({'uuid-1': {'value': f'{A} and more', 'by': 'x'}}, 'minted.uuid-1.value'),
        ({'uuid-1': {'value': '', 'by': 'x'}}, 'minted.uuid-1.value'),
    ],
)
def test_what_is_no_minted_value_is_refused_with_its_place(minted: Any, told: str) -> None:
    document = json.loads(written(MINTED))
    document['runs'][0]['minted'] = minted

    with pytest.raises(CassetteDamaged) as refused:
        loads_edited(json.dumps(document))

    assert told in refused.value.render()
