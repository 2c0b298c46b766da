"""What tests of tools, toolsets and outputs share: a run context without a run, and a managed toolset."""

from dataclasses import dataclass
from typing import Any

from agentrun._run_context import RunContext
from agentrun._tool_manager import ToolManager
from agentrun.messages import ToolCallPart
from agentrun.profiles import DEFAULT_PROFILE, ModelProfile
from agentrun.settings import ModelSettings
from agentrun.toolsets import AbstractToolset
from agentrun.usage import RunUsage


@dataclass
class StubModel:
    """A model that is never asked."""

    @property
    def model_name(self) -> str:
        return 'stub'

    @property
    def system(self) -> str:
        return 'stub'

    @property
    def profile(self) -> ModelProfile:
        return DEFAULT_PROFILE

    @property
    def settings(self) -> ModelSettings | None:
        return None


def run_context(**fields: Any) -> RunContext[Any]:
    """A context as a run makes it, in its first step."""
    fields = {'deps': None, 'model': StubModel(), 'usage': RunUsage(), 'run_step': 1} | fields
    return RunContext(**fields)


async def managed(toolset: AbstractToolset[Any], **fields: Any) -> ToolManager[Any]:
    """The manager of a toolset in the first step."""
    return await ToolManager(toolset).for_run_step(run_context(**fields))


def call(name: str, args: Any = None) -> ToolCallPart:
    """A call with an id that shows which."""
    return ToolCallPart(name, args, f'call_{name}')
