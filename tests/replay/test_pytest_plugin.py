"""The plugin as its users meet it: a small project, a run of pytest, what it says and what it leaves behind."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import agentrun.agent
import agentrun.models.function
import replay.adapters.agentrun
import replay.pytest_session

ROOT = Path(__file__).parents[2]
SHARED = (agentrun.agent, agentrun.models.function, replay.adapters.agentrun, replay.pytest_session)
"""Loaded here, so that runs of pytest inside this process do not load them each anew."""

APP = """
from pathlib import Path

from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from agentrun.models.function import FunctionModel

LOG = Path(__file__).with_name('log.txt')


def log(what):
    with LOG.open('a') as file:
        print(what, file=file)


def script(messages, info):
    log('model')
    last = messages[-1].parts[-1]
    if isinstance(last, ToolReturnPart):
        return ModelResponse(parts=[TextPart(f'It is {last.content}.')])
    return ModelResponse(parts=[ToolCallPart('get_weather', {'city': last.content})])


INSTRUCTIONS = Path(__file__).with_name('instructions.txt')
trip_agent = Agent(FunctionModel(script), name='trip_agent')


@trip_agent.instructions
def instructions():
    return INSTRUCTIONS.read_text()


@trip_agent.tool_plain
def get_weather(city: str) -> str:
    log('tool')
    return f'sunny in {city}'
"""

SYNC = """
from app import trip_agent

def test_weather(agent_run_replay):
    assert trip_agent.run_sync('Paris').output == 'It is sunny in Paris.'
"""

PLUGINS = (
    '-p',
    'replay.pytest_plugin',
    *(f'-pno:{name}' for name in ('randomly', 'cacheprovider', 'hypothesispytest')),
)
STRICT = ('-W', 'error', '-o', 'asyncio_default_fixture_loop_scope=function')
"""Warnings are errors; pytest-asyncio warns where it is not told."""

ASYNCIO = 'pytest-asyncio is not installed'


class Project:
    """A folder with an agent, whose runs are logged, and tests of it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        pytester.makepyfile(app=APP)
        self.instruct('Answer briefly.')

    def instruct(self, text: str) -> None:
        (self.path / 'instructions.txt').write_text(text, encoding='utf-8')

    def tests(self, text: str, *, name: str = 'test_trip') -> None:
        self.pytester.makepyfile(**{name: text})

    def run(self, *options: str) -> pytest.RunResult:
        """Run pytest in this process, with the plugin and those that run asynchronous tests."""
        (self.path / 'log.txt').unlink(missing_ok=True)
        return self.pytester.runpytest_inprocess(*PLUGINS, *STRICT, *options)

    @property
    def log(self) -> list[str]:
        log = self.path / 'log.txt'
        return log.read_text(encoding='utf-8').split() if log.exists() else []

    @property
    def cassettes(self) -> dict[str, str]:
        folder = self.path / 'cassettes'
        files = sorted(path for path in folder.rglob('*') if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text(encoding='utf-8') for path in files}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv('CI', raising=False)
    monkeypatch.setenv('COLUMNS', '160')
    return Project(pytester)


def summary(result: pytest.RunResult) -> str:
    return next(line for line in result.outlines if line.startswith('replay: ') and ' mode, ' in line)


def section(result: pytest.RunResult) -> list[str]:
    """Lines between the title of the plugin's section and the summary."""
    lines = result.outlines
    title = next(index for index, line in enumerate(lines) if line.startswith('=') and ' replay: ' in line)
    return lines[title + 1 : lines.index(summary(result))]


# -- recording and replaying


def test_a_recorded_test_replays_without_model_and_tools(project: Project):
    project.tests(SYNC)
    project.run('--replay-record=once').assert_outcomes(passed=1)
    assert project.log == ['model', 'tool', 'model']
    result = project.run()
    result.assert_outcomes(passed=1)
    assert project.log == []
    assert (
        summary(result) == 'replay: none mode, 1 cassette: 1 played, 0 differ, 0 unplayed, 0 recorded, 0 live requests'
    )
    assert list(project.cassettes) == ['test_trip/test_weather.json']


