"""Any model of pydantic_ai as a model of agentrun: how agentrun reaches real providers.

pydantic_ai is imported, and a model that is given by name is built, when the first request is made. A replay makes
none, so it needs neither pydantic_ai nor a key. Whatever version of it is installed, 1.15 or newer, is asked through
`pydantic_ai.direct`, which makes its requests ready as that version wants them.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import fields, is_dataclass
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from agentrun import _ambient
from agentrun._run_context import RunContext
from agentrun.builtin_tools import SUPPORTED_BUILTIN_TOOLS, AbstractBuiltinTool
from agentrun.messages import ModelMessage, ModelResponse
from agentrun.models._base import Model, ModelRequestParameters, StreamedResponse
from agentrun.profiles import ModelProfile
from agentrun.settings import ModelSettings, merge_model_settings
from agentrun.usage import RequestUsage

if TYPE_CHECKING:
    import pydantic_ai.models

    from agentrun.models._pydantic_ai._messages import Sent

__all__ = ('PydanticAIModel',)

_MISSING = (
    "{name!r} is reached through pydantic_ai, which is not installed: pip install 'agentrun-replay[pydantic-ai]' and "
    "what pydantic_ai needs for the provider, e.g. 'pydantic-ai-slim[openai]'"
)


class PydanticAIModel(Model):
    """A model of pydantic_ai.

    Name, provider, settings and profile are those of the wrapped model; of one that is given by name, name and provider
    are what the name says and settings are none, so that they are the same whether or not it has been built.

    Args:
        model: The model, or a name that pydantic_ai knows, such as `'openai:gpt-5'`.
    """

    def __init__(self, model: pydantic_ai.models.Model | str) -> None:
        super().__init__()
        self._model = model

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self._model!r})'

    @cached_property
    def wrapped(self) -> pydantic_ai.models.Model:
        """The model of pydantic_ai; one that was given by name is built now.

        Raises:
            ImportError: If pydantic_ai, or what it needs for the provider, is not installed; says what to install.
            UserError: If pydantic_ai knows no such model, or the provider's key is missing.
        """
        if not isinstance(self._model, str):
            return self._model
        try:
            from pydantic_ai.models import infer_model
        except ModuleNotFoundError as error:
            if error.name != 'pydantic_ai':
                raise
            raise ImportError(_MISSING.format(name=self._model)) from error
        from agentrun.models._pydantic_ai._errors import our_errors

        with our_errors():
            return infer_model(self._model)

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._model.partition(':')[2] if isinstance(self._model, str) else self._model.model_name

    @property
    def system(self) -> str:
        """Name of the provider."""
        return _provider(self._model) if isinstance(self._model, str) else self._model.system

    @property
    def base_url(self) -> str | None:
        """URL of the provider's interface; None for a model that is given by name and not built yet."""
        return self.wrapped.base_url if self._is_built else None

    @property
    def settings(self) -> ModelSettings | None:
        """Settings of the wrapped model; none for one that is given by name."""
        return None if isinstance(self._model, str) else cast('ModelSettings | None', self._model.settings)

    @property
    def _is_built(self) -> bool:
        return not isinstance(self._model, str) or 'wrapped' in vars(self)

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """Return all of them: the wrapped model says which it supports."""
        return SUPPORTED_BUILTIN_TOOLS

    @cached_property
    def profile(self) -> ModelProfile:
        """What the wrapped model can do, as far as agentrun has a word for it. Builds a model that is given by name."""
        from agentrun.models._pydantic_ai._messages import builtin_tools_of

        given = _as_dict(self.wrapped.profile)
        known = {one.name for one in fields(ModelProfile)}
        told = {name: value for name, value in given.items() if name in known}
        tools = given.get('supported_native_tools', given.get('supported_builtin_tools'))
        if tools is not None:
            told['supported_builtin_tools'] = builtin_tools_of(tools)
        return ModelProfile(**told)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Merge the settings, and leave the rest to the wrapped model: it makes each request ready itself.

        Args:
            model_settings: Settings of agent and run.
            model_request_parameters: As the run made them.

        Returns:
            Settings with the model's own below them, and the same parameters.
        """
        return merge_model_settings(self.settings, model_settings), model_request_parameters

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model; see `Model.request`.

        Returns:
            The response. Its timestamp is read from agentrun's clock; what pydantic_ai knows of it and agentrun has no
            field for is only sent back to the model.

        Raises:
            ModelHTTPError: If the provider answered with a status of 400 or above.
            UserError: If the response cannot be said in messages of agentrun.
            Exception: Other errors of pydantic_ai, as those of agentrun, and of the provider's client, as they are.
        """
        model = self.wrapped
        from pydantic_ai.direct import model_request

        from agentrun.models._pydantic_ai._errors import our_errors
        from agentrun.models._pydantic_ai._messages import response_from

        sent = self._sent
        with our_errors():
            response = await model_request(
                model,
                sent.messages(messages),
                model_settings=cast('Any', model_settings),
                model_request_parameters=sent.parameters(model_request_parameters),
            )
        return response_from(response, _ambient.now(), sent)

    def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002, one of ours would say nothing to pydantic_ai
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Ask the model for a stream; see `Model.request_stream`. Errors are those of `request`."""
        model = self.wrapped
        from pydantic_ai.direct import model_request_stream

        from agentrun.models._pydantic_ai._streaming import BridgedStreaming

        sent = self._sent

        def begin() -> AbstractAsyncContextManager[pydantic_ai.models.StreamedResponse]:
            return model_request_stream(
                model,
                sent.messages(messages),
                model_settings=cast('Any', model_settings),
                model_request_parameters=sent.parameters(model_request_parameters),
            )

        return BridgedStreaming(begin, model_request_parameters, sent)

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Count the tokens of a request without making it; see `Model.count_tokens`."""
        model = self.wrapped
        from agentrun.models._pydantic_ai._errors import our_errors
        from agentrun.models._pydantic_ai._messages import usage_from

        sent, params = self._sent.messages(messages), self._sent.parameters(model_request_parameters)
        with our_errors():
            prepare: Any = getattr(model, 'prepare_messages', None)
            if prepare is not None:  # since 1.107; takes the parameters since 2.x
                sent = prepare(sent, params) if len(signature(prepare).parameters) > 1 else prepare(sent)
            return usage_from(await model.count_tokens(sent, cast('Any', model_settings), params))

    @cached_property
    def _sent(self) -> Sent:
        from agentrun.models._pydantic_ai._messages import Sent

        return Sent()


def _provider(name: str) -> str:
    """The provider in the name of a model, not how it is reached: `'gateway/openai-responses:gpt-5'` is OpenAI's."""
    kind = name.partition(':')[0].rpartition('/')[2]
    return kind.removesuffix('-responses').removesuffix('-chat')


def _as_dict(profile: object) -> dict[str, Any]:
    """A profile by the names of what it says: a dataclass up to 1.x, a dictionary from then on."""
    if is_dataclass(profile):
        return {one.name: getattr(profile, one.name) for one in fields(profile)}
    return dict(cast('dict[str, Any]', profile))
