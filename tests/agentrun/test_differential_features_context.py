"""What the functions of a user are told wherever a run calls them, driven through both libraries."""

from dataclasses import replace
from typing import Any

import pytest

from tests.both import Table, agree

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

case = Table()


def facts(ctx: Any) -> str:
    """What a context says, without what differs from run to run."""
    return (
        f'deps={ctx.deps} prompt={ctx.prompt!r} step={ctx.run_step} retry={ctx.retry} of {ctx.max_retries} '
        f'last={ctx.last_attempt} retries={ctx.retries} tool={ctx.tool_name} {ctx.tool_call_id} '
        f'approved={ctx.tool_call_approved} partial={ctx.partial_output} messages={len(ctx.messages)} '
        f'requests={ctx.usage.requests} tool_calls={ctx.usage.tool_calls} model={ctx.model.model_name} '
        f'context={ctx.validation_context}'
    )


def noting_agent(lib: Any, noted: list[str], *answers: Any, **options: Any) -> Any:
    """An agent all of whose functions note what they are told."""

    def note(name: str, result: Any) -> Any:
        @lib.with_context
        def function(ctx: Any, *args: Any) -> Any:
            noted.append(f'{name}: {facts(ctx)}')
            return args[0] if args else result

        return function

    @lib.with_context
    async def prepare(ctx: Any, definition: Any) -> Any:
        noted.append(f'prepare: {facts(ctx)}')
        return definition

    @lib.with_context
    async def prepare_all(ctx: Any, definitions: Any) -> Any:
        noted.append(f'prepare all: {facts(ctx)}')
        return definitions

    @lib.with_context
    def processed(ctx: Any, messages: Any) -> Any:
        noted.append(f'processor: {facts(ctx)}')
        return messages

    @lib.with_context
    def validated(ctx: Any, output: Any) -> Any:
        noted.append(f'validator: {facts(ctx)}')
        if ctx.run_step == 2:
            raise lib.ModelRetry('once more')
        return output

    def context(ctx: Any) -> str:
        return f'made at {ctx.run_step}'

    @lib.with_context
    def made(ctx: Any) -> Any:
        noted.append(f'toolset: {facts(ctx)}')
        return lib.FunctionToolset()

    agent = lib.Agent(
        lib.says(*answers),
        deps_type=int,
        instructions=note('instructions', 'brief'),
        prepare_tools=prepare_all,
        history_processors=[processed],
        validation_context=context,
        toolsets=[made],
        **options,
    )
    agent.system_prompt(note('prompt', 'be nice'))
    agent.system_prompt(dynamic=True)(note('dynamic prompt', 'be very nice'))
    agent.output_validator(validated)

    @agent.tool(prepare=prepare, retries=2)
    @lib.with_context
    async def ask(ctx: Any, again: int = 0) -> str:
        noted.append(f'tool: {facts(ctx)}')
        if ctx.retry < again:
            raise lib.ModelRetry(f'not {ctx.retry}')
        return 'asked'

    return agent


@case
async def a_context_is_the_same_wherever_a_function_gets_one(lib: Any) -> object:
    shown: list[object] = []
    scripts: list[list[Any]] = [
        ['text', 'more text'],
        [[('ask', {}, 'c1'), ('ask', {'again': 1}, 'c2')], ('ask', {'again': 1}, 'c3'), 'text', 'more text'],
        [('ask', {'again': 3}, 'c1')],
        [('nope', {}, 'c1'), 'text', 'more text'],
    ]
    for answers in scripts:
        noted: list[str] = []
        agent = noting_agent(lib, noted, *answers, retries=2)
        shown += [await lib.seen(agent, 'x', deps=7), noted]
    return shown


@case
async def a_context_of_a_run_that_goes_on_tells_the_prompt_and_the_history(lib: Any) -> object:
    noted: list[str] = []
    agent = noting_agent(lib, noted, ('ask', {}, 'c1'), 'text', 'more text', retries=2)
    first = await agent.run('one', deps=1)
    shown = [
        await lib.seen(agent, 'two', deps=2, message_history=first.all_messages()),
        await lib.seen(agent, message_history=first.all_messages()[:2], deps=3),
        await lib.seen(agent, message_history=first.all_messages()[:1], deps=4),
        await lib.seen(agent, ['a', 'b'], deps=5, usage=lib.RunUsage(requests=3, tool_calls=2)),
    ]
    return shown, noted


