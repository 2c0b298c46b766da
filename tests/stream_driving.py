"""Streamed runs of scripts, driven in every way there is, in either library: what a user sees of them, in order."""

import asyncio
import itertools
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
from pydantic import BaseModel

from tests.side_by_side import OURS, OUTPUTS, THEIRS, Library, add_tools, made_alike, shown, told

Response = list[tuple[Any, ...]]
"""Pieces `(kind, ...)` in the order in which a model streams them."""


class Road(BaseModel):
    """A way between two places."""

    start: str
    end: str = 'here'


@dataclass(frozen=True)
class Scenario:
    """A run: what the model says, and how the agent is set up."""

    script: tuple[Response, ...]
    output: str = 'str'
    end_strategy: str = 'early'
    retries: int = 1
    output_retries: int | None = None
    validator: str = ''
    limits: dict[str, int] = field(default_factory=dict[str, int])
    deferring: bool = False
    instructed: bool = False
    again: bool = False
    """Whether a second run goes on from the messages of the first, with answers to the calls that it put off."""


@dataclass(frozen=True)
class Driving:
    """How a user drives a run: the style, and what is asked of each stream, how many items of each."""

    style: str
    asked: tuple[tuple[str, int | None], ...] = ()
    """Names of `ITERATIONS`, or others that `_ask` knows; None: all items."""
    broken_off: bool = False
    """Whether the user's code raises an error once all has been asked for."""


@dataclass
class Seen:
    """What a user sees of a run, in order."""

    noted: list[str] = field(default_factory=list[str])
    error: str = ''
    captured: str = ''

    def note(self, *values: object) -> None:
        self.noted.append(' '.join(_line(value) for value in values))


def _line(value: object) -> str:
    if isinstance(value, str):
        return value
    name = type(value).__name__
    if name.startswith('BuiltinTool') and name.endswith('Event'):  # has no telling repr in 1.38
        return f'{name} {shown(vars(value))}'
    return shown(value)


# The agent


def model_of(lib: Library, script: tuple[Response, ...]) -> Any:
    """A model that streams a response for each of the script, then 'all done'."""
    numbers = itertools.count()

    async def say(messages: list[Any], info: Any) -> AsyncIterator[Any]:
        number = next(numbers)
        pieces = script[number] if number < len(script) else [('text', 'all '), ('text', 'done')]
        for place, piece in enumerate(pieces):
            for item in _items(lib, f'call-{number}-{place}', place, piece):
                yield item

    return lib.function.FunctionModel(stream_function=say)


def _items(lib: Library, call_id: str, place: int, piece: tuple[Any, ...]) -> list[Any]:
    function, kind, values = lib.function, piece[0], piece[1:]
    if kind == 'raise':
        raise ValueError(values[0])
    if kind == 'text':
        return [values[0]]
    if kind == 'think':
        return [{0: function.DeltaThinkingPart(content=values[0], signature=values[1])}]
    if kind == 'builtin':
        call = lib.messages.BuiltinToolCallPart('search', {'q': 1}, tool_call_id=call_id)
        back = lib.messages.BuiltinToolReturnPart('search', 'found', tool_call_id=call_id)
        return [{place + 50: call}, {place + 51: back}] if values[0] else [{place + 50: call}]
    name, args = values
    begun = function.DeltaToolCall(name=name, json_args=args[0], tool_call_id=call_id)
    return [{place + 1: begun}, *({place + 1: function.DeltaToolCall(json_args=more)} for more in args[1:])]


def _outputs(lib: Library, seen: Seen) -> dict[str, Callable[[], Any]]:
    out = lib.output

    async def found(city: str) -> str:
        seen.note('output function', city)
        if city == 'Nowhere':
            raise lib.root.ModelRetry('a real city, please')
        return city.upper()

    def told_back(text: str) -> int:
        seen.note('text function', text)
        if 'bad' in text:
            raise lib.root.ModelRetry('nothing bad')
        return len(text)

    return {
        **{name: (lambda make=make: make(lib)) for name, make in OUTPUTS.items()},
        'union': lambda: [out.ToolOutput(Road, name='road'), int],
        'function': lambda: found,
        'function or str': lambda: [found, str],
        'text function, noted': lambda: out.TextOutput(told_back),
        'text function or model': lambda: [out.TextOutput(told_back), Road],
        'model or deferred': lambda: [Road, lib.tools.DeferredToolRequests],
        'natives': lambda: out.NativeOutput([Road, int]),
        'number': lambda: int,
    }


OUTPUT_NAMES = sorted(_outputs(OURS, Seen()))


