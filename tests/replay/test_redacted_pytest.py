"""Secrets under pytest: in parameters, prompts and failures; rules of the configuration file."""

from pathlib import Path

import pytest

import agentrun.agent
import agentrun.models.function
import replay.adapters.agentrun
import replay.pytest_session
from tests.replay.secrets_planted import SECRETS, heart

SHARED = (agentrun.agent, agentrun.models.function, replay.adapters.agentrun, replay.pytest_session)
"""Loaded here, so that runs of pytest inside this process do not load them each anew."""

PLUGINS = ('-p', 'replay.pytest_plugin', '-pno:randomly', '-pno:cacheprovider', '-pno:hypothesispytest')
STRICT = ('-W', 'error', '-o', 'asyncio_default_fixture_loop_scope=function')

APP = """
import os

from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel


def script(messages, info):
    return ModelResponse(parts=[TextPart(f'Never tell {messages[-1].parts[-1].content}')])


agent = Agent(FunctionModel(script), name='trip', instructions=lambda: os.environ.get('TRIP_TOKEN', 'none'))
"""

PLANTED = """
import pytest
from app import agent

SECRETS = {secrets!r}


@pytest.mark.parametrize('secret', SECRETS.values(), ids=SECRETS.keys())
def test_planted(secret, agent_run_replay):
    agent.run_sync(f'Use {{secret}}')


@pytest.mark.parametrize('secret', [{token!r}])
def test_named(secret, agent_run_replay):
    agent.run_sync('go')
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv('CI', raising=False)
    monkeypatch.setenv('COLUMNS', '160')
    pytester.makepyfile(app=APP)
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_inprocess(*PLUGINS, *STRICT, *options)


def on_disk(project: pytest.Pytester) -> str:
    files = sorted(path for path in Path(project.path / 'cassettes').rglob('*') if path.is_file())
    assert files
    return '\n'.join(f'{path}\n{path.read_text(encoding="utf-8")}' for path in files)


def test_secrets_in_prompts_and_ids_are_on_no_disk_and_replay(project: pytest.Pytester):
    token = SECRETS['github-token']
    project.makepyfile(test_trip=PLANTED.format(secrets=SECRETS, token=token))
    run(project, '--replay-record=once').assert_outcomes(passed=len(SECRETS) + 1)
    before = on_disk(project)
    assert [name for name, secret in SECRETS.items() if heart(secret) in before] == []
    run(project).assert_outcomes(passed=len(SECRETS) + 1)
    assert on_disk(project) == before
    # Another token, as in CI: the id is another one, the cassette is the same.
    project.makepyfile(test_trip=PLANTED.format(secrets=SECRETS, token=token[:-1] + 'x'))
    run(project, '-k', 'named').assert_outcomes(passed=1, deselected=len(SECRETS))


def test_another_value_of_a_variable_replays(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    project.makepyfile(
        test_trip="""
        from app import agent

        def test_trip(agent_run_replay):
            agent.run_sync('go')
            assert b'<secret:env TRIP_TOKEN>' in agent_run_replay.all_messages_json()

        def test_late(agent_run_replay, monkeypatch):
            monkeypatch.setenv('TRIP_TOKEN', 'set in the test')
            agent.run_sync('go')
        """
    )
    monkeypatch.setenv('TRIP_TOKEN', 'first of two')
    run(project, '--replay-record=once').assert_outcomes(passed=2)
    assert 'first of two' not in on_disk(project)
    assert 'set in the test' not in on_disk(project)
    monkeypatch.setenv('TRIP_TOKEN', 'second of two')
    run(project).assert_outcomes(passed=2)


def test_the_report_of_a_mismatch_and_the_pending_recording_hold_stand_ins(project: pytest.Pytester):
    text = 'from app import agent\ndef test_trip(agent_run_replay):\n    agent.run_sync({!r}); assert {}'
    project.makepyfile(test_trip=text.format('plain', True))
    run(project, '--replay-record=once').assert_outcomes(passed=1)
    secret = SECRETS['jwt']
    project.makepyfile(test_trip=text.format(f'with {secret}', True))
    result = run(project)
    result.assert_outcomes(failed=1)
    report = result.outlines[next(i for i, line in enumerate(result.outlines) if ' replay: 1 cause' in line) :]
    assert any('with <secret:jwt>' in line for line in report)
    assert not any(heart(secret) in line for line in report)
    project.makepyfile(test_trip=text.format(f'with {secret}', False))
    run(project, '--replay-record=rewrite').assert_outcomes(failed=1)
    assert '.json.new' in on_disk(project)
    assert heart(secret) not in on_disk(project)


def test_rules_of_the_configuration_file_redact(project: pytest.Pytester):
    project.makeini('[pytest]\nreplay_redact =\n    ticket = TICKET-[0-9]+\n    pin = PIN (?P<secret>[0-9]{4})\n')
    project.makepyfile(
        test_trip="from app import agent\ndef test_trip(agent_run_replay): agent.run_sync('TICKET-17, PIN 1234')"
    )
    run(project, '--replay-record=once').assert_outcomes(passed=1)
    assert '<secret:ticket>, PIN <secret:pin>' in on_disk(project)
    run(project).assert_outcomes(passed=1)


def test_a_wrong_rule_stops_pytest_at_its_start(project: pytest.Pytester):
    project.makeini('[pytest]\nreplay_redact =\n    ticket = [\n')
    project.makepyfile(test_trip='def test_trip(): pass')
    result = run(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*replay_redact*no regular expression*'])
