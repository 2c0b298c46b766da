"""Tools, outputs, retries, limits and processors as the documented behaviours have them."""

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tests.both import Table, agree

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

case = Table()


class City(BaseModel):
    """A city."""

    name: str
    size: int = 0


class Plain(BaseModel):
    n: int


class Row(TypedDict):
    a: int
    b: str


class Colour(Enum):
    RED = 'red'


@dataclass
class Spot:
    x: int
    y: float = 0.5


def tools(lib: Any, agent: Any) -> None:
    """Give an agent a few tools."""

    @agent.tool_plain
    def ping(n: int = 0) -> str:
        return f'pong {n}'

    @agent.tool_plain
    async def add(a: int, b: int) -> int:
        """Add two numbers.

        Args:
            a: First.
            b: Second.
        """
        return a + b

    @agent.tool
    @lib.with_context
    def fails(ctx: Any, why: str = 'bad') -> str:
        raise lib.ModelRetry(f'{why} {ctx.retry} {ctx.max_retries} {ctx.last_attempt} {ctx.tool_name} {ctx.retries}')


# Outputs


def kinds(lib: Any) -> list[Any]:
    """Output types of every sort."""

    def upper(text: str) -> str:
        return text.upper()

    def combine(a: int, b: str = 'x') -> str:
        """Combine them."""
        return f'{a}{b}'

    return [
        int,
        City,
        Plain,
        Row,
        Spot,
        Colour,
        bool,
        list[Plain],
        [City, Plain],
        City | Plain,
        [City, str],
        str | int,
        Literal['a', 'b'],
        tuple[int, str],
        dict[str, int],
        lib.ToolOutput(City, name='town', description='A town', strict=True),
        [lib.ToolOutput(City, name='one'), lib.ToolOutput(Plain, name='two', description='Second')],
        combine,
        [combine, City],
        lib.TextOutput(upper),
        lib.PromptedOutput(City),
        lib.PromptedOutput([City, Plain], name='n', description='d', template='Give {schema}'),
        lib.StructuredDict({'type': 'object', 'properties': {'k': {'type': 'integer'}}}, name='thing', description='T'),
    ]


@case
async def every_kind_of_output_is_offered_alike(lib: Any) -> object:
    shown: list[object] = []
    for kind in kinds(lib):
        model = lib.TestModel()
        agent = lib.Agent(model, output_type=kind)
        try:
            shown.append(await lib.seen(agent, 'x'))
        finally:
            asked = model.last_model_request_parameters
            shown.append(
                (asked.output_mode, repr(asked.output_tools), repr(asked.output_object), asked.allow_text_output)
            )
    return shown


@case
async def outputs_that_contradict_are_refused(lib: Any) -> object:
    profile_free = lib.says('x')
    return [
        lib.raised(lambda kind=kind: lib.Agent(profile_free, output_type=kind))
        for kind in (
            [lib.TextOutput(str), str],
            [lib.PromptedOutput(City), lib.ToolOutput(City)],
            [lib.NativeOutput(City), Plain],
            [lib.ToolOutput(City, name='a'), lib.ToolOutput(Plain, name='a')],
            [],
            [lib.TextOutput(len)],
        )
    ]


@case
async def a_wrong_output_is_retried(lib: Any) -> object:
    good = ('final_result', {'name': 'x'})
    wrong: list[list[Any]] = [
        [('final_result', {'size': 'y'}), good],
        [('final_result', '{"na'), good],
        [('final_result', {}), ('final_result', '[]'), good],
        [('final_result', '')],
    ]
    return [
        await lib.seen(lib.Agent(lib.says(*answers), output_type=City, **options), 'x')
        for options in ({}, {'output_retries': 2}, {'retries': 0})
        for answers in wrong
    ]


@case
async def a_value_under_response_may_be_json_text(lib: Any) -> object:
    agent = lib.Agent(lib.says(('final_result', {'response': '[{"n": 1}]'})), output_type=list[Plain])
    return await lib.seen(agent, 'x')


