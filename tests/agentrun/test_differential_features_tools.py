"""What users set on tools and toolsets, feature by feature, driven through an agent of both libraries."""

import time
from typing import Any

import anyio
import pytest

from tests.both import Table, agree

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

case = Table()


def one(n: int = 1) -> int:
    """Give a number back.

    Args:
        n: The number.
    """
    return n


def two(text: str, *, many: list[int] | None = None) -> str:
    """Say a text."""
    return f'{text} {many}'


def undescribed(text: str) -> str:
    """Say a text."""
    return text


def telling(lib: Any) -> Any:
    """A model that tells, in text, all that it is offered, and calls nothing."""

    async def tell(messages: Any, info: Any) -> Any:
        return lib.ModelResponse(parts=[lib.TextPart(f'{info.function_tools} {info.output_tools}')])

    return lib.FunctionModel(tell)


# Toolsets


@case
async def toolsets_of_every_kind_offer_and_run_their_tools(lib: Any) -> object:
    base = lib.FunctionToolset([one, two], id='base')
    defined = lib.ToolDefinition(name='far', parameters_json_schema={'type': 'object'}, description='away')

    class Loud(lib.WrapperToolset):
        async def call_tool(self, name: str, tool_args: Any, ctx: Any, tool: Any) -> Any:
            result = await self.wrapped.call_tool(name, tool_args, ctx, tool)
            return f'{name} {tool_args} {ctx.tool_name} {ctx.run_step} -> {result}!'

    @lib.with_context
    def asks(ctx: Any, definition: Any, args: Any) -> bool:
        return definition.name == 'two' and args['text'] == 'ask'

    @lib.with_context
    def is_shown(ctx: Any, definition: Any) -> bool:
        return definition.name == 'one' or ctx.run_step > 1

    steps: list[list[tuple[str, dict[str, Any]]]] = [
        [('one', {'n': 2}), ('two', {'text': 'ask'}), ('far', {})],
        [('p_one', {}), ('uno', {}), ('p_two', {'text': 'a'}), ('q_one', {'n': 3})],
        [('two', {'text': 'a', 'many': [1]})],
    ]
    toolsets = [
        base,
        Loud(base),
        Loud(Loud(base).prefixed('p')).renamed({'uno': 'p_one'}),
        base.filtered(is_shown),
        base.approval_required(asks),
        base.approval_required(),
        lib.ExternalToolset([defined]),
        lib.CombinedToolset([base, lib.ExternalToolset([defined]), Loud(base).prefixed('q')]),
        lib.FunctionToolset(),
    ]
    shown: list[object] = []
    for toolset in toolsets:
        calls = [[(*call, f'{call[0]}{number}') for number, call in enumerate(step)] for step in steps]
        agent = lib.Agent(
            lib.says(*calls, 'done'), toolsets=[toolset], retries=3, output_type=[str, lib.DeferredToolRequests]
        )
        shown.append(await lib.seen(agent, 'x'))
    return shown


@case
async def toolsets_are_offered_in_order_and_conflicts_are_told(lib: Any) -> object:
    named, plain = lib.FunctionToolset([one], id='named'), lib.FunctionToolset([one])
    own = lib.Agent(telling(lib), tools=[two], toolsets=[named], output_type=[str, int])
    extra = lib.FunctionToolset([lib.Tool(one, name='three', description='other')])
    output = lib.FunctionToolset([lib.Tool(one, name='final_result')])
    agents = [
        lib.Agent(telling(lib), tools=[one], toolsets=[named]),
        lib.Agent(telling(lib), toolsets=[named, plain]),
        lib.Agent(telling(lib), toolsets=[named.prefixed('a'), plain.renamed({'a_one': 'one'})]),
        lib.Agent(telling(lib), toolsets=[output], output_type=int),
    ]
    shown = [await lib.seen(own, 'x'), await lib.seen(own, 'x', toolsets=[extra])]
    with own.override(toolsets=[extra]):
        shown.append(await lib.seen(own, 'x', toolsets=[plain]))
    with own.override(tools=[one], toolsets=[]):
        shown.append(await lib.seen(own, 'x'))
    return shown, [await lib.seen(agent, 'x') for agent in agents]