def agent_of(lib: Library, scenario: Scenario, seen: Seen) -> Any:
    """Make the agent of a scenario; what its functions are told is noted."""
    agent = lib.root.Agent(
        model_of(lib, scenario.script),
        output_type=_outputs(lib, seen)[scenario.output](),
        end_strategy=scenario.end_strategy,
        retries=scenario.retries,
        output_retries=scenario.output_retries,
        toolsets=[_external(lib)] if scenario.deferring else [],
        instructions=_instructions(lib, seen) if scenario.instructed else None,
        history_processors=[_processor(lib, seen)] if scenario.instructed else [],
    )
    add_tools(lib, agent)
    agent.tool_plain(_slow(seen))
    agent.tool_plain(sequential=True)(_slow(seen, 'alone'))
    if scenario.deferring:
        agent.tool_plain(requires_approval=True)(guarded)
        agent.tool(_putting_off(lib))
    if scenario.validator:
        agent.output_validator(_validator(lib, scenario.validator, seen))
    return agent


def _slow(seen: Seen, name: str = 'slow') -> Any:
    async def slow(x: int = 2) -> int:
        for _ in range(x % 4):
            await anyio.lowlevel.checkpoint()
        return x

    slow.__name__ = name
    return slow


async def guarded(x: int) -> int:
    """Guard a number."""
    return x


def _putting_off(lib: Library) -> Any:
    async def late(ctx: Any, how: str) -> str:
        if how == 'call':
            raise lib.root.CallDeferred
        if how == 'approval' and not ctx.tool_call_approved:
            raise lib.root.ApprovalRequired
        return how

    late.__annotations__['ctx'] = lib.root.RunContext[None]
    return late


def _instructions(lib: Library, seen: Seen) -> Any:
    async def instruct(ctx: Any) -> str:
        seen.note('instructions', ctx.run_step, ctx.retry, len(ctx.messages), ctx.usage)
        return f'step {ctx.run_step}'

    instruct.__annotations__['ctx'] = lib.root.RunContext[None]
    return instruct


def _processor(lib: Library, seen: Seen) -> Any:
    async def process(ctx: Any, messages: list[Any]) -> list[Any]:
        seen.note('processor', ctx.run_step, len(messages))
        return messages[2:] if len(messages) > 4 else messages

    process.__annotations__['ctx'] = lib.root.RunContext[None]
    return process


def _external(lib: Library) -> Any:
    schema = {'type': 'object', 'properties': {'x': {'type': 'integer'}}}
    return lib.toolsets.ExternalToolset([lib.tools.ToolDefinition(name='elsewhere', parameters_json_schema=schema)])


def _validator(lib: Library, kind: str, seen: Seen) -> Any:
    async def validate(ctx: Any, output: Any) -> Any:
        seen.note('validator', output, ctx.partial_output, ctx.retry, ctx.run_step)
        if kind == 'picky' and 'x' in repr(output) and not ctx.partial_output:
            raise lib.root.ModelRetry('nothing with an x')
        if kind == 'always picky' and 'x' in repr(output):
            raise lib.root.ModelRetry('nothing with an x')
        return output

    validate.__annotations__['ctx'] = lib.root.RunContext[None]
    return validate


# Ways to drive a run

ITERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    'texts': ('stream_text', {'debounce_by': None}),
    'deltas': ('stream_text', {'debounce_by': None, 'delta': True}),
    'all deltas': ('stream_text', {'debounce_by': 5, 'delta': True}),
    'outputs': ('stream_output', {'debounce_by': None}),
    'the output': ('stream_output', {'debounce_by': 5}),
    'responses': ('stream_responses', {'debounce_by': None}),
}


async def _take(items: Any, count: int | None, note: Callable[..., None]) -> None:
    async with aclosing(items):
        taken = 0
        while count is None or taken < count:
            try:
                item = await anext(items)
            except StopAsyncIteration:
                break
            taken += 1
            note(item)


async def _ask(stream: Any, driving: Driving, seen: Seen) -> None:
    """Ask a stream for all that is to be asked; an error is noted, and the next thing asked."""
    for name, count in driving.asked:
        seen.note('asked for', name, count)
        try:
            if name == 'get_output':
                seen.note(await stream.get_output())
            elif name == 'validate':
                seen.note(await stream.validate_response_output(stream.response, allow_partial=count is not None))
            elif name == 'events':
                iterator = aiter(stream)
                for _ in range(count or 1000):
                    seen.note(await anext(iterator))
            else:
                method, keywords = ITERATIONS[name]
                await _take(getattr(stream, method)(**keywords), count, seen.note)
        except Exception as error:  # noqa: BLE001, compared
            seen.note('raised', told(error))
        seen.note(stream.response, stream.usage(), type(stream.timestamp()).__name__, bool(stream.run_id))
    _break_off(driving)


