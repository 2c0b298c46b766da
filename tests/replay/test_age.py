"""Recordings that are older than they may be."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from agentrun import Agent
from agentrun.exceptions import ModelHTTPError
from agentrun.messages import ModelMessage, ModelResponse, TextPart
from agentrun.models.function import AgentInfo, FunctionModel
from replay import Cassette, RecordingExpired, Session, use_cassette
from replay.age import days_over, oldest_date
from replay.report import Note, error_names, summary_line
from replay.store import Store

agent = Agent(FunctionModel(lambda _, __: ModelResponse(parts=[TextPart('Sunny')])), name='trip')


@pytest.mark.parametrize(
    ('made', 'over'), [('2026-01-09', 1), ('2026-01-10', None), ('2026-01-11', None), (None, None)]
)
def test_days_are_counted_from_the_oldest_date(made: str | None, over: int | None):
    cassette = Cassette(recorded={} if made is None else {'on': made})
    assert days_over(cassette, oldest_date(timedelta(days=10), '2026-01-20')) == over


def test_without_a_limit_nothing_is_too_old():
    assert oldest_date(None, '2026-01-20') is None
    assert days_over(Cassette(recorded={'on': '1999-01-01'}), None) is None


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder whose cassette says that it is a hundred days old."""
    with use_cassette('trip', dir=tmp_path, record='once'):
        agent.run_sync('hi')
    store = Store(tmp_path)
    there = store.read('trip')
    made = date.fromisoformat(str(there.recorded['on'])) - timedelta(days=100)
    store.path('trip').unlink()
    store.write('trip', Cassette(recorded={**there.recorded, 'on': made.isoformat()}, runs=there.runs))
    return tmp_path


def played(folder: Path, *, test: str | None = None, **wishes: str) -> Session:
    session = Session('trip', dir=folder, test=test, **cast('Any', wishes))
    with session.open().bound():
        agent.run_sync('hi')
    session.close()
    return session


def test_a_recording_that_is_too_old_fails_with_the_command_that_renews_it(old: Path):
    error = played(old, test='tests/test_trip.py::test_trip', max_age='90d').problems[0]
    assert isinstance(error, RecordingExpired)
    assert error.days == 100
    assert error.render().replace(f'{old.as_posix()}/', '').replace(error.made, 'DATE') == (
        'replay: the recording is older than 90 days\n'
        '   expected  a recording of the last 90 days\n'
        '   got       one of DATE, 100 days ago\n'
        '   where     trip.json\n'
        '   next      pytest tests/test_trip.py::test_trip --replay-record=rewrite --replay-max-age=90d     '
        'to record anew'
    )


def test_a_session_outside_of_tests_is_told_its_own_keywords(old: Path):
    (error,) = played(old, max_age='90d').problems
    assert error.next == ("use_cassette('trip', record='rewrite')     to record anew",)


@pytest.mark.parametrize('wishes', [{}, {'max_age': '100d'}, {'max_age': '15w'}, {'max_age': '90d', 'record': 'all'}])
def test_a_recording_is_young_enough(old: Path, wishes: dict[str, str]):
    assert played(old, **wishes).problems == []


def test_another_problem_comes_first(old: Path):
    session = Session('trip', dir=old, max_age='90d')
    with session.open().bound(), pytest.raises(Exception, match='changed'):
        agent.run_sync('another question')
    assert [type(problem).__name__ for problem in session.close()] == ['Diverged']


def test_recording_anew_renews_the_date_of_what_has_not_changed(old: Path):
    before = Store(old).read('trip')
    assert played(old, record='rewrite').written is None
    assert played(old, record='rewrite', max_age='90d').written is not None
    assert Store(old).read('trip').runs == before.runs
    assert played(old, max_age='90d').problems == []
    assert played(old, record='rewrite', max_age='90d').written is None


# -- recorded errors


def test_recorded_errors_are_named_by_status_or_class(tmp_path: Path):
    raising: list[Exception] = [ModelHTTPError(429, 'gpt'), RuntimeError('no')]

    def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise raising.pop(0)

    broken = Agent(FunctionModel(fail), name='broken')
    with use_cassette('errors', dir=tmp_path, record='once') as session:
        for kind in (ModelHTTPError, RuntimeError):
            with pytest.raises(kind):
                broken.run_sync('hi')
    names = [name for run in session.runs for name in error_names(run.nodes)]
    assert names == ['429', 'RuntimeError']


def test_the_summary_counts_recorded_errors_by_class_once_for_each_cassette():
    notes = [
        Note(test='a', cassette='one.json', mode='none', state='played', errors=('429', '429')),
        Note(test='b', cassette='one.json', mode='none', state='played', errors=('429', '429')),
        Note(test='c', cassette='two.json', mode='none', state='played', errors=('RuntimeError', '429')),
    ]
    assert summary_line(notes, mode='none').endswith('0 live requests, 3 recorded 429, 1 recorded RuntimeError')
