"""Streamed runs in both libraries: the same events, states, messages, usage and errors, whatever drives them."""

import dataclasses
import re
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.side_by_side import (
    OURS,
    OUTPUTS,
    THEIRS,
    Library,
    Script,
    add_tools,
    made_alike,
    shown,
    told,
)

pydantic_ai = pytest.importorskip('pydantic_ai', reason='compares with pydantic-ai-slim 1.38')


# A scripted model that streams


def streaming(lib: Library, script: Script) -> Any:
    """A model that streams what the script says, in small pieces, then 'all done'."""

    async def say(messages: list[Any], info: Any) -> Any:
        number = sum(message.kind == 'response' for message in messages)
        parts: list[tuple[Any, ...]] = script[number] if number < len(script) else [('text', 'all done')]
        for place, (kind, *rest) in enumerate(parts):
            if kind == 'text':
                for start in range(0, len(rest[0]), 4):
                    yield rest[0][start : start + 4]
            elif kind == 'think':
                yield {place: lib.function.DeltaThinkingPart(content=rest[0])}
            elif kind == 'raise':
                raise ValueError(rest[0])
            else:
                call_id = f'call-{number}-{place}'
                yield {place: lib.function.DeltaToolCall(name=rest[0], json_args='', tool_call_id=call_id)}
                for start in range(0, len(rest[1]), 6):
                    yield {place: lib.function.DeltaToolCall(json_args=rest[1][start : start + 6])}

    return lib.function.FunctionModel(stream_function=say)


def agent_of(lib: Library, script: Script, output: str = 'str', **options: Any) -> Any:
    agent = lib.root.Agent(streaming(lib, script), output_type=OUTPUTS[output](lib), **options)
    add_tools(lib, agent)
    return agent


# Ways to drive a run


@dataclasses.dataclass
class Seen:
    """What a test sees of a streamed run, in order."""

    noted: list[str] = dataclasses.field(default_factory=list[str])
    error: str = ''
    captured: bytes = b''

    def note(self, *values: object) -> None:
        self.noted.append(' '.join(value if isinstance(value, str) else shown(value) for value in values))


def sorted_results(noted: list[str]) -> list[str]:
    """Sort each stretch of results of tools: 1.38 reports calls that end together in the order of a set."""
    found: list[str] = []
    stretch: list[str] = []
    for line in noted:
        if line.startswith('FunctionToolResultEvent'):
            stretch.append(line)
            continue
        found += [*sorted(stretch), line]
        stretch = []
    return found + sorted(stretch)


def dumped(lib: Library, messages: Any) -> str:
    return made_alike(lib.messages.ModelMessagesTypeAdapter.dump_json(messages)).decode()


async def by_nodes(lib: Library, agent: Any, arguments: dict[str, Any], seen: Seen) -> None:
    async with agent.iter(**arguments) as run:
        async for node in run:
            seen.note(node)
            if hasattr(node, 'stream'):
                async with node.stream(run.ctx) as stream:
                    async for event in stream:
                        seen.note(event)
    note_result(lib, run.result, seen)


async def by_nodes_left_early(lib: Library, agent: Any, arguments: dict[str, Any], seen: Seen) -> None:
    async with agent.iter(**arguments) as run:
        async for node in run:
            if hasattr(node, 'stream'):
                async with node.stream(run.ctx) as stream:
                    async for event in stream:
                        seen.note(event)
                        break
    note_result(lib, run.result, seen)


async def by_handler(lib: Library, agent: Any, arguments: dict[str, Any], seen: Seen) -> None:
    async def handler(ctx: Any, events: Any) -> None:
        seen.note(f'handler at {ctx.run_step} with {len(ctx.messages)}')
        async for event in events:
            seen.note(event)

    result = await agent.run(event_stream_handler=handler, **arguments)
    note_result(lib, result, seen)


async def by_events(lib: Library, agent: Any, arguments: dict[str, Any], seen: Seen) -> None:
    async for event in agent.run_stream_events(**arguments):
        seen.note(event)
        if type(event).__name__ == 'AgentRunResultEvent':
            note_result(lib, event.result, seen)


def by_run_stream(method: str, **keywords: Any) -> Callable[..., Any]:
    async def drive(lib: Library, agent: Any, arguments: dict[str, Any], seen: Seen) -> None:
        async with agent.run_stream(**arguments) as result:
            seen.note('before', result.is_complete, dumped(lib, result.all_messages()), result.usage())
            if method == 'get_output':
                seen.note(await result.get_output())
            elif method:
                async for item in getattr(result, method)(**keywords):
                    seen.note(item)
            seen.note('after', result.is_complete, dumped(lib, result.all_messages()), result.usage())
            seen.note(dumped(lib, result.new_messages()), result.response)
            if method == 'stream_output':
                seen.note(await result.get_output())
        seen.note('left', result.is_complete, dumped(lib, result.all_messages()), result.usage())

    return drive