def _break_off(driving: Driving) -> None:
    if driving.broken_off:
        raise KeyError('enough')


Arguments = dict[str, Any]


async def by_nodes(lib: Library, agent: Any, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    """Stream every node: ask of responses what is to be asked, then take the events that are left."""
    count = driving.asked[0][1] if driving.asked else None
    async with agent.iter(**arguments) as run:
        async for node in run:
            seen.note(node)
            if agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    await _ask(stream, driving, seen)
                    if not driving.asked:
                        async for event in stream:
                            seen.note(event)
            elif agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    taken = 0
                    async for event in events:
                        seen.note(event)
                        taken += 1
                        if count is not None and taken >= count:
                            break
                    _break_off(driving)
            seen.note(len(run.ctx.state.message_history), run.usage())
    return note_result(lib, run.result, seen)


async def by_next(lib: Library, agent: Any, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    """Drive by `next`, with only the nodes streamed that ask the model."""
    async with agent.iter(**arguments) as run:
        node = run.next_node
        while type(node).__name__ != 'End':
            if agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    await _ask(stream, driving, seen)
            node = await run.next(node)
            seen.note(node)
    return note_result(lib, run.result, seen)


def _handler(driving: Driving, seen: Seen) -> Any:
    count = driving.asked[0][1] if driving.asked else None

    async def handler(ctx: Any, events: Any) -> None:
        seen.note('handler', ctx.run_step, len(ctx.messages), ctx.retry, ctx.usage)
        taken = 0
        async for event in events:
            seen.note(event)
            taken += 1
            if count is not None and taken >= count:
                break
        _break_off(driving)

    return handler


async def by_handler(lib: Library, agent: Any, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    """Run with a handler of events, which may leave early."""
    return note_result(lib, await agent.run(event_stream_handler=_handler(driving, seen), **arguments), seen)


async def by_events(lib: Library, agent: Any, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    """Iterate over the events of a whole run."""
    result = None
    async for event in agent.run_stream_events(**arguments):
        if type(event).__name__ == 'AgentRunResultEvent':
            result = note_result(lib, event.result, seen)
        else:
            seen.note(event)
    return result


async def by_run_stream(lib: Library, agent: Any, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    """Stream the final response."""
    async with agent.run_stream(**arguments) as result:
        seen.note('before', result.is_complete, dumped(lib, result.all_messages()), result.response, result.usage())
        await _ask(result, driving, seen)
        seen.note('after', result.is_complete, dumped(lib, result.all_messages()), dumped(lib, result.new_messages()))
    seen.note('left', result.is_complete, dumped(lib, result.all_messages()), result.usage())
    return result


async def by_run_stream_and_handler(
    lib: Library, agent: Any, arguments: Arguments, driving: Driving, seen: Seen
) -> Any:
    """Stream the final response, with a handler for the events before it."""
    return await by_run_stream(
        lib,
        agent,
        arguments | {'event_stream_handler': _handler(Driving('', (), driving.broken_off), seen)},
        driving,
        seen,
    )


def by_code_that_is_not_async(lib: Library, agent: Any, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    """Stream the final response from code that is not async."""
    result = agent.run_stream_sync(**arguments)
    seen.note('before', result.is_complete, dumped(lib, result.all_messages()), result.response, result.usage())
    name = driving.asked[0][0] if driving.asked else 'get_output'
    if name in ITERATIONS:
        method, keywords = ITERATIONS[name]
        for item in getattr(result, method)(**keywords):
            seen.note(item)
    else:
        seen.note(result.get_output())
    seen.note('after', result.is_complete, dumped(lib, result.all_messages()), dumped(lib, result.new_messages()))
    seen.note(result.response, result.usage(), type(result.timestamp()).__name__, bool(result.run_id))


STYLES: dict[str, Any] = {
    'nodes': by_nodes,
    'next': by_next,
    'handler': by_handler,
    'events': by_events,
    'run_stream': by_run_stream,
    'run_stream and handler': by_run_stream_and_handler,
}


def note_result(lib: Library, result: Any, seen: Seen) -> Any:
    """Note all of a result, and return it."""
    seen.note(result.output, dumped(lib, result.all_messages()), dumped(lib, result.new_messages()), result.usage())
    seen.note(result.response, type(result.timestamp()).__name__)
    return result


def dumped(lib: Library, messages: Any) -> str:
    """The JSON of messages."""
    return made_alike(lib.messages.ModelMessagesTypeAdapter.dump_json(messages)).decode()


# Both

_FUNCTIONS = ('validator ', 'output function ', 'text function ', 'instructions ', 'processor ')
"""Lines that functions of users note."""


def both(scenario: Scenario, driving: Driving, backend: str = 'asyncio') -> Seen:
    """Run a scenario in both libraries, compare, and return what was seen."""
    ours, theirs = run_in(OURS, scenario, driving, backend), run_in(THEIRS, scenario, driving, 'asyncio')
    if driving.style == 'sync':  # 1.38 never leaves the block, so that the run does not get its last response
        ours.captured = theirs.captured = ''
    if driving.style == 'events':  # 1.38 runs ahead of its caller by one event, in a task
        for seen in (ours, theirs):
            seen.noted.sort(key=lambda line: not line.startswith(_FUNCTIONS))
    for seen in (ours, theirs):
        seen.noted = _results_sorted(seen.noted)
    if theirs.error:
        _forget_which_failed_first(ours, theirs)
    mine, other = [[*seen.noted, seen.error, seen.captured] for seen in (ours, theirs)]
    for number, (line, wanted) in enumerate(itertools.zip_longest(mine, other)):
        if line != wanted:
            raise AssertionError(f'line {number}\n  agentrun     {line}\n  pydantic_ai  {wanted}')
    return ours


def run_in(lib: Library, scenario: Scenario, driving: Driving, backend: str) -> Seen:
    """Run a scenario in one library; of our own, nothing may be left behind, nor warned of."""
    seen = Seen()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore' if lib is THEIRS else 'error')
        with lib.root.capture_run_messages() as captured:
            arguments: dict[str, Any] = {'user_prompt': 'go'}
            if scenario.limits:
                arguments['usage_limits'] = lib.usage.UsageLimits(**scenario.limits)
            try:
                if driving.style == 'sync':
                    _without_async(lib, scenario, arguments, driving, seen)
                else:
                    anyio.run(_driven, lib, scenario, arguments, driving, seen, backend=backend)
            except Exception as error:  # noqa: BLE001, whatever it is, it is compared
                seen.error = told(error)
    seen.captured = dumped(lib, captured)
    return seen


async def _driven(lib: Library, scenario: Scenario, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    on_asyncio = lib is THEIRS or 'trio' not in repr(anyio.get_cancelled_exc_class())
    wrong: list[str] = []
    if on_asyncio:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(str(context)))
    try:
        agent = agent_of(lib, scenario, seen)
        result = await STYLES[driving.style](lib, agent, arguments, driving, seen)
        if scenario.again:
            seen.note('again')
            more = {'user_prompt': 'and?', 'message_history': result.all_messages()} | _answers(lib, result)
            await STYLES[driving.style](lib, agent, arguments | more, driving, seen)
    finally:
        if lib is OURS and on_asyncio:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left
            assert not wrong, wrong


def _answers(lib: Library, result: Any) -> Arguments:
    """Answer the calls that a run has put off, the first one badly."""
    requests: Any = getattr(result, 'output', None)
    if type(requests).__name__ != 'DeferredToolRequests':
        return {}
    approvals = {call.tool_call_id: bool(place) for place, call in enumerate(requests.approvals)}
    calls = {
        call.tool_call_id: f'found {place}' if place else lib.root.ModelRetry('no')
        for place, call in enumerate(requests.calls)
    }
    results = lib.tools.DeferredToolResults(calls=calls, approvals=approvals)
    return {'user_prompt': None, 'deferred_tool_results': results}


def _without_async(lib: Library, scenario: Scenario, arguments: Arguments, driving: Driving, seen: Seen) -> Any:
    """Run without async; the other library waits on the loop of the thread, and would leave it open."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: None)
    asyncio.set_event_loop(loop)
    try:
        by_code_that_is_not_async(lib, agent_of(lib, scenario, seen), arguments, driving, seen)
    finally:
        if lib is THEIRS:
            loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _results_sorted(noted: list[str]) -> list[str]:
    """Sort each stretch of results of tools: 1.38 reports calls that end together in the order of a set."""
    grouped = itertools.groupby(noted, lambda line: line.startswith('FunctionToolResultEvent'))
    return [line for is_result, lines in grouped for line in (sorted(lines) if is_result else lines)]


def _forget_which_failed_first(*all_seen: Seen) -> None:
    """Leave out which of the calls that end together failed first, and results before it: 1.38 picks from a set."""
    for seen in all_seen:
        if seen.error.startswith(("UnexpectedModelBehavior: Tool '", 'ValueError: tool broke')):
            seen.error = 'a tool failed'
        while seen.error and seen.noted and seen.noted[-1].startswith('FunctionToolResultEvent'):
            seen.noted.pop()
