"""An agent around an agent: what it passes on, and what a subclass changes."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from agentrun import Agent, FunctionToolset, RunUsage, UsageLimits
from agentrun.agent import AgentRun, WrapperAgent
from agentrun.models.test import TestModel

pytestmark = pytest.mark.anyio


class Entered(FunctionToolset[Any]):
    """A toolset that notes whether it is entered."""

    depth = 0

    async def __aenter__(self) -> Any:
        self.depth += 1
        return self

    async def __aexit__(self, *args: object) -> None:
        self.depth -= 1


def test_a_wrapper_is_in_all_that_is_asked_of_it_the_agent_inside():
    inside = Agent(TestModel(), name='inside', deps_type=int, output_type=[int, str], toolsets=[FunctionToolset()])
    wrapper = WrapperAgent(inside)
    assert wrapper.wrapped is inside
    assert wrapper.model is inside.model
    assert (wrapper.name, wrapper.deps_type, wrapper.output_type) == ('inside', int, [int, str])
    assert wrapper.toolsets == inside.toolsets


def test_a_name_given_to_the_wrapper_is_that_of_the_agent_inside():
    inside = Agent(TestModel())
    WrapperAgent(inside).name = 'given'
    assert inside.name == 'given'


async def test_an_agent_without_a_name_takes_that_of_the_wrappers_variable():
    inside = Agent(TestModel())
    outer = WrapperAgent(inside)
    await outer.run('go')
    assert inside.name == 'outer'


async def test_every_argument_of_a_run_reaches_the_agent_inside():
    given: dict[str, Any] = {}

    class Spy(Agent[Any, Any]):
        def iter(self, user_prompt: Any = None, **options: Any) -> Any:
            given.update(options, user_prompt=user_prompt)
            return super().iter(user_prompt, **options)

    options: dict[str, Any] = {
        'output_type': str,
        'message_history': [],
        'deferred_tool_results': None,
        'model': TestModel(),
        'instructions': 'brief',
        'deps': 7,
        'model_settings': {'seed': 1},
        'usage_limits': UsageLimits(request_limit=3),
        'usage': RunUsage(),
        'infer_name': False,
        'toolsets': [FunctionToolset()],
        'builtin_tools': [],
    }
    async with WrapperAgent(Spy()).iter('go', **options):
        assert given == {'user_prompt': 'go', **options}


async def test_the_old_name_of_the_output_type_warns_and_works():
    wrapper = WrapperAgent(Agent(TestModel(custom_output_args=3)))
    with pytest.warns(DeprecationWarning, match='`result_type` is deprecated') as warned:
        scope: Any = wrapper.iter('go', result_type=int)
    assert warned[0].filename == __file__
    async with scope as run:
        async for _ in run:
            pass
    assert run.result.output == 3


async def test_a_subclass_that_changes_iter_changes_every_run():
    class Polite(WrapperAgent[Any, Any]):
        def iter(self, user_prompt: Any = None, **options: Any) -> AbstractAsyncContextManager[AgentRun[Any, Any]]:
            return super().iter(f'Please: {user_prompt}', **options)

    result = await Polite(Agent(TestModel())).run('go')
    assert result.all_messages()[0].parts[0].content == 'Please: go'  # type: ignore[union-attr]


def test_a_wrapper_runs_where_code_is_not_async():
    assert WrapperAgent(Agent(TestModel(custom_output_text='hi'))).run_sync('go').output == 'hi'


async def test_what_is_overridden_is_overridden_in_the_agent_inside():
    inside = Agent(TestModel(), name='inside', deps_type=int)
    wrapper = WrapperAgent(inside)
    with wrapper.override(
        name='other',
        deps=3,
        model=TestModel(custom_output_text='overridden'),
        toolsets=[],
        tools=[],
        instructions='be brief',
    ):
        result = await wrapper.run('go', deps=1)
        assert (wrapper.name, inside.name, result.output) == ('other', 'other', 'overridden')
        assert result.all_messages()[0].instructions == 'be brief'  # type: ignore[union-attr]
    assert (wrapper.name, (await wrapper.run('go', deps=1)).output) == ('inside', 'success (no tool calls)')


async def test_entering_the_wrapper_enters_the_toolsets_of_the_agent_inside():
    toolset = Entered()
    wrapper = WrapperAgent(Agent(TestModel(), toolsets=[toolset]))
    async with wrapper as entered:
        assert (entered, toolset.depth) == (wrapper, 1)
    assert toolset.depth == 0