def test_a_recording_is_counted_with_its_live_requests(project: Project):
    project.tests(SYNC)
    line = 'replay: once mode, 1 cassette: 0 played, 0 differ, 0 unplayed, 1 recorded, 2 live requests'
    assert summary(project.run('--replay-record=once')) == line


def test_recording_again_what_did_not_change_leaves_the_file_alone(project: Project):
    project.tests(SYNC)
    project.run('--replay-record=once')
    before = project.cassettes
    result = project.run('--replay-record=rewrite')
    result.assert_outcomes(passed=1)
    assert project.log == ['model', 'tool', 'model']
    assert project.cassettes == before


def test_a_run_without_the_plugin_being_asked_is_left_alone(project: Project):
    project.tests("from app import trip_agent\ndef test_weather():\n    trip_agent.run_sync('Paris')")
    result = project.run('--replay-record=once')
    result.assert_outcomes(passed=1)
    assert project.log == ['model', 'tool', 'model']
    assert project.cassettes == {}
    assert not [line for line in result.outlines if line.startswith('replay:')]


PLACES = {
    'marker': """
        @pytest.mark.agent_run_replay
        def test_weather():
            trip_agent.run_sync('Paris')
        """,
    'late': """
        def test_weather(request):
            request.getfixturevalue('agent_run_replay')
            trip_agent.run_sync('Paris')
        """,
    'fixture': """
        @pytest.fixture
        def answer():
            return trip_agent.run_sync('Paris')

        def test_weather(answer, agent_run_replay):
            assert answer.output
        """,
    'anyio': """
        @pytest.mark.anyio
        async def test_weather(agent_run_replay):
            await trip_agent.run('Paris')
        """,
    'pytest-asyncio': """
        @pytest.mark.asyncio
        async def test_weather(agent_run_replay):
            await trip_agent.run('Paris')
        """,
    'async fixture': """
        @pytest.fixture
        async def answer():
            return await trip_agent.run('Paris')

        @pytest.mark.anyio
        async def test_weather(answer, agent_run_replay):
            assert answer.output
        """,
    'unittest': """
        import unittest

        @pytest.mark.agent_run_replay
        class TestTrip(unittest.IsolatedAsyncioTestCase):
            async def test_weather(self):
                await trip_agent.run('Paris')
        """,
    'thread': """
        from threading import Thread

        def test_weather(agent_run_replay):
            thread = Thread(target=lambda: trip_agent.run_sync('Paris'))
            thread.start()
            thread.join()
        """,
}


@pytest.mark.parametrize('place', PLACES)
def test_every_run_of_a_test_is_replayed_wherever_it_starts(place: str, project: Project):
    if place == 'pytest-asyncio':
        pytest.importorskip('pytest_asyncio', reason=ASYNCIO)
    project.tests(f'import pytest\nfrom app import trip_agent\n{dedent(PLACES[place])}')
    assert project.run('--replay-record=once').ret == 0
    assert project.log == ['model', 'tool', 'model']
    result = project.run()
    assert result.ret == 0
    assert project.log == []
    assert ' 1 cassette: 1 played, ' in summary(result)
    assert len(project.cassettes) == 1


def test_ini_replays_all_tests_and_those_without_agents_leave_nothing(project: Project):
    project.pytester.makeini('[pytest]\nreplay_auto = true\nreplay_record = once\n')
    project.tests(SYNC.replace('agent_run_replay', '') + '\ndef test_nothing():\n    pass\n')
    assert ' 1 recorded' in summary(project.run())
    assert list(project.cassettes) == ['test_trip/test_weather.json']
    result = project.run()
    result.assert_outcomes(passed=2)
    assert ' 1 cassette: 1 played' in summary(result)


