"""From the name of a model to the model."""

from __future__ import annotations

from agentrun.exceptions import UserError
from agentrun.models._base import Model

__all__ = ('infer_model',)


def infer_model(model: Model | str) -> Model:
    """Return the model that `model` is or names.

    Args:
        model: A model, `'test'` for a `TestModel`, or `'provider:model'` for a model that pydantic_ai reaches.

    Returns:
        The model itself if it is one. One of a provider is built, and pydantic_ai imported, by its first request only,
        so a replay needs neither pydantic_ai nor a key.

    Raises:
        UserError: If the name says no provider.
    """
    if isinstance(model, Model):
        return model
    if model == 'test':
        from agentrun.models.test import TestModel

        return TestModel()
    if not isinstance(model, str):  # pyright: ignore[reportUnnecessaryIsInstance], what callers pass is not checked
        raise UserError(
            f'A model is a `Model` or the name of one, not {type(model).__name__!r}: '
            f"pass e.g. `'test'` or `FunctionModel(function)`; `PydanticAIModel(model)` takes a model of pydantic_ai."
        )
    provider, _, name = model.partition(':')
    if provider and name:
        from agentrun.models.pydantic_ai import PydanticAIModel

        return PydanticAIModel(model)
    raise UserError(
        f"Unknown model: {model}. Name a provider and its model, e.g. 'openai:gpt-5', or pass a `Model` object "
        f'(`TestModel()` or `test`, `FunctionModel(function)`, or your own subclass of `agentrun.models.Model`).'
    )
