"""What users set on a run, feature by feature, driven through both libraries."""

import functools
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, ValidationInfo, field_validator

from tests.both import Table, agree

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

case = Table()


def pinging(lib: Any, *responses: Any, **options: Any) -> Any:
    """An agent with a tool, and a script for its model."""
    agent = lib.Agent(lib.says(*responses), **options)

    @agent.tool_plain
    def ping(n: int = 0) -> str:
        return f'pong {n}'

    return agent


async def caught(lib: Any, call: Any) -> object:
    """The error that an awaitable ends in, or what it gives."""
    try:
        return repr(await call)
    except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
        return lib.error(error)


# Captured messages


@case
async def messages_are_captured_wherever_a_run_fails(lib: Any) -> object:
    def broken() -> str:
        raise ValueError('broken')

    def unread(text: str) -> str:
        raise ValueError(text)

    def refused(messages: Any) -> Any:
        raise lib.UserError('refused')

    history = [lib.ModelRequest.user_text_prompt('a'), lib.ModelResponse(parts=[lib.TextPart('b')])]
    agents = [
        lib.Agent(),
        pinging(lib, 'hi', instructions=[broken]),
        pinging(lib, 'hi', history_processors=[refused]),
        pinging(lib, ValueError('model')),
        pinging(lib, ('ping', {'n': 'x'})),
        pinging(lib, 'hi', output_type=lib.TextOutput(unread)),
        pinging(lib, ('ping', {}), lib.UnexpectedModelBehavior('odd')),
    ]
    prompted = pinging(lib, 'hi')
    prompted.system_prompt(broken)
    shown = [await lib.seen(agent, 'x') for agent in [*agents, prompted]]
    return shown, [await lib.seen(agent, 'x', message_history=history) for agent in agents]


@case
async def messages_captured_are_the_list_of_the_run(lib: Any) -> object:
    agent = pinging(lib, ('ping', {}), 'done')
    with lib.capture_run_messages() as messages:
        async with agent.iter('x') as run:
            lengths = [len(messages) async for _ in run]
        same = messages is run.all_messages(), messages is run.result.all_messages()
        again = await agent.run('y')
    with lib.capture_run_messages() as nothing:
        pass
    return lengths, same, len(messages), len(again.all_messages()), nothing, messages == run.all_messages()


@case
async def a_block_inside_a_tool_shows_the_outer_run(lib: Any) -> object:
    inner = lib.Agent(lib.says('deep'))
    outer = lib.Agent(lib.says(('ask', {}), 'done'))
    seen: list[object] = []

    @outer.tool_plain
    async def ask() -> str:
        with lib.capture_run_messages() as messages:
            result = await inner.run('inside')
        seen.append(lib.dump(messages))
        return str(result.output)

    free = await outer.run('x')
    return await lib.seen(outer, 'x'), seen, lib.dump(free.all_messages())


@case
async def one_of_several_runs_at_a_time_is_captured(lib: Any) -> object:
    agent = pinging(lib, 'done')
    with lib.capture_run_messages() as messages:
        async with anyio.create_task_group() as group:
            group.start_soon(agent.run, 'one')
            group.start_soon(agent.run, 'two')
    return len(messages), [type(message).__name__ for message in messages]


# Names


@case
async def names_come_from_variables_of_the_caller(lib: Any) -> object:
    async def call(given: Any) -> Any:
        await given.run('x')
        return given.name

    listed = [lib.Agent(lib.says('hi'))]
    await listed[0].run('x')
    mine = lib.Agent(lib.says('hi'))
    alias = mine
    await alias.run('x')
    quiet = lib.Agent(lib.says('hi'))
    await quiet.run('x', infer_name=False)
    named = lib.Agent(lib.says('hi'), name='named')
    await named.run('x')
    other = lib.Agent(lib.says('hi'))
    with other.override(name='for now'):
        await other.run('x')
        during = other.name
    return await call(lib.Agent(lib.says('hi'))), listed[0].name, mine.name, quiet.name, named.name, during, other.name