@case
async def output_functions_get_a_context(lib: Any) -> object:
    noted: list[str] = []

    @lib.with_context
    def of_tool(ctx: Any, n: int) -> str:
        noted.append(f'of tool: {facts(ctx)}')
        if ctx.retry == 0:
            raise lib.ModelRetry('another number')
        return f'number {n}'

    @lib.with_context
    async def of_text(ctx: Any, text: str) -> str:
        noted.append(f'of text: {facts(ctx)}')
        if ctx.retry == 0:
            raise lib.ModelRetry('another text')
        return text.upper()

    tool_call = ('final_result', {'n': 1}, 'c')
    return (
        await lib.seen(lib.Agent(lib.says(tool_call), output_type=of_tool), 'x'),
        await lib.seen(lib.Agent(lib.says('hi'), output_type=lib.TextOutput(of_text)), 'x'),
        await lib.seen(lib.Agent(lib.says('{"n": 1}'), output_type=lib.NativeOutput(of_tool)), 'x'),
        await lib.seen(lib.Agent(lib.says(('nope', {}), tool_call, 'hi'), output_type=of_tool, retries=3), 'x'),
        noted,
    )


@case
async def a_context_can_be_copied_and_shows_itself(lib: Any) -> object:
    agent = lib.Agent(lib.says(('look', {}, 'c1'), 'done'), deps_type=int)
    seen: list[object] = []

    @agent.tool
    @lib.with_context
    def look(ctx: Any) -> str:
        copied = replace(ctx, deps=9, tool_name='other')
        seen.append((copied.deps, copied.tool_name, ctx.deps, copied.usage is ctx.usage, copied == replace(copied)))
        seen.append(facts(copied))
        return 'looked'

    return await lib.seen(agent, 'x', deps=1), seen


@case
async def approved_calls_are_told_that_they_are(lib: Any) -> object:
    noted: list[str] = []

    def agent_of(*answers: Any) -> Any:
        agent = lib.Agent(lib.says(*answers), output_type=[str, lib.DeferredToolRequests])

        @agent.tool(requires_approval=True, retries=2)
        @lib.with_context
        async def act(ctx: Any, n: int) -> str:
            noted.append(facts(ctx))
            if n == 1 and ctx.retry == 0:
                raise lib.ModelRetry('another')
            return 'acted'

        return agent

    first = await agent_of([('act', {'n': 1}, 'c1'), ('act', {'n': 2}, 'c2')]).run('x')
    results = lib.DeferredToolResults(approvals={'c1': True, 'c2': True})
    again = agent_of(('act', {'n': 3}, 'c3'))
    resumed = await lib.seen(again, message_history=first.all_messages(), deferred_tool_results=results)
    with_prompt = agent_of('done')
    prompted = await lib.seen(with_prompt, 'and y', message_history=first.all_messages(), deferred_tool_results=results)
    return resumed, prompted, noted


# Agents


@case
async def agents_refuse_what_does_not_go_together(lib: Any) -> object:
    def function(ctx: Any, x: int) -> int:
        return x

    makers: list[Any] = [
        lambda: lib.Agent('test', odd=1, strange=2),
        lambda: lib.Agent('test', output_type=[str, str]),
        lambda: lib.Agent('test', output_type=[]),
        lambda: lib.Agent('test', output_type=[lib.NativeOutput(int), lib.PromptedOutput(int)]),
        lambda: lib.Agent('test', output_type=[lib.NativeOutput(int), str]),
        lambda: lib.Agent('test', output_type=[lib.ToolOutput(int, name='a'), lib.ToolOutput(str, name='a')]),
        lambda: lib.Agent('test', tools=[function, function]),
        lambda: lib.Agent('test', tools=['ping']),
        lambda: lib.Agent('test', tools=[lib.Tool(function, takes_ctx=True)]),
        lambda: lib.Agent(defer_model_check=True, model='no-such-model').name,
    ]
    return [lib.raised(make) for make in makers]


@case
async def a_model_by_name_is_looked_up_when_it_is_needed(lib: Any) -> object:
    agent = lib.Agent('test', defer_model_check=True)
    before = repr(agent.model)
    result = await agent.run('x')
    other = await lib.seen(lib.Agent(), 'x', model='test')
    return before, result.output, type(agent.model).__name__, other


@case
async def functions_of_an_agent_may_be_registered_in_every_way(lib: Any) -> object:
    agent = lib.Agent(lib.says('done'), instructions='first', system_prompt='nice', deps_type=int)

    class Holder:
        def bound(self) -> str:
            return 'bound'

        async def bound_async(self) -> str:
            return 'bound, async'

        def __call__(self) -> str:
            return 'called'

    @agent.instructions
    def plain() -> str:
        return 'plain'

    @agent.instructions()
    async def with_brackets() -> str | None:
        return None

    @agent.system_prompt()
    @lib.with_context
    async def told(ctx: Any) -> str:
        return f'told {ctx.deps}'

    holder = Holder()
    agent.instructions(holder.bound)
    agent.system_prompt(holder.bound_async)
    given = [holder, holder.bound_async, 'more', '']
    return await lib.seen(agent, 'x', deps=2, instructions=given), await lib.seen(agent, 'x', deps=2, instructions='')


@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)
