"""Little worlds of agents and runs as data, and what they are made of when they run: models, tools, functions.

A world is drawn once (`worlds_drawn.py`), pickled, and acted out in as many processes as one likes (`worlds_acted.py`).
"""

import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

import anyio
import anyio.to_thread
from pydantic import BaseModel

from agentrun import Agent, ModelRetry, RunContext
from agentrun.exceptions import ApprovalRequired, CallDeferred, ModelHTTPError
from agentrun.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturn,
)
from agentrun.models.fallback import FallbackModel
from agentrun.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from agentrun.output import NativeOutput, PromptedOutput, TextOutput, ToolOutput
from agentrun.tools import DeferredToolRequests
from agentrun.usage import RequestUsage, UsageLimits

Response = tuple[tuple[Any, ...], ...]
"""Pieces: `('text', *pieces)`, `('think', *pieces)`, `('call', tool, *pieces of arguments)`, `('raise', text)`, and
`('hang',)`, where the model says nothing more."""


@dataclass(frozen=True)
class AgentPlan:
    """An agent, and what its model says."""

    name: str
    script: tuple[Response, ...]
    output: str = 'str'
    end_strategy: str = 'early'
    retries: int = 1
    validator: str = ''
    instructions: str = ''
    system: str = ''
    processor: str = ''
    down: tuple[int, ...] = ()
    """Requests, by number, that the first of two models fails."""
    inner: 'AgentPlan | None' = None
    """The agent that tools ask."""
    shares_usage: bool = True


@dataclass(frozen=True)
class Step:
    """A run, and how it is driven."""

    agent: AgentPlan
    style: str = 'run'
    prompt: str = 'Go'
    history: int | None = None
    """Number of the earlier run whose messages it goes on from."""
    edited: bool = False
    """Whether code changes that history first."""
    leave: int | None = None
    """After how many nodes, events or items it is left."""
    cancel: bool = False
    """Whether it is left by cancelling it."""
    limits: tuple[tuple[str, int], ...] = ()
    model_of_run: bool = False
    """Whether the model is given to the run and not to the agent."""


@dataclass(frozen=True)
class WorldPlan:
    """Runs in order; those that stand together go at the same time."""

    together: tuple[tuple[Step, ...], ...]


class City(BaseModel):
    """A city."""

    name: str
    size: int = 1
    founded: date | None = None


class LostError(Exception):
    """A tool's own error."""

    def __init__(self, what: str) -> None:
        super().__init__(f'{what} is lost')
        self.what = what


@dataclass
class Happened:
    """What really happens while a world is acted out."""

    delays: Random
    """What tells how long tools take."""
    order: dict[str, int] = field(default_factory=dict[str, int])
    """The places in which tools ended at another time, to keep to; a tool that has none does not wait."""
    asked: int = 0
    """How often a model was asked."""
    ended: list[str] = field(default_factory=list[str])
    """Tool calls in the order in which they ended."""
    begun: int = 0
    """How many tool calls have begun."""

    def is_next(self, key: str) -> bool:
        """Whether every call that ended before this one has ended again."""
        place = self.order.get(key)
        return place is None or all(other in self.ended for other, at in self.order.items() if at < place)

    async def hang(self) -> None:
        """Go on too long: when nothing else goes on, the run is cancelled. (In a replay, that is what it waits for.)"""
        before = ()
        for _ in range(PATIENCE):
            before, now = (self.asked, self.begun, len(self.ended)), before
            if before == now:
                break
            await anyio.sleep(QUIET)
        CANCEL.get()()
        await anyio.sleep_forever()

    def delay(self) -> float:
        return self.delays.choice((0, 0, 0.0005, 0.001, 0.002, 0.004))


QUIET = 0.04
"""Seconds without an event after which a world is taken to wait for nothing but what hangs."""

CANCEL: ContextVar[Callable[[], object]] = ContextVar('cancel')
"""Cancels the run at the top that the code is in."""

PATIENCE = 400
"""How often a call looks whether it is the next to end, half a millisecond apart."""


