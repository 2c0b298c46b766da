"""From the name of a model to the model."""

from __future__ import annotations

from agentrun.exceptions import UserError
from agentrun.models._base import Model

__all__ = ('infer_model',)


def infer_model(model: Model | str) -> Model:
    """Return the model that `model` is or names.

    Args:
        model: A model, or `'test'` for a `TestModel`.

    Returns:
        The model itself if it is one.

    Raises:
        UserError: If the name is another one: agentrun has no clients of providers.
    """
    if isinstance(model, Model):
        return model
    if model == 'test':
        from agentrun.models.test import TestModel

        return TestModel()
    if not isinstance(model, str):  # pyright: ignore[reportUnnecessaryIsInstance], what callers pass is not checked
        raise UserError(
            f'A model is a `Model` or the name of one, not {type(model).__name__!r}: '
            f"pass e.g. `'test'` or `FunctionModel(function)`."
        )
    raise UserError(
        f'Unknown model: {model}. agentrun reaches no provider by name: pass a `Model` object '
        f'(`TestModel()` or `test`, `FunctionModel(function)`, or your own subclass of `agentrun.models.Model`).'
    )
