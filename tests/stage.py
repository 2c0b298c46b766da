"""A stage for agents that are recorded and replayed: scripted models and tools that know when they must not act."""

from typing import Any, cast

from agentrun import AgentRunResult, ModelMessage, ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import AgentInfo, FunctionModel


class Stage:
    """What a scenario may use; in a replay nothing of it may be used."""

    def __init__(self, *, live: bool) -> None:
        self.live = live

    def says(self, *answers: Any) -> FunctionModel:
        """A model with an answer for each request of a conversation, the last one again and again."""

        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            assert self.live, 'the model was asked in a replay'
            turn = sum(message.kind == 'response' for message in messages)
            found = answers[min(turn, len(answers) - 1)]
            if isinstance(found, Exception):
                raise found
            if isinstance(found, ModelResponse):
                return found
            found = found(messages) if callable(found) else found
            parts = cast('list[object]', found) if isinstance(found, list) else [found]
            return ModelResponse(parts=[_part(part) for part in parts])

        return FunctionModel(answer)

    def runs(self) -> None:
        """Say in a tool that it runs."""
        assert self.live, 'a tool ran in a replay'


def _part(part: Any) -> Any:
    if isinstance(part, str):
        return TextPart(part)
    return ToolCallPart(*cast('tuple[Any]', part)) if isinstance(part, tuple) else part


def shown(value: object) -> object:
    """What a caller sees of results: outputs, bytes, usage."""
    if isinstance(value, AgentRunResult):
        result = cast('AgentRunResult[object]', value)
        return repr(result.output), result.all_messages_json(), result.new_messages_json(), repr(result.usage())
    if isinstance(value, list):
        return [shown(one) for one in cast('list[object]', value)]
    return value