@case
async def a_tool_may_rename_an_agent(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'))
    agent.name = 'first'
    await agent.run('x')
    agent.name = None
    before = agent.name
    await agent.run('x')
    return before, agent.name, repr(agent)[:20]


# Settings


@case
async def settings_reach_every_request_and_count_from_run_to_model(lib: Any) -> object:
    class Own(lib.FunctionModel):
        @property
        def settings(self) -> Any:
            return {'max_tokens': 1, 'seed': 1, 'extra_headers': {'a': '1'}}

    async def tell(messages: Any, info: Any) -> Any:
        return lib.ModelResponse(parts=[lib.TextPart(f'{info.model_settings}')])

    shown: list[object] = []
    table: list[tuple[Any, Any]] = [(None, None), ({}, {}), ({'seed': 2, 'extra_headers': {'b': '2'}}, {'top_p': 0.1})]
    for settings, of_run in table:
        agent = lib.Agent(Own(tell), model_settings=settings)
        shown.append(await lib.seen(agent, 'x', model_settings=of_run))
        shown.append(await lib.seen(lib.Agent(), 'x', model=Own(tell), model_settings=of_run))
        with agent.override(model=lib.FunctionModel(tell, settings={'seed': 9})):
            shown.append(await lib.seen(agent, 'x', model_settings=of_run))
    cut = pinging(lib, lib.ModelResponse(parts=[lib.ToolCallPart('ping', '{"n": ')], finish_reason='length'))
    return shown, await lib.seen(cut, 'x', model_settings={'max_tokens': 7})


# Usage and limits


@case
async def delegates_share_usage_and_limits(lib: Any) -> object:
    def outer(limits: Any, used: list[str]) -> Any:
        inner = pinging(lib, ('ping', {}), 'deep')
        agent = lib.Agent(lib.says([('ask', {}, 'c1')], 'done'))

        @agent.tool
        @lib.with_context
        async def ask(ctx: Any) -> str:
            result = await inner.run('inside', usage=ctx.usage, usage_limits=limits)
            used.append(repr(ctx.usage))
            return f'{result.output} {result.usage() is ctx.usage}'

        return agent

    shown: list[object] = []
    table: list[dict[str, Any]] = [{}, {'request_limit': 3}, {'total_tokens_limit': 150}, {'tool_calls_limit': 1}]
    for chosen in table:
        limits, used = lib.UsageLimits(**chosen), list[str]()
        shown += [await lib.seen(outer(limits, used), 'x', usage_limits=limits), used]
    return shown


@case
async def delegates_at_a_time_share_one_usage(lib: Any) -> object:
    inner = lib.Agent(lib.says('deep'))
    outer = lib.Agent(lib.says([('ask', {}, 'c1'), ('ask', {}, 'c2'), ('ask', {}, 'c3')], 'done'))

    @outer.tool
    @lib.with_context
    async def ask(ctx: Any) -> str:
        await inner.run('inside', usage=ctx.usage)
        return 'asked'

    return await lib.seen(outer, 'x')


def counting(lib: Any, *counts: Any) -> Any:
    """A model that counts tokens ahead of requests: these, in order."""
    left = list(counts)
    seen: list[str] = []

    class Counting(lib.FunctionModel):
        async def count_tokens(self, messages: Any, settings: Any, parameters: Any) -> Any:
            seen.append(f'{len(messages)} {settings} {[tool.name for tool in parameters.function_tools]}')
            count = left.pop(0)
            if isinstance(count, Exception):
                raise count
            return lib.RequestUsage(**count)

    async def answer(messages: Any, info: Any) -> Any:
        parts = [lib.ToolCallPart('ping', {}, 'c')] if len(messages) == 1 else [lib.TextPart('done')]
        return lib.ModelResponse(parts=parts, usage=lib.RequestUsage(input_tokens=10, output_tokens=2))

    return Counting(answer, settings={'seed': 1}), seen


@case
async def tokens_are_counted_before_each_request(lib: Any) -> object:
    shown: list[object] = []
    small, large = {'input_tokens': 5, 'details': {'d': 1}}, {'input_tokens': 50, 'output_tokens': 1}
    table: list[tuple[list[Any], dict[str, Any]]] = [
        ([small, small], {'input_tokens_limit': 20}),
        ([small, large], {'input_tokens_limit': 20}),
        ([large], {'input_tokens_limit': 20}),
        ([large], {'total_tokens_limit': 20}),
        ([small, large], {'output_tokens_limit': 2}),
        ([small, small], {}),
        ([ValueError('cannot count')], {}),
        ([small, small], {'request_limit': 1}),
        ([small], {'request_limit': 0}),
    ]
    for counts, limits in table:
        model, seen = counting(lib, *counts)
        agent = pinging(lib, 'unused')
        allowed = lib.UsageLimits(count_tokens_before_request=True, **limits)
        shown += [await lib.seen(agent, 'x', model=model, usage_limits=allowed), seen]
    return shown


@case
async def limits_count_what_was_used_before(lib: Any) -> object:
    shown: list[object] = []
    table: list[dict[str, Any]] = [
        {'request_limit': 5},
        {'request_limit': 7},
        {'input_tokens_limit': 100},
        {'output_tokens_limit': 100},
        {'total_tokens_limit': 200},
        {'tool_calls_limit': 4},
        {'tool_calls_limit': 5},
    ]
    for limits in table:
        used = lib.RunUsage(requests=5, input_tokens=90, output_tokens=99, tool_calls=4)
        agent = pinging(lib, ('ping', {}), 'done')
        shown += [await lib.seen(agent, 'x', usage=used, usage_limits=lib.UsageLimits(**limits)), repr(used)]
    return shown


@case
async def calls_are_counted_before_they_run(lib: Any) -> object:
    responses: list[Any] = [[('ping', {}), ('nope', {}), ('ping', {'n': 'x'})], ('final_result', {'response': 1})]
    shown: list[object] = []
    for limit in (None, 0, 1, 2, 3):
        agent = pinging(lib, *responses, output_type=int, retries=3)
        shown.append(await lib.seen(agent, 'x', usage_limits=lib.UsageLimits(tool_calls_limit=limit)))
    return shown


@case
async def limits_describe_themselves(lib: Any) -> object:
    limits = [
        lib.UsageLimits(),
        lib.UsageLimits(request_limit=None, input_tokens_limit=1),
        lib.UsageLimits(request_tokens_limit=2, response_tokens_limit=3),
    ]
    checks = [(limit.has_token_limits(), repr(limit)) for limit in limits]
    return checks, limits[0] == lib.UsageLimits(request_limit=50)


# Validation context


class Scaled(BaseModel):
    """A number in the unit of the context."""

    value: int

    @field_validator('value')
    @classmethod
    def scale(cls, value: int, info: ValidationInfo) -> int:
        return value * (info.context or {'by': 1})['by']


@case
async def a_validation_context_reaches_every_kind_of_output(lib: Any) -> object:
    def by_step(ctx: Any) -> Any:
        return {'by': 10 * ctx.run_step}

    def of_scaled(value: Scaled) -> int:
        return value.value + 1

    outputs: list[tuple[Any, Any]] = [
        (Scaled, ('final_result', {'value': 2})),
        (lib.ToolOutput(Scaled), ('final_result', '{"value": 2}')),
        (of_scaled, ('final_result', {'value': 2})),
        (lib.NativeOutput(Scaled), '{"value": 2}'),
        (lib.PromptedOutput([Scaled, int]), '{"result": {"kind": "Scaled", "data": {"value": 2}}}'),
        ([Scaled, of_scaled], ('final_result_Scaled', {'value': 2})),
    ]

    def none(ctx: Any) -> None:
        return None

    contexts: list[Any] = [None, {'by': 3}, by_step, none]
    return [
        await lib.seen(pinging(lib, ('ping', {}), answer, output_type=output, validation_context=context), 'x')
        for output, answer in outputs
        for context in contexts
    ]


@case
async def a_validation_context_that_fails_ends_the_run(lib: Any) -> object:
    def broken(ctx: Any) -> Any:
        raise ValueError(f'no context at step {ctx.run_step}')

    return await lib.seen(pinging(lib, ('ping', {}), 'done', validation_context=broken), 'x')


# History processors


@case
async def processors_of_every_kind_see_each_request(lib: Any) -> object:
    noted: list[str] = []

    class Keeper:
        def keep(self, messages: Any) -> Any:
            noted.append(f'keep {len(messages)}')
            return messages

        async def keep_with_context(self, ctx: Any, messages: Any) -> Any:
            noted.append(f'context {ctx.run_step} {ctx.usage.requests} {len(ctx.messages)} {len(messages)}')
            return messages

        async def __call__(self, messages: Any) -> Any:
            noted.append(f'call {len(messages)}')
            return messages

    async def limited(most: int, messages: Any) -> Any:
        return messages[-most:]

    Keeper.keep_with_context.__annotations__['ctx'] = lib.RunContext[Any]
    keeper = Keeper()
    processors = [keeper.keep, keeper.keep_with_context, keeper, functools.partial(limited, 2)]
    agent = pinging(lib, ('ping', {}), ('ping', {'n': 1}), 'done', history_processors=processors)
    return await lib.seen(agent, 'x', message_history=[lib.ModelRequest.user_text_prompt('a')]), noted


@case
async def a_processor_may_change_messages_in_place(lib: Any) -> object:
    def mark(messages: Any) -> Any:
        messages[-1].parts.append(lib.UserPromptPart('marked'))
        return messages

    def drop_first(messages: Any) -> Any:
        del messages[0]
        return messages

    def instructed(messages: Any) -> Any:
        return [*messages[:-1], lib.ModelRequest(parts=messages[-1].parts, instructions='from a processor')]

    history = [lib.ModelRequest.user_text_prompt('a'), lib.ModelResponse(parts=[lib.TextPart('b')])]
    shown: list[object] = []
    for processor in (mark, drop_first, instructed):
        agent = pinging(lib, ('ping', {}), 'done', history_processors=[processor], instructions='own')
        shown.append(await lib.seen(agent, 'x', message_history=list(history)))
        shown.append(lib.dump(history))
    return shown


@case
async def a_processor_that_fails_ends_the_run(lib: Any) -> object:
    def broken(messages: Any) -> Any:
        raise ValueError(f'{len(messages)} messages')

    return await lib.seen(pinging(lib, 'hi', history_processors=[broken]), 'x')


# Histories


@case
async def a_history_goes_on_in_every_form(lib: Any) -> object:
    first = await pinging(lib, ('ping', {}), 'done', system_prompt='be nice', instructions='brief').run('one')
    loaded = lib.ModelMessagesTypeAdapter.validate_json(first.all_messages_json())
    forms: list[Any] = [
        first.all_messages(),
        tuple(first.new_messages()),
        loaded,
        lib.ModelMessagesTypeAdapter.validate_python(lib.ModelMessagesTypeAdapter.dump_python(loaded)),
        first.all_messages()[2:],
        first.all_messages()[:1],
        first.all_messages()[:2],
        first.all_messages()[-1:],
        [lib.ModelRequest(parts=[lib.SystemPromptPart('s')])],
        [lib.ModelRequest(parts=[], instructions='only')],
        [],
        None,
    ]
    shown: list[object] = []
    for history in forms:
        before = lib.dump(list(history or []))
        for prompt in ('two', None):
            agent = pinging(lib, 'again', system_prompt='be rude', instructions='long')
            shown.append(await lib.seen(agent, prompt, message_history=history))
            shown.append(lib.dump(list(history or [])) == before)
    return shown


@case
async def a_history_ends_in_what_the_output_tool_is_told(lib: Any) -> object:
    agent = pinging(lib, ('final_result', {'response': 4}), output_type=int)
    first = await agent.run('one')
    told = first.all_messages(output_tool_return_content='noted')
    again = await agent.run('two', message_history=told)
    new = first.new_messages_json(output_tool_return_content='noted').decode()
    plain = await pinging(lib, 'hi').run('x')
    wrong = lib.raised(lambda: plain.all_messages(output_tool_return_content='noted'))
    return again.all_messages_json().decode(), new, first.all_messages_json().decode(), wrong


@case
async def a_history_of_another_agent_is_taken_as_it_is(lib: Any) -> object:
    other = lib.Agent(lib.says(('far', {}, 'c1'), 'hi'), system_prompt='other', name='other')

    @other.tool_plain
    def far() -> str:
        return 'away'

    result = await other.run('one')
    open_call = result.all_messages()[:2]
    agent = pinging(lib, ('final_result', {'response': 4}), output_type=int)
    return [
        await lib.seen(agent, 'two', message_history=result.all_messages()),
        await lib.seen(agent, None, message_history=open_call),
        await lib.seen(agent, 'two', message_history=open_call),
        await lib.seen(agent, None, message_history=result.all_messages()),
    ]


@case
async def a_history_that_is_malformed_is_told(lib: Any) -> object:
    texts = ['[{}]', '[{"kind": "reply"}]', '{', '[{"kind": "request", "parts": [{"part_kind": "odd"}]}]', 'null']
    load = lib.ModelMessagesTypeAdapter.validate_json
    return [lib.raised(functools.partial(load, text)) for text in texts]


@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)
