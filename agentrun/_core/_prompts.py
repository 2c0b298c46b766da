"""Prompts and instructions that functions make: run when a request is put together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, Generic

from agentrun._callables import call_function, is_async_callable
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT, RunContext
from agentrun.tools import SystemPromptFunc

__all__ = ('InstructionTexts', 'SystemPromptRunner')


@lean_dataclass(show=full_repr)
class SystemPromptRunner(Generic[AgentDepsT]):
    """A function that makes a system prompt or instructions. Shown in the repr of nodes as in pydantic-ai 1.38."""

    function: SystemPromptFunc[AgentDepsT]
    """With or without the run context, sync or async."""
    dynamic: bool = False
    """Whether later runs of the same conversation make the prompt anew."""
    _takes_ctx: bool = field(init=False)
    _is_async: bool = field(init=False)

    def __post_init__(self) -> None:
        self._takes_ctx = len(inspect.signature(self.function).parameters) > 0
        self._is_async = is_async_callable(self.function)

    async def run(self, run_context: RunContext[AgentDepsT]) -> str:
        """Make the text; a sync function runs in a worker thread."""
        args = (run_context,) if self._takes_ctx else ()
        function: Callable[..., Any] = self.function
        return await call_function(function, *args, is_async=self._is_async)


@lean_dataclass()
class InstructionTexts(Generic[AgentDepsT]):
    """The instructions of a run: a fixed text and functions."""

    literal: str | None
    functions: Sequence[SystemPromptRunner[AgentDepsT]]

    async def __call__(self, run_context: RunContext[AgentDepsT]) -> str | None:
        """Put the instructions of one request together, parts divided by blank lines; None if all parts are empty."""
        if not self.functions:
            return self.literal
        texts = [self.literal, *[await function.run(run_context) for function in self.functions]]
        return '\n\n'.join(text for text in texts if text).strip() if any(texts) else None
