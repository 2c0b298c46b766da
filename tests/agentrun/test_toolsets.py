from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import anyio
import anyio.lowlevel
import pytest
from typing_extensions import override

from agentrun._records import changed
from agentrun.exceptions import ApprovalRequired, ModelRetry, UserError
from agentrun.tools import RunContext, Tool, ToolDefinition
from agentrun.toolsets import (
    AbstractToolset,
    CombinedToolset,
    DeferredToolset,  # pyright: ignore[reportDeprecated]
    ExternalToolset,
    FilteredToolset,
    FunctionToolset,
    PreparedToolset,
    ToolsetTool,
    WrapperToolset,
)
from agentrun.toolsets._dynamic import DynamicToolset
from tests.tool_helpers import run_context

pytestmark = pytest.mark.anyio


def add(x: int, y: int) -> int:
    return x + y


def name_in_context(ctx: RunContext[Any]) -> str | None:
    return ctx.tool_name


async def offered(toolset: AbstractToolset[Any], **fields: Any) -> list[str]:
    return list(await toolset.get_tools(run_context(**fields)))


async def call(toolset: AbstractToolset[Any], name: str, args: dict[str, Any], **fields: Any) -> Any:
    ctx = run_context(tool_name=name, **fields)
    tools = await toolset.get_tools(ctx)
    return await toolset.call_tool(name, args, ctx, tools[name])


class Connected(FunctionToolset[Any]):
    """A toolset that notes when it is entered and left."""

    def __init__(self, log: list[str], name: str, *, fails: bool = False) -> None:
        super().__init__(id=name)
        self.log, self.name, self.fails = log, name, fails

    @override
    async def __aenter__(self) -> Self:
        await anyio.lowlevel.checkpoint()
        if self.fails:
            raise ConnectionError(self.name)
        self.log.append(f'+{self.name}')
        return self

    @override
    async def __aexit__(self, *args: object) -> bool | None:
        self.log.append(f'-{self.name}')
        return None


async def test_functions_and_tools_are_offered_in_the_order_they_were_added():
    toolset = FunctionToolset[Any]([add, Tool(name_in_context, name='b')])

    @toolset.tool
    def c() -> None: ...

    @toolset.tool(name='d', retries=4)
    def other() -> None: ...

    assert await offered(toolset) == ['add', 'b', 'c', 'd']
    tools = await toolset.get_tools(run_context())
    assert [tool.max_retries for tool in tools.values()] == [1, 1, 1, 4]
    assert callable(c)
    assert callable(other)


async def test_a_function_is_called_with_validated_arguments():
    assert await call(FunctionToolset([add]), 'add', {'x': 1, 'y': 2}) == 3


def test_a_name_may_be_taken_once():
    with pytest.raises(UserError, match=r"^Tool name conflicts with existing tool: 'add'$"):
        FunctionToolset([add, add])


async def test_what_is_set_on_the_toolset_holds_for_tools_that_say_nothing():
    toolset = FunctionToolset[Any](
        max_retries=3, strict=True, sequential=True, requires_approval=True, metadata={'a': 1, 'b': 1}
    )
    toolset.add_function(add, name='inherits')
    toolset.add_function(
        add, name='says', retries=0, strict=False, sequential=False, requires_approval=False, metadata={'b': 2}
    )
    inherits, says = (await toolset.get_tools(run_context())).values()
    assert inherits.tool_def == changed(
        Tool(add, name='inherits', requires_approval=True).tool_def,
        strict=True,
        sequential=True,
        metadata={'a': 1, 'b': 1},
    )
    assert says.tool_def == changed(
        Tool(add, name='says').tool_def, strict=False, sequential=False, metadata={'a': 1, 'b': 2}
    )
    assert (inherits.max_retries, says.max_retries) == (3, 0)


async def test_retries_follow_the_toolset_until_the_tool_says():
    tool = Tool(add)
    toolset = FunctionToolset[Any]([tool], max_retries=2)
    tool.max_retries = None
    toolset.max_retries = 5
    assert (await toolset.get_tools(run_context()))['add'].max_retries == 5


async def test_prepare_sees_the_context_of_its_tool():
    seen: list[Any] = []

    async def look(ctx: RunContext[Any], tool_def: ToolDefinition) -> ToolDefinition | None:
        seen.append((ctx.tool_name, ctx.retry, ctx.max_retries))
        return tool_def

    toolset = FunctionToolset[Any](max_retries=4)
    toolset.add_function(add, prepare=look)
    await toolset.get_tools(run_context(retries={'add': 2}))
    assert seen == [('add', 2, 4)]


def renamed_to(name: str | None) -> Callable[..., Any]:
    async def prepare(_ctx: RunContext[Any], tool_def: ToolDefinition) -> ToolDefinition | None:
        return changed(tool_def, name=name) if name else None

    return prepare


