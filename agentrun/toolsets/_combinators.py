"""Several toolsets as one, and a toolset whose calls somebody else answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import SchemaValidator, core_schema
from typing_extensions import deprecated, override

from agentrun._records import changed, full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT, RunContext
from agentrun.exceptions import UserError
from agentrun.tools import ToolDefinition

from ._abstract import AbstractToolset, ToolsetTool

if TYPE_CHECKING:
    import anyio

__all__ = ('CombinedToolset', 'DeferredToolset', 'ExternalToolset')


@lean_dataclass(kw_only=True, show=full_repr)
class _CombinedTool(ToolsetTool[AgentDepsT]):
    """A tool with where it comes from."""

    source_toolset: AbstractToolset[AgentDepsT]
    source_tool: ToolsetTool[AgentDepsT]

    @property
    @override
    def returns(self) -> Any:
        return self.source_tool.returns


@lean_dataclass(show=full_repr)
class CombinedToolset(AbstractToolset[AgentDepsT]):
    """Several toolsets as one. Their tools stand in the order of the toolsets; a name may occur once."""

    toolsets: Sequence[AbstractToolset[AgentDepsT]]
    _lock: anyio.Lock | None = field(init=False, repr=False, compare=False, default=None)
    _entered: int = field(init=False, repr=False, compare=False, default=0)
    _exit_stack: AsyncExitStack = field(init=False, repr=False, compare=False, default_factory=AsyncExitStack)

    @property
    @override
    def id(self) -> str | None:
        return None

    @property
    @override
    def label(self) -> str:
        return f'{self.__class__.__name__}({", ".join(toolset.label for toolset in self.toolsets)})'

    @override
    async def __aenter__(self) -> Self:
        """Enter all toolsets, in order; only the first of several runs that share them does."""
        if self._lasting():
            async with self._locked():
                if self._entered == 0:
                    async with AsyncExitStack() as stack:
                        for toolset in self._lasting():
                            await stack.enter_async_context(toolset)
                        self._exit_stack = stack.pop_all()
                self._entered += 1
        return self

    @override
    async def __aexit__(self, *args: object) -> bool | None:
        if self._lasting():
            async with self._locked():
                self._entered -= 1
                if self._entered == 0:
                    stack, self._exit_stack = self._exit_stack, AsyncExitStack()
                    await stack.aclose()

    def _lasting(self) -> list[AbstractToolset[AgentDepsT]]:
        """Find the toolsets that do something on entering or leaving: few do, and without any nothing is awaited."""
        return [
            toolset
            for toolset in self.toolsets
            if type(toolset).__aenter__ is not AbstractToolset.__aenter__
            or type(toolset).__aexit__ is not AbstractToolset.__aexit__
        ]

    @asynccontextmanager
    async def _locked(self) -> AsyncGenerator[None]:
        """Let one task at a time enter or leave; the last one takes the lock along, for the next event loop."""
        import anyio

        lock = self._lock = self._lock or anyio.Lock(fast_acquire=True)
        try:
            async with lock:
                yield
        finally:
            if not self._entered and not lock.locked():
                self._lock = None

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """List the tools of all toolsets, asked one after the other: user functions always run in the same order.

        Raises:
            UserError: If two toolsets offer a tool of the same name.
        """
        combined: dict[str, ToolsetTool[AgentDepsT]] = {}
        for toolset in self.toolsets:
            for name, tool in (await toolset.get_tools(ctx)).items():
                if other := combined.get(name):
                    raise UserError(_conflict(name, tool, other, toolset))
                combined[name] = _CombinedTool(
                    toolset=tool.toolset,
                    tool_def=tool.tool_def,
                    max_retries=tool.max_retries,
                    args_validator=tool.args_validator,
                    source_toolset=toolset,
                    source_tool=tool,
                )
        return combined

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        if not isinstance(tool, _CombinedTool):
            raise TypeError(f'{self.label} was given a {type(tool).__name__} for {name!r}: pass on what it listed')
        return await tool.source_toolset.call_tool(name, tool_args, ctx, tool.source_tool)

    @override
    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        for toolset in self.toolsets:
            toolset.apply(visitor)

    @override
    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        return replace(self, toolsets=[toolset.visit_and_replace(visitor) for toolset in self.toolsets])


def _conflict(
    name: str, tool: ToolsetTool[AgentDepsT], other: ToolsetTool[AgentDepsT], toolset: AbstractToolset[AgentDepsT]
) -> str:
    label = tool.toolset.label
    return (
        f'{label[0].upper()}{label[1:]} defines a tool whose name conflicts with existing tool from '
        f'{other.toolset.label}: {name!r}. {toolset.tool_name_conflict_hint}'
    )


class ExternalToolset(AbstractToolset[AgentDepsT]):
    """A toolset whose calls end the run and are answered by somebody else."""

    def __init__(self, tool_defs: list[ToolDefinition], *, id: str | None = None) -> None:
        """Make a toolset.

        Args:
            tool_defs: What the model is told of the tools; their kind becomes `'external'`.
            id: Name of the toolset that is unique among those of an agent.
        """
        self.tool_defs = tool_defs
        self._id = id

    @property
    @override
    def id(self) -> str | None:
        return self._id

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        return {
            tool_def.name: ToolsetTool(
                toolset=self,
                tool_def=changed(tool_def, kind='external'),
                max_retries=0,
                args_validator=SchemaValidator(core_schema.any_schema()),
            )
            for tool_def in self.tool_defs
        }

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Refuse: whoever answers the call is not here.

        Raises:
            NotImplementedError: Always, as in pydantic-ai 1.38.
        """
        raise NotImplementedError('External tools cannot be called directly')


@deprecated('`DeferredToolset` is deprecated, use `ExternalToolset` instead')
class DeferredToolset(ExternalToolset[AgentDepsT]):
    """The old name of `ExternalToolset`."""
