"""Makes the histories in `data/`: scripted runs of pydantic-ai 1.38, with the facts that an import takes.

Run it as `python tests/replay/make_histories.py` where pydantic-ai-slim 1.38.0 is installed. Texts, tools and answers
are of our own making; the library lends its behaviour, so that what is checked against was not made by what is checked.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryImage, ImageUrl, ModelRetry, NativeOutput, RunContext, ToolReturn, UsageLimits
from pydantic_ai.exceptions import CallDeferred, ModelHTTPError
from pydantic_ai.messages import (
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_jsonable_python

FOLDER = Path(__file__).parent / 'data'

Parts = list[ModelResponsePart]


class City(BaseModel):
    name: str
    size: int


def model(*script: Parts | Exception) -> FunctionModel:
    left = list(script)

    def answer(messages: list[ModelMessage], info: Any) -> ModelResponse:
        parts = left.pop(0)
        if isinstance(parts, Exception):
            raise parts
        return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=10, output_tokens=5), model_name='scripted')

    profile = ModelProfile(supports_json_schema_output=True, supports_image_output=True)
    return FunctionModel(answer, profile=profile)


def call(tool: str, id: str, /, **args: Any) -> ToolCallPart:
    return ToolCallPart(tool, args, id)


def say(text: str) -> Parts:
    return [TextPart(text)]


def agent(*script: Parts | Exception, **options: Any) -> Agent[None, Any]:
    made: Agent[None, Any] = Agent(model(*script), retries=3, **options)

    @made.tool_plain
    def look(place: str) -> dict[str, Any]:
        if place == 'nowhere':
            raise ModelRetry('There is no such place.')
        return {'seen': place, 'at': 20.0}

    @made.tool_plain
    async def count(upto: int) -> list[int]:
        return list(range(upto))

    @made.tool_plain
    def show() -> ToolReturn:
        return ToolReturn('shown', content=['Here it is:', ImageUrl('https://example.com/a.png')], metadata={'n': 1})

    return made


def final(id: str, **city: Any) -> ToolCallPart:
    return call('final_result', id, **city)


ROME = {'name': 'Rome', 'size': 3}
HISTORY: list[ModelMessage] = [
    ModelRequest(parts=[UserPromptPart('Hello.')], run_id='earlier'),
    ModelResponse(parts=[TextPart('Hello!')], model_name='scripted', run_id='earlier'),
]

CASES: dict[str, Callable[[], tuple[Agent[None, Any], dict[str, Any]]]] = {
    'text': lambda: (agent(say('Hi'), system_prompt=('One.', 'Two.'), instructions='Be brief.'), {}),
    'parallel tools': lambda: (
        agent([call('look', 'a', place='x'), call('count', 'b', upto=3), call('look', 'c', place='y')], say('Done')),
        {},
    ),
    'tool retries': lambda: (
        agent(
            [call('look', 'a', place='nowhere'), call('count', 'b', upto='many')],
            [call('look', 'c', place='x')],
            say('Done'),
        ),
        {},
    ),
    'user content of tools': lambda: (
        agent([call('show', 'a'), call('look', 'b', place='x'), call('show', 'c')], say('Done')),
        {},
    ),
    'unknown tools': lambda: (agent([call('nothing', 'a'), call('look', 'b', place='x')], say('Done')), {}),
    'unknown tool, no tools': lambda: (Agent(model([call('nothing', 'a')], say('Done')), retries=3), {}),
    'empty response': lambda: (agent([], say('Done')), {}),
    'empty response after text': lambda: (agent([TextPart('It is x.'), call('look', 'a', place='x')], []), {}),
    'thinking only': lambda: (agent([ThinkingPart('Hm.')], say('Done')), {}),
    'output tool': lambda: (agent([final('a', **ROME)], output_type=City), {}),
    'output tool retried': lambda: (
        agent([final('a', name='Rome', size='big')], [final('b', **ROME)], output_type=City),
        {},
    ),
    'output tool, early': lambda: (
        agent(
            [call('look', 'a', place='x'), final('b', **ROME), final('c', **ROME), call('nothing', 'd')],
            output_type=City,
        ),
        {},
    ),
    'output tool, exhaustive': lambda: (
        agent(
            [final('a', **ROME), call('look', 'b', place='x'), final('c', name='Rome', size='big'), final('d', **ROME)],
            output_type=City,
            end_strategy='exhaustive',
        ),
        {},
    ),
    'output tool failed beside another': lambda: (
        Agent(
            model([final('a', **ROME), final('b', name='Rome', size='big')]),
            retries=0,
            output_type=City,
            end_strategy='exhaustive',
        ),
        {},
    ),
    'output tool failed again': lambda: (
        Agent(
            model([final('a', name='Rome')], [final('b', **ROME), final('c', name='Rome', size='big')]),
            output_type=City,
            end_strategy='exhaustive',
        ),
        {},
    ),
    'approvals': lambda: (
        guarded(),
        {
            'user_prompt': None,
            'message_history': [
                HISTORY[0],
                ModelResponse(
                    parts=[call('act', 'a'), call('act', 'b'), call('act', 'c')],
                    model_name='scripted',
                    run_id='earlier',
                ),
            ],
            'deferred_tool_results': DeferredToolResults(
                approvals={'a': True, 'b': ToolDenied('Not now.'), 'c': ToolApproved(override_args={})}
            ),
        },
    ),
    'text where a tool is due': lambda: (agent(say('Rome'), [final('a', **ROME)], output_type=City), {}),
    'native output rejected': lambda: (
        agent(say('{"name": "Rome"}'), say('{"name": "Rome", "size": 3}'), output_type=NativeOutput(City)),
        {},
    ),
    'output validator': lambda: (validated(), {}),
    'image': lambda: (
        agent(
            [ThinkingPart('Hm.')], [FilePart(BinaryImage(b'\x89PNG', media_type='image/png'))], output_type=BinaryImage
        ),
        {},
    ),
    'history': lambda: (agent(say('Again'), instructions='Be brief.'), {'message_history': HISTORY}),
    'request sent again': lambda: (
        agent(say('Hi')),
        {'user_prompt': None, 'message_history': [ModelRequest(parts=[UserPromptPart('Hello?')])]},
    ),
    'request joined': lambda: (agent(say('Hi')), {'message_history': [ModelRequest(parts=[UserPromptPart('Hello?')])]}),
    'calls of the history': lambda: (
        agent(say('Done')),
        {
            'user_prompt': None,
            'message_history': [
                HISTORY[0],
                ModelResponse(parts=[call('look', 'a', place='x')], model_name='scripted', run_id='earlier'),
            ],
        },
    ),
    'deferred': lambda: (deferring(), {}),
    'deferred and answered': lambda: (
        deferring(),
        {
            'user_prompt': 'And hurry.',
            'message_history': [
                HISTORY[0],
                ModelResponse(parts=[call('later', 'a'), call('later', 'b')], model_name='scripted', run_id='earlier'),
            ],
            'deferred_tool_results': DeferredToolResults(calls={'a': 'first', 'b': {'second': 2}}),
        },
    ),
    'model error': lambda: (agent([call('look', 'a', place='x')], ModelHTTPError(500, 'scripted', {'no': 'luck'})), {}),
    'tool error': lambda: (failing(), {}),
    'request limit': lambda: (
        agent([call('look', 'a', place='x')], say('Done')),
        {'usage_limits': UsageLimits(request_limit=1)},
    ),
    'tool calls limit': lambda: (
        agent([call('look', 'a', place='x'), call('look', 'b', place='y')]),
        {'usage_limits': UsageLimits(tool_calls_limit=1)},
    ),
    'output tokens limit': lambda: (agent(say('Hi')), {'usage_limits': UsageLimits(output_tokens_limit=1)}),
    'output retries used up': lambda: (Agent(model([call('nothing', 'a')], [call('nothing', 'b')])), {}),
    'tool retries used up': lambda: (one_try(), {}),
    'cut off': lambda: (agent(CutOffError()), {}),
}


class CutOffError(Exception):
    """Any error of a model."""


def validated() -> Agent[None, Any]:
    made = agent(say('no'), say('yes'))

    @made.output_validator
    def check(ctx: RunContext[None], text: str) -> str:
        if text == 'no':
            raise ModelRetry('Say yes.')
        return text

    return made


def deferring() -> Agent[None, Any]:
    made = agent(
        [call('look', 'x', place='x'), call('later', 'a')], say('Done'), output_type=[str, DeferredToolRequests]
    )

    @made.tool_plain
    def later() -> str:
        raise CallDeferred

    return made


def guarded() -> Agent[None, Any]:
    made = agent(say('Done'), output_type=[str, DeferredToolRequests])

    @made.tool_plain(requires_approval=True)
    def act() -> str:
        return 'acted'

    return made


def failing() -> Agent[None, Any]:
    made = agent([call('look', 'a', place='x'), call('break_it', 'b')])

    @made.tool_plain
    def break_it() -> str:
        raise ZeroDivisionError('division by zero')

    return made


def one_try() -> Agent[None, Any]:
    made = Agent(model([call('look', 'a')], [call('look', 'b')]))

    @made.tool_plain(retries=1)
    def look(place: str) -> str:
        return place

    return made


def history_of(make: Callable[[], tuple[Agent[None, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Run one case, and give what an import takes of it."""
    made, given = make()
    options: dict[str, Any] = {'user_prompt': 'Look around.', **given}
    error: dict[str, str] | None = None

    runs: list[Any] = []

    async def drive() -> None:
        async with cast('Any', made).iter(**options) as run:
            runs.append(run)
            async for _ in run:
                pass

    try:
        asyncio.run(drive())
    except Exception as raised:  # noqa: BLE001, the end of that run
        error = {'type': type(raised).__name__, 'message': str(raised)}
    run: Any = runs[0]
    tool = run.result and run.result._output_tool_name
    schema: Any = made._output_schema
    deferred = options.get('deferred_tool_results')
    facts: dict[str, Any] = {
        'new_from': run.ctx.deps.new_message_index,
        'output_mode': schema.mode,
        'output_tool': tool,
        'end_strategy': made.end_strategy,
        'error': error,
        'deferred_tool_results': deferred and to_jsonable_python(deferred),
    }
    return {
        'messages': json.loads(run.all_messages_json()),
        **{name: fact for name, fact in facts.items() if fact is not None},
    }


if __name__ == '__main__':
    for name, make in CASES.items():
        path = FOLDER / f'{name.replace(", ", "_").replace(" ", "_")}.json'
        if not path.exists():  # times and ids change with every run, so what is there stays
            text = json.dumps(history_of(make), indent=1, ensure_ascii=False)
            path.write_text(f'{text}\n', encoding='utf-8')