async def by_run_stream_and_handler(lib: Library, agent: Any, arguments: dict[str, Any], seen: Seen) -> None:
    async def handler(ctx: Any, events: Any) -> None:
        async for event in events:
            seen.note(event)

    async with agent.run_stream(event_stream_handler=handler, **arguments) as result:
        async for output in result.stream_output(debounce_by=None):
            seen.note(output)
    seen.note(dumped(lib, result.all_messages()))


def note_result(lib: Library, result: Any, seen: Seen) -> None:
    seen.note(result.output, dumped(lib, result.all_messages()), dumped(lib, result.new_messages()), result.usage())


STYLES: dict[str, Callable[..., Any]] = {
    'nodes': by_nodes,
    'nodes left early': by_nodes_left_early,
    'handler': by_handler,
    'events': by_events,
    'get_output': by_run_stream('get_output'),
    'stream_output': by_run_stream('stream_output', debounce_by=None),
    'stream_output debounced': by_run_stream('stream_output', debounce_by=5),
    'stream_responses': by_run_stream('stream_responses', debounce_by=None),
    'stream_text': by_run_stream('stream_text', debounce_by=None),
    'stream_text deltas': by_run_stream('stream_text', debounce_by=None, delta=True),
    'stream_text debounced': by_run_stream('stream_text', delta=True),
    'nothing taken': by_run_stream(''),
    'run_stream and handler': by_run_stream_and_handler,
}


def any_tool(error: str) -> str:
    """Leave out which tool used up its retries: if several do at once, 1.38 picks one out of a set."""
    return re.sub(r"(?s)(Tool '\w+' exceeded|Unknown tool name:).*", 'A tool ...', error)


Made = Callable[[Library], tuple[Any, dict[str, Any]]]


async def driven(lib: Library, make: Made, style: str) -> Seen:
    seen = Seen()
    with lib.root.capture_run_messages() as captured:
        agent, arguments = make(lib)
        try:
            await STYLES[style](lib, agent, arguments, seen)
        except Exception as error:  # noqa: BLE001, whatever it is, it is compared
            seen.error = told(error)
    seen.captured = made_alike(lib.messages.ModelMessagesTypeAdapter.dump_json(captured))
    seen.noted = sorted_results(seen.noted)
    return seen


def both(make: Made, style: str, *, which_tool: bool = True) -> Seen:
    async def compared() -> tuple[Seen, Seen]:
        return await driven(OURS, make, style), await driven(THEIRS, make, style)

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ours, theirs = anyio.run(compared)
    if not which_tool:
        for seen in (ours, theirs):
            seen.error = any_tool(seen.error)
            while 'A tool ...' in seen.error and seen.noted and seen.noted[-1].startswith('FunctionToolResultEvent'):
                seen.noted.pop()  # which results come before the error, too, is up to the set
    assert ours.noted == theirs.noted
    assert ours.error == theirs.error
    assert ours.captured == theirs.captured
    return ours


