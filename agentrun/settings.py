"""Settings of a model request that most providers share."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

__all__ = ['ModelSettings', 'merge_model_settings']


class ModelSettings(TypedDict, total=False):
    """What a request asks of the model beyond its messages; a provider ignores what it does not know.

    Keys as in pydantic-ai 1.38.
    """

    max_tokens: int
    """Most tokens the model may generate."""
    temperature: float
    """Randomness, from 0.0 to the model's maximum."""
    top_p: float
    """Only tokens that make up this probability mass are considered, from 0.0 to 1.0."""
    timeout: float | Any
    """Seconds before a request is given up, or the HTTP client's own timeout object."""
    parallel_tool_calls: bool
    """Whether one response may hold several tool calls."""
    seed: int
    """Seed of the model's randomness."""
    presence_penalty: float
    """Weight against tokens that occurred before."""
    frequency_penalty: float
    """Weight against tokens by how often they occurred before."""
    logit_bias: dict[str, int]
    """Weight by token, from -100 to 100."""
    stop_sequences: list[str]
    """Texts that end the generation."""
    extra_headers: dict[str, str]
    """HTTP headers to add."""
    extra_body: object
    """Values to add to the body of the HTTP request."""


def merge_model_settings(base: ModelSettings | None, overrides: ModelSettings | None) -> ModelSettings | None:
    """Merge two sets of settings key by key.

    Args:
        base: The weaker set.
        overrides: The set that wins.

    Returns:
        A new dictionary if both hold something, else the one that does; None if neither was given.
    """
    if base and overrides:
        return base | overrides
    return base or overrides
