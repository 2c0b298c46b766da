"""Names of runs and of cassette files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.errors import NameRefused
from replay.names import cassette_name, checked_name, run_name


@pytest.mark.parametrize(
    ('arguments', 'name'),
    [
        ({'agent': 'support'}, 'support'),
        ({'agent': 'support', 'taken': ['support']}, 'support#2'),
        ({'agent': 'support', 'taken': ['support', 'support#2']}, 'support#3'),
        ({'agent': 'researcher', 'parent': 'support', 'tool': 'lookup_order'}, 'support/lookup_order/researcher'),
        ({'agent': 'researcher', 'parent': 'support'}, 'support/researcher'),
        ({'agent': None}, 'agent'),
        ({'agent': ''}, 'agent'),
        ({'agent': 'a/b#2'}, 'a_b_2'),
    ],
)
def test_a_run_is_named_by_a_path(arguments: dict[str, object], name: str):
    assert run_name(**arguments) == name  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ('test_id', 'name'),
    [
        ('tests/test_trip.py::test_forecast', 'tests/test_trip/test_forecast.json'),
        ('test_trip.py::test_forecast[paris-2]', 'test_trip/test_forecast[paris-2].json'),
        ('tests/test_trip.py::test_forecast[asyncio]', 'tests/test_trip/test_forecast.json'),
        ('tests/test_trip.py::test_forecast[trio]', 'tests/test_trip/test_forecast.json'),
        ('tests/test_trip.py::test_forecast[asyncio+uvloop-paris]', 'tests/test_trip/test_forecast[paris].json'),
        ('tests/test_trip.py::test_forecast[paris-trio]', 'tests/test_trip/test_forecast[paris].json'),
        ('tests/test_trip.py::test_forecast[a-b', 'tests/test_trip/test_forecast[a-b.json'),
        ('docs/guide.md', 'docs/guide.md/test.json'),
        ('test_trip.py::TestTrip::test_forecast', 'test_trip/TestTrip/test_forecast~76354f1e.json'),
        ('test_trip.py::test_forecast[Paris]', 'test_trip/test_forecast[Paris]~4a94dfdb.json'),
        ('test_trip.py::test_x[a/b]', 'test_trip/test_x[a_b]~9d02d6be.json'),
        ('test_trip.py::con', 'test_trip/_con~68d3196f.json'),
        ('../outside/test_a.py::test_a', '_/outside/test_a/test_a~57b7252e.json'),
    ],
)
def test_a_cassette_is_named_after_its_test(test_id: str, name: str):
    assert cassette_name(test_id) == name


def test_a_parameter_that_is_no_back_end_stays():
    assert cassette_name('test_a.py::test_a[trio]', backends=()) == 'test_a/test_a[trio].json'


ids = st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=3).map(
    lambda names: '::'.join(['tests/test_a.py', *names])
)


@given(ids)
def test_every_file_name_is_taken_by_every_file_system(test_id: str):
    name = cassette_name(test_id)
    assert checked_name(name) == name
    assert all(len(part.encode()) <= 200 for part in name.split('/'))


@given(ids, ids)
def test_no_two_tests_share_a_file_even_where_case_does_not_count(one: str, other: str):
    if one != other:
        assert cassette_name(one, backends=()).lower() != cassette_name(other, backends=()).lower()


@given(st.text(alphabet='aA[]-_', min_size=1), st.text(alphabet='aA[]-_', min_size=1))
def test_no_two_similar_tests_share_a_file(one: str, other: str):
    names = {cassette_name(f't.py::{test}', backends=()).lower() for test in (one, other)}
    assert len(names) == len({one, other})


@pytest.mark.parametrize(
    ('name', 'checked'),
    [('trips/paris', 'trips/paris.json'), ('paris.json', 'paris.json'), ('./paris', 'paris.json')],
)
def test_a_chosen_name_gets_its_ending(name: str, checked: str):
    assert checked_name(name) == checked


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('', 'it names no file'),
        ('a/', 'it names no file'),
        ('/etc/passwd', 'it is an absolute path'),
        ('C:/x', 'it is an absolute path'),
        ('\\\\host\\share', 'it is an absolute path'),
        ('../x', 'it climbs out of the folder'),
        ('a/../../x', 'it climbs out of the folder'),
        ('a\x00b', "it holds '\\x00'"),
        ('a/b:c', "it holds ':'"),
        ('a:b', 'it is an absolute path'),
        ('a\\..\\b', "it holds '\\\\'"),
        ('a/NUL', "'NUL' is no file name on Windows"),
        ('con.json', "'con.json' is no file name on Windows"),
        ('a./b', "'a.' is no file name on Windows"),
        ('x' * 201, 'a part of it is longer than 200 bytes'),
    ],
)
def test_a_name_that_would_leave_the_folder_is_refused(name: str, reason: str):
    with pytest.raises(NameRefused) as caught:
        checked_name(name)
    assert caught.value.headline.endswith(f'cannot name a cassette: {reason}')
