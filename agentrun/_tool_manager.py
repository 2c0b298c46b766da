"""One tool call: find the tool, validate the arguments, run it, count retries.

The three are apart, so that a recorded outcome can be fed in place of running the tool: `validate` and `settle` are
sync and run nothing of the user's but validators; `execute` runs the tool. Every call is settled exactly once, wherever
its outcome came from.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic

from pydantic import ValidationError

from ._outcomes import ToolDeferred, ToolOutcome, ToolRetried, ToolReturned
from ._records import changed
from ._run_context import AgentDepsT, RunContext
from .exceptions import ApprovalRequired, CallDeferred, ModelRetry, UnexpectedModelBehavior
from .messages import RetryPromptPart, ToolCallPart
from .tools import ToolDefinition
from .toolsets import AbstractToolset, ToolsetTool

__all__ = ('ToolManager',)

_sequential: ContextVar[bool] = ContextVar('agentrun.sequential_tool_calls', default=False)


class ToolManager(Generic[AgentDepsT]):
    """The tools of one step of a run.

    Made for a run without a step; `for_run_step` gives the one for a step. Only that one knows tools.
    """

    def __init__(
        self,
        toolset: AbstractToolset[AgentDepsT],
        ctx: RunContext[AgentDepsT] | None = None,
        tools: dict[str, ToolsetTool[AgentDepsT]] | None = None,
    ) -> None:
        """Make a manager.

        Args:
            toolset: Where the tools come from.
            ctx: Context of the step; None: not yet in a step.
            tools: The toolset's tools in this step; None: not yet in a step.
        """
        self.toolset = toolset
        self.ctx = ctx
        self.tools = tools
        self.failed_tools: set[str] = set()
        """Names of the tools that the model was asked to try again in this step."""

    @classmethod
    @contextmanager
    def sequential_tool_calls(cls) -> Generator[None]:
        """Let calls run one after the other in every run while the block is open."""
        token = _sequential.set(True)
        try:
            yield
        finally:
            _sequential.reset(token)

    def serves(self, ctx: RunContext[AgentDepsT]) -> bool:
        """Whether this is the manager of the step that `ctx` belongs to."""
        return self.ctx is not None and self.ctx.run_step == ctx.run_step

    async def for_run_step(self, ctx: RunContext[AgentDepsT]) -> ToolManager[AgentDepsT]:
        """Return the manager of the step that `ctx` belongs to: this one, if it is that step's.

        The tools that failed in this step start the next one with one retry more, all others with none.
        """
        if self.ctx is not None:
            if ctx.run_step == self.ctx.run_step:
                return self
            if self.failed_tools or ctx.retries:
                before = self.ctx.retries
                ctx = changed(ctx, retries={name: before.get(name, 0) + 1 for name in self.failed_tools})
        return self.__class__(self.toolset, ctx, await self.toolset.get_tools(ctx))

    @property
    def tool_defs(self) -> list[ToolDefinition]:
        """The definitions of all tools of this step, in the order of the toolset."""
        return [tool.tool_def for tool in self._in_step()[1].values()]

    def get_tool_def(self, name: str) -> ToolDefinition | None:
        """Return the definition of a tool; None if there is none of this name."""
        tool = self._in_step()[1].get(name)
        return tool and tool.tool_def

    def returns(self, name: str) -> Any:
        """Annotation of what a tool returns; `Any` if that is not known."""
        tool = self._in_step()[1].get(name)
        return Any if tool is None else tool.returns

    def should_call_sequentially(self, calls: Sequence[ToolCallPart]) -> bool:
        """Tell whether calls of one response may not run at the same time: one `sequential` tool is enough."""
        tools = self._in_step()[1]
        if len(calls) == 1:
            tool = tools.get(calls[0].tool_name)
            return _sequential.get() or (tool is not None and tool.tool_def.sequential)
        called = {call.tool_name for call in calls}
        return _sequential.get() or any(tools[name].tool_def.sequential for name in called if name in tools)

    def validate(self, call: ToolCallPart, *, allow_partial: bool = False) -> dict[str, Any] | ToolRetried:
        """Validate the arguments of a call; run nothing.

        Args:
            call: The call; empty arguments, as text or None, count as an empty object.
            allow_partial: Whether the arguments are the beginning of a stream.

        Returns:
            The validated arguments, or what the model is told if they are wrong or the tool is unknown.
        """
        ctx, tools = self._in_step()
        tool = tools.get(call.tool_name)
        if tool is None:
            return ToolRetried.from_error(_unknown(call.tool_name, tools))
        return _validated(tool, call.args, ctx.validation_context, allow_partial=allow_partial)

    async def execute(self, call: ToolCallPart, *, approved: bool = False, allow_partial: bool = False) -> ToolOutcome:
        """Validate the arguments of a call and run the tool.

        A `ValidationError` that the tool itself lets out counts as one of its arguments, as in pydantic-ai 1.38.

        Args:
            call: The call.
            approved: Whether a person has agreed to it.
            allow_partial: Whether the arguments are the beginning of a stream.

        Raises:
            RuntimeError: If the tool is one that somebody else answers for.
            Exception: Whatever else the tool raises, as itself.
        """
        ctx, tools = self._in_step()
        name = call.tool_name
        tool = tools.get(name)
        if tool is None:
            return ToolRetried.from_error(_unknown(name, tools))
        args = _validated(tool, call.args, ctx.validation_context, allow_partial=allow_partial)
        if isinstance(args, ToolRetried):
            return args
        if tool.tool_def.kind == 'external':
            raise RuntimeError('External tools cannot be called')
        ctx = changed(
            ctx,
            tool_name=name,
            tool_call_id=call.tool_call_id,
            retry=ctx.retries.get(name, 0),
            max_retries=tool.max_retries,
            tool_call_approved=approved,
            partial_output=allow_partial,
        )
        try:
            return ToolReturned(await self.toolset.call_tool(name, args, ctx, tool))
        except (ValidationError, ModelRetry) as error:
            return ToolRetried.from_error(error)
        except (CallDeferred, ApprovalRequired) as deferred:
            if tool.tool_def.kind == 'output':  # an output cannot be put off
                raise
            kind = 'external' if isinstance(deferred, CallDeferred) else 'unapproved'
            return ToolDeferred(kind, deferred.metadata)

    def settle(
        self, call: ToolCallPart, outcome: ToolOutcome, *, allow_partial: bool = False
    ) -> ToolReturned | ToolDeferred | RetryPromptPart:
        """Count what came of a call.

        A return of any tool but an output tool adds to `usage.tool_calls`. A retry marks the tool as failed in this
        step, unless the arguments were partial: the whole ones may still be right.

        Args:
            call: The call.
            outcome: What came of it, just now or in a recording.
            allow_partial: Whether its arguments were the beginning of a stream.

        Returns:
            The outcome itself, or, for a retry, the part that tells the model.

        Raises:
            UnexpectedModelBehavior: If the tool has no retry left; caused by the error behind the outcome.
        """
        ctx, tools = self._in_step()
        tool = tools.get(call.tool_name)
        if isinstance(outcome, ToolReturned):
            if tool is None or tool.tool_def.kind != 'output':
                ctx.usage.tool_calls += 1
            return outcome
        if isinstance(outcome, ToolDeferred):
            return outcome
        max_retries = 1 if tool is None else tool.max_retries
        if ctx.retries.get(call.tool_name, 0) == max_retries:
            message = f'Tool {call.tool_name!r} exceeded max retries count of {max_retries}'
            raise UnexpectedModelBehavior(message) from _cause(outcome)
        if not allow_partial:
            self.failed_tools.add(call.tool_name)
        return RetryPromptPart(content=outcome.content, tool_name=call.tool_name, tool_call_id=call.tool_call_id)

    def _in_step(self) -> tuple[RunContext[AgentDepsT], dict[str, ToolsetTool[AgentDepsT]]]:
        if self.ctx is None or self.tools is None:
            raise ValueError('ToolManager has not been prepared for a run step yet')
        return self.ctx, self.tools


def _validated(
    tool: ToolsetTool[Any], args: str | dict[str, Any] | None, context: Any, *, allow_partial: bool
) -> dict[str, Any] | ToolRetried:
    mode = 'trailing-strings' if allow_partial else 'off'
    try:
        if isinstance(args, str):
            return tool.args_validator.validate_json(args or '{}', allow_partial=mode, context=context)
        return tool.args_validator.validate_python(args or {}, allow_partial=mode, context=context)
    except (ValidationError, ModelRetry) as error:
        return ToolRetried.from_error(error)


def _unknown(name: str, tools: dict[str, Any]) -> ModelRetry:
    names = ', '.join(repr(known) for known in tools)
    available = f'Available tools: {names}' if tools else 'No tools available.'
    return ModelRetry(f'Unknown tool name: {name!r}. {available}')


def _cause(outcome: ToolRetried) -> Exception | None:
    """Find the error behind a retry; that of a recorded one can be made again only from a text."""
    if outcome.error is not None:
        return outcome.error
    return ModelRetry(outcome.content) if isinstance(outcome.content, str) else None
