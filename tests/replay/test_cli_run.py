"""`replay run`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cli._group import replay
from replay.store import read_cassette
from tests.terminal import CHECKOUT, in_terminal

ONLY_LINUX = pytest.mark.skipif(not Path('/proc/self').exists(), reason='a folder that takes no files, even of root')

SOURCE = '''
from contextlib import asynccontextmanager
from agentrun import Agent
from agentrun.exceptions import ModelHTTPError
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel

def plan(messages, info):
    prompt = messages[0].parts[-1].content
    if prompt == 'fail':
        raise ModelHTTPError(500, 'script', 'sorry')
    if prompt == 'lines':
        raise RuntimeError('first\\nsecond')
    if prompt == 'half':
        return ModelResponse(parts=[TextPart('Twice:\\n\\ud800')])
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart('double', {'number': len(prompt)})])
    return ModelResponse(parts=[TextPart(f'Twice:\\n{messages[-1].parts[0].content}')])

agent = Agent(FunctionModel(plan), name='doubler', instructions='Double.')
without_model = Agent(name='modelless')
wild = Agent(FunctionModel(plan), name='wild', output_type=bytes, output_retries=0)

@agent.tool_plain
def double(number: int) -> int:
    """Twice the number."""
    print('double runs')
    return 2 * number

class Masked:
    override = None

    @asynccontextmanager
    async def iter(self, prompt):
        try:
            async with agent.iter(prompt) as run:
                yield run
        except Exception:
            raise ValueError('hidden') from None

masked = Masked()

@wild.tool_plain
def fall_over() -> int:
    raise RuntimeError('over')
'''


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    (tmp_path / 'app_b.py').write_text(SOURCE, encoding='utf-8')
    yield tmp_path
    sys.modules.pop('app_b', None)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(replay, ['run', *arguments])


NODES = (
    '  0 UserPromptNode\n'
    '  1 ModelRequestNode: user "Hi"\n'
    '  2 CallToolsNode: double(number=2) #call-1\n'
    '{runs}'
    '  3 ModelRequestNode: double -> 4 #call-1\n'
    '  4 CallToolsNode: text 8 chars\n'
    '  5 End: output "Twice:\\n4"\n'
    'Twice:\n'
    '4\n'
)


@pytest.mark.parametrize('spec', ['app_b:agent', 'app_b.py:agent'])
def test_nodes_are_shown_and_the_output_whole(spec: str) -> None:
    result = invoke(spec, 'Hi')
    assert result.exit_code == 0, result.output
    assert result.stdout == NODES.format(runs='double runs\n')


def test_another_model_can_be_named() -> None:
    result = invoke('app_b:agent', 'Hi', '--model', 'test')
    assert result.exit_code == 0, result.output
    assert 'double(number=0)' in result.stdout


def test_the_first_run_is_recorded_the_second_replayed_without_running_a_tool() -> None:
    first = invoke('app_b:agent', 'Hi', '--cassette', 'tapes/hi.json')
    assert first.exit_code == 0, first.output
    assert first.stdout == NODES.format(runs='double runs\n') + 'recorded in tapes/hi.json\n'
    assert [run.name for run in read_cassette('tapes/hi.json').runs] == ['doubler']
    second = invoke('app_b:agent', 'Hi', '--cassette', 'tapes/hi.json', '--record', 'none')
    assert second.stdout == NODES.format(runs='') + 'replayed, byte for byte, from tapes/hi.json\n'


def test_another_prompt_differs_from_the_recording_and_changes_nothing() -> None:
    invoke('app_b:agent', 'Hi', '--cassette', 'hi.json')
    before = Path('hi.json').read_bytes()
    result = invoke('app_b:agent', 'Hello', '--cassette', 'hi.json')
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith('replay: user prompt of doubler changed\n')
    assert 'Hello' in result.stderr
    again = 'replay run app_b:agent PROMPT --cassette hi.json --record rewrite     to ask the model again'
    assert result.stderr.endswith(f'   next      {again}\n')
    assert Path('hi.json').read_bytes() == before
    assert invoke('app_b:agent', 'Hello', '--cassette', 'hi.json', '--record', 'rewrite').exit_code == 0
    assert Path('hi.json').read_bytes() != before


def test_a_difference_is_told_also_if_the_code_of_the_agent_hides_it() -> None:
    invoke('app_b:agent', 'Hi', '--cassette', 'hi.json')
    result = invoke('app_b:masked', 'Hello', '--cassette', 'hi.json')
    assert result.exit_code == 1
    assert result.stderr.startswith('replay: user prompt of doubler changed\n')


def test_without_a_cassette_to_replay_nothing_runs() -> None:
    result = invoke('app_b:agent', 'Hi', '--cassette', 'hi.json', '--record', 'none')
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: no cassette\n')
    assert not Path('hi.json').exists()


def test_json_is_one_object_whatever_the_tools_print() -> None:
    result = invoke('app_b:agent', 'Hi', '--json', '--cassette', 'hi.json')
    told = from_json(result.stdout)
    assert [node['node'] for node in told['nodes']][:2] == ['UserPromptNode', 'ModelRequestNode']
    assert told['output'] == 'Twice:\n4'
    assert len(told['messages']) == 4
    assert (told['error'], told['cassette'], told['live_requests']) == (None, 'hi.json', 2)
    assert result.stderr == 'double runs\n'


def test_a_failing_run_is_told_without_a_traceback() -> None:
    result = invoke('app_b:agent', 'fail')
    assert result.exit_code == 1
    assert result.stderr.startswith('replay: the run ended in ModelHTTPError: status_code: 500, model_name: script')
    assert 'Traceback' not in result.stderr
    told = invoke('app_b:agent', 'fail', '--json')
    assert told.exit_code == 1
    assert from_json(told.stdout)['error'].startswith('ModelHTTPError: ')


def test_what_a_tool_raises_is_told_too() -> None:
    result = invoke('app_b:wild', 'Hi', '--model', 'test')
    assert (result.exit_code, result.stderr) == (1, 'replay: the run ended in RuntimeError: over\n')


def test_an_agent_without_a_model_is_misuse() -> None:
    result = invoke('app_b:without_model', 'Hi')
    assert result.exit_code == 2
    assert result.stderr == (
        'replay: the run ended in UserError: '
        '`model` must either be set on the agent or included when calling it.\n'
        '   next      replay run app_b:without_model PROMPT --model test   if the agent has no model of its own\n'
    )


def test_a_message_of_several_lines_is_told_whole() -> None:
    result = invoke('app_b:agent', 'lines')
    assert (result.exit_code, result.stderr) == (1, 'replay: the run ended in RuntimeError: first\n   second\n')


def test_a_text_that_json_cannot_hold_is_one_clear_error() -> None:
    result = invoke('app_b:agent', 'half')
    assert result.exit_code == 1
    assert result.stderr.startswith('replay: the run ended in ')
    assert 'surrogates not allowed' in result.stderr
    assert 'surrogates not allowed' in from_json(invoke('app_b:agent', 'half', '--json').stdout)['error']


def test_an_unknown_model_is_misuse() -> None:
    result = invoke('app_b:agent', 'Hi', '--model', 'nope')
    assert result.exit_code == 2
    assert 'nope' in result.stderr


@pytest.mark.parametrize(
    'arguments',
    [
        ['app_b:agent'],
        ['app_b:agent', 'Hi', '--record', 'once'],
        ['app_b:agent', 'Hi', '--cassette', 'x.json', '--record', 'all'],
        ['app_b', 'Hi'],
        ['app_b:SOURCE', 'Hi'],
        ['app_b:plan', 'Hi'],
        ['nowhere_b:agent', 'Hi'],
    ],
)
def test_bad_arguments_end_in_code_2(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ''


@pytest.mark.parametrize('content', ['', '{"format"', '[]'])
def test_a_damaged_cassette_is_told_and_kept(content: str) -> None:
    Path('bad.json').write_text(content, encoding='utf-8')
    result = invoke('app_b:agent', 'Hi', '--cassette', 'bad.json')
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: ')
    assert Path('bad.json').read_text(encoding='utf-8') == content


def test_the_example_of_the_readme_runs_on_a_terminal() -> None:
    code, shown = in_terminal('-m', 'replay', 'run', 'examples/trip.py:trip_agent', 'Weather in Paris?', cwd=CHECKOUT)
    assert code == 0, shown
    assert '\x1b[1mSunny, 21 degrees.' in shown


@pytest.mark.parametrize(
    'place', ['app_b.py/a.json', 'folder', pytest.param('/proc/a.json', marks=ONLY_LINUX), 'folder.json/a.json']
)
def test_a_cassette_that_cannot_be_written_is_told_before_the_model_is_asked(place: str) -> None:
    Path('folder.json').mkdir()
    Path('folder.json/a.json').mkdir()
    result = invoke('app_b.py:agent', 'fail', '--cassette', place, '--record', 'rewrite')
    assert result.exit_code == 2, result.output
    assert 'could not be written' in result.stderr
    assert 'ModelHTTPError' not in result.output
    assert not list(Path().rglob('*.tmp'))
