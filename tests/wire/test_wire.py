"""Official clients of providers, spoken to over a real connection while recording and not at all in a replay."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

pytest.importorskip('pydantic_ai', reason='providers are reached through pydantic_ai')
pytest.importorskip('openai', reason='needs the client of OpenAI')
pytest.importorskip('anthropic', reason='needs the client of Anthropic')

import pydantic_ai

import agentrun
from agentrun.models.pydantic_ai import PydanticAIModel
from replay import use_cassette
from tests.wire.dialects import DIALECTS, Call, Dialect, Said
from tests.wire.loopback import EVENTS, Answer, Loopback, as_json

pytestmark = [
    pytest.mark.anyio,
    # Clients leave generators of theirs behind when a stream ends, which trio tells.
    pytest.mark.filterwarnings("ignore:Async generator '(openai|anthropic|httpx|httpcore):ResourceWarning"),
]


class City(BaseModel):
    name: str
    country: str


@dataclass(frozen=True)
class Library:
    """Whose agents run."""

    agent: Any
    adapted: Callable[[Any], Any]
    """Makes a model of pydantic_ai one for these agents."""


LIBRARIES = {
    'agentrun': Library(agentrun.Agent, PydanticAIModel),
    'pydantic_ai': Library(pydantic_ai.Agent, lambda model: model),
}


@pytest.fixture(params=list(LIBRARIES))
def library(request: pytest.FixtureRequest, anyio_backend: str) -> Library:
    """Agents of either library; those of pydantic_ai start their tasks with asyncio."""
    if request.param == 'pydantic_ai' and anyio_backend != 'asyncio':
        pytest.skip('agents of pydantic_ai run on asyncio only')
    return LIBRARIES[request.param]


@pytest.fixture(params=list(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """The interface that is spoken."""
    return DIALECTS[request.param]


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    """The provider."""
    with Loopback() as server:
        yield server


Drive = Callable[[Any], Awaitable[Any]]


async def by_run(agent: Any) -> Any:
    return await agent.run('Where is it sunny?')


async def by_stream(agent: Any) -> Any:
    texts: list[str] = []
    async with agent.run_stream('Where is it sunny?') as result:
        async for text in result.stream_output(debounce_by=None):
            texts.append(text)  # noqa: PERF401, read as it comes
    return result, texts


async def by_nodes(agent: Any) -> Any:
    """Every event of every response."""
    told: list[Any] = []
    async with agent.iter('Where is it sunny?') as run:
        async for node in run:
            if hasattr(node, 'stream') and hasattr(node, 'request'):
                async with node.stream(run.ctx) as stream:
                    told.extend([event async for event in stream])
    return run.result, told


class Stage:
    """Records an agent once and replays it with the server down."""

    def __init__(self, library: Library, dialect: Dialect, loopback: Loopback, folder: Path) -> None:
        self.library = library
        self.dialect = dialect
        self.loopback = loopback
        self.folder = folder

    async def play(self, drive: Drive, **options: Any) -> Any:
        async with self.dialect.model(self.loopback.url) as model:
            agent = self.library.agent(self.library.adapted(model), **options)
            with use_cassette('one', dir=self.folder, record='once') as session:
                return session, await drive(agent)

    async def twice(self, drive: Drive, *answers: Answer, **options: Any) -> tuple[Any, Any]:
        """What a drive gives while recording and in a replay; the sessions' messages are compared."""
        self.loopback.answers = list(answers)
        recording, first = await self.play(drive, **options)
        assert len(self.loopback.asked) == len(answers) == recording.live_requests
        assert {asked.path.partition('?')[0] for asked in self.loopback.asked} == {self.dialect.path}
        self.loopback.stop()
        replayed, second = await self.play(drive, **options)
        assert replayed.live_requests == 0
        assert replayed.all_messages_json() == recording.all_messages_json()
        return first, second

    async def fails_twice(self, drive: Drive, answer: Answer) -> tuple[Exception, Exception]:
        """The errors of a drive while recording and in a replay."""

        async def error(agent: Any) -> Exception:
            try:
                await drive(agent)
            except Exception as caught:  # noqa: BLE001, which one it is depends on the client
                return caught
            raise AssertionError('there should have been an error')

        return await self.twice(error, answer)


@pytest.fixture
def stage(library: Library, dialect: Dialect, loopback: Loopback, tmp_path: Path) -> Stage:
    """Everything that a test needs."""
    return Stage(library, dialect, loopback, tmp_path)


def weather(city: str) -> str:
    """Tell the weather."""
    return f'{city}: sunny'


async def test_a_text_is_recorded_once_and_replayed_with_the_server_down(stage: Stage):
    answer = stage.dialect.answer(Said(text='In Paris.'), stream=False)
    first, second = await stage.twice(by_run, answer, instructions='Be brief.')
    assert first.output == second.output == 'In Paris.'
    assert first.all_messages() == second.all_messages()


