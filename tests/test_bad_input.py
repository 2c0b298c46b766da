"""Bad input, through the command line and through the fixture: one clear error, no traceback, no file changed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import agentrun.models.function
import replay.adapters.agentrun
import replay.pytest_session
from replay.cli._group import replay as command
from replay.codec import DEFAULT_LIMITS, seal_of

LOADED = (agentrun.models.function, replay.adapters.agentrun, replay.pytest_session)
"""Loaded here, so that runs of pytest inside this process do not load them each anew."""

APP = """
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from agentrun.models.function import FunctionModel

def script(messages, info):
    last = messages[-1].parts[-1]
    if isinstance(last, ToolReturnPart):
        return ModelResponse(parts=[TextPart(f'It is {last.content}.')])
    return ModelResponse(parts=[ToolCallPart('get_weather', {'city': 'Paris'}), ToolCallPart('get_time', {})])

agent = Agent(FunctionModel(script), name='agent', instructions='Be brief.')
bare = Agent(name='bare')
odd = Agent(FunctionModel(lambda messages, info: ModelResponse(parts=[ToolCallPart('get_odd', {})])), name='odd')
nothing = None

@agent.tool_plain
def get_weather(city: str) -> str:
    return f'sunny in {city}'

@agent.tool_plain
def get_time() -> str:
    return 'noon'

@odd.tool_plain
def get_odd() -> object:
    return object()
"""

TEST = """
import pytest
from app import agent

@pytest.mark.parametrize('number', range({count}))
def test_it(number, agent_run_replay):
    agent.run_sync('Weather?')