@case
async def output_functions_may_ask_again(lib: Any) -> object:
    tries: list[int] = []

    def check(n: int) -> str:
        tries.append(n)
        if n < 2:
            raise lib.ModelRetry('larger')
        return f'got {n}'

    @lib.with_context
    async def context(ctx: Any, n: int) -> str:
        return f'{ctx.tool_name} {ctx.retry} {n}'

    class Holder:
        def method(self, text: str) -> int:
            if text == 'bad':
                raise lib.ModelRetry('say good')
            return len(text)

    low, high = ('final_result', {'n': 1}), ('final_result', {'n': 5})
    return (
        await lib.seen(lib.Agent(lib.says(low, high), output_type=check), 'x'),
        await lib.seen(lib.Agent(lib.says(low), output_type=check), 'x'),
        await lib.seen(lib.Agent(lib.says(low), output_type=context), 'x'),
        await lib.seen(lib.Agent(lib.says('bad', 'good'), output_type=lib.TextOutput(Holder().method)), 'x'),
        tries,
    )


@case
async def validators_see_the_tool_and_may_ask_again(lib: Any) -> object:
    seen: list[object] = []

    def agent_of(*answers: Any, **options: Any) -> Any:
        agent = lib.Agent(lib.says(*answers), **options)

        @agent.output_validator
        @lib.with_context
        def first(ctx: Any, value: Any) -> Any:
            seen.append((ctx.tool_name, ctx.partial_output, ctx.retry, value))
            if value in {'no', 1}:
                raise lib.ModelRetry('not that')
            return value

        @agent.output_validator
        async def second(value: Any) -> Any:
            return [value]

        return agent

    final = [('final_result', {'response': 1}), ('final_result', {'response': 2})]
    return (
        await lib.seen(agent_of('no', 'yes'), 'x'),
        await lib.seen(agent_of(*final, output_type=int), 'x'),
        await lib.seen(agent_of('no'), 'x'),
        await lib.seen(agent_of('yes'), 'x', output_type=int),
        seen,
    )


# End strategies


def _mixed(lib: Any) -> list[Any]:
    return [
        [('ping', {}, 'c1'), ('final_result', {'n': 1}, 'c2'), ('add', {'a': 1, 'b': 2}, 'c3'), ('nope', {}, 'c4')],
        [('final_result', {'n': 'x'}, 'c1'), ('final_result', {'n': 2}, 'c2'), ('ping', {}, 'c3')],
        [('final_result', {'n': 1}, 'c1'), ('final_result', {'n': 2}, 'c2'), ('final_result', {'n': 'z'}, 'c3')],
        [('final_result', {'n': 1}, 'c1'), ('fails', {}, 'c2')],
        [('nope', {}, 'c1'), ('ping', {'n': 'x'}, 'c2'), ('final_result', {'n': 'z'}, 'c3')],
        [('later', {}, 'c1'), ('final_result', {'n': 1}, 'c2'), ('ping', {}, 'c3')],
    ]


@case
async def the_end_strategy_decides_what_else_runs(lib: Any) -> object:
    shown: list[object] = []
    for strategy in ('early', 'exhaustive'):
        for response in _mixed(lib):
            external = lib.ExternalToolset([lib.ToolDefinition(name='later')])
            agent = lib.Agent(
                lib.says(response, ('final_result', {'n': 9})),
                output_type=[Plain, lib.DeferredToolRequests],
                end_strategy=strategy,
                toolsets=[external],
                output_retries=2,
            )
            tools(lib, agent)
            shown.append(await lib.seen(agent, 'x'))
    return shown


@case
async def exhaustive_runs_every_output_function(lib: Any) -> object:
    ran: list[int] = []

    def note(n: int) -> int:
        ran.append(n)
        if n == 3:
            raise lib.ModelRetry('three')
        return n

    calls = [('final_result', {'n': n}, f'c{n}') for n in (1, 2, 3)]
    return [
        (await lib.seen(lib.Agent(lib.says(calls), output_type=note, end_strategy=strategy), 'x'), list(ran))
        for strategy in ('early', 'exhaustive')
    ]


# Tools


@case
async def tools_get_their_names_and_conflicts_are_named(lib: Any) -> object:
    def foo() -> str:
        return ''

    def twice() -> object:
        agent = lib.Agent('test', tools=[foo])
        return agent.tool_plain(foo)

    async def rename(ctx: Any, definition: Any) -> Any:
        return replace(definition, name='bar')

    async def run(*listed: Any, **options: Any) -> object:
        return await lib.seen(lib.Agent(lib.TestModel(), tools=listed, **options), 'x')

    def bar() -> str:
        return ''

    renamed = lib.Tool(foo, prepare=rename)
    return (
        lib.raised(twice),
        lib.raised(lambda: lib.Agent('test', tools=[foo, foo])),
        await run(renamed, bar),
        await run(bar, renamed),
        await run(renamed, lib.Tool(foo, name='qux', prepare=rename)),
        await run(lib.Tool(foo, name='final_result'), output_type=int),
        await run(foo, toolsets=[lib.FunctionToolset([foo])]),
    )