@pytest.mark.parametrize('stream', [False, True])
async def test_a_tool_is_called_and_its_result_sent_back(stage: Stage, stream: bool):
    answers = [
        stage.dialect.answer(
            Said(text='Let me see.', calls=[Call(tool='weather', args={'city': 'Paris'})]), stream=stream
        ),
        stage.dialect.answer(Said(text='In Paris.', id='2'), stream=stream),
    ]
    drive = by_nodes if stream else by_run
    first, second = await stage.twice(drive, *answers, tools=[weather])
    if stream:
        (first, told), (second, told_again) = first, second
        assert told == told_again
        assert len(told) > 6
    assert first.output == second.output == 'In Paris.'
    assert 'Paris: sunny' in str(stage.loopback.asked[1].body)
    assert first.all_messages() == second.all_messages()


@pytest.mark.parametrize('stream', [False, True])
async def test_structured_output_comes_as_an_object(stage: Stage, stream: bool):
    call = Call(tool='final_result', args={'name': 'Paris', 'country': 'France'})
    answer = stage.dialect.answer(Said(calls=[call]), stream=stream)
    first, second = await stage.twice(by_nodes if stream else by_run, answer, output_type=City)
    if stream:
        assert first[1] == second[1]
        first, second = first[0], second[0]
    assert first.output == second.output == City(name='Paris', country='France')


async def test_a_text_is_streamed_piece_by_piece(stage: Stage):
    answer = stage.dialect.answer(Said(text='It is in Paris.'), stream=True)
    (first, texts), (second, texts_again) = await stage.twice(by_stream, answer)
    assert texts == texts_again
    assert texts[-1] == 'It is in Paris.'
    assert len(texts) >= 4
    assert first.all_messages_json() == second.all_messages_json()


def told(error: BaseException) -> dict[str, Any]:
    """What an error tells by its attributes; of a client's own, the request itself is none that JSON can hold."""
    return {name: value for name, value in vars(error).items() if name != 'request' and name[0] != '_'}


def assert_same(first: BaseException, second: BaseException) -> None:
    assert (
        f'{type(first).__module__}.{type(first).__qualname__}'
        == f'{type(second).__module__}.{type(second).__qualname__}'
    )
    assert str(first) == str(second)
    assert {**told(second), **told(first)} == told(second)


@pytest.mark.parametrize('status', [429, 500])
@pytest.mark.parametrize('drive', [by_run, by_stream])
async def test_an_error_of_the_provider_is_replayed_as_the_same_error(stage: Stage, status: int, drive: Drive):
    kind = 'rate_limit_exceeded' if status == 429 else 'server_error'
    answer = as_json(stage.dialect.error(kind, 'Not now.'), status=status, headers={'retry-after': '7'})
    first, second = await stage.fails_twice(drive, answer)
    assert any(base.__name__ == 'ModelHTTPError' for base in type(first).__mro__)
    assert getattr(first, 'status_code', None) == status
    assert 'Not now.' in str(first)
    assert_same(first, second)


@pytest.mark.parametrize('drive', [by_run, by_stream])
async def test_a_dropped_connection_is_replayed_as_the_same_error(stage: Stage, drive: Drive):
    first, second = await stage.fails_twice(drive, Answer(dropped=True))
    assert 'onnection' in f'{type(first).__name__}: {first}'
    assert_same(first, second)


async def test_a_connection_dropped_in_the_middle_of_a_stream_is_replayed_as_the_same_error(stage: Stage):
    events = stage.dialect.events(Said(text='It is in Paris.'))
    answer = Answer(content_type=EVENTS, pieces=events[: len(events) // 2], dropped=True)
    first, second = await stage.fails_twice(by_stream, answer)
    assert 'onnection' in str(first)
    assert_same(first, second)


async def test_malformed_json_is_replayed_as_the_same_error(stage: Stage):
    first, second = await stage.fails_twice(by_run, Answer(body=b'{"id": "x", '))
    assert_same(first, second)


async def test_malformed_json_in_a_stream_is_replayed_as_the_same_error(stage: Stage):
    events = stage.dialect.events(Said(text='It is in Paris.'))
    broken = Answer(content_type=EVENTS, pieces=[*events[:4], b'event: content_block_delta\ndata: {"id": \n\n'])
    first, second = await stage.fails_twice(by_stream, broken)
    assert_same(first, second)


async def test_a_model_by_name_replays_without_a_key(
    dialect: Dialect, loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    loopback.answers = [dialect.answer(Said(text='In Paris.'), stream=False)]
    async with dialect.model(loopback.url) as model:
        with use_cassette('one', dir=tmp_path, record='once'):
            first = await agentrun.Agent(PydanticAIModel(model), name='agent').run('Where?')
    for key in ('OPENAI_API_KEY', 'ANTHROPIC_API_KEY'):
        monkeypatch.delenv(key, raising=False)
    with use_cassette('one', dir=tmp_path):
        agent = agentrun.Agent(
            'anthropic:claude-test' if dialect is DIALECTS['anthropic'] else 'openai:gpt-5', name='agent'
        )
        second = await agent.run('Where?')
    assert second.all_messages_json() == first.all_messages_json()