"""


def sealed(text: str) -> bytes:
    """Give a text the seal that it would have."""
    body = text[: text.rindex('  "seal"')]
    return f'{body}  "seal": "{seal_of(body)}"\n}}\n'.encode()


def changed(old: str, new: str) -> Callable[[str], bytes]:
    """Replace one text by another, and seal the result: a fault that only its content shows."""

    def change(text: str) -> bytes:
        assert old in text
        return sealed(text.replace(old, new, 1))

    return change


def merged(text: str) -> bytes:
    """Both sides of a merge that git could not do."""
    return text.replace(
        '"get_time",', '"get_time",\n<<<<<<< ours\n"a": 1,\n=======\n"a": 2,\n>>>>>>> theirs\n', 1
    ).encode()


BROKEN: dict[str, Callable[[str], bytes]] = {
    'empty': lambda text: b'',
    'blank': lambda text: b' \n',
    'truncated at its beginning': lambda text: text[:20].encode(),
    'truncated in the middle': lambda text: text[: len(text) // 2].encode(),
    'truncated before its last line': lambda text: text[:-2].encode(),
    'binary': lambda text: bytes(range(256)) * 9,
    'of another encoding': lambda text: text.encode('utf-16'),
    'huge': lambda text: text.encode() + b' ' * DEFAULT_LIMITS.size,
    'deeply nested': lambda text: b'{"format": "agentrun-replay/1", "runs": ' + b'[' * 200_000,
    'deeply nested and closed': lambda text: b'[' * 100_000 + b']' * 100_000,
    'with a key twice': changed('  "wire"', '  "wire": "x",\n  "wire"'),
    'with a key twice and no new seal': lambda text: text.replace('  "wire"', '  "wire": "x",\n  "wire"', 1).encode(),
    'with marks of a conflict': merged,
    'of a newer version': changed('agentrun-replay/1', 'agentrun-replay/2'),
    'of no version': changed('agentrun-replay/1', 'agentrun-replay/next'),
    'of another format': changed('agentrun-replay/1', 'har/1.2'),
    'a list': lambda text: b'[]',
    'a number': lambda text: b'1',
    'a null': lambda text: b'null',
    'a constant that is no JSON': changed('"get_time"', 'NaN'),
    'half a surrogate': changed('sunny in Paris', 'sunny \\ud800'),
    'edited by hand': lambda text: text.replace('sunny', 'rainy', 1).encode(),
    'with an unknown node': changed('UserPromptNode', 'DreamNode'),
    'with nodes in another order': changed('"node": "ModelRequestNode"', '"node": "CallToolsNode"'),
    'with an unknown part': changed('"part": "user-prompt"', '"part": "wish"'),
    'with a result of no call': changed('"part": "tool-return",', '"part": "tool-return", "call": 7,'),
    'with an unknown key': changed('"format"', '"mood": 1,\n  "format"'),
    'with runs that are no list': changed('"runs": [', '"runs": {"a": ['),
}


def record(folder: Path) -> str:
    """Record a run of an agent with two tools, and give the text of its cassette."""
    (folder / 'app.py').write_text(APP, encoding='utf-8')
    result = CliRunner().invoke(command, ['run', 'app.py:agent', 'Weather?', '--cassette', 'cassettes/good.json'])
    assert result.exit_code == 0, result.output
    return (folder / 'cassettes/good.json').read_text(encoding='utf-8')


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.delenv('CI', raising=False)
    yield tmp_path
    sys.modules.pop('app', None)


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder, by the digest of its bytes."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob('*') if path.is_file()}
    return {
        name: (path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest())
        for name, path in found.items()
        if '__pycache__' not in name
    }


def without_journals(folder: Path) -> dict[str, tuple[int, str]]:
    """The same, but for what an interrupted recording has paid for."""
    return {name: what for name, what in state(folder).items() if not name.endswith('.journal')}


def refused(*arguments: str) -> Result:
    """Run a command that has to refuse what it is given, and to leave everything as it is."""
    before = state(Path())
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert 'Traceback' not in result.output
    assert state(Path()) == before
    return result


def is_clear(text: str) -> bool:
    """Whether an error says what came (at its top), what was expected, where, and what to do."""
    return all(re.search(rf'^ +{label}  ', text, re.MULTILINE) for label in ('expected', 'where', 'next'))


COMMANDS = {
    'show': ['show', 'cassettes/bad.json'],
    'check': ['check', 'cassettes/bad.json'],
    'diff': ['diff', 'cassettes/good.json', 'cassettes/bad.json'],
    'run': ['run', 'app.py:agent', 'Weather?', '--cassette', 'cassettes/bad.json', '--record', 'none'],
}


@pytest.mark.parametrize('how', BROKEN)
def test_a_bad_cassette_is_refused_by_every_command(how: str, tmp_path: Path):
    text = record(tmp_path)
    (tmp_path / 'cassettes/bad.json').write_bytes(BROKEN[how](text))
    for arguments in COMMANDS.values():
        result = refused(*arguments)
        assert 'bad.json' in result.output
        assert is_clear(result.output), (arguments, result.output)
    (tmp_path / 'cassettes/bad.json').rename(tmp_path / 'cassettes/good.json.new')
    assert is_clear(refused('accept', 'good').output)


OPTIONS = (
    *('-p', 'replay.pytest_plugin', '-p', 'no:randomly', '-p', 'no:cacheprovider'),
    *('-W', 'error', '-o', 'asyncio_default_fixture_loop_scope=function'),
)


def test_a_bad_cassette_fails_its_test_and_stays_as_it_is(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('COLUMNS', '160')
    pytester.makepyfile(app=APP)
    pytester.makepyfile(test_it=TEST.format(count=len(BROKEN)))
    pytester.runpytest_inprocess(*OPTIONS, '--replay-record=once').assert_outcomes(passed=len(BROKEN))
    files = {int(re.findall(r'\d+', file.stem)[-1]): file for file in pytester.path.glob('cassettes/**/*.json')}
    for number, broken in enumerate(BROKEN.values()):
        files[number].write_bytes(broken(files[number].read_text(encoding='utf-8')))
    before = state(pytester.path)
    result = pytester.runpytest_inprocess(*OPTIONS, '--replay-record=once')
    result.assert_outcomes(failed=len(BROKEN))
    assert state(pytester.path) == before
    text = result.stdout.str()
    assert 'Traceback' not in text
    assert f'{len(BROKEN)} cassettes: 0 played, 0 differ, 0 unplayed, 0 recorded, {len(BROKEN)} damaged' in text
    shown = re.split(r'^_+ test_it.*$', text, flags=re.MULTILINE)[1:]
    assert len(shown) == len(BROKEN)
    assert all(map(is_clear, shown))
    assert 'ask the model again' not in text  # which is no remedy for a file
    assert "''" not in text  # names are quoted once
    result.stdout.fnmatch_lines(['*next*pip install --upgrade agentrun-replay*'])


# What differs, what cannot be recorded, what cannot be run


CHANGES = {
    'instructions of agent': ("instructions='Be brief.'", "instructions='Be long.'"),
    'user prompt of agent': ("'Weather?'", "'Weather!'"),
    'tool schema of agent': ('city: str', 'city: str, day: int = 0'),
}


@pytest.mark.parametrize('what', CHANGES)
def test_a_change_fails_the_test_and_says_what_changed(
    what: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv('COLUMNS', '160')
    old, new = CHANGES[what]
    pytester.makepyfile(app=APP)
    pytester.makepyfile(test_it=TEST.format(count=1))
    pytester.runpytest_inprocess(*OPTIONS, '--replay-record=once').assert_outcomes(passed=1)
    before = {**state(pytester.path / 'cassettes')}
    pytester.makepyfile(app=APP.replace(old, new))
    pytester.makepyfile(test_it=TEST.format(count=1).replace(old, new))
    result = pytester.runpytest_inprocess(*OPTIONS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f'FAILED test_it.py::test_it[[]0[]] - replay: {what} changed'])
    assert state(pytester.path / 'cassettes') == before


def test_what_json_cannot_hold_fails_the_recording_and_leaves_only_what_was_paid_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv('COLUMNS', '160')
    pytester.makepyfile(app=APP)
    pytester.makepyfile(test_it=TEST.format(count=1).replace('agent.', 'odd.').replace('import agent', 'import odd'))
    before = state(pytester.path)
    result = pytester.runpytest_inprocess(*OPTIONS, '--replay-record=once')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["FAILED test_it.py::test_it[[]0[]] - replay: what tool 'get_odd' returned holds what JSON cannot"]
    )
    assert without_journals(pytester.path) == before
    assert [path.name for path in pytester.path.glob('cassettes/**/*')] == ['test_it', 'test_it[0].json.journal']
    assert 'type_adapter.py' not in result.stdout.str()  # where it was found is of no use to anybody


def test_the_command_line_refuses_a_changed_prompt_and_an_unwritable_result(tmp_path: Path):
    record(tmp_path)
    before = state(tmp_path)
    for arguments in (
        ['run', 'app.py:agent', 'Other?', '--cassette', 'cassettes/good.json', '--record', 'none'],
        ['run', 'app.py:odd', 'x', '--cassette', 'cassettes/odd.json'],
    ):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code in {1, 2}
        assert 'Traceback' not in result.output
        assert is_clear(result.output), result.output
        assert without_journals(tmp_path) == before


@pytest.mark.parametrize(
    'arguments',
    [
        ['run', 'app.py:bare', 'x'],
        ['run', 'app.py:nothing', 'x'],
        ['run', 'app.py:missing', 'x'],
        ['run', 'broken.py:agent', 'x'],
        ['run', 'syntax.py:agent', 'x'],
        ['run', 'leaves.py:agent', 'x'],
        ['run', 'nowhere.py:agent', 'x'],
        ['run', 'no.such.module:agent', 'x'],
        ['run', 'app.py', 'x'],
        ['run', '', 'x'],
        ['run', 'app.py:agent', 'x', '--cassette', 'cassettes/none.json', '--record', 'none'],
        ['show', 'cassettes/none.json'],
        ['show', '.'],
        ['check', 'cassettes/none.json'],
        ['diff', 'cassettes/good.json', 'cassettes/none.json'],
        ['diff', '--base', 'no-such-revision'],
        ['accept', 'none'],
        ['reject', '../x'],
        ['import', 'none.json'],
        ['import', 'app.py'],
        ['import', 'syntax.py'],
        ['import', 'cassettes/good.json'],
    ],
    ids=' '.join,
)
def test_bad_arguments_are_refused(arguments: list[str], tmp_path: Path):
    record(tmp_path)
    (tmp_path / 'broken.py').write_text("raise RuntimeError('at import')", encoding='utf-8')
    (tmp_path / 'syntax.py').write_text('def (', encoding='utf-8')
    (tmp_path / 'leaves.py').write_text('import sys\nsys.exit(0)', encoding='utf-8')
    assert re.match(r'(replay|usage|Usage|Error)', refused(*arguments).stderr)


def test_a_process_ends_in_code_2_without_a_traceback(tmp_path: Path):
    record(tmp_path)
    (tmp_path / 'cassettes/good.json').write_bytes(b'\x00')
    done = subprocess.run(
        [sys.executable, '-m', 'replay', 'show', 'cassettes/good.json'],
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.startswith('replay: ')
    assert 'Traceback' not in done.stderr
