"""An agent around another agent: the base of agents that add to what another one does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Self, overload

from typing_extensions import Unpack

from agentrun._run_context import AgentDepsT
from agentrun.agent._streams import RunOptions
from agentrun.agent.abstract import (
    UNSET,
    AbstractAgent,
    EventStreamHandler,
    Instructions,
    RunOutputDataT,
    Unset,
    renamed_output_type,
)
from agentrun.messages import UserContent
from agentrun.models._base import Model
from agentrun.output import OutputDataT, OutputSpec
from agentrun.run import AgentRun
from agentrun.tools import Tool, ToolFuncEither
from agentrun.toolsets import AbstractToolset

__all__ = ('WrapperAgent',)


class WrapperAgent(AbstractAgent[AgentDepsT, OutputDataT]):
    """An agent that passes everything on to another one; subclasses override what they change.

    All ways of running go through `iter`.

    Args:
        wrapped: The agent.
    """

    def __init__(self, wrapped: AbstractAgent[AgentDepsT, OutputDataT]) -> None:
        self.wrapped = wrapped

    @property
    def model(self) -> Model | str | None:
        """The wrapped agent's model."""
        return self.wrapped.model

    @property
    def name(self) -> str | None:
        """Name of the wrapped agent; one set or inferred here is set there."""
        return self.wrapped.name

    @name.setter
    def name(self, value: str | None) -> None:
        self.wrapped.name = value

    @property
    def deps_type(self) -> type:
        """Type of the wrapped agent's dependencies."""
        return self.wrapped.deps_type

    @property
    def event_stream_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        """The wrapped agent's handler of events."""
        return self.wrapped.event_stream_handler

    @property
    def output_type(self) -> OutputSpec[OutputDataT]:
        """What the output of a run of the wrapped agent may be."""
        return self.wrapped.output_type

    @property
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        """All toolsets of the wrapped agent."""
        return self.wrapped.toolsets

    async def __aenter__(self) -> Self:
        """Enter the toolsets of the wrapped agent."""
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> bool | None:
        """Leave the toolsets of the wrapped agent."""
        return await self.wrapped.__aexit__(*args)

    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, OutputDataT]]: ...

    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, RunOutputDataT]]: ...

    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        result_type: OutputSpec[Any] | None = None,
        infer_name: bool = True,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        """Begin a run of the wrapped agent: see `AbstractAgent.iter`."""
        return self.wrapped.iter(
            user_prompt,
            output_type=renamed_output_type(output_type, result_type),
            infer_name=infer_name,
            **options,
        )

    def override(
        self,
        *,
        name: str | Unset = UNSET,
        deps: AgentDepsT | Unset = UNSET,
        model: Model | str | Unset = UNSET,
        toolsets: Sequence[AbstractToolset[AgentDepsT]] | Unset = UNSET,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] | Unset = UNSET,
        instructions: Instructions[AgentDepsT] | Unset = UNSET,
    ) -> AbstractContextManager[None]:
        """Let all runs of the wrapped agent use something else inside the block: see `AbstractAgent.override`."""
        return self.wrapped.override(
            name=name,
            deps=deps,
            model=model,
            toolsets=toolsets,
            tools=tools,
            instructions=instructions,
        )
