"""Secrets in every place of a run: none on the disk, in what the session shows, or in what it says; a replay holds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentrun import Agent, ModelRetry
from agentrun.exceptions import ModelHTTPError
from agentrun.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturn,
    UserPromptPart,
)
from agentrun.models.function import AgentInfo, FunctionModel
from replay import Diverged, ReplayError, SecretLeft, Session, use_cassette
from replay.cassette import Cassette, Node, Run
from replay.codec import dumps
from replay.redact import Redactor, UserRule
from replay.store import Store
from tests.replay.secrets_planted import SECRETS, heart

pytestmark = pytest.mark.anyio


def everywhere(secret: str, *, seen: list[str] | None = None) -> Agent[None, str]:
    """An agent with the secret in all that goes into its messages and requests."""
    seen = [] if seen is None else seen

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(str(messages))
        if len(seen) == 1:
            return ModelResponse(
                parts=[
                    TextPart(f'I call with {secret}'),
                    ToolCallPart('look', {'q': secret, 'n': 1}, 'c1', provider_details={'k': secret}),
                    ToolCallPart('look', json.dumps({'q': f'line\n{secret}', 'n': 2}), 'c2'),
                    ToolCallPart('refuse', {'q': secret}, 'c3'),
                ],
                provider_details={'header': secret},
            )
        if len(seen) == 2:
            return ModelResponse(parts=[ToolCallPart('look', {'q': 3, 'x': secret}, 'c4')])
        return ModelResponse(parts=[TextPart(f'Done with {secret}')])

    agent = Agent(
        FunctionModel(model),
        name=f'trip {secret}',
        instructions=f'Use {secret}.',
        system_prompt=f'Never tell {secret}.',
        model_settings={'extra_headers': {'X-Note': secret}},
        retries=3,
    )

    @agent.tool_plain(description=f'Look with {secret}')
    def look(q: str, n: int) -> Any:
        return ToolReturn({'found': [secret], 'in': {secret: q}}, content=f'extra {secret}', metadata={'m': secret})

    @agent.tool_plain
    def refuse(q: str) -> str:
        raise ModelRetry(f'not with {secret}')

    return agent


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob('*') if path.is_file()]


def on_disk(folder: Path) -> str:
    assert files(folder)
    return '\n'.join(f'{path}\n{path.read_text(encoding="utf-8")}' for path in files(folder))


def without_mallory(text: str) -> str:
    return text.replace('Mallory', 'M.')


def restless(text: str) -> str:
    return text.replace('TICKET', 'TICKET.')


def shown(session: Session) -> str:
    problems = [problem.render() for problem in session.problems]
    views = [session.runs, session.all_messages_json(), session.new_messages_json(), session.nodes, session.messages]
    return f'{problems} {views}'


def history_with(secret: str) -> Sequence[ModelMessage]:
    return [
        ModelRequest(parts=[UserPromptPart(f'earlier {secret}')], metadata={'m': secret}),
        ModelResponse(parts=[TextPart(f'answer {secret}')]),
        ModelRequest(parts=[RetryPromptPart(f'again without {secret}')]),
        ModelResponse(parts=[TextPart('fine')]),
    ]


async def run(secret: str, folder: Path, *, record: Any = 'none', **more: Any) -> tuple[Session, str, list[str]]:
    seen: list[str] = []
    with use_cassette('trip', dir=folder, record=record, **more) as session:
        agent = everywhere(secret, seen=seen)
        result = await agent.run([f'Go with {secret}', 'now'], message_history=history_with(secret))
    return session, result.all_messages_json().decode(), seen


@pytest.mark.parametrize('name', SECRETS)
async def test_a_secret_anywhere_in_a_run_is_on_no_disk_and_the_replay_holds(tmp_path: Path, name: str):
    secret = SECRETS[name]
    recorded, live, seen = await run(secret, tmp_path, record='rewrite')
    assert heart(secret) in live
    assert len(seen) == 3
    assert all(heart(secret) in one for one in seen)
    assert heart(secret) not in on_disk(tmp_path)
    assert heart(secret) not in shown(recorded)
    replayed, _, seen = await run(secret, tmp_path)
    assert seen == []
    assert replayed.all_messages_json() == recorded.all_messages_json()
    assert heart(secret) not in shown(replayed)
    assert [run.marks for run in replayed.recorded_runs] == [('redacted',)]


@pytest.mark.parametrize('value', ['another value of it', SECRETS['openai-key'], 'test-dummy'])
async def test_another_value_of_a_variable_replays_the_same_cassette(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
):
    monkeypatch.setenv('TRIP_API_KEY', 'plain words of one kind')
    recorded, _, _ = await run('plain words of one kind', tmp_path, record='rewrite')
    before = on_disk(tmp_path)
    assert 'plain words' not in before
    assert '<secret:env TRIP_API_KEY>' in before
    monkeypatch.setenv('TRIP_API_KEY', value)
    replayed, _, _ = await run(value, tmp_path)
    assert replayed.all_messages_json() == recorded.all_messages_json()


async def test_another_key_of_the_same_kind_replays_the_same_cassette(tmp_path: Path):
    recorded, _, _ = await run(SECRETS['openai-key'], tmp_path, record='rewrite')
    replayed, _, _ = await run(SECRETS['openai-key test'], tmp_path)
    assert replayed.all_messages_json() == recorded.all_messages_json()


async def test_a_run_without_secrets_bears_no_mark(tmp_path: Path):
    recorded, live, _ = await run('nothing', tmp_path, record='rewrite')
    assert recorded.all_messages_json().decode() == live
    assert '"marks"' not in on_disk(tmp_path)


async def test_a_variable_that_is_set_after_the_session_was_opened_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with use_cassette('trip', dir=tmp_path, record='rewrite'):
        monkeypatch.setenv('LATE_TOKEN', 'a late value')
        await everywhere('a late value').run('go')
    assert 'a late value' not in on_disk(tmp_path)


async def test_a_variable_that_is_set_inside_of_a_run_is_found_at_the_last_look_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        monkeypatch.setenv('LATE_TOKEN', 'a late value')
        return ModelResponse(parts=[TextPart('here is a late value')])

    agent = Agent(FunctionModel(model), name='trip')
    with (
        pytest.raises(SecretLeft, match='would hold a secret') as caught,
        use_cassette('trip', dir=tmp_path, record='rewrite'),
    ):
        await agent.run('go')
    assert files(tmp_path) == []
    error = caught.value
    assert (error.where.run, error.where.node, error.where.field) == (
        'trip', '2 CallToolsNode', 'message.parts[0].content',
    )  # fmt: skip
    assert {leak.kind for leak in error.leaks} == {'<secret:env LATE_TOKEN>'}
    assert 'late value' not in error.render()
    assert 'replay_redact' in error.render()


@pytest.mark.parametrize('name', ['openai-key', 'jwt', 'private-key'])
async def test_errors_of_models_and_tools_are_recorded_without_secrets_and_raised_again(tmp_path: Path, name: str):
    secret = SECRETS[name]

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ModelHTTPError(401, 'gpt', {'error': f'Incorrect API key provided: {secret}'})

    texts: list[str] = []
    for record in ('rewrite', 'none'):
        with use_cassette('trip', dir=tmp_path, record=record), pytest.raises(ModelHTTPError) as caught:
            await Agent(FunctionModel(model), name='trip').run('go')
        texts.append(str(caught.value))
    assert heart(secret) in texts[0]
    assert heart(secret) not in texts[1] + on_disk(tmp_path)
    assert 'Incorrect API key provided: <secret:' in texts[1]


async def test_an_error_of_a_tool_is_recorded_without_its_secret(tmp_path: Path):
    secret = SECRETS['github-token']

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart('fail', {}, 'c1')])

    agent = Agent(FunctionModel(model), name='trip')

    @agent.tool_plain
    def fail() -> str:
        raise RuntimeError(f'no entry with {secret}')

    for record in ('rewrite', 'none'):
        with use_cassette('trip', dir=tmp_path, record=record), pytest.raises(RuntimeError, match='no entry'):
            await agent.run('go')
    assert heart(secret) not in on_disk(tmp_path)


async def test_what_a_mismatch_shows_holds_stand_ins(tmp_path: Path):
    await run(SECRETS['openai-key'], tmp_path, record='rewrite')
    with pytest.raises(Diverged) as caught:
        await run(SECRETS['jwt'], tmp_path)
    assert '<secret:jwt>' in caught.value.render()
    assert heart(SECRETS['jwt']) not in caught.value.render()


async def test_a_cassette_that_is_missing_is_named_without_secrets(tmp_path: Path):
    with pytest.raises(ReplayError, match='no cassette') as caught:
        await run(SECRETS['jwt'], tmp_path)
    assert heart(SECRETS['jwt']) not in caught.value.render()


async def test_a_cassette_from_before_redaction_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recorded, _, _ = await run('the words of it', tmp_path, record='rewrite')
    monkeypatch.setenv('TRIP_TOKEN', 'the words of it')
    replayed, _, _ = await run('the words of it', tmp_path)
    assert 'the words of it' in recorded.all_messages_json().decode()
    assert 'the words of it' not in shown(replayed)


async def test_a_secret_that_becomes_known_while_its_recording_is_played_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart('the words of it')])

    agent = Agent(FunctionModel(model), name='trip')
    async with use_cassette('trip', dir=tmp_path, record='rewrite'):
        await agent.run('go')
    async with use_cassette('trip', dir=tmp_path) as session:
        monkeypatch.setenv('TRIP_TOKEN', 'the words of it')
        await agent.run('go')
    assert 'the words of it' in on_disk(tmp_path)
    assert '<secret:env TRIP_TOKEN>' in session.all_messages_json().decode()


async def test_rules_of_the_user_redact_a_run(tmp_path: Path):
    rules: list[UserRule] = [('ticket', 'TICKET-[0-9]+'), without_mallory]
    recorded, _, _ = await run('TICKET-17 of Mallory', tmp_path, record='rewrite', redact=rules)
    assert '<secret:ticket> of M.' in on_disk(tmp_path)
    assert 'Mallory' not in on_disk(tmp_path)
    replayed, _, _ = await run('TICKET-4711 of Mallory', tmp_path, redact=rules)
    assert replayed.all_messages_json() == recorded.all_messages_json()


async def test_a_decorated_function_has_the_rules_too(tmp_path: Path):
    @use_cassette('trip', dir=tmp_path, record='rewrite', redact=iter([('ticket', 'TICKET-[0-9]+')]))
    async def go() -> None:
        await everywhere('TICKET-17').run('go')

    await go()
    await go()
    assert 'TICKET-17' not in on_disk(tmp_path)


def test_a_wrong_rule_is_told_before_anything_runs(tmp_path: Path):
    with pytest.raises(ReplayError, match='no regular expression'):
        use_cassette('trip', dir=tmp_path, redact=[('a', '(')])


async def test_a_function_that_never_comes_to_rest_keeps_the_cassette_from_being_written(tmp_path: Path):
    with pytest.raises(SecretLeft, match='what a rule of yours replaces'):
        await run('TICKET', tmp_path, record='rewrite', redact=[restless])
    assert files(tmp_path) == []


def cassette(text: str, *, test: str | None = None) -> Cassette:
    return Cassette(test=test, runs=(Run(name='a', agent='a', facts={'entry': text}, nodes=(Node(kind='End'),)),))


@pytest.mark.parametrize('pending', [False, True])
def test_the_store_writes_no_secret(tmp_path: Path, *, pending: bool):
    with pytest.raises(SecretLeft) as caught:
        Store(tmp_path).write('a', cassette(SECRETS['jwt']), pending=pending)
    assert caught.value.where.run == 'a'
    assert caught.value.where.field == 'facts.entry'
    with pytest.raises(SecretLeft, match='field test'):
        Store(tmp_path).write('a', cassette('x', test=f'test[{SECRETS["jwt"]}]'), pending=pending)
    with pytest.raises(SecretLeft, match='name of the cassette'):
        Store(tmp_path).write(SECRETS['jwt'], cassette('x'), pending=pending)
    assert not list(tmp_path.iterdir())


def test_the_store_accepts_no_pending_recording_with_a_secret(tmp_path: Path):
    waiting = tmp_path / 'a.json.new'
    waiting.write_text(dumps(cassette('x' + SECRETS['jwt'].join(['.', '.']))), encoding='utf-8')
    with pytest.raises(SecretLeft):
        Store(tmp_path, redactor=Redactor()).accept('a')
    assert waiting.is_file()
    assert not (tmp_path / 'a.json').exists()
