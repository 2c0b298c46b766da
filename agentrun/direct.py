"""One request to a model, without an agent: the same call for every model, and nothing else.

To whoever carries out effects it is a run of one node, the request; all messages are handed in, only the response is
new.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentrun import _ambient, _effects
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart
from agentrun.exceptions import UserError
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from agentrun.models._base import Model, ModelRequestParameters
from agentrun.models._infer import infer_model
from agentrun.settings import ModelSettings
from agentrun.usage import RunUsage

__all__ = ('model_request', 'model_request_sync')

_NAME = 'direct'
"""What stands in the place of an agent's name."""


async def model_request(
    model: Model | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
) -> ModelResponse:
    """Ask a model once. Tools on offer are not run; a call of one is part of the response.

    Args:
        model: The model, or its name.
        messages: The conversation, oldest first; it ends in a request.
        model_settings: Settings above the model's own, key by key.
        model_request_parameters: Tools and output on offer; text alone if None.

    Returns:
        The response, as the model gave it: without a run id, as in pydantic-ai 1.38.

    Raises:
        UserError: If there is no model of that name; where requests are recorded, also if `messages` do not end in a
            request.
        Exception: What the model raises.
    """
    asked = infer_model(model)
    sent = list(messages)
    call = ModelCall(
        step=1,
        model=asked,
        messages=sent,
        settings=model_settings,
        parameters=model_request_parameters or ModelRequestParameters(),
    )
    handler = _effects.start_run(_start(sent))
    with _ambient.use(_ambient.source_for_run(_NAME) if handler is None else handler.source) as source:
        source.request_begun()
        return await (_ask(call) if handler is None else _have_asked(handler, call))


def model_request_sync(
    model: Model | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
) -> ModelResponse:
    """Ask a model once from code that is not async, on an asyncio loop of this thread. Arguments as `model_request`.

    Returns:
        The response.

    Raises:
        RuntimeError: If this thread runs an event loop already.
        Exception: As `model_request`.
    """
    from agentrun._blocking import run_blocking

    return run_blocking(
        lambda: model_request(
            model,
            messages,
            model_settings=model_settings,
            model_request_parameters=model_request_parameters,
        )
    )


async def _ask(call: ModelCall) -> ModelResponse:
    return await call.model.request(call.messages, call.settings, call.parameters)


async def _have_asked(handler: RunHandler, call: ModelCall) -> ModelResponse:
    """Let a handler answer, and tell it how the run of one request was left."""
    from agentrun._core._nodes import ModelRequestNode  # with it comes all that agents need

    messages = list(call.messages)
    error: BaseException | None = None
    try:
        handler.node(ModelRequestNode[None, ModelResponse](_request_of(messages)))
        response = await handler.request(call, lambda: _ask(call))
        messages.append(response)
    except BaseException as raised:
        error = raised
        raise
    finally:
        handler.finished(RunEnd(messages=messages, new_from=len(call.messages), ended=error is None, error=error))
    return response


def _start(messages: list[ModelMessage]) -> RunStart:
    prompts = [part.content for part in messages[-1].parts if isinstance(part, UserPromptPart)] if messages else []
    return RunStart(
        agent_name=_NAME,
        prompt=prompts[0] if len(prompts) == 1 else None,
        history=messages,
        deferred_tool_results=None,
        end_strategy='early',
        usage=RunUsage(),
    )


def _request_of(messages: list[ModelMessage]) -> ModelRequest:
    last = messages[-1] if messages else None
    if isinstance(last, ModelRequest):
        return last
    raise UserError(
        'A direct request can be recorded or replayed only if its messages end in a `ModelRequest`; '
        f'they end in {"nothing" if last is None else f"a `{type(last).__name__}`"}. '
        "Append what is asked, e.g. `ModelRequest.user_text_prompt('...')`."
    )
