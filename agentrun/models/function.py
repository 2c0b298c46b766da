"""A model that is a function: scripted answers for tests and examples."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from agentrun._callables import run_in_thread
from agentrun.builtin_tools import SUPPORTED_BUILTIN_TOOLS, AbstractBuiltinTool
from agentrun.messages import ModelMessage, ModelResponse
from agentrun.models._base import Model, ModelRequestParameters
from agentrun.models._estimate import UsageEstimate
from agentrun.profiles import ModelProfile, ModelProfileSpec
from agentrun.settings import ModelSettings
from agentrun.tools import ToolDefinition

__all__ = ('AgentInfo', 'FunctionDef', 'FunctionModel')


@dataclass(frozen=True, kw_only=True)
class AgentInfo:
    """What the function of a `FunctionModel` is told beside the messages."""

    function_tools: list[ToolDefinition]
    """Tools whose results come back to the model."""
    allow_text_output: bool
    """Whether plain text may end the run."""
    output_tools: list[ToolDefinition]
    """Tools whose arguments are the output."""
    model_settings: ModelSettings | None
    """Settings of model, agent and run, merged; None if there are none."""
    model_request_parameters: ModelRequestParameters
    """All parameters of the request."""
    instructions: str | None
    """The instructions in force."""


FunctionDef: TypeAlias = Callable[[list[ModelMessage], AgentInfo], ModelResponse | Awaitable[ModelResponse]]
"""Answers a request; sync or async. A sync one runs in a worker thread."""


@dataclass(init=False)
class FunctionModel(Model):
    """A model whose responses a function makes.

    Args:
        function: Called for each request with the messages and an `AgentInfo`.
        model_name: Name of the model, and of every response; `function:<name of the function>:` if not given.
        profile: What the model can do; JSON output of all kinds if not given.
        settings: Settings for every request.

    Raises:
        TypeError: If there is no function.
    """

    function: FunctionDef
    stream_function: None = None
    """Always None: streams are not offered. It stands in the repr, which is compared as a whole."""
    _model_name: str = field(repr=False)
    _system: str = field(default='function', repr=False)

    def __init__(
        self,
        function: FunctionDef | None = None,
        *,
        model_name: str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        if function is None:
            raise TypeError('Either `function` or `stream_function` must be provided')
        self.function = function
        self._model_name = model_name or f'function:{function.__name__}:'
        self._is_async = inspect.iscoroutinefunction(function)
        self._estimate = UsageEstimate()
        super().__init__(
            settings=settings,
            profile=profile or ModelProfile(supports_json_schema_output=True, supports_json_object_output=True),
        )

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._model_name

    @property
    def system(self) -> str:
        """Always `'function'`."""
        return self._system

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """Return all of them: what becomes of them is up to the function."""
        return SUPPORTED_BUILTIN_TOOLS

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the function. A response without usage gets an estimate, as in pydantic-ai 1.38.

        Args:
            messages: The conversation, oldest first.
            model_settings: Settings of agent and run.
            model_request_parameters: Tools and output on offer.

        Returns:
            The function's response, with this model's name on it.
        """
        settings, params = self.prepare_request(model_settings, model_request_parameters)
        info = AgentInfo(
            function_tools=params.function_tools,
            allow_text_output=params.allow_text_output,
            output_tools=params.output_tools,
            model_settings=settings,
            model_request_parameters=params,
            instructions=self._get_instructions(messages, params),
        )
        if self._is_async:
            response = await cast('Callable[..., Awaitable[ModelResponse]]', self.function)(messages, info)
        else:
            response = await run_in_thread(cast('Callable[..., ModelResponse]', self.function), messages, info)
        if not isinstance(response, ModelResponse):  # pyright: ignore[reportUnnecessaryIsInstance], users' functions
            raise TypeError(
                f'The function of {self._model_name!r} has to return a `ModelResponse`; it returned {response!r}.'
            )
        response.model_name = self._model_name
        if not response.usage.has_values():
            response.usage = self._estimate.of(messages, response)
        return response
