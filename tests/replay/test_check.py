"""Histories that pydantic-ai 1.38 made, and recordings of agentrun, played with a stand-in agent."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from agentrun import Agent
from agentrun.exceptions import ModelHTTPError, UnexpectedModelBehavior
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel
from replay import Session, use_cassette
from replay.canon import JsonObject
from replay.cassette import Cassette, Definition, Node, Raised, Run
from replay.check import Checked, check_cassette, check_run
from replay.script import Limits, instructions_of, limits_of, script_of
from tests.replay.mutations import MUTATIONS, History, history_of, imported, missed
from tests.replay.test_adapters_agentrun import FAILURES, SCENARIOS, counted, counting
from tests.replay.wire import answered, asked, call, retry, returned, text, user

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


# -- what a recording tells of its agent


def run_of(*nodes: Node, **facts: Any) -> Run:
    return Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'), *nodes), facts=facts)


def request(*parts: Any, **more: Any) -> Node:
    return Node(kind='ModelRequestNode', message=asked(*parts), **more)


def response(*parts: Any, **more: Any) -> Node:
    return Node(kind='CallToolsNode', message=answered(*parts), **more)


END = Node(kind='End')


def test_recorded_definitions_tell_tools_and_output():
    output: JsonObject = {'mode': 'tool', 'tools': {'done': {}}, 'allow_text': True, 'allow_image': True}
    known = Definition(tools={'look': {}, 'jump': {}}, output=output)
    script = script_of(run_of(request(user(), definition=known), response(call('hop')), END))
    assert (script.function_tools, script.output_tools) == (('look', 'jump'), ('done',))
    assert (script.mode, script.allows_text, script.allows_image) == ('tool', True, True)


def test_names_of_tools_are_read_off_an_error_about_an_unknown_one():
    wrong = retry("Unknown tool name: 'hop'. Available tools: 'done', 'look', 'jump'", 'hop', 'c1')
    nodes = (request(user()), response(call('hop')), request(wrong), response(text()), END)
    script = script_of(run_of(*nodes, output_tool='done'))
    assert script.function_tools == ('look', 'jump')
    broken = retry("Unknown tool name: 'hop'. Available tools: 'done', 'lo'ok'", 'hop', 'c1')
    assert script_of(run_of(nodes[0], nodes[1], request(broken), *nodes[3:])).function_tools == ()


@pytest.mark.parametrize(
    ('mode', 'last', 'text_allowed', 'image_allowed'),
    [
        ('tool', answered(text()), True, False),
        ('tool', answered(call()), False, False),
        ('text', answered({'part_kind': 'file'}), True, True),
        ('image', answered(text()), False, True),
    ],
)
def test_what_may_be_the_output_is_read_off_the_mode_and_the_end(
    mode: str, last: Any, text_allowed: bool, image_allowed: bool
):
    nodes = (request(user()), Node(kind='CallToolsNode', message=last), END)
    script = script_of(run_of(*nodes, output_mode=mode))
    assert (script.allows_text, script.allows_image) == (text_allowed, image_allowed)


def test_a_run_without_nodes_has_an_empty_script():
    script = script_of(Run(name='a', agent='a'))
    assert (script.prompt, script.system, script.function_tools) == (None, (), ())


@pytest.mark.parametrize(
    ('message', 'limits'),
    [
        ('Something else', Limits(usage={}, tool_retries=None)),
        ('The next request would exceed the request_limit of 1', Limits(usage={'request_limit': 1}, before=True)),
        (
            'The next request would exceed the total_tokens_limit of 9 (total_tokens=36)',
            Limits(usage={'total_tokens_limit': 9}, counted=36, counted_as='total_tokens', before=True),
        ),
        (
            'Exceeded the output_tokens_limit of 1 (output_tokens=5)',
            Limits(usage={'output_tokens_limit': 1}, counted=5, counted_as='output_tokens'),
        ),
        (
            'The next tool call(s) would exceed the tool_calls_limit of 1 (tool_calls=2).',
            Limits(usage={'tool_calls_limit': 1}),
        ),
        ('Exceeded maximum retries (2) for output validation', Limits(usage={}, output_retries=2)),
        ("Tool 'look' exceeded max retries count of 3", Limits(usage={}, tool_retries={'look': 3})),
    ],
)
def test_limits_are_read_off_the_error_that_names_them(message: str, limits: Limits):
    assert limits_of(Raised(type='UsageLimitExceeded', message=message)) == limits


def test_instructions_are_those_of_each_request_in_turn():
    first, second = asked(user(), instructions='a'), asked(returned(), instructions='b')
    nodes = (
        Node(kind='ModelRequestNode', message=first),
        response(call()),
        Node(kind='ModelRequestNode', message=second),
    )
    run = run_of(*nodes)
    assert [instructions_of(run, index) for index in range(3)] == ['a', 'b', None]
    resumed = run_of(*nodes[1:])
    assert [instructions_of(resumed, index) for index in range(2)] == [None, 'b']


# -- where a recording gives out


def test_a_request_that_nothing_answers_is_found():
    assert check_run(run_of(request(user()), END)).verdict == 'differs'


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
