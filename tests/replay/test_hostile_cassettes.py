"""Cassettes that somebody changed and sealed again: refused or harmless, never a crash."""

import json
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from replay.cassette import Cassette
from replay.check import check_cassette
from replay.codec import dumps, loads, seal_of
from replay.diff import diff_cassettes
from replay.errors import ReplayError
from replay.outline import outline_of

EXAMPLES = sorted((Path(__file__).parents[2] / 'cassettes').rglob('*.json'))
VALUES: list[Any] = [
    None, True, 0, -1, 1e9, 3.5, 10**30, '', 'x', 'return', '\x1b[31m', '2020-01-01', 'End', 'ModelRequestNode',
    [], {}, [1], [[]], {'a': 1}, {'part': 'text'},
]  # fmt: skip
KEYS = [
    'part', 'content', 'tool_call_id', 'tool_name', 'args', 'types', 'raised', 'started', 'finished', 'results', 'then',
    'history', 'facts', 'message', 'messages', 'new_from', 'output', 'definition', 'times', 'run_id',
]  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(cast('dict[Any, Any]', value).items())
    elif isinstance(value, list):
        inside = list(enumerate(cast('list[Any]', value)))
    return [here, *(place for key, item in inside for place in places(item, (*here, key)))]


def at(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def change(document: Any, random: Random) -> None:
    found = [place for place in places(document) if place and place[0] != 'seal']
    place, other = random.choice(found), random.choice(found)
    parent, key = at(document, place[:-1]), place[-1]
    kind = random.randrange(4)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[key] = random.choice(VALUES)
    elif kind == 2 and isinstance(parent, dict):
        parent[random.choice(KEYS)] = random.choice(VALUES)
    else:
        parent[key] = json.loads(json.dumps(at(document, other)))


def sealed(document: dict[str, Any]) -> str:
    document.pop('seal', None)
    body = json.dumps(document, indent=2, ensure_ascii=False)[:-2] + ',\n'
    return f'{body}  "seal": "{seal_of(body)}"\n}}\n'


def use(cassette: Cassette) -> None:
    check_cassette(cassette)
    diff_cassettes(cassette, cassette, old_label='a', new_label='b')
    for run in cassette.runs:
        outline_of(run)
    dumps(cassette)


@pytest.mark.parametrize('seed', range(8))
def test_a_changed_cassette_is_refused_with_a_clear_error_or_used(seed: int):
    random = Random(seed)
    refused = 0
    for _ in range(50):
        document = json.loads(random.choice(EXAMPLES).read_text(encoding='utf-8'))
        for _ in range(random.choice([1, 1, 2, 4])):
            change(document, random)
        try:
            use(loads(sealed(document)))
        except ReplayError:
            refused += 1
    assert 0 < refused < 50