PLACE = '{"city": "Paris", "people": 2}'
SCENARIOS: dict[str, tuple[Script, str, dict[str, Any]]] = {
    'text': ([[('text', 'hello big world')]], 'str', {}),
    'a tool, then text': ([[('call', 'add', '{"x": 1}')], [('text', 'it is two')]], 'str', {}),
    'several tools': ([[('call', 'add', '{"x": 1}'), ('call', 'step', '{}'), ('call', 'files', '')]], 'str', {}),
    'thinking and text': ([[('think', 'hm'), ('text', 'well, then')]], 'str', {}),
    'nothing but thought': ([[('think', 'hm')]], 'str', {}),
    'text before a tool': ([[('text', 'let me see'), ('call', 'add', '{"x": 1}')]], 'str', {}),
    'a retry of a tool': (
        [[('call', 'fussy', '{"word": "now"}')], [('call', 'fussy', '{"word": "please"}')]],
        'str',
        {},
    ),
    'wrong arguments': ([[('call', 'add', '{"x": "a"}')]], 'str', {}),
    'an unknown tool': ([[('call', 'nobody', '{}'), ('call', 'add', '{"x": 1}')]], 'str', {}),
    'unknown tools for ever': ([[('call', 'nobody', '{}')]] * 3, 'str', {}),
    'a tool that breaks': ([[('call', 'broken', '{}')]], 'str', {}),
    'a stream that breaks': ([[('text', 'so far so'), ('raise', 'broke off')]], 'str', {}),
    'a stream that breaks later': ([[('call', 'add', '{"x": 1}')], [('text', 'so'), ('raise', 'off')]], 'str', {}),
    'a model': ([[('call', 'final_result', PLACE)]], 'model', {}),
    'a model and tools beside it': (
        [[('call', 'final_result', PLACE), ('call', 'add', '{"x": 1}'), ('call', 'nobody', '{}')]],
        'model',
        {},
    ),
    'a model and tools beside it, exhaustive': (
        [[('call', 'final_result', PLACE), ('call', 'add', '{"x": 1}'), ('call', 'final_result', '{"city": "Rome"}')]],
        'model',
        {'end_strategy': 'exhaustive'},
    ),
    'two outputs': ([[('call', 'place', PLACE), ('call', 'number', '{"response": 3}')]], 'tools', {}),
    'two outputs, exhaustive': (
        [[('call', 'place', PLACE), ('call', 'number', '{"response": "x"}')]],
        'tools',
        {'end_strategy': 'exhaustive'},
    ),
    'a wrong output': ([[('call', 'final_result', '{"people": 2}')], [('call', 'final_result', PLACE)]], 'model', {}),
    'a wrong output, then a tool': (
        [[('call', 'final_result', '{}'), ('call', 'add', '{"x": 1}')], [('call', 'final_result', PLACE)]],
        'model',
        {},
    ),
    'text where a model is wanted': ([[('text', 'no')], [('call', 'final_result', PLACE)]], 'model', {}),
    'model or text': ([[('text', 'some words here')]], 'model or str', {}),
    'native': ([[('text', PLACE)]], 'native', {}),
    'prompted': ([[('text', PLACE)]], 'prompted', {}),
    'a text function': ([[('text', 'words')]], 'text function', {}),
    'a text function that wants letters': ([[('text', 'words 1'), ('text', '!')]], 'text function', {}),
    'a limit of output tokens': (
        [[('text', 'one two three four five six seven eight')]],
        'str',
        {'limits': {'output_tokens_limit': 4}},
    ),
    'a limit of requests': ([[('call', 'add', '{"x": 1}')]], 'str', {'limits': {'request_limit': 1}}),
    'a limit of tool calls': (
        [[('call', 'add', '{"x": 1}'), ('call', 'step', '{}')]],
        'str',
        {'limits': {'tool_calls_limit': 1}},
    ),
}


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('name', SCENARIOS)
def test_a_streamed_run_shows_the_same(name: str, style: str):
    script, output, options = SCENARIOS[name]

    def make(lib: Library) -> tuple[Any, dict[str, Any]]:
        own = {key: value for key, value in options.items() if key != 'limits'}
        arguments: dict[str, Any] = {'user_prompt': 'go'}
        if 'limits' in options:
            arguments['usage_limits'] = lib.usage.UsageLimits(**options['limits'])
        return agent_of(lib, script, output, **own), arguments

    both(make, style)


# What users set on a run


FEATURES: dict[str, Made] = {}


def feature(make: Made) -> Made:
    FEATURES[make.__name__.replace('_', ' ')] = make
    return make


GO = {'user_prompt': 'go'}


@feature
def validators_of_outputs_see_whether_they_are_partial(lib: Library) -> tuple[Any, dict[str, Any]]:
    agent = agent_of(lib, [[('call', 'final_result', PLACE)]], 'model')

    async def check(ctx: Any, place: Any) -> Any:
        place.city += f' {ctx.partial_output} {ctx.tool_name} {ctx.retry}'
        return place

    check.__annotations__['ctx'] = lib.root.RunContext[Any]
    agent.output_validator(check)
    return agent, GO


@feature
def validators_of_texts_see_whether_they_are_partial(lib: Library) -> tuple[Any, dict[str, Any]]:
    agent = agent_of(lib, [[('text', 'hello big world')]])

    async def check(ctx: Any, text: str) -> str:
        return f'{text} {ctx.partial_output} {ctx.tool_name}'

    check.__annotations__['ctx'] = lib.root.RunContext[Any]
    agent.output_validator(check)
    return agent, GO


@feature
def a_validator_of_outputs_asks_for_a_retry(lib: Library) -> tuple[Any, dict[str, Any]]:
    agent = agent_of(lib, [[('call', 'final_result', PLACE)], [('call', 'final_result', '{"city": "Rome"}')]], 'model')

    @agent.output_validator
    async def check(place: Any) -> Any:
        if place.city == 'Paris':
            raise lib.root.ModelRetry('not Paris')
        return place

    return agent, GO