async def test_prepare_may_hide_a_tool():
    toolset = FunctionToolset[Any]([Tool(add, prepare=renamed_to(None)), name_in_context])
    assert await offered(toolset) == ['name_in_context']


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ([(None, 'foo'), ('foo', 'bar')], "Renaming tool 'bar' to 'foo' conflicts with existing tool."),
        ([('bar', 'foo'), (None, 'bar')], "Tool name conflicts with previously renamed tool: 'bar'."),
    ],
)
async def test_renaming_into_a_conflict_is_refused(names: list[tuple[str | None, str]], message: str):
    tools = [Tool(add, name=own, prepare=renamed_to(new) if new else None) for new, own in names]
    with pytest.raises(UserError) as caught:
        await offered(FunctionToolset[Any](tools))
    assert str(caught.value) == message


@pytest.mark.parametrize(('own', 'shared'), [(0.01, None), (None, 0.01), (0.01, 60)])
async def test_a_call_that_takes_too_long_is_to_be_tried_again(own: float | None, shared: float | None):
    async def slow() -> None:
        await anyio.sleep(60)

    toolset = FunctionToolset[Any]([Tool(slow, timeout=own)], timeout=shared)
    with pytest.raises(ModelRetry, match=r'^Timed out after 0\.01 seconds\.$') as caught:
        await call(toolset, 'slow', {})
    assert caught.value.__cause__ is None


async def test_a_call_within_its_time_returns():
    assert await call(FunctionToolset[Any]([add], timeout=60), 'add', {'x': 1, 'y': 1}) == 2


@pytest.mark.parametrize('toolset', [FunctionToolset[Any]([add]), CombinedToolset[Any]([FunctionToolset([add])])])
async def test_a_tool_of_another_toolset_is_refused(toolset: AbstractToolset[Any]):
    ctx = run_context()
    other = (await ExternalToolset[Any]([ToolDefinition(name='a')]).get_tools(ctx))['a']
    with pytest.raises(TypeError, match='was given a ToolsetTool for'):
        await toolset.call_tool('a', {}, ctx, other)


async def test_filtered_offers_what_the_function_says_yes_to():
    toolset = FunctionToolset[Any]([add, name_in_context])
    filtered = toolset.filtered(lambda ctx, tool_def: tool_def.name == ctx.deps)
    assert await offered(filtered, deps='add') == ['add']
    assert await offered(filtered, deps='none') == []


async def test_prefixed_tools_are_called_by_their_own_name():
    toolset = FunctionToolset[Any]([name_in_context]).prefixed('p').prefixed('q')
    assert await offered(toolset) == ['q_p_name_in_context']
    tool = (await toolset.get_tools(run_context()))['q_p_name_in_context']
    assert (tool.tool_def.name, tool.toolset) == ('q_p_name_in_context', toolset)
    assert await call(toolset, 'q_p_name_in_context', {}) == 'name_in_context'
    assert toolset.tool_name_conflict_hint == 'Change the `prefix` attribute to avoid name conflicts.'


async def test_renamed_tools_are_called_by_their_own_name():
    toolset = FunctionToolset[Any]([add, name_in_context]).renamed({'new': 'name_in_context'})
    assert await offered(toolset) == ['add', 'new']
    assert await call(toolset, 'new', {}) == 'name_in_context'
    assert await call(toolset, 'add', {'x': 1, 'y': 1}) == 2


async def test_prepared_may_change_drop_and_reorder():
    async def prepare(_ctx: RunContext[Any], tool_defs: list[ToolDefinition]) -> list[ToolDefinition] | None:
        return [changed(tool_def, strict=True) for tool_def in reversed(tool_defs) if tool_def.name != 'b']

    toolset = FunctionToolset[Any]([Tool(add, name=name) for name in 'abc']).prepared(prepare)
    tools = await toolset.get_tools(run_context())
    assert [(name, tool.tool_def.strict) for name, tool in tools.items()] == [('c', True), ('a', True)]


async def test_prepared_by_none_offers_nothing():
    async def prepare(_ctx: RunContext[Any], _tool_defs: list[ToolDefinition]) -> list[ToolDefinition] | None:
        return None

    assert await offered(PreparedToolset(FunctionToolset([add]), prepare)) == []


async def test_prepared_may_not_rename():
    async def prepare(_ctx: RunContext[Any], tool_defs: list[ToolDefinition]) -> list[ToolDefinition] | None:
        return [changed(tool_def, name='other') for tool_def in tool_defs]

    with pytest.raises(UserError) as caught:
        await offered(PreparedToolset(FunctionToolset([add]), prepare))
    assert str(caught.value) == (
        'Prepare function cannot add or rename tools. Use `FunctionToolset.add_function()` or `RenamedToolset` instead.'
    )