def test_the_back_end_is_no_part_of_the_name_and_the_second_variant_replays(project: Project):
    project.tests(
        """
        import pytest
        from app import trip_agent

        @pytest.mark.anyio
        @pytest.mark.parametrize('city', ['Paris', 'Rome'])
        async def test_weather(city, agent_run_replay):
            assert (await trip_agent.run(city)).output == f'It is sunny in {city}.'
        """
    )
    result = project.run('--replay-record=rewrite')
    result.assert_outcomes(passed=4)
    assert project.log == ['model', 'tool', 'model'] * 2
    assert [name.partition('~')[0] for name in project.cassettes] == [
        'test_trip/test_weather[Paris]',
        'test_trip/test_weather[Rome]',
    ]
    assert ' 2 cassettes: 0 played, 0 differ, 0 unplayed, 2 recorded, 4 live' in summary(result)


def test_a_task_that_outlives_its_test_cannot_record_into_the_next(project: Project):
    pytest.importorskip('pytest_asyncio', reason=ASYNCIO)
    project.tests(
        """
        import asyncio
        import pytest
        from app import trip_agent
        pytestmark = pytest.mark.asyncio(loop_scope='module')
        late = []

        async def later(go):
            await go.wait()
            await trip_agent.run('late')

        async def test_first(agent_run_replay):
            go = asyncio.Event()
            late.extend([go, asyncio.create_task(later(go))])
            await trip_agent.run('first')

        async def test_second(agent_run_replay):
            late[0].set()
            with pytest.raises(Exception, match='clos'):
                await late[1]
            await trip_agent.run('second')
        """
    )
    project.run('--replay-record=once').assert_outcomes(passed=2)
    assert all('late' not in text for text in project.cassettes.values())


FIXTURES = {
    'sync': """
        @pytest.fixture
        def answer(wide):
            yield trip_agent.run_sync('Paris')

        def test_weather(answer, agent_run_replay):
            assert answer.output
        """,
    'anyio': """
        @pytest.fixture
        async def answer(wide):
            return await trip_agent.run('Paris')

        @pytest.mark.anyio
        async def test_weather(answer, agent_run_replay):
            assert answer.output
        """,
    'anyio generator': """
        @pytest.fixture
        async def answer(wide):
            yield await trip_agent.run('Paris')

        @pytest.mark.anyio
        async def test_weather(answer, agent_run_replay):
            assert answer.output
        """,
    'anyio method': """
        @pytest.mark.anyio
        class TestTrip:
            @pytest.fixture
            async def answer(self):
                return await trip_agent.run('Paris')

            async def test_weather(self, answer, agent_run_replay):
                assert answer.output
        """,
    'pytest-asyncio generator': """
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def answer(wide):
            yield await trip_agent.run('Paris')

        @pytest.mark.asyncio
        async def test_weather(answer, agent_run_replay):
            assert answer.output
        """,
}


@pytest.mark.parametrize('kind', FIXTURES)
def test_a_run_in_a_fixture_of_the_test_belongs_to_the_test_beside_a_wider_cassette(kind: str, project: Project):
    if 'pytest_asyncio' in FIXTURES[kind]:
        pytest.importorskip('pytest_asyncio', reason=ASYNCIO)
    wide = """
        import pytest
        from app import trip_agent
        from replay import use_cassette

        @pytest.fixture(scope='module')
        def wide():
            with use_cassette('wide', record='once'):
                yield
        """
    project.tests(dedent(wide) + dedent(FIXTURES[kind]))
    assert project.run('--replay-record=once').ret == 0
    assert project.log == ['model', 'tool', 'model']
    assert 'test_trip' in next(iter(project.cassettes))


def test_a_task_of_a_fixture_that_outlives_its_test_cannot_record_into_the_next(project: Project):
    pytest.importorskip('pytest_asyncio', reason=ASYNCIO)
    project.tests(
        """
        import asyncio
        import pytest, pytest_asyncio
        from app import trip_agent
        pytestmark = pytest.mark.asyncio(loop_scope='module')
        late = []

        async def later(go):
            await go.wait()
            await trip_agent.run('late')

        @pytest_asyncio.fixture(loop_scope='module')
        async def worker():
            go = asyncio.Event()
            late.extend([go, asyncio.create_task(later(go))])

        async def test_first(worker, agent_run_replay):
            await trip_agent.run('first')

        async def test_second(agent_run_replay):
            late[0].set()
            with pytest.raises(Exception, match='clos'):
                await late[1]
            await trip_agent.run('second')
        """
    )
    project.run('--replay-record=once').assert_outcomes(passed=2)
    assert all('late' not in text for text in project.cassettes.values())