@case
async def faulty_signatures_are_explained(lib: Any) -> object:
    def positional(a: int, /, b: int) -> str:
        return ''

    def late(a: Any, ctx: Any) -> str:
        return ''

    late.__annotations__['ctx'] = lib.RunContext[None]

    def unannotated(x) -> str:  # noqa: ANN001  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
        return f'got {x}'

    agent = lib.Agent(lib.TestModel(), tools=[unannotated])
    return (
        [lib.raised(lambda f=f: lib.Agent('test', tools=[f])) for f in (positional, late, min)],
        lib.raised(lambda: lib.Agent('test').tool(positional)),
        lib.raised(lambda: lib.Agent('test').tool_plain(lib.with_context(late))),
        await lib.seen(agent, 'x'),
    )


@case
async def arguments_come_in_every_form(lib: Any) -> object:
    shown: list[object] = []
    for args in ('', {}, None, '{}', {'n': 3}, '{"n": "4"}', '{"n": 1.5}', '[1]', 'not json', {'m': 1}, '{"n": 1'):
        agent = lib.Agent(lib.says(('ping', args, 'c1'), 'done'))
        tools(lib, agent)
        shown.append(await lib.seen(agent, 'x'))
    return shown


@case
async def tool_results_keep_their_values(lib: Any) -> object:
    values = [
        1,
        None,
        True,
        1.5,
        'x',
        b'bytes',
        {'a': [1]},
        City(name='p'),
        Spot(1),
        [City(name='q')],
        (1, 2),
        Colour.RED,
    ]
    shown: list[object] = []
    for value in values:
        agent = lib.Agent(lib.says(('get', {}, 'c1'), 'done'))

        @agent.tool_plain
        def get(value: Any = value) -> Any:
            return value

        result = await agent.run('x')
        part = result.all_messages()[2].parts[0]
        shown.append(
            (type(part.content).__name__, part.content, part.model_response_str(), part.model_response_object())
        )
        shown.append(result.all_messages_json().decode())
    return shown


@case
async def tool_returns_carry_more_than_a_value(lib: Any) -> object:
    image = lib.ImageUrl('https://example.com/a.png')
    data = lib.BinaryContent(b'123', media_type='image/png')
    values = [
        lib.ToolReturn('v'),
        lib.ToolReturn({'a': 1}, content=['see', image], metadata={'m': 1}),
        lib.ToolReturn('v', content='more'),
        image,
        [data, 'text', image],
        lib.ToolReturn(return_value=image),
        [lib.ToolReturn('v')],
        lib.ToolReturn(lib.ToolReturn('v')),
    ]
    shown: list[object] = []
    for value in values:
        agent = lib.Agent(lib.says([('get', {}, 'c1'), ('get', {}, 'c2')], 'done'))

        @agent.tool_plain
        def get(value: Any = value) -> Any:
            return value

        agent2 = lib.Agent(lib.says(('give', {}, 'c1'), 'done'))
        agent2.tool_plain(name='give')(lambda value=value: value)
        shown.append(await lib.seen(agent2, 'x'))
    return shown


@case
async def prepare_hides_a_tool_for_one_step(lib: Any) -> object:
    steps: list[object] = []

    @lib.with_context
    async def sometimes(ctx: Any, definition: Any) -> Any:
        steps.append((ctx.run_step, ctx.retry, ctx.max_retries, ctx.tool_name, definition))
        return definition if ctx.run_step < 2 else None

    async def everything(ctx: Any, definitions: Any) -> Any:
        steps.append([d.name for d in definitions])
        return definitions if ctx.run_step < 3 else None

    agent = lib.Agent(
        lib.says(('ping', {}), ('add', {'a': 1, 'b': 2}), ('x', {}), 'done'), prepare_tools=everything, retries=3
    )
    tools(lib, agent)

    @agent.tool_plain(prepare=sometimes)
    def hidden() -> str:
        return 'h'

    return await lib.seen(agent, 'x'), steps