@case
async def toolsets_are_entered_and_left_around_runs(lib: Any) -> object:
    noted: list[str] = []

    class Noting(lib.WrapperToolset):
        async def __aenter__(self) -> Any:
            noted.append('enter')
            await self.wrapped.__aenter__()
            return self

        async def __aexit__(self, *args: object) -> Any:
            noted.append('exit')
            return await self.wrapped.__aexit__(*args)

    def fail() -> None:
        raise ValueError('broken')

    toolset = Noting(lib.FunctionToolset([one, fail]))
    agent = lib.Agent(lib.says(('one', {}), 'done'), toolsets=[toolset, toolset.prefixed('p')])
    failing = lib.Agent(lib.says(('fail', {})), toolsets=[toolset])
    await agent.run('x')
    noted.append('in a block')
    async with agent, agent:
        await agent.run('x')
        noted.append('again')
        await agent.run('x')
    noted.append('failing')
    return await lib.seen(failing, 'x'), noted


@case
async def toolsets_may_be_made_by_functions(lib: Any) -> object:
    made: list[str] = []
    agent = lib.Agent(lib.says(('one', {}), ('s2_one', {}), ('three', {}), 'done'), deps_type=int, retries=3)

    @agent.toolset
    @lib.with_context
    def by_step(ctx: Any) -> Any:
        made.append(f'step {ctx.run_step} {ctx.deps}')
        return lib.FunctionToolset([one]).prefixed(f's{ctx.run_step}') if ctx.run_step != 1 else None

    @agent.toolset(per_run_step=False)
    @lib.with_context
    async def once(ctx: Any) -> Any:
        made.append(f'once {ctx.run_step}')
        return lib.FunctionToolset([one])

    @lib.with_context
    async def of_agent(ctx: Any) -> Any:
        made.append(f'agent {ctx.run_step}')
        return lib.FunctionToolset([lib.Tool(one, name='three')])

    other = lib.Agent(lib.says(('three', {}), 'done'), toolsets=[of_agent])
    return await lib.seen(agent, 'x', deps=3), await lib.seen(other, 'x'), made, len(agent.toolsets)


@case
async def options_of_a_toolset_hold_for_its_tools(lib: Any) -> object:
    toolset = lib.FunctionToolset(
        max_retries=2,
        timeout=0.1,
        require_parameter_descriptions=True,
        metadata={'of': 'toolset'},
        strict=True,
        sequential=True,
        docstring_format='google',
    )
    toolset.add_function(one, metadata={'own': 1}, strict=False)
    refused = lib.raised(lambda: toolset.add_function(undescribed))

    @toolset.tool(retries=0, timeout=5, name='own', description='of its own', require_parameter_descriptions=False)
    @lib.with_context
    def other(ctx: Any, n: int) -> str:
        raise lib.ModelRetry(f'{ctx.retry} of {ctx.max_retries}')

    @toolset.tool
    @lib.with_context
    async def slow(ctx: Any) -> str:
        await anyio.sleep(ctx.retry == 0 and 5)
        return f'{ctx.retry} of {ctx.max_retries}'

    table: list[list[Any]] = [[('slow', {}), 'done'], [('own', {'n': 1}), 'done'], [('one', {'n': 'x'}), ('one', {})]]
    shown = [await lib.seen(lib.Agent(lib.says(*calls, 'done'), toolsets=[toolset]), 'x') for calls in table]
    return refused, shown, await lib.seen(lib.Agent(telling(lib), toolsets=[toolset]), 'x')


# Deferred calls


@case
async def calls_are_put_off_with_what_is_known_of_them(lib: Any) -> object:
    calls: list[Any] = [('ask', {'n': 1}, 'c1'), ('later', {}, 'c2'), ('one', {}, 'c3'), ('must', {}, 'c4')]

    def agent_of(output: Any, *answers: Any) -> Any:
        agent = lib.Agent(lib.says(*answers), output_type=output, tools=[one])

        @agent.tool
        @lib.with_context
        def ask(ctx: Any, n: int) -> str:
            if not ctx.tool_call_approved:
                raise lib.ApprovalRequired(metadata={'why': n})
            return f'{n} {ctx.tool_call_approved} {ctx.tool_call_id}'

        @agent.tool_plain
        def later() -> str:
            raise lib.CallDeferred(metadata={'task': 7})

        @agent.tool_plain(requires_approval=True)
        def must() -> str:
            return 'ran'

        return agent

    deferred = [str, lib.DeferredToolRequests]
    first = await agent_of(deferred, calls).run('x')
    results: list[Any] = [
        {'approvals': {'c1': True, 'c4': False}, 'calls': {'c2': 'answer'}},
        {'approvals': {'c1': lib.ToolApproved(override_args={'n': 9}), 'c4': lib.ToolDenied('no')}, 'calls': {'c2': 1}},
        {'approvals': {'c1': True, 'c4': True}, 'calls': {'c2': lib.ToolReturn('r', content='see', metadata={'m': 1})}},
        {'approvals': {'c1': True, 'c4': True}, 'calls': {'c2': lib.ModelRetry('again')}},
        {'approvals': {'c1': True, 'c4': True}, 'calls': {'c2': lib.RetryPromptPart('wrong')}},
        {'approvals': {'c1': lib.ToolApproved(override_args={'n': 'x'}), 'c4': True}, 'calls': {'c2': None}},
        {'approvals': {'c1': True}, 'calls': {}},
        {'approvals': {'c1': True, 'c4': True}, 'calls': {'c2': 1, 'c9': 2}},
        {'approvals': {'c3': True}, 'calls': {}},
        {},
    ]
    shown: list[object] = [repr(first.output), first.all_messages_json().decode()]
    for result in results:
        given = {'deferred_tool_results': lib.DeferredToolResults(**result), 'message_history': first.all_messages()}
        shown.append(await lib.seen(agent_of(deferred, 'done'), **given))
    return shown, lib.raised(lambda: agent_of(str)), await lib.seen(agent_of([int, *deferred[1:]], calls), 'x')