@feature
def a_validator_of_texts_asks_for_a_retry(lib: Library) -> tuple[Any, dict[str, Any]]:
    agent = agent_of(lib, [[('text', 'hello big world')]])

    @agent.output_validator
    async def check(text: str) -> str:
        if 'big' in text:
            raise lib.root.ModelRetry('not so big')
        return text

    return agent, GO


@feature
def output_functions_run_as_often(lib: Library) -> tuple[Any, dict[str, Any]]:
    ran: list[str] = []

    def first(x: str) -> str:
        ran.append(f'first {x}')
        return ' '.join(ran)

    def second(x: str) -> str:
        ran.append(f'second {x}')
        return ' '.join(ran)

    script: Script = [[('call', 'first', '{"x": "a"}'), ('call', 'second', '{"x": "b"}')]]
    outputs = [lib.output.ToolOutput(first, name='first'), lib.output.ToolOutput(second, name='second')]
    return lib.root.Agent(streaming(lib, script), output_type=outputs, end_strategy='exhaustive'), GO


def external(lib: Library) -> Any:
    schema = {'type': 'object', 'properties': {'x': {'type': 'integer'}}, 'required': ['x']}
    return lib.toolsets.ExternalToolset([lib.tools.ToolDefinition(name='outside', parameters_json_schema=schema)])


@feature
def calls_that_somebody_else_answers_end_the_run(lib: Library) -> tuple[Any, dict[str, Any]]:
    script: Script = [[('call', 'outside', '{"x": 1}'), ('call', 'add', '{"x": 1}')]]
    return agent_of(lib, script, 'deferred', toolsets=[external(lib)]), GO


@feature
def calls_that_somebody_else_answers_without_leave(lib: Library) -> tuple[Any, dict[str, Any]]:
    return agent_of(lib, [[('call', 'outside', '{"x": 1}')]], toolsets=[external(lib)]), GO


@feature
def calls_that_somebody_else_answers_beside_text(lib: Library) -> tuple[Any, dict[str, Any]]:
    script: Script = [[('text', 'wait a moment'), ('call', 'outside', '{"x": 1}'), ('call', 'add', '{"x": 1}')]]
    return agent_of(lib, script, 'deferred', toolsets=[external(lib)], end_strategy='exhaustive'), GO


@feature
def tools_that_put_their_calls_off(lib: Library) -> tuple[Any, dict[str, Any]]:
    agent = agent_of(lib, [[('call', 'later', '{}'), ('call', 'add', '{"x": 1}'), ('call', 'asks', '{}')]], 'deferred')

    @agent.tool_plain
    async def later() -> str:
        raise lib.exceptions.CallDeferred(metadata={'task': 1})

    @agent.tool_plain
    async def asks() -> str:
        raise lib.exceptions.ApprovalRequired

    return agent, GO


@feature
def answers_to_calls_put_off(lib: Library) -> tuple[Any, dict[str, Any]]:
    m = lib.messages
    history = [m.ModelRequest(parts=[m.UserPromptPart('go')]), m.ModelResponse(parts=[])]
    history[-1].parts = [m.ToolCallPart('outside', {'x': 1}, 'a'), m.ToolCallPart('outside', {'x': 2}, 'b')]
    results = lib.tools.DeferredToolResults(calls={'a': 'one', 'b': lib.root.ModelRetry('two')})
    agent = agent_of(lib, [], 'deferred', toolsets=[external(lib)])
    return agent, {'message_history': history, 'deferred_tool_results': results}


@feature
def a_history_that_is_answered_already(lib: Library) -> tuple[Any, dict[str, Any]]:
    m = lib.messages
    history = [m.ModelRequest(parts=[m.UserPromptPart('go')]), m.ModelResponse(parts=[m.TextPart('there')])]
    return agent_of(lib, []), {'message_history': history}


@feature
def a_history_goes_on(lib: Library) -> tuple[Any, dict[str, Any]]:
    m = lib.messages
    history = [m.ModelRequest(parts=[m.UserPromptPart('go')]), m.ModelResponse(parts=[m.TextPart('there')])]
    agent = agent_of(lib, [[('call', 'add', '{"x": 1}')], [('call', 'add', '{"x": 1}')]], instructions='be brief')
    return agent, {**GO, 'message_history': history}


