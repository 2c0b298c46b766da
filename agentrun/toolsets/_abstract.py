"""What a toolset is, and the toolsets that change one other toolset.

The second kind stand here because every toolset can make them of itself: `toolset.prefixed('a').filtered(f)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, Literal, Protocol, Self, TypeAlias

from pydantic_core import SchemaValidator
from typing_extensions import override

from agentrun._records import changed, full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT, RunContext
from agentrun.exceptions import ApprovalRequired, UserError
from agentrun.tools import ToolDefinition, ToolsPrepareFunc

__all__ = (
    'AbstractToolset',
    'ApprovalRequiredToolset',
    'FilteredToolset',
    'PrefixedToolset',
    'PreparedToolset',
    'RenamedToolset',
    'SchemaValidatorProt',
    'ToolsetTool',
    'WrapperToolset',
)


class SchemaValidatorProt(Protocol):
    """What is needed of a validator of arguments: `pydantic_core.SchemaValidator` or `TypeAdapter(...).validator`."""

    def validate_json(
        self,
        input: str | bytes | bytearray,
        *,
        allow_partial: bool | Literal['off', 'on', 'trailing-strings'] = False,
        **kwargs: Any,
    ) -> Any:
        """Validate JSON text."""
        ...

    def validate_python(
        self, input: Any, *, allow_partial: bool | Literal['off', 'on', 'trailing-strings'] = False, **kwargs: Any
    ) -> Any:
        """Validate a Python object."""
        ...


@lean_dataclass(kw_only=True, show=full_repr)
class ToolsetTool(Generic[AgentDepsT]):
    """A tool as a toolset offers it in one step."""

    toolset: AbstractToolset[AgentDepsT]
    """The toolset that offers it; named in errors."""
    tool_def: ToolDefinition
    """What the model is told."""
    max_retries: int
    """How often the model may try again in a row."""
    args_validator: SchemaValidator | SchemaValidatorProt
    """Validates what the model sends."""

    @property
    def returns(self) -> Any:
        """Annotation of what the tool returns; `Any` if that is not known."""
        return Any


class AbstractToolset(ABC, Generic[AgentDepsT]):
    """A collection of tools: lists them for each step and calls them.

    Entered and left with the run (`async with`), so that a toolset can hold a connection meanwhile.
    """

    @property
    @abstractmethod
    def id(self) -> str | None:
        """Name of the toolset that is unique among those of an agent; None if it has none."""

    @property
    def label(self) -> str:
        """Name of the toolset in errors."""
        name = self.__class__.__name__
        return f'{name} {self.id!r}' if self.id else name

    @property
    def tool_name_conflict_hint(self) -> str:
        """What to do about a name that another toolset has too; part of the error."""
        return 'Rename the tool or wrap the toolset in a `PrefixedToolset` to avoid name conflicts.'

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> bool | None:
        return None

    @abstractmethod
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """List the tools of this step by name, in the order in which the model is told of them."""

    @abstractmethod
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool.

        Args:
            name: Name that the tool was listed under.
            tool_args: Validated arguments.
            ctx: Context of this call.
            tool: The tool as it was listed.

        Returns:
            What the tool returned.
        """

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        """Show each toolset that lists tools of its own to `visitor`; toolsets around toolsets are passed through."""
        visitor(self)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        """Copy the whole with each toolset that lists tools of its own replaced by what `visitor` makes of it."""
        return visitor(self)

    def filtered(
        self, filter_func: Callable[[RunContext[AgentDepsT], ToolDefinition], bool]
    ) -> FilteredToolset[AgentDepsT]:
        """Make a toolset of the tools that `filter_func` says yes to, asked at each step."""
        return FilteredToolset(self, filter_func)

    def prefixed(self, prefix: str) -> PrefixedToolset[AgentDepsT]:
        """Make a toolset of the same tools, named `<prefix>_<name>`."""
        return PrefixedToolset(self, prefix)

    def prepared(self, prepare_func: ToolsPrepareFunc[AgentDepsT]) -> PreparedToolset[AgentDepsT]:
        """Make a toolset whose definitions go through `prepare_func` at each step."""
        return PreparedToolset(self, prepare_func)

    def renamed(self, name_map: dict[str, str]) -> RenamedToolset[AgentDepsT]:
        """Make a toolset with some tools renamed; `name_map` gives the old name for each new one."""
        return RenamedToolset(self, name_map)

    def approval_required(
        self,
        approval_required_func: Callable[[RunContext[AgentDepsT], ToolDefinition, dict[str, Any]], bool] = (
            lambda _ctx, _tool_def, _tool_args: True
        ),
    ) -> ApprovalRequiredToolset[AgentDepsT]:
        """Make a toolset in which a person has to agree to the calls that the function says yes to; by default all."""
        return ApprovalRequiredToolset(self, approval_required_func)


_Toolset: TypeAlias = AbstractToolset[AgentDepsT]