async def test_a_call_that_needs_approval_runs_once_it_has_it():
    toolset = FunctionToolset[Any]([add]).approval_required()
    with pytest.raises(ApprovalRequired):
        await call(toolset, 'add', {'x': 1, 'y': 2})
    assert await call(toolset, 'add', {'x': 1, 'y': 2}, tool_call_approved=True) == 3


async def test_approval_may_depend_on_the_arguments():
    toolset = FunctionToolset[Any]([add]).approval_required(lambda _ctx, _tool_def, args: args['x'] > 1)
    assert await call(toolset, 'add', {'x': 1, 'y': 2}) == 3
    with pytest.raises(ApprovalRequired):
        await call(toolset, 'add', {'x': 2, 'y': 2})


async def test_combined_offers_all_in_order_and_calls_each_where_it_belongs():
    toolset = CombinedToolset[Any]([FunctionToolset([add]), FunctionToolset([name_in_context]).prefixed('p')])
    assert await offered(toolset) == ['add', 'p_name_in_context']
    assert await call(toolset, 'add', {'x': 1, 'y': 2}) == 3
    assert await call(toolset, 'p_name_in_context', {}) == 'name_in_context'


async def test_combined_refuses_a_name_that_two_offer():
    toolset = CombinedToolset[Any](
        [FunctionToolset([add], id='one'), FunctionToolset([add]).prefixed('p').renamed({'add': 'p_add'})]
    )
    with pytest.raises(UserError) as caught:
        await offered(toolset)
    assert str(caught.value) == (
        'RenamedToolset(PrefixedToolset(FunctionToolset)) defines a tool whose name conflicts with existing tool from '
        "FunctionToolset 'one': 'add'. Rename the tool or wrap the toolset in a `PrefixedToolset` to avoid name "
        'conflicts.'
    )


async def test_combined_enters_in_order_and_leaves_in_reverse():
    log: list[str] = []
    toolset = CombinedToolset[Any](
        [
            Connected(log, 'a'),
            FunctionToolset([add]),
            FilteredToolset(Connected(log, 'b'), lambda _ctx, _tool_def: True),
        ]
    )
    async with toolset as entered:
        assert entered is toolset
        assert log == ['+a', '+b']
    assert log == ['+a', '+b', '-b', '-a']


async def test_combined_of_toolsets_that_do_nothing_on_entering_does_nothing():
    plain = FunctionToolset[Any]([add])
    async with CombinedToolset[Any]([plain]) as toolset, plain:
        assert await offered(toolset) == ['add']


async def test_combined_shared_by_several_runs_is_entered_once():
    log: list[str] = []
    toolset = CombinedToolset[Any]([Connected(log, 'a')])

    async def run() -> None:
        async with toolset:
            log.append('in')
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        group.start_soon(run)
    assert log == ['+a', 'in', 'in', '-a']
    await run()
    assert log[4:] == ['+a', 'in', '-a']


async def test_combined_leaves_what_it_entered_if_another_fails():
    log: list[str] = []
    toolset = CombinedToolset[Any]([Connected(log, 'a'), Connected(log, 'b', fails=True)])
    with pytest.raises(ConnectionError):
        async with toolset:
            pass
    assert log == ['+a', '-a']


def test_combined_can_be_used_again_on_another_event_loop():
    log: list[str] = []
    toolset = CombinedToolset[Any]([Connected(log, 'a')])

    async def run() -> None:
        async with toolset:
            pass

    for backend in ('asyncio', 'trio'):
        anyio.run(run, backend=backend)
    assert log == ['+a', '-a', '+a', '-a']


async def test_external_tools_wait_for_somebody_else():
    tool_def = ToolDefinition(name='a', parameters_json_schema={'type': 'object'})
    toolset = ExternalToolset[Any]([tool_def], id='ext')
    tool = (await toolset.get_tools(run_context()))['a']
    assert tool.tool_def == changed(tool_def, kind='external')
    assert tool_def.kind == 'function'
    assert (tool.max_retries, toolset.id, toolset.label) == (0, 'ext', "ExternalToolset 'ext'")
    with pytest.raises(NotImplementedError, match=r'^External tools cannot be called directly$'):
        await call(toolset, 'a', {})


def test_the_old_name_of_external_toolsets_warns():
    with pytest.warns(DeprecationWarning, match='use `ExternalToolset` instead'):
        DeferredToolset[Any]([])  # pyright: ignore[reportDeprecated]


@pytest.mark.parametrize(
    ('toolset', 'label'),
    [
        (FunctionToolset[Any](), 'FunctionToolset'),
        (FunctionToolset[Any](id='x'), "FunctionToolset 'x'"),
        (WrapperToolset[Any](FunctionToolset(id='x')), "WrapperToolset(FunctionToolset 'x')"),
        (
            CombinedToolset[Any]([FunctionToolset(), FunctionToolset(id='x')]),
            "CombinedToolset(FunctionToolset, FunctionToolset 'x')",
        ),
    ],
)
def test_labels_name_the_toolset_in_errors(toolset: AbstractToolset[Any], label: str):
    assert toolset.label == label


