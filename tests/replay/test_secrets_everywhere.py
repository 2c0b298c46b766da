"""Secrets of all kinds in all places: in none of the files that a project comes to have, and in nothing that is said.

One project of tests for each library is recorded, replayed, failed, killed and handed to every command, once; each test
looks at what came of it. What is looked for are pieces of secrets, so that a half of one counts.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip('syrupy', reason='the extra snapshots is not installed')
pytest.importorskip('inline_snapshot', reason='the extra snapshots is not installed')

from replay.cli._group import replay as command
from tests.replay.secrets_planted import SECRETS, traces
from tests.terminal import environment, in_pipe

KNOWN = 'correct horse/battery+77 staple'
"""The value of a variable that no format tells."""

NIGHTLY = os.environ.get('HYPOTHESIS_PROFILE') == 'nightly'

TESTS = """
import os
import pytest
from inline_snapshot import snapshot as inline
from replay.snapshots import MessagesSnapshot
from tests.replay import planted_app as app

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return 'asyncio'

@pytest.mark.parametrize('name', ['streamed', 'fallen_back', 'deferred', 'rejected', 'failed'])
async def test_planted(agent_run_replay, name):
    await getattr(app, name)()
    assert not os.environ.get('PLANTED_FAIL')

async def test_shown(agent_run_replay, snapshot):
    await app.whole()
    assert agent_run_replay == snapshot(extension_class=MessagesSnapshot)
    assert agent_run_replay.outline == snapshot
    assert agent_run_replay.steps[1] == inline()