@lean_dataclass(show=full_repr)
class WrapperToolset(AbstractToolset[AgentDepsT]):
    """A toolset around another one, which it leaves as it is: the base of those that do not."""

    wrapped: AbstractToolset[AgentDepsT]

    @property
    @override
    def id(self) -> str | None:
        return None

    @property
    @override
    def label(self) -> str:
        return f'{self.__class__.__name__}({self.wrapped.label})'

    @override
    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    @override
    async def __aexit__(self, *args: object) -> bool | None:
        return await self.wrapped.__aexit__(*args)

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        return await self.wrapped.get_tools(ctx)

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        return await self.wrapped.call_tool(name, tool_args, ctx, tool)

    @override
    def apply(self, visitor: Callable[[_Toolset[AgentDepsT]], None]) -> None:
        self.wrapped.apply(visitor)

    @override
    def visit_and_replace(
        self, visitor: Callable[[_Toolset[AgentDepsT]], _Toolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        return replace(self, wrapped=self.wrapped.visit_and_replace(visitor))


@lean_dataclass(show=full_repr)
class FilteredToolset(WrapperToolset[AgentDepsT]):
    """A toolset that offers some of another one's tools."""

    filter_func: Callable[[RunContext[AgentDepsT], ToolDefinition], bool]
    """Says of each tool, at each step, whether it is offered."""

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await super().get_tools(ctx)
        return {name: tool for name, tool in tools.items() if self.filter_func(ctx, tool.tool_def)}


@lean_dataclass(show=full_repr)
class PrefixedToolset(WrapperToolset[AgentDepsT]):
    """A toolset that puts a prefix before the names of another one's tools."""

    prefix: str
    """Without the underscore that follows it in the names."""

    @property
    @override
    def tool_name_conflict_hint(self) -> str:
        return 'Change the `prefix` attribute to avoid name conflicts.'

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await super().get_tools(ctx)
        return {new: _offered(tool, self, new) for old, tool in tools.items() if (new := f'{self.prefix}_{old}')}

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        original = name.removeprefix(f'{self.prefix}_')
        return await super().call_tool(original, tool_args, changed(ctx, tool_name=original), _named(tool, original))


@lean_dataclass(show=full_repr)
class RenamedToolset(WrapperToolset[AgentDepsT]):
    """A toolset that gives some of another one's tools new names."""

    name_map: dict[str, str]
    """The old name for each new one."""

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        new_names = {old: new for new, old in self.name_map.items()}
        tools: dict[str, ToolsetTool[AgentDepsT]] = {}
        for old, tool in (await super().get_tools(ctx)).items():
            if new := new_names.get(old):
                tools[new] = _offered(tool, self, new)
            else:
                tools[old] = tool
        return tools

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        original = self.name_map.get(name, name)
        return await super().call_tool(original, tool_args, changed(ctx, tool_name=original), _named(tool, original))


@lean_dataclass(show=full_repr)
class PreparedToolset(WrapperToolset[AgentDepsT]):
    """A toolset whose definitions go through a function at each step."""

    prepare_func: ToolsPrepareFunc[AgentDepsT]
    """Takes all definitions; gives those to offer, changed or not, in the order to offer them."""

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """List the tools that the function leaves.

        Raises:
            UserError: If the function gives a definition of a name that it did not get.
        """
        tools = await super().get_tools(ctx)
        prepared = await self.prepare_func(ctx, [tool.tool_def for tool in tools.values()]) or []
        by_name = {tool_def.name: tool_def for tool_def in prepared}
        if by_name.keys() - tools.keys():
            raise UserError(
                'Prepare function cannot add or rename tools. '
                'Use `FunctionToolset.add_function()` or `RenamedToolset` instead.'
            )
        return {name: changed(tools[name], tool_def=tool_def) for name, tool_def in by_name.items()}


@lean_dataclass(show=full_repr)
class ApprovalRequiredToolset(WrapperToolset[AgentDepsT]):
    """A toolset in which a person has to agree to some calls before they run."""

    approval_required_func: Callable[[RunContext[AgentDepsT], ToolDefinition, dict[str, Any]], bool] = (
        lambda _ctx, _tool_def, _tool_args: True
    )
    """Says of each call, by its validated arguments, whether somebody has to agree."""

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        if not ctx.tool_call_approved and self.approval_required_func(ctx, tool.tool_def, tool_args):
            raise ApprovalRequired
        return await super().call_tool(name, tool_args, ctx, tool)


def _named(tool: ToolsetTool[AgentDepsT], name: str) -> ToolsetTool[AgentDepsT]:
    return changed(tool, tool_def=changed(tool.tool_def, name=name))


def _offered(tool: ToolsetTool[AgentDepsT], toolset: AbstractToolset[AgentDepsT], name: str) -> ToolsetTool[AgentDepsT]:
    return changed(_named(tool, name), toolset=toolset)
