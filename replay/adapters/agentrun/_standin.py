"""A stand-in agent: tools that take anything, outputs that are judged by the recording, a model that is never asked."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import override

from agentrun import Agent
from agentrun._output import OutputSchema, OutputToolset, OutputValidator
from agentrun._output._processors import ObjectOutputProcessor
from agentrun._run_context import RunContext
from agentrun.exceptions import ModelRetry
from agentrun.messages import ModelMessage, ModelResponse
from agentrun.models._base import Model, ModelRequestParameters
from agentrun.output import OutputMode
from agentrun.settings import ModelSettings
from agentrun.tools import ToolDefinition, ToolKind
from agentrun.toolsets import AbstractToolset, ToolsetTool
from replay.canon import JsonObject
from replay.script import Script

Verdict = JsonObject | str | None
"""Why an output is rejected: the recorded retry part, or a text; None if it is accepted."""

_ANY_OBJECT: dict[str, Any] = {'type': 'object', 'properties': {}}


class _TakesAnything:
    """A validator of arguments that finds nothing wrong: what was wrong is in the recording."""

    def validate_json(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}

    def validate_python(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}


class StandInModel(Model):
    """A model that is never asked: its answers come from the recording."""

    @property
    @override
    def model_name(self) -> str:
        return 'stand-in'

    @property
    @override
    def system(self) -> str:
        return 'stand-in'

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        raise AssertionError('answers come from the recording')


class StandInTools(AbstractToolset[None]):
    """Function tools by name, with their kinds; a call of one never gets here."""

    def __init__(self, kinds: Mapping[str, str], retries: dict[str, int], usual: int) -> None:
        self._kinds = kinds
        self._retries = retries
        self._usual = usual

    @property
    @override
    def id(self) -> str | None:
        return 'stand-in'

    @override
    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(name=name, parameters_json_schema=_ANY_OBJECT, kind=cast('ToolKind', kind)),
                max_retries=self._retries.get(name, self._usual),
                args_validator=_TakesAnything(),
            )
            for name, kind in self._kinds.items()
        }

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[None], tool: ToolsetTool[None]
    ) -> Any:
        raise AssertionError('results come from the recording')


class JudgedOutput(ObjectOutputProcessor[Any]):
    """An output, of text or of a tool's arguments, that the recording accepts or rejects.

    What rejects it goes the core's own way: a validation error as one of validation, a text as a `ModelRetry`.

    Args:
        judge: Gives the verdict on a tool call by its id, and on text for None.
    """

    def __init__(self, judge: Callable[[str | None], Verdict]) -> None:
        super().__init__(dict[str, Any])
        self.outer_typed_dict_key = None
        self.validator = _TakesAnything()
        self._judge = judge

    @override
    def validate(
        self, data: str | dict[str, Any] | None, *, allow_partial: bool = False, validation_context: Any = None
    ) -> Any:
        verdict = self._judge(None)
        if isinstance(verdict, dict) and isinstance(verdict['content'], list):
            raise _validation_error(verdict)
        return data

    @override
    async def call(self, output: Any, run_context: RunContext[Any], wrap_validation_errors: bool = True) -> Any:
        verdict = self._judge(run_context.tool_call_id)
        if verdict is None:
            return output
        if isinstance(verdict, dict) and isinstance(verdict['content'], list):
            raise _validation_error(verdict)
        retry = ModelRetry(verdict if isinstance(verdict, str) else cast('str', verdict['content']))
        return await _rejecting(retry).validate(output, run_context, wrap_validation_errors)


def _rejecting(retry: ModelRetry) -> OutputValidator[None, Any]:
    """A validator that rejects, so that the core turns the rejection into its retry."""

    async def reject(_: Any) -> Any:
        raise retry

    return OutputValidator(reject)


def _validation_error(part: JsonObject) -> ValidationError:
    """Make the validation error again whose details a retry part holds."""
    details = cast('list[dict[str, Any]]', part['content'])
    lines: list[InitErrorDetails] = []
    for detail in details:
        error = PydanticCustomError(detail['type'], detail['msg'], detail.get('ctx'))
        lines.append({'type': error, 'loc': tuple(detail['loc']), 'input': detail['input']})
    return ValidationError.from_exception_data('output', lines)


def agent_of(
    script: Script,
    *,
    instructions: Callable[[], str | None],
    judge: Callable[[str | None], Verdict],
    name: str,
    processors: Sequence[Callable[[list[ModelMessage]], Awaitable[list[ModelMessage]]]] = (),
) -> Agent[None, Any]:
    """Make the stand-in for the agent of a recording.

    Args:
        script: What is known of it.
        instructions: Gives the instructions of the next request.
        judge: Gives the verdict on an output: by the id of its tool call, for None on the text.
        name: Name of the agent.
        processors: What changes the history before each request.
    """
    retries = dict(script.limits.tool_retries or {})
    usual = script.limits.output_retries
    kinds = {name: script.tool_kinds.get(name, 'function') for name in script.function_tools}
    tools = StandInTools(kinds, retries, max(usual, 1_000_000))
    agent = Agent[None, Any](
        StandInModel(), name=name, toolsets=[tools], retries=usual, history_processors=[*processors]
    )

    @agent.instructions
    async def recorded_instructions() -> str:
        return instructions() or ''

    for text, reference in script.system:
        agent.system_prompt(dynamic=reference is not None)(_prompt(text, reference))
    agent.end_strategy = cast('Any', script.end_strategy)
    agent._output_schema = _schema_of(script, judge)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # made of processors, which no output type gives
    return agent


def _prompt(text: str, reference: str | None) -> Any:
    async def prompt() -> str:
        return text

    prompt.__qualname__ = reference or 'prompt'
    return prompt


def _schema_of(script: Script, judge: Callable[[str | None], Verdict]) -> OutputSchema[Any]:
    toolset = None
    if script.output_tools:
        definitions = [
            ToolDefinition(name=name, parameters_json_schema=_ANY_OBJECT, kind='output') for name in script.output_tools
        ]
        toolset = OutputToolset[Any](definitions, {name: JudgedOutput(judge) for name in script.output_tools})
    return OutputSchema(
        mode=cast('OutputMode', script.mode),
        text_processor=JudgedOutput(judge) if script.allows_text else None,
        toolset=toolset,
        allows_deferred_tools=script.allows_deferred,
        allows_image=script.allows_image,
    )
