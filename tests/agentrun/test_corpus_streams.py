"""What providers streamed in the recorded runs, taken in piece by piece: the same events, byte for byte."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agentrun.messages import (
    AgentStreamEventsTypeAdapter,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPartDelta,
    ThinkingPartDelta,
)
from agentrun.models import ModelRequestParameters, StreamedResponse
from agentrun.tools import ToolDefinition
from tests.helpers import CORPUS_ABSENT, corpus, corpus_path

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(corpus_path() is None, reason=CORPUS_ABSENT)]


class Recorded(StreamedResponse):
    """Streams the starts and deltas of recorded events anew."""

    events: list[Any]

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for event in self.events:
            if isinstance(event, PartStartEvent):
                yield self._parts_manager.handle_part(vendor_part_id=event.index, part=event.part)
            elif isinstance(event, PartDeltaEvent):
                for made in self._deltas(event):
                    yield made

    def _deltas(self, event: PartDeltaEvent) -> list[Any]:
        manager, delta = self._parts_manager, event.delta
        if isinstance(delta, TextPartDelta):
            return [
                *manager.handle_text_delta(
                    vendor_part_id=event.index, content=delta.content_delta, provider_details=delta.provider_details
                )
            ]
        if isinstance(delta, ThinkingPartDelta):
            return [
                *manager.handle_thinking_delta(
                    vendor_part_id=event.index,
                    content=delta.content_delta,
                    signature=delta.signature_delta,
                    provider_name=delta.provider_name,
                    provider_details=delta.provider_details,
                )
            ]
        made = manager.handle_tool_call_delta(
            vendor_part_id=event.index,
            tool_name=delta.tool_name_delta,
            args=delta.args_delta,
            tool_call_id=delta.tool_call_id,
            provider_details=delta.provider_details,
        )
        return [made]

    @property
    def model_name(self) -> str:
        return 'm'

    @property
    def provider_name(self) -> None:
        return None

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return datetime(2000, 1, 1, tzinfo=UTC)


def offered(request: dict[str, Any]) -> ModelRequestParameters:
    return ModelRequestParameters(
        function_tools=[ToolDefinition(name=name) for name in request['function_tools']],
        output_tools=[ToolDefinition(name=name, kind='output') for name in request['output_tools']],
        allow_text_output=request['allow_text_output'],
        allow_image_output=request['allow_image_output'],
    )


def segments() -> list[Any]:
    return [
        pytest.param(request, segment['events_json'], id=f'{run["id"]}-{number}')
        for run in corpus()
        if run['streamed']
        for number, (request, segment) in enumerate(
            zip(
                run['requests'], [found for found in run['events'] if found['source'] == 'model_response'], strict=False
            )
        )
        if segment['n'] and segment['events_json']
    ]


@pytest.mark.parametrize(('request_', 'events_json'), segments())
async def test_a_recorded_stream_comes_out_as_it_was(request_: dict[str, Any], events_json: str):
    stream = Recorded(offered(request_))
    stream.events = AgentStreamEventsTypeAdapter.validate_json(events_json)
    told: list[Any] = [event async for event in stream]
    assert AgentStreamEventsTypeAdapter.dump_json(told).decode() == events_json
