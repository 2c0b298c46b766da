"""Random runs played with a tape that may go on: what it keeps of a recording is the recording, to the byte."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrun import Agent, ModelRetry
from agentrun.messages import ModelMessage, ModelResponse, TextPart
from agentrun.models.function import FunctionModel
from agentrun.usage import RequestUsage
from replay import Session
from replay.cassette import Cassette, Run
from replay.effects import Finish
from replay.store import Store
from replay.tape import Tape
from tests.replay.test_adapters_random import PARTS, City, part

SCRIPTS = st.lists(st.lists(PARTS, max_size=3), min_size=1, max_size=4)
RUN = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def agent_of(script: list[list[Any]], **options: Any) -> tuple[Agent[None, Any], list[int]]:
    """An agent whose model answers by how often it has answered, so that it can go on where a recording ends."""
    asked: list[int] = []

    def model(messages: list[ModelMessage], info: Any) -> ModelResponse:
        at = sum(isinstance(message, ModelResponse) for message in messages)
        asked.append(at)
        items = script[at] if at < len(script) else [TextPart('The end')]
        parts = [part(item, f'c{at}{place}') for place, item in enumerate(items)]
        return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=1, output_tokens=1))

    agent = Agent[None, Any](FunctionModel(model), name='agent', retries=2, **options)

    @agent.tool_plain
    def look(place: str) -> dict[str, Any]:
        return {'seen': place}

    @agent.tool_plain
    async def slow(place: str = '') -> list[str]:
        return [place]

    @agent.tool_plain
    def stubborn() -> str:
        raise ModelRetry('Not like this.')

    @agent.tool_plain
    def failing(place: int) -> str:
        raise LookupError('broken')

    return agent, asked


def end_of(agent: Agent[None, Any]) -> tuple[Any, ...]:
    try:
        result = agent.run_sync('Go on.')
    except Exception as error:  # noqa: BLE001, how a run fails is compared too
        return type(error), str(error)
    return result.all_messages_json(), result.output, result.usage()


@RUN
@given(script=SCRIPTS, output=st.sampled_from([str, City, [str, City]]))
def test_a_played_run_that_is_written_again_is_the_recorded_one(
    script: list[list[Any]], output: Any, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp('random')
    with Session('run', dir=folder, record='once'):
        recorded = end_of(agent_of(script, output_type=output)[0])
    before = (folder / 'run.json').stat()
    runs: list[Run | None] = []

    def finish(tape: Tape, end: Finish) -> bytes:
        tape.fresh = True  # as if the run had parted from its recording
        shown = finish_as_usual(tape, end)
        runs.append(tape.run)
        return shown

    finish_as_usual = Tape.finish
    agent, asked = agent_of(script, output_type=output)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tape, 'finish', finish)
        with Session('run', dir=folder, record='new_episodes') as session:
            assert end_of(agent) == recorded
    assert asked == []
    assert [replace(run, marks=()) for run in runs if run] == [replace(run, marks=()) for run in session.recorded_runs]
    assert (folder / 'run.json').stat().st_mtime_ns == before.st_mtime_ns


@RUN
@given(script=SCRIPTS, output=st.sampled_from([str, City, [str, City]]), data=st.data())
def test_a_recording_that_broke_off_is_completed_to_the_whole_one(
    script: list[list[Any]], output: Any, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp('random')
    with Session('run', dir=folder, record='once'):
        recorded = end_of(agent_of(script, output_type=output)[0])
    (whole,) = Store(folder).read('run').runs
    kept = data.draw(st.integers(1, len(whole.nodes)), label='nodes kept')
    played = broken_off(folder, whole, kept)
    agent, asked = agent_of(script, output_type=output)
    with Session('run', dir=folder, record='new_episodes'):
        assert end_of(agent) == recorded
    assert all(at >= played for at in asked)
    assert Store(folder).read('run').runs == (whole,)


def broken_off(folder: Path, whole: Run, kept: int) -> int:
    """Leave the first nodes of a recording; how many responses are among them."""
    facts = {name: fact for name, fact in whole.facts.items() if name not in {'messages', 'new_from'}}
    beginning = replace(whole, nodes=whole.nodes[:kept], facts=facts)
    store = Store(folder)
    if kept < len(whole.nodes):
        (folder / 'run.json').unlink()
        store.write('run', Cassette(runs=(beginning,), recorded={'on': '2026-01-01', 'by': 'test'}))
    return sum(node.kind == 'CallToolsNode' for node in beginning.nodes)