def test_a_run_while_fixtures_are_torn_down_is_refused_and_not_live(project: Project):
    project.tests(
        """
        import pytest
        from app import trip_agent

        @pytest.fixture
        def late():
            yield
            trip_agent.run_sync('Paris')

        def test_weather(late, agent_run_replay):
            pass
        """
    )
    result = project.run('--replay-record=once')
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(['ERROR test_trip.py::test_weather - replay.*SessionClosed: *'])
    assert project.log == []


# -- what fails a test


def test_without_a_cassette_nothing_is_asked_and_the_test_says_how_to_record(project: Project):
    project.tests(SYNC)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert project.log == []
    result.stdout.fnmatch_lines(['FAILED test_trip.py::test_weather - replay: no cassette'])
    assert section(result) == [
        '1. no cassette                                            1 test, 1 cassette',
        '     expected  cassettes/test_trip/test_weather.json   (mode none: nothing is recorded)',
        '     first     run trip_agent, prompt "Paris"',
        '   where  test_trip.py::test_weather',
        '   next   pytest test_trip.py::test_weather --replay-record=once     to record it',
    ]


def test_a_changed_instruction_fails_every_test_and_is_reported_once(project: Project):
    project.tests(
        """
        import pytest
        from app import trip_agent

        @pytest.mark.parametrize('city', ['Paris', 'Rome', 'Oslo'])
        def test_weather(city, agent_run_replay):
            trip_agent.run_sync(city)
        """
    )
    project.run('--replay-record=once')
    project.instruct('Answer briefly. Never guess.')
    result = project.run()
    result.assert_outcomes(failed=3)
    assert project.log == []
    lines = [line for line in result.outlines if line.startswith('FAILED')]
    assert lines == [
        'FAILED test_trip.py::test_weather[Paris] - replay: instructions of trip_agent changed (+2 tests)',
        'FAILED test_trip.py::test_weather[Rome] - replay: instructions of trip_agent changed',
        'FAILED test_trip.py::test_weather[Oslo] - replay: instructions of trip_agent changed',
    ]
    result.stdout.fnmatch_lines(['=* replay: 1 cause, 3 tests =*'])
    where = 'test_trip.py::test_weather[Paris]  run trip_agent  node 1 ModelRequestNode  field instructions'
    assert section(result)[:-2] == [
        '1. instructions of trip_agent changed                     3 tests, 3 cassettes',
        '     recorded  Answer briefly.',
        '     now       Answer briefly. Never guess.',
        '                              ^^^^^^^^^^^^^',
        f'   where  {where}',
        '   also   test_weather[Rome], test_weather[Oslo]',
    ]
    assert (
        summary(result) == 'replay: none mode, 3 cassettes: 0 played, 3 differ, 0 unplayed, 0 recorded, 0 live requests'
    )


def test_the_traceback_of_a_divergence_ends_where_the_run_was_started(project: Project):
    project.tests(SYNC)
    project.run('--replay-record=once')
    project.instruct('Other.')
    shown = project.run().stdout.str()
    assert ">       assert trip_agent.run_sync('Paris')" in shown
    assert 'abstract.py' not in shown
    assert 'E          where     cassettes/test_trip/test_weather.json  run trip_agent' in shown
    assert 'abstract.py' in project.run('--full-trace').stdout.str()


def test_a_divergence_fails_the_test_even_if_the_code_swallowed_it(project: Project):
    project.tests(
        """
        from app import trip_agent

        def test_weather(agent_run_replay):
            try:
                trip_agent.run_sync('Paris')
            except Exception:
                pass
        """
    )
    project.run('--replay-record=once')
    project.instruct('Other.')
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['FAILED test_trip.py::test_weather - replay: instructions of trip_agent changed'])
    assert ' 1 differ' in summary(result)


