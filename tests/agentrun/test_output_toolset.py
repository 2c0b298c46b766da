from typing import Any

import pytest
from pydantic import BaseModel

from agentrun._output import OutputToolset, OutputValidator
from agentrun.exceptions import ModelRetry
from agentrun.output import ToolOutput
from agentrun.tools import RunContext
from tests.tool_helpers import run_context

pytestmark = pytest.mark.anyio


class Foo(BaseModel):
    """A foo."""

    a: int


class Bar(BaseModel):
    b: int


def build(*outputs: Any, **options: Any) -> OutputToolset[Any]:
    toolset = OutputToolset[Any].build(outputs, **options)
    assert toolset is not None
    return toolset


async def told(toolset: OutputToolset[Any]) -> list[tuple[str, str | None, bool | None]]:
    tools = await toolset.get_tools(run_context())
    assert all(tool.tool_def.kind == 'output' and tool.tool_def.name == name for name, tool in tools.items())
    return [(name, tool.tool_def.description, tool.tool_def.strict) for name, tool in tools.items()]


def test_no_outputs_make_no_toolset():
    assert OutputToolset[Any].build([]) is None


async def test_a_single_output_has_the_plain_name():
    assert await told(build(Bar)) == [('final_result', 'The final response which ends this conversation', None)]
    assert await told(build(Foo)) == [('final_result', 'A foo.', None)]


async def test_several_outputs_are_told_apart():
    assert await told(build(Foo, Bar, Bar)) == [
        ('final_result_Foo', 'A foo.', None),
        ('final_result_Bar', 'Bar: The final response which ends this conversation', None),
        ('final_result_Bar_2', 'Bar: The final response which ends this conversation', None),
    ]


async def test_a_marker_says_its_own():
    marked = ToolOutput(Foo, name='own', description='Mine', strict=False)
    toolset = build(marked, Bar, name='all', description='For all', strict=True)
    assert await told(toolset) == [('own', 'Mine. A foo.', False), ('all_Bar', 'For all', True)]


async def test_tools_have_the_retries_and_validators_of_the_toolset():
    toolset = build(Foo)
    toolset.max_retries = 4
    tool = (await toolset.get_tools(run_context()))['final_result']
    assert (tool.max_retries, tool.toolset) == (4, toolset)
    assert tool.args_validator.validate_python({'a': '1'}) == Foo(a=1)
    assert (toolset.id, toolset.label) == ('<output>', "the agent's output tools")


async def test_the_output_goes_through_all_validators_in_order():
    def double(ctx: RunContext[Any], output: int) -> int:
        return output * 2 + ctx.run_step

    def add(output: int) -> int:
        return output + 10

    toolset = build(int)
    toolset.output_validators = [OutputValidator(double), OutputValidator(add)]
    ctx = run_context(tool_name='final_result')
    tool = (await toolset.get_tools(ctx))['final_result']
    assert await toolset.call_tool('final_result', {'response': 3}, ctx, tool) == 17


async def test_a_retry_from_a_validator_is_raised_as_itself():
    def refuse(output: Any) -> Any:
        raise ModelRetry('other')

    toolset = build(Foo)
    toolset.output_validators.append(OutputValidator(refuse))
    tool = (await toolset.get_tools(run_context()))['final_result']
    with pytest.raises(ModelRetry, match=r'^other$'):
        await toolset.call_tool('final_result', {'a': 1}, run_context(), tool)
