"""Questions to the installed pydantic_ai, each answered by a feature test and never by its version number.

Private names are touched here and where `Hooks` hands them out, nowhere else; `check` says at the start of a session
which of them an upstream change has taken away.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import pydantic_ai
from pydantic_ai import _agent_graph, _utils, models, result
from pydantic_ai.agent import Agent
from pydantic_ai.run import AgentRun

from replay.errors import ReplayError

__all__ = ('HookMissing', 'check', 'has_capabilities', 'has_conversations', 'id_maker', 'installed_version', 'read')

_REPORT = 'report it, or install another version: pip install "pydantic-ai-slim==1.38.0"'


class HookMissing(ReplayError):  # noqa: N818, named for what is wrong, as its kin
    """The installed pydantic_ai lacks a place that recording and replay stand on.

    Args:
        hook: Dotted name of the place.
        found: What is there.
    """

    def __init__(self, hook: str, found: str) -> None:
        super().__init__(
            f'pydantic_ai {installed_version()} cannot be recorded or replayed: its {hook} is not what it was',
            expected=hook,
            got=found,
            next=(_REPORT,),
        )
        self.hook = hook
        self.version = installed_version()


@cache
def installed_version() -> str:
    """Version of the installed pydantic_ai; to read it takes as long as ten nodes of a replay."""
    try:
        return version('pydantic-ai-slim')
    except PackageNotFoundError:
        return str(getattr(pydantic_ai, '__version__', 'of unknown version'))


@cache
def id_maker() -> str:
    """Name of the global of the agent graph that run ids come from: `uuid`, since 1.74 `uuid7`."""
    return 'uuid7' if hasattr(_agent_graph, 'uuid7') else 'uuid'


@cache
def has_conversations() -> bool:
    """Whether runs belong to conversations (since 1.89)."""
    return hasattr(_agent_graph, 'resolve_conversation_id')


@cache
def has_capabilities() -> bool:
    """Whether a run takes capabilities that may wrap its model (after 2.33)."""
    try:
        capabilities = import_module('pydantic_ai.capabilities')
    except ImportError:
        return False
    takes = 'capabilities' in inspect.signature(Agent.iter).parameters
    return takes and hasattr(capabilities.AbstractCapability, 'get_wrapper_model')


def read(owner: Any, name: str) -> Any:
    """What an attribute that is a method in some versions and a property in others gives: `usage` is one."""
    found = getattr(owner, name)
    is_method = inspect.isfunction(inspect.getattr_static(cast('type[object]', type(owner)), name, None))
    return found() if is_method else found


@dataclass(frozen=True, slots=True)
class _Hook:
    """A place that is stood on."""

    name: str
    owner: Any
    holds: Callable[[Any], bool] = callable


_HOOKS = (
    _Hook('Agent.iter', Agent),
    _Hook('Agent.override', Agent),
    _Hook('ModelRequestNode.stream', _agent_graph.ModelRequestNode),
    _Hook('CallToolsNode.stream', _agent_graph.CallToolsNode),
    _Hook('StreamedRunResult.__init__', result.StreamedRunResult),
    _Hook('Model.request', models.Model),
    _Hook('Model.request_stream', models.Model),
    _Hook('StreamedResponse.get', models.StreamedResponse),
    _Hook('_utils.datetime', _utils),
    _Hook('_utils.uuid', _utils, lambda found: hasattr(found, 'uuid4')),
    _Hook('_agent_graph.uuid or _agent_graph.uuid7', _agent_graph, lambda _: True),
    _Hook('_agent_graph.GraphAgentState', _agent_graph),
)


def check() -> None:
    """Make sure that each place that is stood on is there.

    Raises:
        HookMissing: If one is not; it names the place and the version.
    """
    for hook in _HOOKS:
        found = [getattr(hook.owner, name.rpartition('.')[2], None) for name in hook.name.split(' or ')]
        if not any(one is not None and hook.holds(one) for one in found):
            raise HookMissing(hook.name, 'nothing of that name')
    if '_graph_run' not in {*AgentRun.__annotations__, *AgentRun.__dict__}:
        raise HookMissing('AgentRun._graph_run', 'no such attribute')