@case
async def tools_by_schema_and_options(lib: Any) -> object:
    agent = lib.Agent(lib.says([('raw', {'any': 1}, 'c1'), ('ctx_raw', {'k': 2}, 'c2')], 'done'))

    def raw(**kwargs: Any) -> str:
        return json.dumps(kwargs)

    def ctx_raw(ctx: Any, **kwargs: Any) -> str:
        return f'{ctx.deps} {kwargs}'

    schema = {'type': 'object', 'properties': {'any': {'type': 'string'}}}
    listed = [
        lib.Tool.from_schema(raw, name='raw', description='d', json_schema=schema),
        lib.Tool.from_schema(ctx_raw, name='ctx_raw', description=None, json_schema=schema, takes_ctx=True),
    ]
    with agent.override(tools=listed, deps=7):
        return await lib.seen(agent, 'x'), [repr(t.tool_def) for t in listed]


@case
async def a_context_tells_a_tool_about_the_run(lib: Any) -> object:
    agent = lib.Agent(lib.says([('look', {}, 'c1'), ('look', {}, 'c2')], 'done'), deps_type=int)
    seen: list[object] = []

    @agent.tool(retries=4)
    @lib.with_context
    async def look(ctx: Any) -> str:
        seen.append((ctx.deps, ctx.prompt, ctx.retry, ctx.max_retries, ctx.run_step, ctx.tool_call_id, ctx.tool_name))
        seen.append(
            (
                ctx.usage,
                ctx.retries,
                ctx.tool_call_approved,
                ctx.partial_output,
                len(ctx.messages),
                ctx.model.model_name,
            )
        )
        return lib.dump(ctx.messages)

    return await lib.seen(agent, 'x', deps=5), seen


@case
async def parallel_calls_answer_in_call_order(lib: Any) -> object:
    agent = lib.Agent(lib.says([('nap', {'n': n}, f'c{n}') for n in (3, 1, 2)], 'done'))

    @agent.tool_plain
    async def nap(n: int) -> int:
        await anyio.sleep(n / 500)
        return n

    return await lib.seen(agent, 'x')


@case
async def deferred_calls_end_a_run_and_results_resume_it(lib: Any) -> object:
    agent = lib.Agent(
        lib.says([('ask', {'n': 1}, 'c1'), ('ping', {}, 'c2'), ('outside', {}, 'c3')], 'done'),
        output_type=[str, lib.DeferredToolRequests],
    )
    tools(lib, agent)

    @agent.tool_plain(requires_approval=True)
    def ask(n: int) -> str:
        return f'asked {n}'

    @agent.tool_plain
    def outside() -> str:
        raise lib.CallDeferred

    first = await agent.run('x')
    shown: list[object] = [repr(first.output), first.all_messages_json().decode()]
    for approval in (True, False, lib.ToolDenied('never'), lib.ToolApproved(override_args={'n': 5})):
        results = lib.DeferredToolResults(approvals={'c1': approval}, calls={'c3': {'r': 1}})
        shown.append(await lib.seen(agent, message_history=first.all_messages(), deferred_tool_results=results))
    missing = lib.DeferredToolResults(calls={'c3': lib.ModelRetry('again')})
    shown.append(await lib.seen(agent, message_history=first.all_messages(), deferred_tool_results=missing))
    shown.append(await lib.seen(agent, 'new', message_history=first.all_messages(), deferred_tool_results=results))
    shown.append(await lib.seen(agent, 'new', deferred_tool_results=results))
    plain = lib.Agent(lib.says(('outside', {}, 'c3')), tools=[outside])
    shown.append(await lib.seen(plain, 'x'))
    return shown


# Retries


@case
async def retries_are_counted_per_tool(lib: Any) -> object:
    shown: list[object] = []
    for retries in (0, 1, 2):
        agent = lib.Agent(
            lib.says(('fails', {}), ('fails', {'why': 'w'}), ('ping', {}), ('fails', {}), 'done'), retries=retries
        )
        tools(lib, agent)
        shown.append(await lib.seen(agent, 'x'))
    agent = lib.Agent(lib.says(('own', {})), retries=1)

    @agent.tool_plain(retries=5)
    def own() -> str:
        raise lib.ModelRetry('no')

    shown.append(await lib.seen(agent, 'x'))
    wrong = lib.Agent(lib.says(('add', {'a': 'x'})), retries=2)
    tools(lib, wrong)
    shown.append(await lib.seen(wrong, 'x'))
    return shown


