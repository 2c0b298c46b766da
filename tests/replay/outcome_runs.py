"""Runs in which something other than an answer happens, by scripted models that note how often they are asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from agentrun import Agent
from agentrun.exceptions import ModelHTTPError
from agentrun.messages import ModelMessage, ModelResponse, ModelResponsePart, TextPart, ToolCallPart
from agentrun.models import Model
from agentrun.models.fallback import FallbackModel
from agentrun.models.function import FunctionModel
from agentrun.models.wrapper import WrapperModel
from agentrun.usage import RequestUsage

Entry = list[ModelResponsePart] | BaseException


@dataclass
class World:
    """What really happened while a scenario ran."""

    asked: list[str] = field(default_factory=list[str])
    """Names of the models that were asked."""
    ran: list[str] = field(default_factory=list[str])
    """Names of the tools that ran."""
    seen: list[Any] = field(default_factory=list[Any])
    """What the scenario saw: outputs, errors, whatever must be the same in a replay."""

    def model(self, name: str, *script: Entry) -> FunctionModel:
        """A model that plays a script, one entry for each request, the last one over and over."""
        entries = list(script)

        def answer(messages: list[ModelMessage], info: Any) -> ModelResponse:
            self.asked.append(name)
            entry = entries.pop(0) if len(entries) > 1 else entries[0]
            if isinstance(entry, BaseException):
                raise entry
            return ModelResponse(parts=[*entry], usage=RequestUsage(input_tokens=7, output_tokens=3))

        return FunctionModel(answer, model_name=name)

    async def attempt(self, run: Awaitable[Any]) -> Any:
        """Run to the end and note the output and usage, or the error."""
        try:
            result = await run
        except Exception as error:  # noqa: BLE001, any error is something to note
            self.seen.append(facts_of(error))
            return None
        self.seen.append((result.output, result.usage(), result.all_messages(), result.new_messages_json()))
        return result


Scenario = Callable[[World], Awaitable[None]]


def facts_of(error: BaseException) -> Any:
    """What two errors have to share to be the same."""
    inner = cast('Sequence[BaseException]', getattr(error, 'exceptions', ()))
    kind = type(error)
    return kind.__name__, str(error), kind.__mro__[-3:], _plain(vars(error)), [facts_of(one) for one in inner]


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if not name.startswith('_')}


def call(tool: str, id: str = 'c1', /, **args: Any) -> ToolCallPart:
    """A tool call of a script."""
    return ToolCallPart(tool, args, id)


def down(name: str = 'first') -> ModelHTTPError:
    """An error that a fallback is there for."""
    return ModelHTTPError(503, name, {'error': {'message': f'{name} is down'}})


# -- several models


def of_models(*models: Model | str, **options: Any) -> Agent[None, Any]:
    return Agent(FallbackModel(*models, **options), name='agent')


async def second_answers(world: World) -> None:
    agent = of_models(world.model('first', down()), world.model('second', [TextPart('Hello')]))
    await world.attempt(agent.run('Hi'))


async def first_answers(world: World) -> None:
    agent = of_models(world.model('first', [TextPart('Hello')]), world.model('second', [TextPart('never')]))
    await world.attempt(agent.run('Hi'))


async def all_fail(world: World) -> None:
    agent = of_models(world.model('first', down()), world.model('second', down('second')))
    await world.attempt(agent.run('Hi'))


async def no_fallback_for_this_error(world: World) -> None:
    agent = of_models(world.model('first', ValueError('a fault')), world.model('second', [TextPart('never')]))
    await world.attempt(agent.run('Hi'))


async def predicate_decides(world: World) -> None:
    def is_for_the_next(error: Exception) -> bool:
        world.seen.append(('decided on', facts_of(error)))
        return isinstance(error, KeyError)

    models = [world.model('first', KeyError('k')), world.model('second', KeyError('l')), world.model('third', down())]
    await world.attempt(of_models(*models, fallback_on=is_for_the_next).run('Hi'))


async def tools_between(world: World) -> None:
    first = world.model('first', [call('look', place='a')], down(), [TextPart('never')])
    second = world.model('second', [call('look', 'c2', place='b')], [TextPart('Done')])
    agent = of_models(first, second)

    @agent.tool_plain
    def look(place: str) -> str:
        world.ran.append('look')
        return f'seen {place}'

    await world.attempt(agent.run('Look'))
    await world.attempt(agent.run('Look again'))


async def nested_fallbacks(world: World) -> None:
    inner = FallbackModel(world.model('a', down('a')), world.model('b', down('b')))
    agent = of_models(inner, world.model('c', [TextPart('Hello')]), fallback_on=(Exception,))
    await world.attempt(agent.run('Hi'))


class Careful(WrapperModel):
    """Takes no empty answer of the model inside."""

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> ModelResponse:
        response = await super().request(messages, model_settings, model_request_parameters)
        if not response.text:
            raise down('careful')
        return response


class Twice(WrapperModel):
    """Asks the model inside again if it fails."""

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> ModelResponse:
        try:
            return await super().request(messages, model_settings, model_request_parameters)
        except ExceptionGroup:
            return await super().request(messages, model_settings, model_request_parameters)


class Warm(WrapperModel):
    """Changes what the model inside is asked."""

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> ModelResponse:
        return await super().request(messages[-1:], {'temperature': 1.0}, model_request_parameters)


async def wrapper_around(world: World) -> None:
    inner = FallbackModel(world.model('first', down(), [TextPart('Hello')]), world.model('second', down('second')))
    await world.attempt(Agent(Twice(inner), name='agent').run('Hi'))


async def wrapper_inside(world: World) -> None:
    agent = of_models(Twice(world.model('first', down())), Careful(world.model('second', [TextPart('Hello')])))
    await world.attempt(agent.run('Hi'))


async def answer_passed_over(world: World) -> None:
    empty = Careful(FallbackModel(world.model('a', down('a')), world.model('b', [TextPart('')])))
    await world.attempt(of_models(empty, world.model('c', [TextPart('Hello')])).run('Hi'))


async def answer_passed_over_last(world: World) -> None:
    empty = Careful(FallbackModel(world.model('a', down('a')), world.model('b', [TextPart('')])))
    await world.attempt(of_models(world.model('c', down('c')), empty).run('Hi'))


async def asked_otherwise(world: World) -> None:
    warm = Warm(FallbackModel(world.model('b', down('b')), world.model('c', [TextPart('Hello')])))
    agent = of_models(world.model('a', [TextPart('One')], down('a')), warm)
    first = await world.attempt(agent.run('Hi'))
    await world.attempt(agent.run('And?', message_history=first.all_messages()))


async def model_of_the_run(world: World) -> None:
    agent = Agent(world.model('usual', [TextPart('never')]), name='agent')
    models = FallbackModel(world.model('first', down()), world.model('second', [TextPart('Hello')]))
    await world.attempt(agent.run('Hi', model=models))
    with agent.override(model=models):
        await world.attempt(agent.run('Hi again'))


FALLBACKS: Sequence[Scenario] = (
    second_answers,
    first_answers,
    all_fail,
    no_fallback_for_this_error,
    predicate_decides,
    tools_between,
    nested_fallbacks,
    wrapper_around,
    wrapper_inside,
    answer_passed_over,
    answer_passed_over_last,
    asked_otherwise,
    model_of_the_run,
)
