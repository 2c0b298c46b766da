"""Models: what a run asks for responses."""

from agentrun.models._base import Model, ModelRequestParameters, StreamedResponse
from agentrun.models._infer import infer_model

__all__ = ('Model', 'ModelRequestParameters', 'StreamedResponse', 'infer_model')