@feature
def history_processors_cut_what_is_streamed(lib: Library) -> tuple[Any, dict[str, Any]]:
    async def last(messages: list[Any]) -> list[Any]:
        return messages[-1:]

    return agent_of(lib, [[('call', 'add', '{"x": 1}')]], history_processors=[last]), GO


@feature
def usage_goes_on_and_tools_are_counted(lib: Library) -> tuple[Any, dict[str, Any]]:
    script: Script = [[('call', 'add', '{"x": 1}')], [('call', 'final_result', PLACE), ('call', 'add', '{"x": 1}')]]
    usage = lib.usage.RunUsage(requests=3, input_tokens=7, details={'own': 1})
    return agent_of(lib, script, 'model', end_strategy='exhaustive'), {**GO, 'usage': usage}


@feature
def a_model_that_cannot_stream(lib: Library) -> tuple[Any, dict[str, Any]]:
    async def say(messages: list[Any], info: Any) -> Any:
        raise AssertionError(messages)

    return lib.root.Agent(lib.function.FunctionModel(say)), GO


@feature
def a_model_that_yields_nothing(lib: Library) -> tuple[Any, dict[str, Any]]:
    return agent_of(lib, [[]]), GO


@feature
def a_test_model_with_tools(lib: Library) -> tuple[Any, dict[str, Any]]:
    agent = lib.root.Agent(lib.test.TestModel(call_tools=['add', 'files']))
    add_tools(lib, agent)
    return agent, GO


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('name', FEATURES)
def test_what_users_set_on_a_run_streams_the_same(name: str, style: str):
    both(FEATURES[name], style)


@pytest.mark.parametrize('method', ['stream_output', 'stream_text', 'stream_responses', 'get_output'])
@pytest.mark.parametrize('name', ['text', 'a tool, then text', 'a model', 'native', 'a stream that breaks'])
def test_a_run_streamed_without_async_shows_the_same(name: str, method: str):
    script, output, options = SCENARIOS[name]
    seen: list[Seen] = []
    for lib in (OURS, THEIRS):
        result = agent_of(lib, script, output, **options).run_stream_sync('go')
        noted = Seen([dumped(lib, result.all_messages()), str(result.is_complete)])
        try:
            noted.note(
                *([result.get_output()] if method == 'get_output' else getattr(result, method)(debounce_by=None))
            )
        except Exception as error:  # noqa: BLE001, whatever it is, it is compared
            noted.error = told(error)
        noted.note(dumped(lib, result.all_messages()), result.usage(), result.is_complete, result.response)
        seen.append(noted)
    assert dataclasses.asdict(seen[0]) == dataclasses.asdict(seen[1])


# Any script


WORDS = st.sampled_from(['yes', 'two words', PLACE, '{"city": 1}', '{"city": "Par', 'x' * 30])
ARGS: dict[str, list[str]] = {
    'add': ['{"x": 1}', '{"x": "no"}', '{"x": 2, "y": 3}', '{"x": ', ''],
    'step': ['{}', ''],
    'fussy': ['{"word": "please"}', '{"word": "now"}'],
    'picture': ['{}'],
    'files': [''],
    'nothing': ['{}'],
    'final_result': ['{"city": "Rome"}', '{"city": 1}', PLACE, '{}', '{"city": "Ro'],
    'place': ['{"city": "Oslo"}', '{}'],
    'number': ['{"response": 3}', '{"response": "x"}'],
}
CALLS = st.sampled_from([('call', name, args) for name, choices in ARGS.items() for args in choices])
PARTS = st.one_of(CALLS, CALLS, st.tuples(st.just('text'), WORDS), st.just(('think', 'hmm')))
SCRIPTS = st.lists(st.lists(PARTS, min_size=1, max_size=4), max_size=4)


@given(
    script=SCRIPTS,
    output=st.sampled_from(sorted(OUTPUTS)),
    end_strategy=st.sampled_from(['early', 'exhaustive']),
    retries=st.integers(0, 2),
    limit=st.sampled_from([None, {'output_tokens_limit': 8}, {'tool_calls_limit': 2}, {'request_limit': 2}]),
    style=st.sampled_from(sorted(STYLES)),
)
def test_any_script_streams_the_same(
    script: Script, output: str, end_strategy: str, retries: int, limit: dict[str, int] | None, style: str
):
    def make(lib: Library) -> tuple[Any, dict[str, Any]]:
        limits = lib.usage.UsageLimits(**(limit or {}))
        agent = agent_of(lib, script, output, end_strategy=end_strategy, retries=retries)
        return agent, {'user_prompt': 'go', 'usage_limits': limits}

    both(make, style, which_tool=False)
