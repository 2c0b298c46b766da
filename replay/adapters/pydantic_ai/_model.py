"""Models as a recorded or replayed run asks them."""

import inspect
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from copy import copy
from functools import cache
from importlib import import_module
from typing import Any, cast

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.instrumented import InstrumentedModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers import infer_provider_class
from pydantic_ai.usage import RequestUsage

from replay.adapters.pydantic_ai._runs import Asked, TapedRun
from replay.adapters.pydantic_ai._streaming import RecordedStreaming, ReplayedStreaming
from replay.adapters.pydantic_ai._wire import restored_response
from replay.effects import Answered, Cut, Do, Failed

__all__ = ('TapedModel', 'taped', 'wrapping')


def taped(model: Model | str, run: TapedRun, *, inside: bool = False) -> Model:
    """A model whose requests a run answers; what it has several models decide, it decides itself.

    Args:
        model: The model, or its name, which is looked up when the model has to be asked.
        run: The run.
        inside: Whether it is one of several that another model asks.
    """
    if isinstance(model, FallbackModel):
        several = copy(model)
        several.models = [taped(one, run, inside=True) for one in model.models]
        return several
    if isinstance(model, InstrumentedModel) or (isinstance(model, WrapperModel) and _asks_others(model)):
        around = copy(model)
        around.wrapped = taped(model.wrapped, run, inside=inside)
        return around
    return TapedModel(model, run, inside=inside)


def wrapping(run: TapedRun) -> Any:
    """A capability that has the model taped that other capabilities select for a request (2.x)."""
    return _capability()(run)


@cache
def _capability() -> Any:
    base = cast('Any', import_module('pydantic_ai.capabilities')).AbstractCapability  # not in all versions

    def __init__(self: Any, run: TapedRun) -> None:  # noqa: N807, the name of the method
        self.run = run

    def get_wrapper_model(self: Any, model: Model) -> Model:
        self.run.serving = model
        return taped(model, self.run)

    return type('TapedSelection', (base,), {'__init__': __init__, 'get_wrapper_model': get_wrapper_model})


def _asks_others(model: Model) -> bool:
    while isinstance(model, WrapperModel) and not isinstance(model, TapedModel):
        model = model.wrapped
    return isinstance(model, FallbackModel)


class NamedModel(Model):
    """A model of which nothing but its name is needed, as long as it is not asked.

    Args:
        name: Name of the model, as `infer_model` takes it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(profile=_profile_of(name))
        self._name = name
        self._found: Model | None = None

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._name.partition(':')[2]

    @property
    def system(self) -> str:
        """Name of the provider."""
        return self._name.partition(':')[0]

    @property
    def base_url(self) -> str | None:
        """None: nobody is to be reached."""
        return None

    async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Look the model up and ask it."""
        return await self._model().request(*args, **kwargs)

    @asynccontextmanager
    async def request_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[StreamedResponse]:
        """Look the model up and have it stream."""
        async with self._model().request_stream(*args, **kwargs) as stream:
            yield stream

    async def count_tokens(self, *args: Any, **kwargs: Any) -> RequestUsage:
        """Look the model up and let it count."""
        return await self._model().count_tokens(*args, **kwargs)

    def _model(self) -> Model:
        if self._found is None:
            self._found = infer_model(self._name)
        return self._found


def _profile_of(name: str) -> Any:
    """What the provider says of a model, without a client of it; None where the provider is not installed."""
    provider, _, model = name.partition(':')
    with suppress(Exception):  # looking the class up imports what may not be there
        kind: Any = infer_provider_class(provider)
        profile_of: Any = inspect.getattr_static(kind, 'model_profile')  # a method in 1.x, static in 2.x
        return kind.model_profile(model) if isinstance(profile_of, staticmethod) else profile_of(None, model)
    return None


class TapedModel(WrapperModel):
    """A model whose requests go to the tape of a run first.

    Args:
        model: The model, or its name.
        run: The run.
        inside: Whether it is one of several that another model asks.
    """

    def __init__(self, model: Model | str, run: TapedRun, *, inside: bool = False) -> None:
        super().__init__(NamedModel(model) if isinstance(model, str) else model)
        self._run = run
        self._inside = inside
        self._told: list[ModelMessage] | None = None  # what is asked next, before it was made ready for the model

    def prepare_messages(self, messages: list[ModelMessage], *args: Any) -> list[ModelMessage]:
        """Make messages ready for the model, as versions since 1.107 have it done before each request.

        What is recorded is what stood there before: no other model, version or profile need say it in the same words.
        """
        self._told = messages
        return cast('Any', self.wrapped).prepare_messages(messages, *args)

    async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Answer from the recording, or ask the model."""
        return await self._run.request(self._asked(*args, **kwargs), lambda: self.wrapped.request(*args, **kwargs))

    @asynccontextmanager
    async def request_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[StreamedResponse]:
        """Let the recorded stream pass again, or the model's, and keep what passes."""
        asked, run = self._asked(*args, **kwargs), self._run
        answer = run.ask(asked, streamed=True)
        if isinstance(answer, Do):
            parameters = asked.parameters
            block = RecordedStreaming(
                lambda: self.wrapped.request_stream(*args, **kwargs), run, answer.token, parameters
            )
        else:
            outcome = cast('Answered | Failed | Cut', answer.outcome)
            run.response = restored_response(outcome.message) if isinstance(outcome, Answered) else None
            block = ReplayedStreaming(outcome, asked.parameters, run.left)
        async with block as stream:
            yield stream

    async def count_tokens(self, *args: Any, **kwargs: Any) -> RequestUsage:
        """Answer from the recording, or let the model count."""
        return await self._run.count_tokens(lambda: self.wrapped.count_tokens(*args, **kwargs))

    def _asked(
        self,
        messages: list[ModelMessage],
        model_settings: Any,
        model_request_parameters: ModelRequestParameters,
        *_: Any,
    ) -> Asked:
        told, self._told = self._told, None
        return Asked(
            messages=messages if told is None else told,
            settings=model_settings,
            parameters=model_request_parameters,
            inside=self.model_name if self._inside else None,
        )