@case
async def a_tool_may_time_out(lib: Any) -> object:
    agent = lib.Agent(lib.says(('slow', {}, 'c1'), 'done'))

    @agent.tool_plain(timeout=0.01)
    async def slow() -> str:
        await anyio.sleep(5)
        return 'never'

    return await lib.seen(agent, 'x')


# Scripted models


@case
async def the_test_model_calls_tools_and_makes_data(lib: Any) -> object:
    shown: list[object] = []
    table: list[dict[str, Any]] = [
        {},
        {'seed': 3},
        {'call_tools': []},
        {'call_tools': ['a']},
        {'custom_output_text': 'm'},
    ]
    for options in table:
        agent = lib.Agent(lib.TestModel(**options))
        tools_free = lib.Agent(lib.TestModel(**options), output_type=City)

        @agent.tool_plain
        def many(a: str, b: list[int], c: Literal['u', 'v'], d: dict[str, int], e: bool, f: float, g: City) -> Any:
            return {'a': a, 'g': g}

        shown.append(await lib.seen(agent, 'x'))
        shown.append(await lib.seen(tools_free, 'x'))
    return shown


class Hard(BaseModel):
    """Constraints that made up data has to meet."""

    text: str = Field(min_length=3, max_length=5)
    number: int = Field(ge=7)
    below: float = Field(lt=2)
    unique: set[int] = Field(min_length=2)
    several: list[str] = Field(min_length=2)
    either: int | str | None
    colour: Colour
    pair: tuple[int, str]
    day: str = Field(json_schema_extra={'format': 'date'})


@case
async def the_test_model_meets_constraints(lib: Any) -> object:
    return [await lib.seen(lib.Agent(lib.TestModel(seed=seed), output_type=Hard), 'x') for seed in range(4)]


@case
async def the_test_model_with_history_retries_and_arguments(lib: Any) -> object:
    agent = lib.Agent(lib.TestModel(), retries=2)
    calls = iter(range(9))

    @agent.tool_plain
    def shaky() -> str:
        if next(calls) == 0:
            raise lib.ModelRetry('again')
        return 'fine'

    first = await lib.seen(agent, 'x')
    result = await agent.run('y')
    again = await lib.seen(agent, 'z', message_history=result.all_messages())
    args = lib.Agent(lib.TestModel(custom_output_args={'name': 'n'}), output_type=City)
    several = lib.Agent(lib.TestModel(seed=1), output_type=[City, Plain])
    return first, again, await lib.seen(args, 'x'), await lib.seen(several, 'x')


@case
async def models_have_names(lib: Any) -> object:
    async def hello(messages: Any, info: Any) -> Any:
        return lib.ModelResponse(parts=[lib.TextPart('hi')])

    model = lib.FunctionModel(hello)
    return model.model_name, model.system, lib.TestModel().model_name, lib.TestModel().system, repr(lib.TestModel())


@case
async def usage_is_estimated_from_words(lib: Any) -> object:
    image = lib.BinaryContent(b'0123456789', media_type='image/png')
    prompts = ['two words', 'a, b: c."d" ', ['text', image, lib.ImageUrl('https://x.y/z.png')], '']
    agent = lib.Agent(
        lib.says([('ping', ''), ('ping', {'n': 2}), 'some text'], 'done now'),
        system_prompt='be nice',
        instructions='i i',
    )
    tools(lib, agent)
    return [await lib.seen(agent, prompt) for prompt in prompts]


# Limits


@case
async def limits_stop_a_run(lib: Any) -> object:
    shown: list[object] = []
    for limits in (
        {'request_limit': 1},
        {'request_limit': 0},
        {'input_tokens_limit': 50},
        {'output_tokens_limit': 2},
        {'total_tokens_limit': 55},
        {'tool_calls_limit': 1},
        {'tool_calls_limit': 2},
        {'request_limit': None},
        {'input_tokens_limit': 60, 'count_tokens_before_request': True},
    ):
        agent = lib.Agent(lib.says([('ping', {}), ('add', {'a': 1, 'b': 2})], 'done with many words'))
        tools(lib, agent)
        shown.append(await lib.seen(agent, 'x', usage_limits=lib.UsageLimits(**limits)))
    return shown