def test_toolsets_around_toolsets_have_no_id():
    assert WrapperToolset[Any](FunctionToolset(id='x')).id is None
    assert CombinedToolset[Any]([FunctionToolset(id='x')]).id is None


def test_visitors_see_the_toolsets_that_list_tools_of_their_own():
    one, two = FunctionToolset[Any](), FunctionToolset[Any]()
    whole = CombinedToolset[Any]([one.prefixed('p'), WrapperToolset(two)])
    seen: list[AbstractToolset[Any]] = []
    whole.apply(seen.append)
    assert seen == [one, two]


def test_visitors_may_replace_them_in_a_copy():
    one, two, new = FunctionToolset[Any](), FunctionToolset[Any](), FunctionToolset[Any]()
    whole = CombinedToolset[Any]([one.prefixed('p'), WrapperToolset(two)])
    copy = whole.visit_and_replace(lambda toolset: new if toolset is two else toolset)
    assert copy == CombinedToolset[Any]([one.prefixed('p'), WrapperToolset(new)])
    assert whole == CombinedToolset[Any]([one.prefixed('p'), WrapperToolset(two)])


async def test_a_users_wrapper_with_fields_of_its_own_works():
    @dataclass
    class Counting(WrapperToolset[Any]):
        calls: int = 0

        @override
        async def call_tool(
            self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
        ) -> Any:
            self.calls += 1
            return await super().call_tool(name, tool_args, ctx, tool)

    toolset = Counting(FunctionToolset([add]), calls=5)
    assert await call(toolset, 'add', {'x': 1, 'y': 2}) == 3
    assert toolset.calls == 6


async def test_dynamic_makes_its_toolset_at_each_step():
    log: list[str] = []

    def make(ctx: RunContext[Any]) -> AbstractToolset[Any]:
        toolset = Connected(log, str(ctx.run_step))
        toolset.add_function(add, name=f'add_{ctx.run_step}')
        return toolset

    dynamic = DynamicToolset[Any](make)
    async with dynamic:
        assert await offered(dynamic, run_step=1) == ['add_1']
        assert await offered(dynamic, run_step=1) == ['add_1']
        assert await offered(dynamic, run_step=2) == ['add_2']
        assert await call(dynamic, 'add_2', {'x': 1, 'y': 1}, run_step=2) == 2
    assert log == ['+1', '-1', '+2', '-2']


async def test_dynamic_inside_combined_leaves_what_it_made_with_the_run():
    log: list[str] = []
    async with CombinedToolset[Any]([DynamicToolset(lambda _ctx: Connected(log, 'a'))]) as toolset:
        await offered(toolset)
        assert log == ['+a']
    assert log == ['+a', '-a']


async def test_dynamic_for_a_run_makes_it_once():
    made: list[int] = []

    async def make(ctx: RunContext[Any]) -> AbstractToolset[Any]:
        made.append(ctx.run_step)
        return FunctionToolset([add])

    dynamic = DynamicToolset[Any](make, per_run_step=False, id='d')
    assert dynamic.id == 'd'
    assert [await offered(dynamic, run_step=step) for step in (1, 2)] == [['add'], ['add']]
    assert made == [1]


async def test_dynamic_may_make_none():
    dynamic = DynamicToolset[Any](lambda _ctx: None)
    async with dynamic:
        assert await offered(dynamic) == []
    with pytest.raises(RuntimeError, match='holds no toolset'):
        await dynamic.call_tool(
            'a', {}, run_context(), (await FunctionToolset[Any]([add]).get_tools(run_context()))['add']
        )


async def test_dynamic_shows_visitors_what_it_holds():
    inner, new = FunctionToolset[Any]([add]), FunctionToolset[Any]([name_in_context])
    dynamic = DynamicToolset[Any](lambda _ctx: inner)
    seen: list[AbstractToolset[Any]] = []
    dynamic.apply(seen.append)
    assert dynamic.visit_and_replace(lambda toolset: toolset) is dynamic
    await offered(dynamic)
    dynamic.apply(seen.append)
    assert seen == [dynamic, inner]
    replaced = dynamic.visit_and_replace(lambda _: new)
    assert await offered(replaced) == ['name_in_context']
    assert await offered(dynamic) == ['add']


async def test_a_copy_of_dynamic_holds_nothing_yet():
    dynamic = DynamicToolset[Any](lambda _ctx: FunctionToolset([add]))
    await offered(dynamic)
    seen: list[AbstractToolset[Any]] = []
    copy = dynamic.copy()
    copy.apply(seen.append)
    assert seen == [copy]