"""

INI = '[pytest]\naddopts = -p anyio -p syrupy -p inline_snapshot.pytest_plugin\n'

TOKEN = SECRETS['github-token']
KEPT = ('TMPDIR', 'PYTEST_DISABLE_PLUGIN_AUTOLOAD')
HISTORY = """
import asyncio, sys
from tests.replay import planted_app as app
sys.stdout.buffer.write(asyncio.run(app.whole()).all_messages_json())
"""


@dataclass
class Project:
    """A project of tests, and what was said while it was used."""

    folder: Path
    said: dict[str, str] = field(default_factory=dict[str, str])
    """By what was typed."""
    codes: dict[str, int] = field(default_factory=dict[str, int])
    held: dict[str, str] = field(default_factory=dict[str, str])
    """Files that were there in between, by name."""

    def pytest(self, name: str, *options: str, **more: str) -> None:
        """Run its tests."""
        done = in_pipe('-m', 'pytest', '-p', 'replay.pytest_plugin', *options, cwd=self.folder, **ours(), **more)
        self._note(name, done.returncode, done.stdout + done.stderr)

    def keep(self, pattern: str) -> None:
        """Keep what files of some name hold now."""
        for path in self.folder.rglob(pattern):
            self.held[f'then {path.name}'] = path.read_text(encoding='utf-8')

    def command(self, *arguments: str, typed: bytes = b'') -> None:
        """Type a command of `replay`."""
        done = CliRunner().invoke(command, list(arguments), input=typed)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        self._note(arguments[0], int(done.exit_code), done.output)

    def _note(self, name: str, code: int, said: str) -> None:
        self.codes[name] = code
        self.said[name] = f'{self.said.get(name, "")}{said}'

    def files(self) -> dict[str, str]:
        """All that is in its folder and was not there from the start."""
        paths = [path for path in self.folder.rglob('*') if path.is_file()]
        there = {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}
        return self.held | {name: data.decode('utf-8', 'replace') for name, data in there.items()}


@pytest.fixture(scope='module', params=['agentrun', 'pydantic_ai'])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    library = str(request.param)
    pytest.importorskip(library, reason=f'{library} is not installed')
    found = Project(tmp_path_factory.mktemp(library))
    variables = {'PLANTED_LIBRARY': library, 'PLANTED_API_KEY': KNOWN, 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found.folder)
        for name in set(os.environ) - set(environment()):
            patch.delenv(name)
        for name, value in environment(TMPDIR=str(found.folder / 'tmp'), **variables).items():
            patch.setenv(name, value)
        use(found, patch, library)
        yield found


def use(project: Project, patch: pytest.MonkeyPatch, library: str) -> None:
    """Do with a project all that can be done."""
    for name, text in {'pytest.ini': INI, 'test_trip.py': TESTS, 'tmp/kept': ''}.items():
        (project.folder / name).parent.mkdir(exist_ok=True)
        (project.folder / name).write_text(text, encoding='utf-8')
    if library == 'agentrun' or NIGHTLY:  # commands see cassettes, which bear no trace of a library
        project.pytest('killed', '--replay-record=once', '-k', 'shown', PLANTED_KILL='9')
        project.keep('*.journal')
    project.pytest('recorded', '--replay-record=once', '--snapshot-update', '--inline-snapshot=create')
    if library == 'agentrun' or NIGHTLY:
        project.pytest('differs', '-vv', '--inline-snapshot=disable', PLANTED_MORE='1')
        failing = 'planted' if NIGHTLY else 'streamed'
        project.pytest('failed', '--replay-record=rewrite', '-k', failing, PLANTED_FAIL='1', PLANTED_MORE='1')
        project.keep('*.json.new')
        command_all(project, patch)


def command_all(project: Project, patch: pytest.MonkeyPatch) -> None:
    """Type every command that shows, writes or records something."""
    streamed, whole = (next(project.folder.rglob(f'cassettes/**/*{name}*.json')) for name in ('streamed', 'shown'))
    project.command('review')
    project.command('diff', str(streamed), f'{streamed}.new')
    project.command('reject')
    for path in (streamed, whole):
        project.command('show', str(path))
        project.command('view', str(path), '-o', f'{path.stem}.html')
        for form in ('messages', 'function-model'):
            project.command('export', str(path), '--run', 'planted', '--as', form, '-o', f'{path.stem}.{form}')
    project.command('list', '--json')
    project.command('check', '--json', 'cassettes')
    import_into(project)
    patch.setenv('PLANTED_MORE', '1')
    for name in ('drift', 'record', 'rebind') if NIGHTLY else ('record',):
        project.command(name, 'test_trip.py::test_planted[rejected]')
    streamed.write_text(streamed.read_text(encoding='utf-8').replace('Done with', 'Gone with'), encoding='utf-8')
    project.command('seal', str(streamed))


def import_into(project: Project) -> None:
    """Make cassettes of a history that was kept as it was."""
    live = in_pipe('-c', HISTORY, cwd=project.folder, **ours()).stdout
    assert len(traces(live, known=KNOWN)) > len(SECRETS)
    results = json.dumps({'calls': {'x': live}, 'approvals': {}})
    more = ('--error-type', 'E', '--error-message', live, '--deferred-tool-results', results, '--output-tool', TOKEN)
    project.command('import', '-', '-o', 'imported.json', typed=live.encode())
    project.command('import', '-', *more, typed=live.encode())


def ours() -> dict[str, str]:
    return {name: os.environ[name] for name in os.environ if name.startswith('PLANTED') or name in KEPT}


def test_no_file_holds_a_piece_of_a_secret(project: Project):
    held = {name: traces(f'{name} {text}', known=KNOWN) for name, text in project.files().items()}
    assert {name: found for name, found in held.items() if found} == {}
    kinds = {Path(name).suffix for name in held}
    assert {'.json', '.ambr'} <= kinds
    if 'list' in project.codes:
        assert {'.new', '.journal', '.html', '.messages', '.function-model'} <= kinds
        assert any('.pytest_cache' in name and name.endswith('replay/causes') for name in held)


def test_nothing_that_is_said_holds_a_piece_of_a_secret(project: Project):
    said = {name: traces(text, known=KNOWN) for name, text in project.said.items()}
    assert {name: found for name, found in said.items() if found} == {}


def test_each_step_came_to_the_end_that_it_should(project: Project):
    ends = {'killed': -9, 'recorded': 1, 'differs': 1, 'failed': 1, 'review': 1, 'diff': 1, 'check': 1, 'drift': 1}
    assert project.codes == {name: ends.get(name, 0) for name in project.codes}
    assert '6 recorded' in project.said['recorded']


def test_stand_ins_of_all_kinds_are_in_what_was_recorded(project: Project):
    text = '\n'.join(text for name, text in project.files().items() if name.startswith('cassettes/'))
    kinds = {f'<secret:{name.split()[0]}>' for name in SECRETS} | {'<secret:env PLANTED_API_KEY>'}
    assert {kind for kind in kinds if kind not in text} == set()
