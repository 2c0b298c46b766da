"""Histories that pydantic-ai 1.38 made, and recordings of agentrun, played with a stand-in agent."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from anyio import to_thread

from agentrun import Agent
from agentrun.exceptions import ModelHTTPError, UnexpectedModelBehavior
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel
from replay import Session, use_cassette
from replay.cassette import Cassette, Node, Run
from replay.check import Checked, check_cassette, check_run
from tests.replay.mutations import MUTATIONS, History, history_of, imported, missed
from tests.replay.test_adapters_agentrun import FAILURES, SCENARIOS, counted, counting
from tests.replay.wire import asked, user

pytestmark = pytest.mark.anyio

FILES = sorted((Path(__file__).parent / 'data').glob('*.json'))


def own(path: Path) -> History:
    return history_of(json.loads(path.read_text(encoding='utf-8')))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_a_history_of_the_followed_library_is_played_to_its_bytes(path: Path):
    assert check_run(imported(own(path))) == Checked(run='agent', verdict='exact')


def test_every_change_of_a_derived_item_is_found_at_its_node():
    found, counts = missed({path.stem: own(path) for path in FILES})
    assert found == []
    assert counts.keys() == {mutation.__name__ for mutation in MUTATIONS}
    assert sum(counts.values()) > 300


def test_a_difference_names_node_field_and_both_values():
    history = own(Path(__file__).parent / 'data' / 'output_tool.json')
    history.messages[-1]['parts'][0]['content'] = 'Final result processed!'
    checked = check_run(imported(history))
    assert checked.verdict == 'differs'
    divergence = checked.divergence
    assert divergence is not None
    assert (divergence.place, divergence.field) == ('3 End', 'parts[0].content')
    assert (divergence.recorded, divergence.live) == ('Final result processed!', 'Final result processed.')


@pytest.mark.parametrize('scenario', [name for name in SCENARIOS if name != 'a history processor'])
def test_what_agentrun_recorded_is_played_to_its_bytes(scenario: str, tmp_path: Path):
    with use_cassette('run', dir=tmp_path, record='once'):
        SCENARIOS[scenario]().agent.run_sync('Look around.')
    assert [checked.verdict for checked in check_cassette(read(tmp_path))] == ['exact']


@pytest.mark.parametrize('scenario', FAILURES)
def test_a_recorded_run_that_failed_fails_again(scenario: str, tmp_path: Path):
    expected = suppress(ModelHTTPError, ConnectionError, ValueError, UnexpectedModelBehavior)
    with use_cassette('run', dir=tmp_path, record='once'), expected:
        FAILURES[scenario]().agent.run_sync('Look around.')
    assert [checked.verdict for checked in check_cassette(read(tmp_path))] == ['exact']


def read(folder: Path) -> Cassette:
    session = Session('run', dir=folder).open()
    session.close(ok=False)
    return Cassette(runs=session.recorded_runs)


async def test_counted_tokens_are_given_to_the_run(tmp_path: Path):
    with use_cassette('run', dir=tmp_path, record='once'):
        await counted(counting())
    assert read(tmp_path).runs[0].nodes[1].counted is not None
    assert await to_thread.run_sync(check_cassette, read(tmp_path)) == [Checked(run='agent', verdict='exact')]


def test_an_output_validator_that_broke_breaks_again(tmp_path: Path):
    scripted = SCENARIOS['text']()

    @scripted.agent.output_validator
    def check(output: str) -> str:
        raise LookupError('no such output')

    with use_cassette('run', dir=tmp_path, record='once'), suppress(LookupError):
        scripted.agent.run_sync('Look around.')
    assert [checked.verdict for checked in check_cassette(read(tmp_path))] == ['exact']


def test_a_stream_that_text_ended_is_played_without_a_node_for_its_response():
    history = own(Path(__file__).parent / 'data' / 'text.json')
    run = imported(replace(history, facts={**history.facts, 'entry': 'run_stream'}))
    assert [node.kind for node in run.nodes][-2:] == ['SetFinalResult', 'End']
    assert check_run(run).verdict == 'exact'


def test_system_prompts_behind_a_history_are_found():
    run = imported(own(Path(__file__).parent / 'data' / 'text.json'))
    earlier = {**asked(run_id='earlier'), 'timestamp': '2000-01-01T00:00:00Z'}
    divergence = check_run(replace(run, history=(earlier,))).divergence
    assert divergence is not None
    assert (divergence.cause, divergence.place) == ('system prompt', '1 ModelRequestNode')


def edited(folder: Path) -> Run:
    with use_cassette('run', dir=folder, record='once'):
        SCENARIOS['a history processor']().agent.run_sync('Look around.')
    return read(folder).runs[0]


def test_what_a_history_processor_changed_is_changed_again(tmp_path: Path):
    assert check_run(edited(tmp_path)).verdict == 'exact'


def test_a_run_whose_history_its_code_changed_otherwise_is_refused_by_name(tmp_path: Path):
    run = edited(tmp_path)
    nodes = [replace(node, facts={}) if index == 3 else node for index, node in enumerate(run.nodes)]
    checked = check_run(replace(run, nodes=tuple(nodes)))
    assert checked.verdict == 'refused'
    assert checked.reason == 'a run whose history its own code changed cannot be played without that code'


def test_every_run_of_a_cassette_is_played():
    agent = Agent(FunctionModel(lambda messages, info: ModelResponse(parts=[TextPart('Hi')])))
    assert agent.run_sync('Hello').output == 'Hi'
    run = imported(own(FILES[0]))
    broken = replace(run, name='b', nodes=run.nodes[:-1])
    assert [checked.run for checked in check_cassette(Cassette(runs=(run, broken)))] == ['agent', 'b']


# -- where a recording gives out


def test_a_request_that_nothing_answers_is_found():
    nodes = (Node(kind='UserPromptNode'), Node(kind='ModelRequestNode', message=asked(user())), Node(kind='End'))
    assert check_run(Run(name='a', agent='a', nodes=nodes)).verdict == 'differs'


def test_a_run_that_was_left_is_left_again(tmp_path: Path):
    with use_cassette('run', dir=tmp_path, record='once'):
        import anyio

        async def leave() -> None:
            async with SCENARIOS['one tool']().agent.iter('Look around.') as run:
                async for node in run:
                    if Agent.is_call_tools_node(node):
                        break

        anyio.run(leave)
    assert [checked.verdict for checked in check_cassette(read(tmp_path))] == ['exact']
