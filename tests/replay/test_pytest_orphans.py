"""Cassettes that no test owns, as users of the plugin meet them."""

import subprocess
from pathlib import Path
from shutil import copytree
from textwrap import dedent

import pytest

from tests.terminal import in_pipe

TESTS = """
import pytest
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel

trip_agent = Agent(FunctionModel(lambda _, __: ModelResponse(parts=[TextPart('Sunny')])), name='trip_agent')


def test_round_trip(agent_run_replay):
    trip_agent.run_sync('Weather in Paris and back?')


@pytest.mark.agent_run_replay(cassette='shared')
def test_shared():
    trip_agent.run_sync('Weather?')


class TestTrip:
    def test_class(self, agent_run_replay):
        trip_agent.run_sync('In a class?')
"""

XDIST = ('-p', 'xdist', '-n', '2')


class Project:
    """A folder whose tests were recorded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, name: str = 'test_trip') -> None:
        (self.path / f'tests/{name}.py').write_text(text, encoding='utf-8')

    def edit(self, old: str, new: str) -> None:
        self.write(TESTS.replace(old, new))

    def run(self, *options: str) -> 'subprocess.CompletedProcess[str]':
        plugins = ('-p', 'replay.pytest_plugin', '-p', 'no:cacheprovider', '-p', 'anyio')
        return in_pipe(
            '-m', 'pytest', *plugins, *options, cwd=self.path, COLUMNS='100', PYTEST_DISABLE_PLUGIN_AUTOLOAD='1'
        )


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp('recorded'))
    (project.path / 'pytest.ini').write_text('[pytest]\ntestpaths = tests\n', encoding='utf-8')
    (project.path / 'tests').mkdir()
    project.write(TESTS)
    assert project.run('--replay-record=once').returncode == 0
    return project


@pytest.fixture
def project(recorded: Project, tmp_path: Path) -> Project:
    return Project(Path(copytree(recorded.path, tmp_path / 'project')))


RENAMED = ('test_round_trip', 'test_return_trip')

ORPHANS = """\
replay: no test owns 1 cassette{}
   orphans   cassettes/tests/test_trip/test_round_trip.json  of tests/test_trip.py::test_round_trip
   next      replay move OLD NEW     if a test was renamed
             replay prune     removes them
