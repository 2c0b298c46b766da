"""Options of the plugin that say what is compared, what may be left over and what is recorded, and what they tell."""

import pytest

from tests.replay.test_pytest_plugin import Project, project, section, summary

__all__ = ('project',)

CITY = """
import pytest
from app import trip_agent

def test_weather(agent_run_replay):
    trip_agent.run_sync('Paris')
"""
TWO = f"{CITY}    trip_agent.run_sync('Rome')\n"


def recorded(project: Project, text: str = CITY) -> None:
    project.tests(text)
    project.run('--replay-record=once').assert_outcomes(passed=1)


def test_what_is_not_compared_is_told_in_the_summary(project: Project):
    recorded(project)
    project.instruct('Other.')
    result = project.run('--replay-match=messages,tools,settings,output')
    result.assert_outcomes(passed=1)
    assert project.log == []
    counts = '1 played, 0 differ, 0 unplayed, 0 recorded, 0 live requests, 1 with other instructions (not compared)'
    assert summary(result) == f'replay: none mode, 1 cassette: {counts}'


def test_rebind_keeps_the_answers_and_is_told_in_every_summary(project: Project):
    recorded(project)
    project.instruct('Other.')
    result = project.run('--replay-record=rebind')
    result.assert_outcomes(passed=1)
    assert project.log == []
    counts = '0 played, 0 differ, 0 unplayed, 1 recorded, 0 live requests, 1 rebound run'
    assert summary(result) == f'replay: rebind mode, 1 cassette: {counts}'
    result = project.run()
    counts = '1 played, 0 differ, 0 unplayed, 0 recorded, 0 live requests, 1 rebound run'
    assert summary(result) == f'replay: none mode, 1 cassette: {counts}'
    project.run('--replay-record=all').assert_outcomes(passed=1)
    assert 'rebound' not in summary(project.run())


@pytest.mark.parametrize('where', ['option', 'ini', 'marker', 'fixture'])
def test_recordings_that_are_not_asked_for_may_be_ignored_by_option_ini_marker_or_fixture(where: str, project: Project):
    recorded(project, TWO)
    marker = "@pytest.mark.agent_run_replay(unplayed='ignore')\n" if where == 'marker' else ''
    fixture = (
        "@pytest.fixture(scope='module')\ndef agent_run_replay_config():\n    return {'unplayed': 'ignore'}\n"
        if where == 'fixture'
        else ''
    )
    project.tests(CITY.replace('def test', f'{fixture}\n{marker}def test'))
    options = {'option': ['--replay-unplayed=ignore'], 'ini': ['-oreplay_unplayed=ignore']}.get(where, [])
    result = project.run(*options)
    result.assert_outcomes(passed=1)
    assert ' 1 unplayed' in summary(result)


def test_recordings_that_are_not_asked_for_may_give_a_warning(project: Project):
    recorded(project, TWO)
    project.tests(CITY)
    result = project.run('--replay-unplayed=warn', '-W', 'default')
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(['*ReplayWarning: replay: 1 recorded run never played'])
    assert ' 1 unplayed' in summary(result)


def test_recordings_that_are_not_asked_for_fail_with_both_sides(project: Project):
    recorded(project, TWO)
    project.tests(CITY)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert section(result)[:-1] == [
        '1. 1 recorded run never played                            1 test, 1 cassette',
        '     cassette  cassettes/test_trip/test_weather.json  run trip_agent#2',
        '     recorded                                        this run',
        '   0 trip_agent                                      trip_agent',
        '   1 trip_agent#2                                    -',
        '   where  test_trip.py::test_weather  run trip_agent#2',
        '   next   fix the code, or: replay record test_trip.py::test_weather',
    ]


def test_new_episodes_records_what_a_test_asks_for_beside_what_is_there(project: Project):
    recorded(project)
    project.tests(TWO)
    result = project.run('--replay-record=new_episodes')
    result.assert_outcomes(passed=1)
    assert project.log == ['model', 'tool', 'model']
    assert ' 1 recorded, 2 live requests' in summary(result)
    project.run().assert_outcomes(passed=1)
    assert project.log == []


def test_all_keeps_the_run_that_a_test_does_not_ask_for_and_rewrite_drops_it(project: Project):
    recorded(project, TWO)
    project.tests(CITY)
    project.run('--replay-record=all').assert_outcomes(passed=1)
    assert project.cassettes['test_trip/test_weather.json'].count('"run": "trip_agent') == 2
    project.run('--replay-record=rewrite').assert_outcomes(passed=1)
    assert project.cassettes['test_trip/test_weather.json'].count('"run": "trip_agent') == 1


def test_a_fixture_that_runs_an_agent_is_stopped_where_the_cassette_is_damaged(project: Project):
    text = CITY.replace(
        'def test_weather(', "@pytest.fixture\ndef trip():\n    trip_agent.run_sync('Paris')\n\ndef test_weather(trip, "
    ).replace("    trip_agent.run_sync('Paris')\n", '    pass\n', 2)
    text = text.replace('def trip():\n    pass', "def trip():\n    trip_agent.run_sync('Paris')")
    recorded(project, text)
    cassette = project.path / 'cassettes/test_trip/test_weather.json'
    cassette.write_text(cassette.read_text()[:200])
    result = project.run('--replay-record=once')
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.log == []
    result.stdout.fnmatch_lines(['*test_trip.py::test_weather - replay: the cassette cannot be read: *'])
