"""Runs that end in an error: of the model, of a tool, of a limit, of code that always runs."""

from collections.abc import Sequence
from typing import Any

from agentrun import Agent, ModelRetry, RunContext
from agentrun.exceptions import ModelHTTPError, UnexpectedModelBehavior, UsageLimitExceeded
from agentrun.messages import ModelMessage, TextPart
from agentrun.models.wrapper import WrapperModel
from agentrun.usage import RequestUsage, UsageLimits

from .outcome_runs import Scenario, World, call


class QuotaError(Exception):
    """Its constructor takes other things than it keeps."""

    def __init__(self, used: int, of: int, *, who: str = 'us') -> None:
        super().__init__(f'{used} of {of}')
        self.share = used / of
        self.who = who


class Speechless(RuntimeError):  # noqa: N818
    """Its text is made of attributes, and its constructor takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.code = 7

    def __str__(self) -> str:
        return f'code {self.code}'


class TreeError(ExceptionGroup[Exception]):
    """A group of one's own."""


def with_a_note(error: Exception) -> Exception:
    error.add_note('look at the logs')
    return error


def of_a_function() -> Exception:
    class LocalError(ValueError):
        pass

    return LocalError('only here')


ERRORS: dict[str, Exception] = {
    'http': ModelHTTPError(429, 'gpt', {'error': {'message': 'Slow down.', 'retry': [1, 2.5]}}),
    'http without body': ModelHTTPError(500, 'gpt'),
    'behaviour': UnexpectedModelBehavior('odd', '{"a": 1}'),
    'limit': UsageLimitExceeded('too much'),
    'odd constructor': QuotaError(3, 4, who='them'),
    'no arguments': Speechless(),
    'group': ExceptionGroup('both', [ValueError('one'), ExceptionGroup('inner', [QuotaError(1, 2)])]),
    'own group': TreeError('tree', [KeyError('k')]),
    'file': FileNotFoundError(2, 'No such file or directory', '/a/b'),
    'two files': OSError(18, 'Cross-device link', '/a', None, '/b'),
    'connection': ConnectionResetError(104, 'Connection reset by peer'),
    'timeout': TimeoutError(),
    'key': KeyError(('a', 1)),
    'unicode': UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'invalid start byte'),
    'note': with_a_note(ValueError('noted')),
    'no text': ValueError(),
    'several arguments': ValueError('a', 2, None),
}


async def of_the_model(world: World) -> None:
    for error in ERRORS.values():
        await world.attempt(Agent(world.model('m', error), name='agent').run('Hi'))


async def of_a_tool(world: World) -> None:
    for error in ERRORS.values():
        await world.attempt(failing(world, error).run('Hi'))


def failing(world: World, error: Exception) -> Agent[None, Any]:
    agent = Agent(world.model('m', [call('fail')]), name='agent')

    @agent.tool_plain
    def fail() -> str:
        world.ran.append('fail')
        raise error

    return agent


async def of_one_of_many_tools(world: World) -> None:
    agent = Agent(world.model('m', [call('good'), call('bad', 'c2'), call('good', 'c3')]), name='agent')

    @agent.tool_plain
    def good() -> str:
        world.ran.append('good')
        return 'fine'

    @agent.tool_plain
    def bad() -> str:
        world.ran.append('bad')
        raise QuotaError(1, 2)

    await world.attempt(agent.run('Hi'))


async def of_limits(world: World) -> None:
    def looking() -> Agent[None, Any]:
        agent = Agent(world.model('m', [call('look')], [call('look', 'c2'), call('look', 'c3')]), name='agent')

        @agent.tool_plain
        def look() -> str:
            world.ran.append('look')
            return 'seen'

        return agent

    await world.attempt(looking().run('Hi', usage_limits=UsageLimits(request_limit=2)))
    await world.attempt(looking().run('Hi', usage_limits=UsageLimits(tool_calls_limit=2)))
    await world.attempt(looking().run('Hi', usage_limits=UsageLimits(total_tokens_limit=15)))
    await world.attempt(looking().run('Hi', usage_limits=UsageLimits(input_tokens_limit=3)))
    await world.attempt(looking().run('Hi', usage_limits=UsageLimits(output_tokens_limit=5)))


class Counting(WrapperModel):
    """Counts what is asked of it, or fails to."""

    def __init__(self, world: World, wrapped: Any, *counts: int | Exception) -> None:
        super().__init__(wrapped)
        self.world = world
        self.counts = list(counts)

    async def count_tokens(
        self, messages: list[ModelMessage], model_settings: Any, model_request_parameters: Any
    ) -> RequestUsage:
        self.world.asked.append('count')
        count = self.counts.pop(0)
        if isinstance(count, Exception):
            raise count
        return RequestUsage(input_tokens=count)


async def of_counting(world: World) -> None:
    limits = UsageLimits(input_tokens_limit=50, count_tokens_before_request=True)
    for counts in ((10,), (51,), (ModelHTTPError(500, 'counter'),), (QuotaError(1, 2),)):
        model = Counting(world, world.model('m', [TextPart('Hello')]), *counts)
        await world.attempt(Agent(WrapperModel(model), name='agent').run('Hi'))
        model = Counting(world, world.model('m', [TextPart('Hello')]), *counts)
        await world.attempt(Agent(model, name='agent').run('Hi', usage_limits=limits))
    plain = world.model('m', [TextPart('Hello')])
    await world.attempt(Agent(WrapperModel(plain), name='agent').run('Hi', usage_limits=limits))


async def of_retries(world: World) -> None:
    await world.attempt(Agent(world.model('m', [call('nothing')]), name='agent').run('Hi'))
    await world.attempt(Agent(world.model('m', []), name='agent').run('Hi'))
    agent = Agent(world.model('m', [call('guess')]), name='agent')

    @agent.tool_plain
    def guess() -> str:
        world.ran.append('guess')
        raise ModelRetry('No.')

    await world.attempt(agent.run('Hi'))


async def of_validators(world: World) -> None:
    agent = Agent(world.model('m', [TextPart('a')]), name='agent')

    @agent.output_validator
    def refuse(ctx: RunContext[None], output: str) -> str:
        raise QuotaError(1, 2)

    await world.attempt(agent.run('Hi'))

    def too_short(text: str) -> str:
        raise ModelRetry('Longer.')

    await world.attempt(Agent(world.model('m', [TextPart('b')]), name='agent', output_type=too_short).run('Hi'))


async def of_prompts(world: World) -> None:
    first = Agent(world.model('m', [TextPart('a')]), name='agent')

    @first.instructions
    def instructions() -> str:
        raise QuotaError(1, 2)

    await world.attempt(first.run('Hi'))
    second = Agent(world.model('m', [call('look')]), name='agent')

    @second.instructions
    def later(ctx: RunContext[None]) -> str:
        if ctx.run_step:
            raise QuotaError(3, 4)
        return 'Be brief.'

    @second.tool_plain
    def look() -> str:
        world.ran.append('look')
        return 'seen'

    await world.attempt(second.run('Hi'))
    third = Agent(world.model('m', [TextPart('a')]), name='agent')

    @third.system_prompt
    def system() -> str:
        raise ValueError('no prompt')

    await world.attempt(third.run('Hi'))
    await world.attempt(Agent(world.model('m', [TextPart('a')]), name='agent').run('Hi'))


RAISING: Sequence[Scenario] = (
    of_the_model,
    of_a_tool,
    of_one_of_many_tools,
    of_limits,
    of_counting,
    of_retries,
    of_validators,
    of_prompts,
)
