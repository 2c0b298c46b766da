"""What every model is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import cached_property
from typing import Any

from agentrun._run_context import RunContext
from agentrun.builtin_tools import AbstractBuiltinTool
from agentrun.exceptions import UserError
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse
from agentrun.models._parameters import ModelRequestParameters
from agentrun.models._streamed import StreamedResponse
from agentrun.output import OutputObjectDefinition
from agentrun.profiles import DEFAULT_PROFILE, ModelProfile, ModelProfileSpec, SchemaTransformer
from agentrun.settings import ModelSettings, merge_model_settings
from agentrun.tools import ToolDefinition
from agentrun.usage import RequestUsage

__all__ = ('Model', 'ModelRequestParameters', 'StreamedResponse')


class Model(ABC):
    """A model. Subclasses say how it is named and how it is asked.

    Args:
        settings: Settings for every request; those of the agent and of the run go above them.
        profile: What the model can do, or a function from the model's name to that.
    """

    _profile: ModelProfileSpec | None = None
    _settings: ModelSettings | None = None

    def __init__(self, *, settings: ModelSettings | None = None, profile: ModelProfileSpec | None = None) -> None:
        self._settings = settings
        self._profile = profile

    @property
    def settings(self) -> ModelSettings | None:
        """Settings for every request of this model."""
        return self._settings

    @property
    @abstractmethod
    def model_name(self) -> str:
        """Name of the model."""

    @property
    @abstractmethod
    def system(self) -> str:
        """Name of the provider, as in OpenTelemetry's `gen_ai.system`."""

    @property
    def base_url(self) -> str | None:
        """URL of the provider's interface, if there is one."""
        return None

    @property
    def asks_others(self) -> bool:
        """Whether it has other models answer, by `request_inside` and `stream_inside`: it is code then, no effect."""
        return False

    @property
    def label(self) -> str:
        """The model's name made for people: `gpt-5` becomes `GPT 5`, `claude-opus-4-5` becomes `Claude Opus 4.5`."""
        words: list[str] = []
        for place, word in enumerate(self.model_name.rsplit('/', maxsplit=1)[-1].split('-')):
            if place == 0 and word.lower() == 'gpt':
                words.append(word.upper())
            elif not _is_number(word):
                words.append(word.capitalize())
            elif words and _is_number(words[-1]):
                words[-1] = f'{words[-1]}.{word}'
            else:
                words.append(word)
        return ' '.join(words)

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """Return the built-in tools that this class of models can pass on; none unless a subclass says so."""
        return frozenset()

    @cached_property
    def profile(self) -> ModelProfile:
        """What the model can do; of built-in tools, those that both the profile and the class support."""
        profile = self._profile
        if callable(profile):
            profile = profile(self.model_name)
        if profile is None:
            profile = DEFAULT_PROFILE
        usable = profile.supported_builtin_tools & self.supported_builtin_tools()
        if usable != profile.supported_builtin_tools:
            profile = replace(profile, supported_builtin_tools=usable)
        return profile

    @abstractmethod
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model.

        Args:
            messages: The conversation, oldest first; it ends in a request.
            model_settings: Settings of agent and run; `prepare_request` puts them above the model's own.
            model_request_parameters: Tools and output on offer, before `prepare_request`.

        Returns:
            The model's response.
        """

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Count the tokens of a request without making it.

        Args:
            messages: As for `request`.
            model_settings: As for `request`.
            model_request_parameters: As for `request`.

        Raises:
            NotImplementedError: If this class of models cannot.
        """
        raise NotImplementedError(f'Token counting ahead of the request is not supported by {type(self).__name__}')

    def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Ask the model and take its response as it comes. Subclasses that can do that override it.

        An override may be an async generator function under `contextlib.asynccontextmanager`. Whoever enters the
        context iterates the stream inside it and may leave before its end.

        Args:
            messages: As for `request`.
            model_settings: As for `request`.
            model_request_parameters: As for `request`.
            run_context: Context of the run that asks; None outside of runs.

        Returns:
            A context manager; entering it makes the request, and gives the response when its first piece is there.

        Raises:
            NotImplementedError: If this class of models cannot.
        """
        raise NotImplementedError(f'Streamed requests not supported by this {type(self).__name__}')

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Change the parameters to what the model understands; by default the profile's schema transformer is applied.

        Args:
            model_request_parameters: As the run made them.

        Returns:
            The same object if nothing changes, else a changed copy.
        """
        transformer = self.profile.json_schema_transformer
        if transformer is None:
            return model_request_parameters
        output_object = model_request_parameters.output_object
        return replace(
            model_request_parameters,
            function_tools=[_transformed_tool(transformer, tool) for tool in model_request_parameters.function_tools],
            output_tools=[_transformed_tool(transformer, tool) for tool in model_request_parameters.output_tools],
            output_object=output_object and _transformed_object(transformer, output_object),
        )

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Make settings and parameters ready for the provider. A subclass calls it first in `request`.

        Args:
            model_settings: Settings of agent and run.
            model_request_parameters: As the run made them.

        Returns:
            Settings with the model's own below them, and parameters reduced to what the output mode uses.

        Raises:
            UserError: If the model's profile does not support the output mode or a built-in tool.
        """
        settings = merge_model_settings(self.settings, model_settings)
        params = self.customize_request_parameters(model_request_parameters)
        if params.builtin_tools:
            unique = {tool.unique_id: tool for tool in params.builtin_tools}
            params = replace(params, builtin_tools=list(unique.values()))
        if params.output_mode == 'auto':
            mode = self.profile.default_structured_output_mode
            params = replace(params, output_mode=mode, allow_text_output=mode in {'native', 'prompted'})
        params = self._reduced_to_mode(params)
        self._check_supported(params)
        return settings, params

    def _reduced_to_mode(self, params: ModelRequestParameters) -> ModelRequestParameters:
        """Drop what the output mode has no use for; fill in the template that it needs."""
        mode = params.output_mode
        if params.output_tools and mode != 'tool':
            params = replace(params, output_tools=[])
        if mode not in {'native', 'prompted'}:
            if params.output_object or params.prompted_output_template:
                params = replace(params, output_object=None, prompted_output_template=None)
        elif not params.prompted_output_template and (
            mode == 'prompted' or self.profile.native_output_requires_schema_in_instructions
        ):
            params = replace(params, prompted_output_template=self.profile.prompted_output_template)
        return params

    def _check_supported(self, params: ModelRequestParameters) -> None:
        profile = self.profile
        if params.output_mode == 'native' and not profile.supports_json_schema_output:
            raise UserError('Native structured output is not supported by this model.')
        if params.output_mode == 'tool' and not profile.supports_tools:
            raise UserError('Tool output is not supported by this model.')
        if params.allow_image_output and not profile.supports_image_output:
            raise UserError('Image output is not supported by this model.')
        if not params.builtin_tools:
            return
        supported = tuple(profile.supported_builtin_tools)
        unsupported = [type(tool).__name__ for tool in params.builtin_tools if not isinstance(tool, supported)]
        if unsupported:
            raise UserError(
                f'Builtin tool(s) {unsupported} not supported by this model. '
                f'Supported: {[tool.__name__ for tool in supported]}'
            )

    @staticmethod
    def _get_instructions(
        messages: Sequence[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> str | None:
        """Find the instructions in force: those of the last request, and those that ask for the output.

        Looks back one request further if the last one has none and holds only tool returns and retries: such a request
        may close a run, and closing requests carry no instructions.
        """
        found = _instructions_in_force(messages)
        params = model_request_parameters
        if params is None or not params.prompted_output_template:
            return found
        asked = params.prompted_output_instructions
        if not asked:
            return found
        return f'{found}\n\n{asked}' if found else asked


def _instructions_in_force(messages: Sequence[ModelMessage]) -> str | None:
    closing = False
    for message in reversed(messages):
        if not isinstance(message, ModelRequest):
            continue
        if closing or message.instructions is not None:
            return message.instructions
        for part in message.parts:
            if part.part_kind not in _CLOSING:
                return None
        closing = True
    return None


_CLOSING = frozenset({'tool-return', 'retry-prompt'})
"""Kinds of parts that a request may consist of to look like one that closes a run."""


def _is_number(word: str) -> bool:
    return word.replace('.', '').isdigit()


def _transformed_tool(transformer: type[SchemaTransformer], tool: ToolDefinition) -> ToolDefinition:
    """Transform a tool's schema. A tool that does not say whether it is strict is, if its schema allows."""
    walker = transformer(tool.parameters_json_schema, strict=tool.strict)
    schema = walker.walk()
    return replace(
        tool,
        parameters_json_schema=schema,
        strict=walker.is_strict_compatible if tool.strict is None else tool.strict,
    )


def _transformed_object(
    transformer: type[SchemaTransformer], output_object: OutputObjectDefinition
) -> OutputObjectDefinition:
    walker = transformer(output_object.json_schema, strict=output_object.strict)
    schema = walker.walk()
    return replace(
        output_object,
        json_schema=schema,
        strict=walker.is_strict_compatible if output_object.strict is None else output_object.strict,
    )