@case
async def deferring_may_be_all_there_is_to_a_run(lib: Any) -> object:
    defined = lib.ToolDefinition(name='far', parameters_json_schema={'type': 'object'}, kind='external')
    toolset = lib.ExternalToolset([defined])
    run_only = lib.Agent(lib.says(('far', {'a': 1}, 'c1')))
    both: list[Any] = [('far', {}, 'c1'), ('final_result', {'response': 1}, 'c2')]
    ended: list[object] = []
    for strategy in ('early', 'exhaustive'):
        agent = lib.Agent(
            lib.says(both), output_type=[int, lib.DeferredToolRequests], toolsets=[toolset], end_strategy=strategy
        )
        ended.append(await lib.seen(agent, 'x'))
    return (
        lib.raised(lambda: lib.Agent('test', output_type=lib.DeferredToolRequests)),
        await lib.seen(run_only, 'x', toolsets=[toolset], output_type=[str, lib.DeferredToolRequests]),
        await lib.seen(run_only, 'x', toolsets=[toolset]),
        await lib.seen(
            lib.Agent(lib.TestModel(), toolsets=[toolset], output_type=[str, lib.DeferredToolRequests]), 'x'
        ),
        ended,
    )


# Timeouts


@case
async def tools_time_out_where_their_own_or_the_agents_limit_says(lib: Any) -> object:
    shown: list[object] = []
    for of_agent, of_tool in ((None, 0.1), (0.1, None), (0.1, 5), (5, 0.1)):
        agent = lib.Agent(lib.says([('nap', {}), ('quick', {})], ('nap', {}), 'done'), tool_timeout=of_agent, retries=2)

        @agent.tool(timeout=of_tool)
        @lib.with_context
        async def nap(ctx: Any) -> str:
            await anyio.sleep(0.3 if ctx.retry == 0 else 0)
            return f'slept, {ctx.retry}'

        @agent.tool_plain
        def quick() -> str:
            return 'quick'

        shown.append(await lib.seen(agent, 'x'))
    return shown


@case
async def a_tool_that_always_times_out_uses_up_its_tries(lib: Any) -> object:
    agent = lib.Agent(lib.says(('nap', {}), ('nap', {}), 'done'), tool_timeout=0.1)

    @agent.tool_plain
    async def nap() -> str:
        await anyio.sleep(5)
        return 'never'

    return await lib.seen(agent, 'x')


@case
async def a_timeout_inside_a_tool_is_its_own(lib: Any) -> object:
    agent = lib.Agent(lib.says(('nap', {}), 'done'), tool_timeout=5)
    free = lib.Agent(lib.says(('nap', {}), 'done'))

    @free.tool_plain
    @agent.tool_plain
    async def nap() -> str:
        raise TimeoutError('mine')

    return await lib.seen(agent, 'x'), await lib.seen(free, 'x')


@case
async def a_sync_tool_times_out_too(lib: Any) -> object:
    agent = lib.Agent(lib.says(('nap', {}), 'done'), tool_timeout=0.1)

    @agent.tool_plain
    def nap() -> str:
        time.sleep(0.2)
        return 'slept'

    return await lib.seen(agent, 'x')


# One after the other


@case
async def a_sequential_tool_makes_its_batch_sequential(lib: Any) -> object:
    def agent_of(noted: list[str], *, sequential: bool) -> Any:
        agent = lib.Agent(lib.says([('a', {}), ('b', {}), ('a', {})], 'done'))
        running: list[str] = []

        async def step(name: str) -> str:
            noted.append(f'{name} beside {running}')
            running.append(name)
            await anyio.sleep(0.005)
            running.remove(name)
            return name

        @agent.tool_plain(sequential=sequential)
        async def a() -> str:
            return await step('a')

        @agent.tool_plain
        async def b() -> str:
            return await step('b')

        return agent

    noted: list[str] = []
    one, free = agent_of(noted, sequential=True), agent_of(noted, sequential=False)
    shown = [await lib.seen(one, 'x'), await lib.seen(free, 'x')]
    with free.sequential_tool_calls():
        shown.append(await lib.seen(agent_of(noted, sequential=False), 'x'))
    return shown, noted