class Stage:
    """What the parts of one run share: its plan, the names of its calls, and the world that it is in."""

    def __init__(self, plan: AgentPlan, happened: Happened, path: str) -> None:
        self.plan = plan
        self.happened = happened
        self.path = path
        self.turn = 0
        self.nested = 0
        self._lock = threading.Lock()

    # -- the model

    def _next(self) -> tuple[int, Response]:
        turn, self.turn = self.turn, self.turn + 1
        script = self.plan.script
        return turn, script[turn] if turn < len(script) else (('text', 'The ', 'end'),)

    def _call_id(self, turn: int, place: int) -> str:
        """An id of the provider: new each time, as with real ones."""
        return f'call-{turn}-{place}-{uuid4().hex[:8]}'

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.happened.asked += 1
        turn, response = self._next()
        if response[:1] and response[0][0] == 'raise':
            raise ModelHTTPError(429, self.plan.name, {'error': response[0][1]})
        told = [(place, piece) for place, piece in enumerate(response) if piece[0] not in {'raise', 'hang'}]
        parts = [self._part(turn, place, piece) for place, piece in told]
        return ModelResponse(
            parts=parts,
            usage=RequestUsage(input_tokens=5 + turn, output_tokens=len(parts)),
            provider_response_id=f'resp-{uuid4().hex[:8]}',
        )

    async def answer_or_hang(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        script = self.plan.script
        if self.turn < len(script) and ('hang',) in script[self.turn]:
            self.turn += 1
            self.happened.asked += 1
            await self.happened.hang()
        return await anyio.to_thread.run_sync(self.answer, messages, info)

    def _part(self, turn: int, place: int, piece: tuple[Any, ...]) -> ModelResponsePart:
        kind, *rest = piece
        if kind == 'text':
            return TextPart(''.join(rest))
        if kind == 'think':
            return ThinkingPart(''.join(rest), signature='signed' if len(rest) > 1 else None)
        return ToolCallPart(rest[0], ''.join(rest[1:]), self._call_id(turn, place))

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncGenerator[Any]:
        self.happened.asked += 1
        turn, response = self._next()
        for place, piece in enumerate(response):
            if piece == ('hang',):
                await self.happened.hang()
            for item in self._items(turn, place, piece):
                yield item

    def _items(self, turn: int, place: int, piece: tuple[Any, ...]) -> list[Any]:
        kind, *rest = piece
        if kind == 'raise':
            raise ModelHTTPError(503, self.plan.name, rest[0])
        if kind in {'text', 'hang'}:
            return rest
        if kind == 'think':
            return [{place: DeltaThinkingPart(content=text)} for text in rest]
        call_id = self._call_id(turn, place)
        begun = DeltaToolCall(name=rest[0], json_args=rest[1], tool_call_id=call_id)
        return [{place: begun}, *({place: DeltaToolCall(json_args=more)} for more in rest[2:])]

    def _down(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.happened.asked += 1
        if self.turn in self.plan.down:
            raise ModelHTTPError(500, 'first', 'down')
        return self.answer(messages, info)

    async def _down_streamed(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncGenerator[Any]:
        self.happened.asked += 1
        if self.turn in self.plan.down:
            raise ModelHTTPError(500, 'first', 'down')
        async with aclosing(self.stream(messages, info)) as items:
            async for item in items:
                yield item

    def model(self) -> Any:
        hangs = any(('hang',) in response for response in self.plan.script)
        answer = self.answer_or_hang if hangs else self.answer
        second = FunctionModel(answer, stream_function=self.stream, model_name=f'{self.plan.name}-model')
        if not self.plan.down:
            return second
        first = FunctionModel(self._down, stream_function=self._down_streamed, model_name='first')
        return FallbackModel(first, second)

    # -- the tools

    def key(self, ctx: RunContext[None]) -> str:
        """A name of a call that is the same whenever the world is acted out."""
        numbered = (ctx.tool_call_id or '').rpartition('-')[0]
        return f'{self.path} {numbered} {ctx.retry}'

    async def pause(self, ctx: RunContext[None]) -> None:
        self.happened.begun += 1
        await anyio.sleep(self.happened.delay())
        key = self.key(ctx)
        for _ in range(PATIENCE):
            if self.happened.is_next(key):
                break
            await anyio.sleep(0.0005)
        self.happened.ended.append(key)

    def pause_in_thread(self, ctx: RunContext[None]) -> None:
        self.happened.begun += 1
        time.sleep(self.happened.delay())
        key = self.key(ctx)
        for _ in range(PATIENCE):
            if self.happened.is_next(key):
                break
            time.sleep(0.0005)
        self.happened.ended.append(key)

    def inner_path(self, ctx: RunContext[None]) -> str:
        with self._lock:
            self.nested += 1
            return f'{self.path}/{(ctx.tool_call_id or "").rpartition("-")[0]}'


def agent_of(stage: Stage, *, with_model: bool = True) -> Agent[None, Any]:
    """Make the agent of a plan, with all tools and functions."""
    plan = stage.plan
    agent = Agent[None, Any](
        stage.model() if with_model else None,
        name=plan.name,
        output_type=OUTPUTS[plan.output],
        end_strategy=plan.end_strategy,  # pyright: ignore[reportArgumentType]
        retries=plan.retries,
        instructions=INSTRUCTIONS[plan.instructions],
        history_processors=[PROCESSORS[plan.processor]] if plan.processor else [],
    )
    if plan.system:
        agent.system_prompt(dynamic=plan.system == 'dynamic')(system_prompt)
    if plan.validator:
        agent.output_validator(VALIDATORS[plan.validator])
    _add_tools(stage, agent)
    _add_other_tools(stage, agent)
    if plan.inner is not None:
        _add_asking(stage, agent, plan.inner)
    return agent


def _add_tools(stage: Stage, agent: Agent[None, Any]) -> None:
    @agent.tool
    def look(ctx: RunContext[None], place: str) -> dict[str, Any]:
        stage.pause_in_thread(ctx)
        return {'seen': place, 'step': ctx.run_step}

    @agent.tool
    async def slow(ctx: RunContext[None], place: str = '') -> list[str]:
        await stage.pause(ctx)
        return [place]

    @agent.tool(sequential=True)
    async def alone(ctx: RunContext[None]) -> str:
        await stage.pause(ctx)
        return 'alone'

    @agent.tool
    async def stubborn(ctx: RunContext[None]) -> str:
        await stage.pause(ctx)
        if not ctx.retry:
            raise ModelRetry('Not like this.')
        return f'at try {ctx.retry}'

    @agent.tool
    async def failing(ctx: RunContext[None], what: str = 'it') -> str:
        await stage.pause(ctx)
        raise LostError(what)


def _add_other_tools(stage: Stage, agent: Agent[None, Any]) -> None:
    @agent.tool
    async def ticket(ctx: RunContext[None]) -> UUID:
        await stage.pause(ctx)
        return uuid4()

    @agent.tool
    def clock(ctx: RunContext[None]) -> str:
        stage.pause_in_thread(ctx)
        return f'It is {datetime.now().astimezone().isoformat()}'

    @agent.tool
    async def things(ctx: RunContext[None]) -> Any:
        await stage.pause(ctx)
        return {'set': {'b', 'a', 'c'}, 'pair': (1, Decimal('1.20')), 'at': datetime(2026, 11, 20, tzinfo=UTC)}

    @agent.tool
    async def city(ctx: RunContext[None], name: str = 'Rome') -> City:
        await stage.pause(ctx)
        return City(name=name, founded=date(753, 4, 21))

    @agent.tool
    async def picture(ctx: RunContext[None]) -> ToolReturn:
        await stage.pause(ctx)
        return ToolReturn(return_value='here', content=['Look:', 'a picture'], metadata={'at': 1})

    @agent.tool
    async def hang(ctx: RunContext[None]) -> str:
        await stage.happened.hang()
        return 'never'

    @agent.tool
    async def held(ctx: RunContext[None]) -> str:
        try:
            await stage.happened.hang()
        except anyio.get_cancelled_exc_class():
            return 'held'
        return 'never'

    @agent.tool
    async def later(ctx: RunContext[None]) -> str:
        raise CallDeferred

    @agent.tool
    async def sure(ctx: RunContext[None], n: int = 1) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        await stage.pause(ctx)
        return f'sure of {n}'


def _add_asking(stage: Stage, agent: Agent[None, Any], plan: AgentPlan) -> None:
    async def once(ctx: RunContext[None], path: str, question: str) -> str:
        inner = agent_of(Stage(plan, stage.happened, path))
        usage = ctx.usage if stage.plan.shares_usage else None
        output = (await inner.run(question, usage=usage)).output
        return type(output).__name__ if isinstance(output, DeferredToolRequests) else repr(output)  # ids churn

    @agent.tool
    async def ask(ctx: RunContext[None], question: str = 'Well?') -> str:
        try:
            return await once(ctx, stage.inner_path(ctx), question)
        finally:
            await stage.pause(ctx)

    @agent.tool
    async def ask_all(ctx: RunContext[None], n: int = 2) -> list[str]:
        answers, errors = dict[int, str](), dict[int, Exception]()
        path = stage.inner_path(ctx)

        async def one(number: int) -> None:
            try:
                answers[number] = await once(ctx, f'{path}.{number}', f'Question {number}')
            except Exception as error:  # noqa: BLE001, the others go on: how far they had come would be left to chance
                errors[number] = error

        async with anyio.create_task_group() as group:
            for number in range(n):
                group.start_soon(one, number)
        await stage.pause(ctx)
        if errors:
            raise errors[min(errors)]
        return [answers[number] for number in sorted(answers)]


# -- functions of users


def shout(text: str) -> str:
    if 'bad' in text:
        raise ModelRetry('nothing bad')
    return text.upper()


async def find(name: str) -> str:
    if name == 'Nowhere':
        raise ModelRetry('a real city, please')
    return name.upper()


async def by_step(ctx: RunContext[None]) -> str:
    return f'step {ctx.run_step}'


def with_id() -> str:
    return f'Trace {uuid4()}'


def with_time() -> str:
    return f'Now: {datetime.now().astimezone().isoformat()}'


def with_day() -> str:
    return f'Today is {datetime.now().astimezone():%A, %Y-%m-%d}'


def system_prompt() -> str:
    return f'Session {uuid4()}'


def last_of_many(messages: list[ModelMessage]) -> list[ModelMessage]:
    return messages[-3:] if len(messages) > 4 else messages


async def summary(ctx: RunContext[None], messages: list[ModelMessage]) -> list[ModelMessage]:
    if len(messages) < 4:
        return messages
    return [ModelRequest(parts=[SystemPromptPart(f'So far: {len(messages)}.')]), *messages[-3:]]


async def picky(ctx: RunContext[None], output: Any) -> Any:
    if 'x' in repr(output) and not ctx.partial_output:
        raise ModelRetry('nothing with an x')
    return output


def changing(output: Any) -> Any:
    return {'found': output}


OUTPUTS: dict[str, Any] = {
    'str': str,
    'model': City,
    'model or str': [City, str],
    'tools': [ToolOutput(City, name='town'), ToolOutput(int, name='number')],
    'native': NativeOutput(City),
    'prompted': PromptedOutput(City),
    'deferred': [str, DeferredToolRequests],
    'text function': TextOutput(shout),
    'function': find,
}
INSTRUCTIONS: dict[str, Any] = {
    '': None,
    'fixed': 'Be brief.',
    'by step': by_step,
    'with id': with_id,
    'with time': with_time,
    'with day': with_day,
}
PROCESSORS: dict[str, Any] = {'last': last_of_many, 'summary': summary}
VALIDATORS: dict[str, Any] = {'picky': picky, 'changing': changing}


def limits_of(step: Step) -> UsageLimits | None:
    return UsageLimits(**dict[str, Any](step.limits)) if step.limits else None