def test_what_was_recorded_and_never_asked_for_fails_the_test(project: Project):
    text = SYNC + "    if {}:\n        trip_agent.run_sync('Rome')\n"
    project.tests(text.format(True))
    project.run('--replay-record=once')
    project.tests(text.format(False))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['FAILED test_trip.py::test_weather - replay: * never played'])
    assert ' 1 unplayed' in summary(result)


def test_an_assertion_that_fails_stays_the_reason(project: Project):
    project.tests(SYNC)
    project.run('--replay-record=once')
    project.tests(SYNC.replace('sunny', 'rainy'))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['FAILED test_trip.py::test_weather - AssertionError*'])
    assert ' 1 played' in summary(result)


def test_a_damaged_cassette_is_named_and_left_as_it_is(project: Project):
    project.tests(SYNC)
    project.run('--replay-record=once')
    cassette = project.path / 'cassettes/test_trip/test_weather.json'
    cassette.write_text(cassette.read_text()[:200])
    for mode in ('none', 'once'):
        result = project.run(f'--replay-record={mode}')
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(['FAILED test_trip.py::test_weather - replay: the cassette cannot be read: *'])
        assert 'During handling' not in result.stdout.str()
        assert project.log == []
        assert len(cassette.read_text()) == 200


def test_of_a_test_that_is_run_again_the_last_time_counts(project: Project):
    project.pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for outcome in ('rerun', 'passed'):
                item._initrequest()
                for report in runtestprotocol(item, nextitem=nextitem, log=False):
                    report.outcome = outcome if report.failed else report.outcome
                    item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    text = """
        from app import trip_agent
        cities = {}

        def test_weather(agent_run_replay):
            trip_agent.run_sync(cities.pop())
        """
    project.tests(text.format(['Paris']))
    project.run('--replay-record=once', '--noconftest')
    project.tests(text.format(['Paris', 'Rome']))
    assert ' 1 cassette: 1 played, 0 differ' in summary(project.run())


def test_a_recording_that_cannot_be_kept_fails_the_test_and_leaves_only_what_was_paid_for(project: Project):
    project.pytester.makepyfile(app=APP.replace("return f'sunny in {city}'", 'return object()').replace('-> str', ''))
    project.tests("from app import trip_agent\ndef test_weather(agent_run_replay):\n    trip_agent.run_sync('Paris')")
    result = project.run('--replay-record=once')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['FAILED test_trip.py::test_weather - replay: *get_weather*'])
    assert ' 0 recorded, 1 failed, ' in summary(result)
    assert list(project.cassettes) == ['test_trip/test_weather.json.journal']


# -- what is written


def test_the_recording_of_a_failed_test_waits_beside_the_cassette_until_it_is_played(project: Project):
    project.tests(SYNC.replace('sunny', 'rainy'))
    project.run('--replay-record=once').assert_outcomes(failed=1)
    assert list(project.cassettes) == ['test_trip/test_weather.json.new']
    project.tests(SYNC)
    project.run().assert_outcomes(failed=1)
    project.run('--replay-pending').assert_outcomes(passed=1)
    assert project.log == []


def test_a_recording_ended_by_the_keyboard_goes_on_without_asking_for_what_is_paid(project: Project):
    project.tests(SYNC)
    project.pytester.makepyfile(app=APP.replace("return f'sunny in {city}'", 'raise KeyboardInterrupt'))
    project.pytester.runpytest_inprocess(*PLUGINS, *STRICT, '--replay-record=once', no_reraise_ctrlc=True)
    assert project.log == ['model', 'tool']
    assert list(project.cassettes) == ['test_trip/test_weather.json.journal']
    project.pytester.makepyfile(app=APP)
    result = project.run('--replay-record=once')
    result.assert_outcomes(passed=1)
    assert project.log.count('model') == 1
    assert 'resumed: 1 request' in summary(result)
    assert list(project.cassettes) == ['test_trip/test_weather.json']


def test_a_skipped_test_is_not_judged(project: Project):
    project.tests(SYNC.replace('    assert', "    import pytest\n    pytest.skip('not now')\n    assert"))
    project.run('--replay-record=once').assert_outcomes(skipped=1)
    assert project.cassettes == {}


