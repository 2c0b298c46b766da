"""What is recorded in a session that also replays, with the values that stand for others written as they were recorded.

A run that `new_episodes` adds, or goes on with, speaks of the same ids and days as the runs before it. If its recording
had today's values beside those of the day when the others were recorded, one live value of the next replay would have
to stand for both.
"""

from dataclasses import replace

from .canon import dumps, own
from .cassette import ToolResult
from .effects import Ended, Finish, Outcome, Request
from .exchange import Exchange, definition_fields, definition_with

__all__ = ('carried_end', 'carried_outcome', 'carried_request')


def carried_request(exchange: Exchange, request: Request) -> Request:
    """Write the bound values of a request as recorded.

    Returns:
        The request itself if there are none in it.
    """
    message, sent = _data(exchange, request.message), [_data(exchange, one) for one in request.sent]
    fields = definition_fields(request.definition)
    told = {name: exchange.to_recorded(value) for name, value in fields.items()}
    definition = request.definition if told == fields else definition_with(request.definition, told)
    if message == request.message and sent == list(request.sent) and definition is request.definition:
        return request
    return replace(request, message=message, sent=sent, definition=definition)


def carried_outcome(exchange: Exchange, outcome: Outcome) -> Outcome:
    """Write the bound values of results of tools as recorded; models are told recorded values, and speak of them."""
    if not isinstance(outcome, Ended):
        return outcome
    return replace(outcome, results={index: _result(exchange, one) for index, one in outcome.results.items()})


def carried_end(exchange: Exchange, finish: Finish) -> Finish:
    """Write the bound values of the messages that a run ended with as recorded.

    Returns:
        `finish` itself if there are none in them.
    """
    messages = _data(exchange, finish.messages)
    return finish if messages == finish.messages else replace(finish, messages=messages)


def _data(exchange: Exchange, data: bytes) -> bytes:
    value = own(data)
    told = exchange.to_recorded(value)
    return data if told == value else dumps(told)


def _result(exchange: Exchange, result: ToolResult) -> ToolResult:
    return replace(
        result,
        content=exchange.to_recorded(result.content),
        metadata=exchange.to_recorded(result.metadata),
        user_content=exchange.to_recorded(result.user_content),
    )
