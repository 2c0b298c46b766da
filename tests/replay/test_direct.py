"""Requests without an agent, and models around models: recorded and replayed like any run."""

from dataclasses import replace
from pathlib import Path

import pytest

from agentrun import Agent, ModelMessage, ModelRequest, ModelResponse, TextPart
from agentrun.direct import model_request, model_request_sync
from agentrun.exceptions import ModelHTTPError
from agentrun.models.fallback import FallbackModel
from agentrun.models.function import AgentInfo, FunctionModel
from replay import Diverged, Session, use_cassette
from replay.cassette import Cassette
from replay.check import check_cassette
from replay.errors import CassetteInconsistent

pytestmark = pytest.mark.anyio


class Scripted:
    """A model that answers with a number, or fails, and counts how often it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self._error = error
        self.model = FunctionModel(self.answer, model_name='scripted')

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked += 1
        if self._error is not None:
            raise self._error
        return ModelResponse(parts=[TextPart(f'answer {self.asked}')])


def question(text: str) -> list[ModelMessage]:
    return [ModelRequest.user_text_prompt(text)]


async def test_a_direct_request_is_recorded_and_replayed_without_the_model(tmp_path: Path):
    scripted, answers = Scripted(), list[ModelResponse]()
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='once'):
            one = await model_request(scripted.model, question('one'))
            history = [*question('one'), one, *question('two')]
            answers += [one, await model_request(scripted.model, history, model_settings={'seed': 1})]
    assert scripted.asked == 2
    assert answers[2:] == answers[:2]
    assert [answer.text for answer in answers[:2]] == ['answer 1', 'answer 2']


def test_a_direct_request_is_replayed_where_code_is_not_async(tmp_path: Path):
    scripted = Scripted()
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='once'):
            assert model_request_sync(scripted.model, question('one')).text == 'answer 1'
    assert scripted.asked == 1


async def test_an_error_of_a_direct_request_is_replayed(tmp_path: Path):
    scripted = Scripted(ModelHTTPError(503, 'scripted', 'down'))
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='once'), pytest.raises(ModelHTTPError) as raised:
            await model_request(scripted.model, question('one'))
        assert (raised.value.status_code, raised.value.body) == (503, 'down')
    assert scripted.asked == 1


@pytest.mark.parametrize(('text', 'seed'), [('other', 1), ('one', 2)], ids=['message', 'settings'])
async def test_a_direct_request_that_differs_is_found(tmp_path: Path, text: str, seed: int):
    scripted = Scripted()
    with use_cassette('run', dir=tmp_path, record='once'):
        await model_request(scripted.model, question('one'), model_settings={'seed': 1})
    with pytest.raises(Diverged), use_cassette('run', dir=tmp_path):
        await model_request(scripted.model, question(text), model_settings={'seed': seed})
    assert scripted.asked == 1


async def test_a_direct_request_in_a_tool_is_a_run_within_that_tool(tmp_path: Path):
    scripted = Scripted()
    agent = Agent('test', name='outer')

    @agent.tool_plain
    async def ask() -> str:
        return str((await model_request(scripted.model, question('one'))).text)

    with use_cassette('run', dir=tmp_path, record='once') as session:
        await agent.run('go')
    assert sorted(run.name for run in session.runs) == ['outer', 'outer/ask/direct']
    with use_cassette('run', dir=tmp_path):
        assert (await agent.run('go')).output == '{"ask":"answer 1"}'
    assert scripted.asked == 1


async def test_a_run_with_models_to_fall_back_on_is_one_answer_in_the_recording(tmp_path: Path):
    down, good = Scripted(ModelHTTPError(503, 'scripted', 'down')), Scripted()
    agent = Agent(FallbackModel(down.model, good.model), name='careful')
    for _ in range(2):
        with use_cassette('run', dir=tmp_path, record='once'):
            assert (await agent.run('go')).output == 'answer 1'
    assert (down.asked, good.asked) == (1, 1)


def test_recorded_direct_requests_pass_the_check(tmp_path: Path):
    good, down = Scripted(), Scripted(ModelHTTPError(503, 'scripted', 'down'))
    with use_cassette('run', dir=tmp_path, record='once'):
        answer = model_request_sync(good.model, question('one'))
        model_request_sync(good.model, [*question('one'), answer, *question('two')])
        with pytest.raises(ModelHTTPError):
            model_request_sync(down.model, question('one'))
    checked = check_cassette(read(tmp_path))
    assert [(run.run, run.verdict) for run in checked] == [
        ('direct', 'exact'),
        ('direct#2', 'exact'),
        ('direct#3', 'exact'),
    ]


def test_the_check_finds_a_direct_request_that_ended_otherwise(tmp_path: Path):
    with use_cassette('run', dir=tmp_path, record='once'):
        model_request_sync(Scripted().model, question('one'))
    (run,) = read(tmp_path).runs
    unanswered = replace(run, nodes=(replace(run.nodes[0], then=()),))
    (checked,) = check_cassette(Cassette(runs=(unanswered,)))
    assert checked.verdict == 'differs'
    assert checked.divergence is not None
    assert checked.divergence.live == 'an answer of the model'


def test_a_message_of_a_direct_request_that_cannot_be_restored_is_no_error_of_the_run(tmp_path: Path):
    with use_cassette('run', dir=tmp_path, record='once'):
        model_request_sync(Scripted().model, question('one'))
    (run,) = read(tmp_path).runs
    damaged = replace(run, history=({'kind': 'request', 'parts': 7},))
    with pytest.raises(CassetteInconsistent):
        check_cassette(Cassette(runs=(damaged,)))


def read(folder: Path) -> Cassette:
    session = Session('run', dir=folder).open()
    session.close(ok=False)
    return Cassette(runs=session.recorded_runs)