@case
async def usage_goes_on_in_the_object_given(lib: Any) -> object:
    usage = lib.RunUsage(requests=3, details={'a': 1})
    agent = lib.Agent(lib.says('hi'))
    result = await agent.run('x', usage=usage)
    outer = lib.Agent(lib.says(('ask', {}), 'done'))

    @outer.tool
    @lib.with_context
    async def ask(ctx: Any) -> str:
        return str((await agent.run('inside', usage=ctx.usage)).output)

    whole = await outer.run('y')
    return repr(usage), result.usage() is usage, repr(whole.usage()), repr(usage + whole.usage())


# Instructions


@case
async def instructions_go_on_each_request(lib: Any) -> object:
    def empty() -> str:
        return ''

    async def spaced() -> str:
        return '  spaced  '

    agent = lib.Agent(lib.says(('ping', {}), 'done'), instructions=['one', empty, 'two', spaced])
    tools(lib, agent)

    @agent.instructions
    @lib.with_context
    def last(ctx: Any) -> str:
        return f'step {ctx.run_step} {ctx.deps}'

    structured = lib.Agent(lib.says(('final_result', {'response': 1})), output_type=int, instructions='only')
    first = await agent.run('x')
    shown = [await lib.seen(agent, 'x', instructions='more', deps=1)]
    shown.append(await lib.seen(lib.Agent(lib.says('hi')), 'y', message_history=first.all_messages()))
    shown.append(await lib.seen(structured, 'x'))
    for override in (None, 'instead', ['a', spaced]):
        with agent.override(instructions=override):
            shown.append(await lib.seen(agent, 'x', instructions='run'))
    return shown


# History processors


@case
async def processors_replace_the_history(lib: Any) -> object:
    def last(messages: Any) -> Any:
        return messages[-1:]

    async def added(messages: Any) -> Any:
        return [lib.ModelRequest(parts=[lib.UserPromptPart('added')]), *messages]

    @lib.with_context
    def aware(ctx: Any, messages: Any) -> Any:
        assert ctx.prompt is not None
        return messages

    def replaced(messages: Any) -> Any:
        return [lib.ModelRequest(parts=[lib.UserPromptPart('only')])]

    def nothing(messages: Any) -> Any:
        return []

    def answered(messages: Any) -> Any:
        return [lib.ModelResponse(parts=[lib.TextPart('t')])]

    class Whole:
        def __call__(self, messages: Any) -> Any:
            return list(messages)

    first = await lib.Agent(lib.says('hi')).run('a')
    shown: list[object] = []
    table: list[list[Any]] = [[last], [added], [aware, last], [replaced], [Whole()], [nothing], [answered]]
    for processors in table:
        agent = lib.Agent(lib.says(('ping', {}), 'done'), history_processors=processors)
        tools(lib, agent)
        shown.append(await lib.seen(agent, 'x', message_history=first.all_messages()))
    return shown


# Errors


@case
async def errors_of_models_and_tools_reach_the_caller(lib: Any) -> object:
    errors = [
        lib.ModelHTTPError(429, 'gpt', {'message': 'slow'}),
        lib.ModelAPIError('gpt', 'down'),
        lib.UnexpectedModelBehavior('odd', '{"a": 1}'),
        lib.UnexpectedModelBehavior('odd', 'text'),
        ValueError('own'),
    ]
    shown = [await lib.seen(lib.Agent(lib.says(error)), 'x') for error in errors]
    agent = lib.Agent(lib.says([('boom', {}), ('ping', {})], 'done'))
    tools(lib, agent)

    @agent.tool_plain
    async def boom() -> str:
        raise KeyError('k')

    return shown, await lib.seen(agent, 'x')


@case
async def what_json_cannot_hold_fails_alike(lib: Any) -> object:
    agent = lib.Agent(lib.TestModel(custom_output_text='done'))

    @agent.tool_plain
    def odd() -> Any:
        return type

    with lib.capture_run_messages() as messages:
        try:
            await agent.run('x')
        except TypeError as error:
            return lib.error(error)
        except ValueError as error:
            return lib.error(error), lib.raised(lambda: lib.dump(messages))
    return 'nothing was raised'


@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)