# Prepare functions


@case
async def prepare_may_change_what_is_offered(lib: Any) -> object:
    from dataclasses import replace

    @lib.with_context
    async def described(ctx: Any, definition: Any) -> Any:
        return replace(definition, description=f'{definition.description} at step {ctx.run_step} for {ctx.deps}')

    @lib.with_context
    async def renamed(ctx: Any, definition: Any) -> Any:
        return replace(definition, name='uno', strict=True, sequential=True)

    @lib.with_context
    async def broken(ctx: Any, definition: Any) -> Any:
        raise ValueError('not prepared')

    @lib.with_context
    async def never(ctx: Any, definition: Any) -> None:
        return None

    shown: list[object] = []
    for prepare in (described, renamed, broken, never):
        tool = lib.Tool(one, prepare=prepare)
        shown.append(await lib.seen(lib.Agent(telling(lib), tools=[tool], deps_type=int), 'x', deps=3))
        agent = lib.Agent(lib.says(('one', {'n': 2}), ('uno', {'n': 3}), 'done'), tools=[tool], retries=3)
        shown.append(await lib.seen(agent, 'x'))
    return shown


@case
async def prepare_tools_may_change_and_hide_and_not_add(lib: Any) -> object:
    from dataclasses import replace

    @lib.with_context
    async def strict(ctx: Any, definitions: Any) -> Any:
        return [replace(definition, strict=True, description=f'step {ctx.run_step}') for definition in definitions]

    @lib.with_context
    async def first(ctx: Any, definitions: Any) -> Any:
        return definitions[:1]

    @lib.with_context
    async def reversed_(ctx: Any, definitions: Any) -> Any:
        return definitions[::-1]

    @lib.with_context
    async def added(ctx: Any, definitions: Any) -> Any:
        return [*definitions, replace(definitions[0], name='more')]

    @lib.with_context
    async def renamed(ctx: Any, definitions: Any) -> Any:
        return [replace(definition, name=f'x_{definition.name}') for definition in definitions]

    @lib.with_context
    async def none(ctx: Any, definitions: Any) -> Any:
        return None

    @lib.with_context
    async def broken(ctx: Any, definitions: Any) -> Any:
        raise ValueError('not prepared')

    shown: list[object] = []
    for prepare in (strict, first, reversed_, added, renamed, none, broken):
        for options in ({'prepare_tools': prepare}, {'prepare_output_tools': prepare}):
            agent = lib.Agent(
                lib.says(('two', {'text': 'a'}), ('final_result_int', {'response': 1}), 'done'),
                tools=[one, two],
                output_type=[int, bool, str],
                retries=3,
                **options,
            )
            shown.append(await lib.seen(agent, 'x'))
    return shown


@case
async def prepare_output_tools_sees_the_step_and_the_outputs_only(lib: Any) -> object:
    noted: list[str] = []

    @lib.with_context
    async def outputs(ctx: Any, definitions: Any) -> Any:
        noted.append(f'{ctx.run_step} {ctx.max_retries} {[(d.name, d.kind) for d in definitions]}')
        return [definition for definition in definitions if ctx.run_step > 1 or definition.name.endswith('int')]

    agent = lib.Agent(
        lib.says(('final_result_bool', {'response': True}), ('final_result_bool', {'response': True})),
        tools=[one],
        output_type=[int, bool],
        retries=4,
        output_retries=2,
        prepare_output_tools=outputs,
    )
    return await lib.seen(agent, 'x'), noted


# Tools


@case
async def tools_raise_what_ends_a_run_or_asks_again(lib: Any) -> object:
    async def failing(error: Exception) -> object:
        agent = lib.Agent(lib.says([('fail', {}, 'c1'), ('one', {}, 'c2')], 'done'), tools=[one])

        @agent.tool_plain
        async def fail() -> str:
            raise error

        return await lib.seen(agent, 'x')

    errors = [
        lib.ModelRetry('again'),
        ValueError('mine'),
        lib.UserError('wrong use'),
        lib.UnexpectedModelBehavior('odd', 'body'),
        lib.UsageLimitExceeded('too much'),
        lib.ModelHTTPError(500, 'inner'),
        KeyError('key'),
    ]
    return [await failing(error) for error in errors]


@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)