def test_an_expected_failure_is_no_finding(project: Project):
    project.tests('import pytest\n' + SYNC.replace('def test', '@pytest.mark.xfail\ndef test'))
    result = project.run()
    result.assert_outcomes(xfailed=1)
    assert not [line for line in result.outlines if ' cause' in line]


@pytest.mark.parametrize(
    ('options', 'recorded'),
    [([], False), (['--replay-record-in-ci'], True), (['-o', 'replay_record_in_ci=true'], True)],
)
def test_nothing_is_recorded_in_ci_unless_it_is_allowed(
    options: list[str], recorded: bool, project: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv('CI', 'true')
    project.tests(SYNC)
    result = project.run('--replay-record=once', *options)
    result.assert_outcomes(passed=int(recorded), failed=int(not recorded))
    assert bool(project.cassettes) == recorded
    assert ('add --replay-record-in-ci' in result.stdout.str()) == (not recorded)


# -- options


def test_the_folder_can_be_chosen(project: Project):
    project.tests(SYNC)
    project.run('--replay-record=once', '--replay-dir=tapes').assert_outcomes(passed=1)
    assert (project.path / 'tapes/test_trip/test_weather.json').is_file()


def test_a_marker_can_name_the_cassette_and_the_mode(project: Project):
    project.tests(
        """
        import pytest
        from app import trip_agent

        @pytest.mark.agent_run_replay(cassette='shared/paris', record='once')
        def test_weather():
            trip_agent.run_sync('Paris')
        """
    )
    project.run().assert_outcomes(passed=1)
    assert list(project.cassettes) == ['shared/paris.json']


def test_the_command_line_wins_over_the_marker_and_the_marker_over_the_module(project: Project):
    project.tests(
        """
        import pytest
        from app import trip_agent

        @pytest.fixture(scope='module')
        def agent_run_replay_config():
            return {'record': 'once'}

        def test_module(agent_run_replay):
            assert agent_run_replay.mode == 'once'

        @pytest.mark.agent_run_replay(record='rewrite')
        def test_marker(agent_run_replay):
            assert agent_run_replay.mode == 'rewrite'
        """
    )
    project.run().assert_outcomes(passed=2)
    project.run('--replay-record=none').assert_outcomes(failed=2)


@pytest.mark.parametrize(
    ('marker', 'word'),
    [
        ("colour='red'", 'colour'),
        ("'name'", 'name'),
        ("record='rebind'", 'rebind'),
        ("record='twice'", 'twice'),
        ("tools='some'", 'some'),
        ("match='colour'", 'colour'),
        ("unplayed='shout'", 'shout'),
        ("max_age='old'", 'old'),
        ('cassette=3', '3 is no name'),
    ],
)
def test_a_marker_that_nobody_takes_is_refused_by_name(marker: str, word: str, project: Project):
    project.tests(f'import pytest\n@pytest.mark.agent_run_replay({marker})\ndef test_a():\n    pass')
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f'*replay: *{word}*', '*expected*'])


@pytest.mark.parametrize(
    ('option', 'why'),
    [
        ('--replay-record=twice', "'twice' does not exist; expected none, once, new_episodes, all, rewrite"),
        ('-oreplay_record=rebind', "'rebind' does not exist; expected none, once, new_episodes, all, rewrite"),
        ('--replay-tools=some', "'some' is no value of tools; expected replay, live, verify"),
        ('--replay-match=colour', "'colour' is no value of match; expected instructions, messages, *"),
        ('--replay-unplayed=shout', "'shout' is no value of unplayed; expected ignore, warn, fail"),
        ('--replay-orphans=shout', "'shout' does not exist; expected ignore, warn, fail"),
        ('--replay-max-age=old', "'old' is no age; expected days or weeks: 90d, 12w"),
        ('--replay-network=open', "'open' is no value of network; expected block, allow"),
        ('--replay-colour=red', 'unrecognized arguments: --replay-colour=red'),
    ],
)
def test_an_option_that_does_not_exist_is_refused_by_name(option: str, why: str, project: Project):
    project.tests(SYNC)
    result = project.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f'*{why}'])


