"""Several models as one: the first that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from functools import cached_property
from types import TracebackType
from typing import Any, TypeVar

from agentrun._effects import request_inside, stops_run, stream_inside
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import RunContext
from agentrun.exceptions import FallbackExceptionGroup, ModelAPIError
from agentrun.messages import ModelMessage, ModelResponse
from agentrun.models._base import Model, ModelRequestParameters, StreamedResponse
from agentrun.models._infer import infer_model
from agentrun.profiles import ModelProfile
from agentrun.settings import ModelSettings

__all__ = ('FallbackModel',)

T = TypeVar('T')


@lean_dataclass(show=full_repr)
class FallbackModel(Model):
    """Asks one model after the other until one answers, each with its own settings and profile.

    Args:
        default_model: The model asked first, or its name.
        *fallback_models: The models asked after it, in this order, or their names.
        fallback_on: Errors after which the next model is asked, or a function that tells them; any other error is
            raised at once.

    Raises:
        UserError: If there is no model of a name.
    """

    models: list[Model]
    """All models, in the order in which they are asked."""
    _fallback_on: Callable[[Exception], bool] = field(repr=False)

    def __init__(
        self,
        default_model: Model | str,
        *fallback_models: Model | str,
        fallback_on: Callable[[Exception], bool] | tuple[type[Exception], ...] = (ModelAPIError,),
    ) -> None:
        super().__init__()
        self.models = [infer_model(model) for model in (default_model, *fallback_models)]
        self._fallback_on = fallback_on if callable(fallback_on) else _is_one_of(fallback_on)

    @property
    def model_name(self) -> str:
        """`fallback:` and the names of all models, divided by commas."""
        return f'fallback:{",".join(model.model_name for model in self.models)}'

    @property
    def system(self) -> str:
        """`fallback:` and the providers of all models, divided by commas."""
        return f'fallback:{",".join(model.system for model in self.models)}'

    @property
    def asks_others(self) -> bool:
        """Always: which model answers is decided here, each time anew."""
        return True

    @property
    def base_url(self) -> str | None:
        """URL of the first model."""
        return self.models[0].base_url

    @cached_property
    def profile(self) -> ModelProfile:
        """There is none: which model will answer is not known.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError('FallbackModel does not have its own model profile.')

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Change nothing: each model does as it is asked."""
        return model_request_parameters

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Change nothing: each model does as it is asked."""
        return model_settings, model_request_parameters

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask one model after the other; arguments as for `Model.request`.

        Returns:
            The response of the first that gives one.

        Raises:
            FallbackExceptionGroup: If all models fail; holds their errors in order.
            Exception: The first error that is none to fall back on.
        """

        async def ask(model: Model) -> ModelResponse:
            model.prepare_request(model_settings, model_request_parameters)  # see `_first`
            return await request_inside(model, messages, model_settings, model_request_parameters)

        return await self._first(ask)

    def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Ask one model after the other for a stream; arguments as for `Model.request_stream`.

        A stream that breaks after its first piece is no reason to ask the next model.

        Returns:
            A context manager; entering it gives the first stream that begins, and raises as `request` does.
        """

        async def ask(model: Model) -> _Begun:
            model.prepare_request(model_settings, model_request_parameters)  # see `_first`
            scope = stream_inside(model, messages, model_settings, model_request_parameters, run_context)
            return scope, await scope.__aenter__()

        return _FirstStream(lambda: self._first(ask))

    async def _first(self, ask: Callable[[Model], Awaitable[T]]) -> T:
        """Ask the models until one answers: the one place where a model of these is asked.

        `ask` prepares the request before it makes it, so that one that a model does not support fails the same whether
        or not the model itself looks, as in pydantic-ai 1.38.
        """
        errors: list[Exception] = []
        for model in self.models:
            try:
                return await ask(model)
            except Exception as error:
                if stops_run(error) or not self._fallback_on(error):
                    raise
                errors.append(error)
        raise FallbackExceptionGroup('All models from FallbackModel failed', errors)


_Begun = tuple[AbstractAsyncContextManager[StreamedResponse], StreamedResponse]


class _FirstStream(AbstractAsyncContextManager[StreamedResponse]):
    """The scope of whichever stream begins first."""

    def __init__(self, begin: Callable[[], Awaitable[_Begun]]) -> None:
        self._begin = begin
        self._scope: AbstractAsyncContextManager[StreamedResponse]

    async def __aenter__(self) -> StreamedResponse:
        self._scope, stream = await self._begin()
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._scope.__aexit__(kind, error, trace)


def _is_one_of(kinds: tuple[type[Exception], ...]) -> Callable[[Exception], bool]:
    def is_one(error: Exception) -> bool:
        return isinstance(error, kinds)

    return is_one
