"""`Agent`: construction, the ways to run it, what can be set where, and what overrides what."""

import inspect
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Self, cast

import anyio
import pytest
from pydantic import BaseModel, ValidationInfo, field_validator

from agentrun import (
    Agent,
    FunctionToolset,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RunContext,
    RunUsage,
    TextPart,
    ToolCallPart,
    UserError,
    capture_run_messages,
)
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.models.test import TestModel
from agentrun.usage import UsageLimits

pytestmark = pytest.mark.anyio


class Pair(BaseModel):
    """Two numbers."""

    left: int
    right: int


def echo(**options: Any) -> FunctionModel:
    """A model that says what it was told: instructions and tools."""

    async def say(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        tools = [tool.name for tool in info.function_tools]
        return ModelResponse(parts=[TextPart(f'{info.instructions} {tools} {info.model_settings}')])

    return FunctionModel(say, **options)


# Construction


def test_unknown_keywords_are_refused_by_name_in_call_order():
    with pytest.raises(UserError, match=re.escape('Unknown keyword arguments: `foo`, `bar`')):
        Agent('test', foo=1, bar=2)


def test_keywords_that_are_not_offered_are_refused():
    with pytest.raises(UserError, match='Unknown keyword arguments: `instrument`'):
        Agent('test', **cast('Any', {'instrument': None}))


def test_a_keyword_that_no_run_has_is_refused_where_it_is_given():
    with pytest.raises(TypeError, match="unexpected keyword argument 'massage_history'"):
        Agent('test').iter('Hi', **cast('Any', {'massage_history': []}))


def test_an_unknown_model_is_refused_and_the_error_says_what_to_pass():
    with pytest.raises(UserError, match=r"Unknown model: gpt-4o.*'openai:gpt-5'.*pass a `Model` object"):
        Agent('gpt-4o')


def test_a_model_of_another_type_is_refused():
    with pytest.raises(UserError, match="not 'int'"):
        Agent(7)  # type: ignore[arg-type]


async def test_a_deferred_model_check_leaves_the_name_to_the_first_run():
    agent = Agent('gpt-4o', defer_model_check=True)
    assert agent.model == 'gpt-4o'
    with agent.override(model='test'):
        assert (await agent.run('go')).output == 'success (no tool calls)'
    with pytest.raises(UserError, match='Unknown model: gpt-4o'):
        await agent.run('go')


async def test_a_model_may_be_set_by_name_later():
    agent = Agent()
    agent.model = 'test'
    assert (await agent.run('go')).output == 'success (no tool calls)'
    assert isinstance(agent.model, TestModel)


def test_an_agent_shows_itself_as_documented():
    assert repr(Agent(name='a')) == (
        "Agent(model=None, name='a', end_strategy='early', model_settings=None, output_type=<class 'str'>, "
        'instrument=None)'
    )


async def test_an_agent_without_a_model_cannot_run():
    missing = re.escape('`model` must either be set on the agent or included when calling it.')
    agent = Agent()
    with pytest.raises(UserError, match=f'{missing}$'):
        await agent.run('go')
    with agent.override(model='test'), pytest.raises(UserError, match=f'{missing} .*override'):
        await agent.run('go')
    assert (await agent.run('go', model='test')).output == 'success (no tool calls)'


async def test_a_tool_that_needs_approval_needs_an_output_that_asks_for_it():
    agent = Agent('test')
    with pytest.raises(UserError, match='To use tools that require approval, add `DeferredToolRequests`'):
        agent.tool_plain(requires_approval=True)(lambda: None)


# Names


async def test_run_takes_the_name_of_the_variable_that_holds_the_agent():
    helper = Agent('test')
    await helper.run('go')
    other = helper
    await other.run('go')
    assert helper.name == 'helper'


async def test_iter_takes_the_name_too():
    walker = Agent('test')
    async with walker.iter('go'):
        assert walker.name == 'walker'


def test_run_sync_takes_the_name_too():
    blocking = Agent('test')
    blocking.run_sync('go')
    assert blocking.name == 'blocking'


module_agent = Agent('test')


def test_global_variables_are_looked_through_after_local_ones():
    module_agent.run_sync('go')
    assert module_agent.name == 'module_agent'


async def test_a_name_is_not_taken_if_it_is_not_to_be():
    agent = Agent('test')
    await agent.run('go', infer_name=False)
    assert agent.name is None


async def test_a_given_name_stays_and_may_be_overridden():
    agent = Agent('test', name='given')
    with agent.override(name='other'):
        await agent.run('go')
        assert agent.name == 'other'
    assert agent.name == 'given'


async def test_an_agent_that_no_variable_holds_stays_without_a_name():
    agents = [Agent('test')]
    await agents[0].run('go')
    assert agents[0].name is None


# run_sync


def test_run_sync_runs_where_no_loop_runs_again_and_again():
    agent = Agent('test')
    assert [agent.run_sync('go').output for _ in range(2)] == ['success (no tool calls)'] * 2


async def test_run_sync_is_refused_where_a_loop_runs():
    with pytest.raises(RuntimeError, match='This event loop is already running'):
        Agent('test').run_sync('go')


def test_an_agent_that_no_code_of_python_called_stays_without_a_name():
    bottom = inspect.currentframe()
    while bottom is not None and bottom.f_back is not None:
        bottom = bottom.f_back
    agent = Agent('test')
    agent._infer_name(bottom)
    agent._infer_name(None)
    assert agent.name is None


def test_run_sync_works_inside_a_sync_tool():
    inner, outer = Agent('test', name='inner'), Agent('test', name='outer')

    @outer.tool_plain
    def delegate() -> str:
        return inner.run_sync('go').output

    assert outer.run_sync('go').output == '{"delegate":"success (no tool calls)"}'


def test_run_sync_keeps_a_loop_for_each_thread():
    loops: list[Any] = []
    agent = Agent('test')

    @agent.tool_plain
    async def note() -> None:
        import asyncio

        loops.append(asyncio.get_running_loop())

    def twice() -> None:
        for _ in range(2):
            agent.run_sync('go')

    twice()
    thread = threading.Thread(target=twice)
    thread.start()
    thread.join()
    assert [loops[0] is loops[1], loops[2] is loops[3], loops[0] is loops[2]] == [True, True, False]
    assert [loops[0].is_closed(), loops[2].is_closed()] == [False, True]  # the second one went with its thread


def test_the_loop_of_run_sync_is_closed_at_exit():
    code = (
        'import asyncio, atexit\n'
        'from agentrun import Agent\n'
        'agent, loops = Agent("test"), []\n'
        'atexit.register(lambda: print("closed" if loops[0].is_closed() else "left open"))\n'
        '@agent.tool_plain\n'
        'async def note() -> None: loops.append(asyncio.get_running_loop())\n'
        'agent.run_sync("go")\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ('closed\n', '')


# Settings and instructions


async def test_settings_of_the_run_win_over_those_of_agent_and_model():
    model = echo(settings={'temperature': 1, 'top_p': 1, 'seed': 1})
    agent = Agent(model, model_settings={'temperature': 2, 'top_p': 2})
    result = await agent.run('go', model_settings={'temperature': 3})
    assert result.output == "None [] {'temperature': 3, 'top_p': 2, 'seed': 1}"


async def test_instructions_of_the_run_are_added_and_those_of_an_override_replace_all():
    agent = Agent(echo(), instructions=['one', lambda: 'two'])
    assert (await agent.run('go', instructions='three')).output == 'one\nthree\n\ntwo [] None'
    with agent.override(instructions='only'):
        assert (await agent.run('go', instructions='three')).output == 'only [] None'
        with agent.override(instructions=None):
            assert (await agent.run('go')).output == 'None [] None'
        assert (await agent.run('go')).output == 'only [] None'


async def test_overrides_of_concurrent_tasks_do_not_meet():
    agent, said = Agent(echo()), dict[str, str]()

    async def ask(word: str) -> None:
        with agent.override(instructions=word):
            await anyio.sleep(0.001)
            said[word] = (await agent.run('go')).output

    async with anyio.create_task_group() as group:
        for word in ('one', 'two'):
            group.start_soon(ask, word)
    assert said == {'one': 'one [] None', 'two': 'two [] None'}


async def test_tools_and_toolsets_can_be_overridden():
    def first() -> None: ...
    def second() -> None: ...
    def third() -> None: ...

    agent = Agent(echo(), tools=[first], toolsets=[FunctionToolset([second])])
    assert (await agent.run('go')).output == "None ['first', 'second'] None"
    with agent.override(tools=[third]):
        assert (await agent.run('go')).output == "None ['third', 'second'] None"
    with agent.override(toolsets=[]):
        assert (await agent.run('go', toolsets=[FunctionToolset([third])])).output == "None ['first'] None"


async def test_dependencies_reach_tools_and_can_be_overridden():
    agent = Agent('test', deps_type=int)

    @agent.tool
    async def double(ctx: RunContext[int]) -> int:
        return 2 * ctx.deps

    assert (await agent.run('go', deps=2)).output == '{"double":4}'
    with agent.override(deps=5):
        assert (await agent.run('go', deps=2)).output == '{"double":10}'


# Registration


async def test_decorators_work_bare_and_called_and_give_the_function_back():
    agent = Agent('test')

    def function() -> str:
        return 'x'

    decorators: list[Callable[..., Any]] = [agent.instructions, agent.system_prompt, agent.output_validator]
    assert [decorate(function) for decorate in decorators[:2]] == [function] * 2
    assert [decorate()(function) for decorate in decorators[:2]] == [function] * 2
    assert agent.tool_plain(function) is function
    assert agent.tool_plain(name='other')(function) is function
    assert agent.output_validator(lambda data: data)
    assert list(agent.toolsets[0].tools) == ['function', 'other']  # type: ignore[attr-defined]


async def test_an_older_name_of_the_output_type_warns_and_works():
    warned = re.escape('`result_type` is deprecated, use `output_type` instead')
    with pytest.warns(DeprecationWarning, match=warned) as warnings:
        agent = Agent('test', result_type=Pair)
    assert warnings[0].filename == __file__
    assert (await agent.run('go')).output == Pair(left=0, right=0)
    with pytest.warns(DeprecationWarning, match=warned) as warnings:
        result = await Agent('test').run('go', result_type=Pair)
    assert (warnings[0].filename, result.output) == (__file__, Pair(left=0, right=0))
    with pytest.warns(DeprecationWarning, match=warned) as warnings:
        async with Agent('test').iter('go', result_type=Pair):
            pass
    assert warnings[0].filename == __file__


def test_an_older_name_of_the_output_type_warns_in_run_sync_too():
    with pytest.warns(DeprecationWarning, match='`result_type` is deprecated') as warnings:
        result = Agent('test').run_sync('go', result_type=Pair)
    assert (warnings[0].filename, result.output) == (__file__, Pair(left=0, right=0))


# Runs


async def test_messages_are_captured_when_a_run_fails():
    agent = Agent('test')

    @agent.tool_plain
    async def bad() -> None:
        raise ValueError('tool broke')

    with capture_run_messages() as messages, pytest.raises(ValueError, match='tool broke') as raised:
        await agent.run('go')
    assert [message.kind for message in messages] == ['request', 'response']
    assert raised.value.__context__ is None


async def test_only_the_first_run_of_a_block_is_captured_and_blocks_share_their_list():
    agent = Agent('test')
    with capture_run_messages() as outer, capture_run_messages() as inner:
        first = await agent.run('one')
        await agent.run('two')
    assert inner is outer is first.all_messages()
    assert len(outer) == 2


async def test_a_run_inside_a_tool_does_not_disturb_the_captured_messages():
    inner, agent = Agent('test'), Agent('test')

    @agent.tool_plain
    async def delegate(ctx_free: int) -> str:
        return (await inner.run('inner')).output

    with capture_run_messages() as messages:
        await agent.run('outer')
    assert len(messages) == 4


async def test_usage_handed_in_goes_on_counting_and_is_shared_with_delegates():
    inner, agent, usage = Agent('test'), Agent('test'), RunUsage(requests=5)

    @agent.tool
    async def delegate(ctx: RunContext[None]) -> str:
        return (await inner.run('inner', usage=ctx.usage)).output

    result = await agent.run('outer', usage=usage, usage_limits=UsageLimits(request_limit=10))
    assert result.usage() is usage
    assert (usage.requests, usage.tool_calls) == (8, 1)


async def test_a_history_handed_in_is_copied():
    history: list[ModelMessage] = [ModelRequest(parts=[]), ModelResponse(parts=[TextPart('x')])]
    result = await Agent('test').run('go', message_history=history)
    assert (len(history), len(result.all_messages()), len(result.new_messages())) == (2, 4, 2)


async def test_history_and_plain_run_give_a_run_without_tasks_of_its_own():
    names = list[str]()

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        names.append(anyio.get_current_task().name or '')
        return ModelResponse(parts=[TextPart('done') if len(messages) > 1 else ToolCallPart('note', {})])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def note() -> None:
        names.append(anyio.get_current_task().name or '')

    await agent.run('go')
    assert set(names) == {anyio.get_current_task().name}


async def test_toolsets_are_entered_once_while_an_agent_is():
    entered: list[str] = []

    class Lasting(FunctionToolset[None]):
        async def __aenter__(self) -> Self:
            entered.append('in')
            return self

        async def __aexit__(self, *args: object) -> None:
            entered.append('out')

    agent = Agent('test', toolsets=[Lasting()])
    async with agent, agent:
        assert entered == ['in']
    assert entered == ['in', 'out']
    await agent.run('go')
    assert entered == ['in', 'out', 'in', 'out']


def test_the_tools_of_an_agent_are_a_toolset_with_a_name_of_its_own():
    own, given = Agent('test', toolsets=[FunctionToolset[None](id='given')]).toolsets
    assert (own.id, own.label, given.id) == ('<agent>', 'the agent', 'given')


def test_an_agent_tells_its_types():
    agent = Agent('test', deps_type=int, output_type=Pair)
    assert (agent.deps_type, agent.output_type) == (int, Pair)


async def test_calls_run_one_after_the_other_where_that_is_asked_for():
    order: list[str] = []

    async def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) > 1:
            return ModelResponse(parts=[TextPart('done')])
        return ModelResponse(parts=[ToolCallPart('step', {'n': n}) for n in range(2)])

    agent = Agent(FunctionModel(script))

    @agent.tool_plain
    async def step(n: int) -> None:
        order.append(f'{n} starts')
        await anyio.sleep(0.001)
        order.append(f'{n} ends')

    with agent.sequential_tool_calls():
        await agent.run('go')
    assert order == ['0 starts', '0 ends', '1 starts', '1 ends']


async def test_a_toolset_that_cannot_be_entered_ends_the_run_before_it_begins():
    class Closed(FunctionToolset[None]):
        async def __aenter__(self) -> Self:
            raise ConnectionError('closed')

    with pytest.raises(ConnectionError, match='closed'):
        await Agent('test', toolsets=[Closed()]).run('go')


async def test_a_validation_context_reaches_validators_of_arguments():
    seen: list[Any] = []

    class Seen(BaseModel):
        word: str

        @field_validator('word')
        @classmethod
        def note(cls, value: str, info: ValidationInfo) -> str:
            seen.append(info.context)
            return value

    await Agent('test', output_type=Seen, validation_context={'a': 1}).run('go')
    assert seen == [{'a': 1}]