def test_disabled_means_live_and_the_fixture_says_so(project: Project):
    project.tests(SYNC + "    assert not hasattr(agent_run_replay, '__len__')\n    agent_run_replay.node_kinds\n")
    result = project.run('--replay-disable')
    result.assert_outcomes(failed=1)
    assert project.log == ['model', 'tool', 'model']
    result.stdout.fnmatch_lines(['*replay is disabled*'])


def test_the_fixture_offers_runs_nodes_messages_usage_cassette_and_mode(project: Project):
    project.tests(
        SYNC
        + """
    assert agent_run_replay.node_kinds == [
        'UserPromptNode', 'ModelRequestNode', 'CallToolsNode', 'ModelRequestNode', 'CallToolsNode', 'End'
    ]
    assert b'It is sunny in Paris.' in agent_run_replay.all_messages_json()
    assert agent_run_replay.messages[-1]['parts'][0]['content'] == 'It is sunny in Paris.'
    assert agent_run_replay.usage['requests'] == 2
    assert [run.name for run in agent_run_replay.runs] == ['trip_agent']
    assert agent_run_replay.cassette_path.name == 'test_weather.json'
    assert agent_run_replay.mode in ('none', 'once')
"""
    )
    project.run('--replay-record=once').assert_outcomes(passed=1)
    project.run().assert_outcomes(passed=1)


# -- with others


def run_apart(project: Project, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as its users do, in a process of its own and with every plugin that is installed."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, '-m', 'pytest', '-p', 'replay.pytest_plugin', *options]
    return subprocess.run(
        command, cwd=project.path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


MANY = """
import pytest
from app import trip_agent

@pytest.mark.parametrize('city', ['Paris', 'Rome', 'Oslo', 'Bonn'])
def test_weather(city, agent_run_replay):
    trip_agent.run_sync(city)
"""


def test_workers_of_xdist_report_to_the_process_that_prints(project: Project):
    pytest.importorskip('xdist', reason='pytest-xdist is not installed')
    project.tests(MANY.replace(", 'Oslo', 'Bonn'", ''))
    project.run('--replay-record=once')
    project.tests(MANY)
    project.instruct('Other.')
    said = run_apart(project, '-n2', '--replay-record=once').stdout
    assert 'replay: once mode, 4 cassettes: 0 played, 2 differ, 0 unplayed, 2 recorded, 4 live requests' in said
    assert ' replay: 1 cause, 2 tests ' in said
    assert said.count('changed (+1 test)') == 1


def test_workers_of_xdist_report_the_tests_in_their_order_whichever_ends_first(project: Project):
    pytest.importorskip('xdist', reason='pytest-xdist is not installed')
    project.tests(MANY.replace('    trip', '    import time; time.sleep(0.6 * (city == "Paris"))\n    trip'))
    project.run('--replay-record=once').assert_outcomes(passed=4)
    project.instruct('Other.')
    plugins = ('-p', 'no:randomly', '--tb=no')
    alone, together = (run_apart(project, *plugins, *more).stdout.splitlines() for more in ((), ('-n2',)))
    failed = [line.partition(' - ')[0] for line in together if line.startswith('FAILED')]
    assert not failed[0].endswith('[Paris]')
    title = next(index for index, line in enumerate(alone) if ' replay: 1 cause, 4 tests ' in line)
    report = alone[title:-1]
    assert next(line for line in report if line.startswith('   where')).split()[1].endswith('[Paris]')
    assert together[-len(report) - 1 : -1] == report


def test_every_other_plugin_may_be_there_or_not(project: Project):
    project.tests(MANY)
    assert run_apart(project, '--replay-record=once').returncode == 0
    alone = (
        'anyio',
        'asyncio',
        'syrupy',
        'inline_snapshot',
        'randomly',
        'xdist',
        'cov',
        'cacheprovider',
        'hypothesispytest',
    )
    played = run_apart(project, *(part for name in alone for part in ('-p', f'no:{name}')))
    assert 'replay: none mode, 4 cassettes: 4 played' in played.stdout