"""


def test_a_renamed_test_is_told_the_cassette_that_plays_the_same(project: Project):
    project.edit(*RENAMED)
    result = project.run('tests/test_trip.py::test_return_trip')
    said = dedent("""\
        replay: no cassette
           expected  cassettes/tests/test_trip/test_return_trip.json   (mode none: nothing is recorded)
           first     run trip_agent, prompt "Weather in Paris and back?"
           found     cassettes/tests/test_trip/test_round_trip.json plays the same first request and no test owns it
           next      replay move test_round_trip test_return_trip                          if the test was renamed
                     pytest tests/test_trip.py::test_return_trip --replay-record=once      to record it
        """)
    lines = [line.removeprefix('E').strip() for line in result.stdout.splitlines()]
    assert [
        line for line in (each.strip() for each in said.splitlines()) if not any(line in one for one in lines)
    ] == []
    section = result.stdout.partition('replay: 1 cause')[2]
    assert '     found     cassettes/tests/test_trip/test_round_trip.json plays the same' in section
    assert '   next   replay move test_round_trip test_return_trip     ' in section


def test_the_proposed_command_does_what_it_says(project: Project):
    project.edit(*RENAMED)
    moved = in_pipe('-m', 'replay', 'move', 'test_round_trip', 'test_return_trip', cwd=project.path)
    assert (moved.returncode, project.run('--replay-orphans=fail').returncode) == (0, 0)


def test_a_cassette_is_not_proposed_if_its_test_is_there(project: Project):
    new = 'def test_return_trip(agent_run_replay):\n    trip_agent.run_sync("Weather in Paris and back?")\n\n\n'
    project.edit('class TestTrip', f'{new}class TestTrip')
    said = project.run('-k', 'test_return_trip').stdout
    assert 'replay: no cassette' in said
    assert 'found  ' not in said


def test_a_cassette_is_not_proposed_if_it_plays_something_else(project: Project):
    project.write(TESTS.replace(*RENAMED).replace('Paris and back?', 'Rome?'))
    said = project.run('-k', 'test_return_trip').stdout
    assert 'replay: no cassette' in said
    assert 'found  ' not in said


def test_the_file_of_a_proposed_cassette_may_be_gone(project: Project):
    (project.path / 'tests/test_trip.py').rename(project.path / 'tests/test_tour.py')
    said = project.run('tests/test_tour.py::test_round_trip').stdout
    assert 'replay move tests/test_trip.py::test_round_trip tests/test_tour.py::test_round_trip  ' in said


@pytest.mark.parametrize('processes', [(), XDIST], ids=['one process', 'xdist'])
@pytest.mark.parametrize(('verdict', 'code'), [('warn', 0), ('fail', 1)])
def test_orphans_are_named_and_fail_if_asked(project: Project, processes: tuple[str, ...], verdict: str, code: int):
    project.edit('def test_round_trip(agent_run_replay)', 'def helper(agent_run_replay)')
    result = project.run(f'--replay-orphans={verdict}', *processes)
    assert result.returncode == code, result.stdout
    assert ORPHANS.format(' (failed by --replay-orphans=fail)' if code else '') in result.stdout


def test_orphans_are_ignored_without_being_asked_for(project: Project):
    project.edit('def test_round_trip', 'def helper')
    result = project.run()
    assert result.returncode == 0
    assert 'no test owns' not in result.stdout


@pytest.mark.parametrize(
    'options',
    [
        ('-k', 'shared'),
        ('-m', 'not slow'),
        ('tests/test_trip.py',),
        ('tests/test_trip.py::test_shared',),
        ('--deselect', 'tests/test_trip.py::test_shared'),
        ('--ignore=tests/other',),
        ('-k', 'shared', *XDIST),
        ('tests/test_trip.py', *XDIST),
    ],
    ids=' '.join,
)
def test_a_part_of_the_suite_has_no_orphans(project: Project, options: tuple[str, ...]):
    project.edit('def test_round_trip', 'def helper')
    result = project.run('--replay-orphans=fail', *options)
    assert result.returncode == 0, result.stdout
    assert 'no test owns' not in result.stdout


@pytest.mark.parametrize('options', [('.',), ('tests',), ('--rootdir=.', '.')], ids=' '.join)
def test_a_path_around_all_tests_is_the_whole_suite(project: Project, options: tuple[str, ...]):
    project.edit('def test_round_trip', 'def helper')
    assert project.run('--replay-orphans=fail', *options).returncode == 1


def test_a_suite_that_could_not_be_collected_whole_is_not_judged(project: Project):
    project.edit('def test_round_trip', 'def helper')
    project.write('1 / 0', 'test_broken')
    result = project.run('--replay-orphans=warn', '--continue-on-collection-errors')
    assert 'no test owns' not in result.stdout


def test_the_cassettes_of_a_file_that_is_skipped_are_no_orphans(project: Project):
    project.write('import pytest\npytest.skip("not here", allow_module_level=True)')
    project.write('def test_x(): pass', 'test_other')
    assert 'no test owns' not in project.run('--replay-orphans=warn').stdout


def test_a_cassette_that_a_configuration_fixture_names_is_owned_by_who_uses_it(project: Project):
    fixture = "@pytest.fixture(scope='module')\ndef agent_run_replay_config():\n    return {'cassette': 'shared'}\n"
    head = TESTS.partition('def test_round_trip')[0]
    project.write(f'{head}{fixture}\ndef test_new(agent_run_replay):\n    trip_agent.run_sync("Weather?")\n')
    result = project.run('--replay-orphans=warn')
    assert 'shared.json' not in result.stdout
    assert 'no test owns 2 cassettes' in result.stdout


def test_orphans_are_not_judged_where_replay_is_disabled(project: Project):
    project.edit('def test_round_trip', 'def helper')
    assert project.run('--replay-orphans=fail', '--replay-disable').returncode == 0
