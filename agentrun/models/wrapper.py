"""A model around another model: the base of models that watch or change what another one is asked and answers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any

from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import RunContext
from agentrun.messages import ModelMessage, ModelResponse
from agentrun.models._base import Model, ModelRequestParameters, StreamedResponse
from agentrun.models._infer import infer_model
from agentrun.profiles import ModelProfile
from agentrun.settings import ModelSettings

__all__ = ('WrapperModel',)


@lean_dataclass(show=full_repr)
class WrapperModel(Model):
    """A model that passes everything on to another one; subclasses override what they change.

    Name, provider, profile, settings and requests are those of the wrapped model, and so is every attribute that the
    wrapper lacks. As in pydantic-ai 1.38 it has a `count_tokens` and a `base_url` of its own, which know nothing.

    Args:
        wrapped: The model, or the name of one.

    Raises:
        UserError: If there is no model of that name.
    """

    wrapped: Model
    """The model that is asked."""

    def __init__(self, wrapped: Model | str) -> None:
        super().__init__()
        self.wrapped = infer_model(wrapped)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the wrapped model; see `Model.request`."""
        return await self.wrapped.request(messages, model_settings, model_request_parameters)

    def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Ask the wrapped model for a stream; see `Model.request_stream`."""
        return self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Let the wrapped model change the parameters; see `Model.customize_request_parameters`."""
        return self.wrapped.customize_request_parameters(model_request_parameters)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Let the wrapped model make settings and parameters ready; see `Model.prepare_request`."""
        return self.wrapped.prepare_request(model_settings, model_request_parameters)

    @property
    def model_name(self) -> str:
        """Name of the wrapped model."""
        return self.wrapped.model_name

    @property
    def system(self) -> str:
        """Provider of the wrapped model."""
        return self.wrapped.system

    @property
    def asks_others(self) -> bool:
        """Whether the wrapped model has other models answer; then what this wrapper does is code that always runs."""
        return self.wrapped.asks_others

    @cached_property
    def profile(self) -> ModelProfile:
        """What the wrapped model can do."""
        return self.wrapped.profile

    @property
    def settings(self) -> ModelSettings | None:
        """Settings of the wrapped model."""
        return self.wrapped.settings

    def __getattr__(self, item: str) -> Any:
        if item == 'wrapped':  # copies and pickles ask before there is one: looking there would never end
            raise AttributeError(f'{type(self).__name__!r} has no wrapped model yet')
        return getattr(self.wrapped, item)
