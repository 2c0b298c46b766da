"""The pytest plugin: replay for every agent run of a test, wherever it starts.

pytest loads this module at its start, so it imports nothing but pytest; the engine comes with the first test that needs
it. A test needs it if it asks for the fixture `agent_run_replay`, bears the marker of that name, or if ini
`replay_auto` says that all tests do.

An automatic fixture, the first of a test's own, opens its session. What goes on from there is the affair of
`pytest_hooks`, and what is printed at the end of `pytest_reporter`; both are registered with the first session.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .pytest_session import Disabled, OwnSession
    from .redact import UserRule
    from .session import Session

_HELP = {
    'record': 'Record mode of agent runs: none (default), once, new_episodes, all, rewrite.',
    'tools': 'Tool calls in a replay: replay (default), live, verify; or by tool: get_weather=live,*=replay.',
    'match': 'Fields of a request that are compared (default: all): instructions, messages, settings, tools, output.',
    'unplayed': 'Recordings that a test does not ask for: ignore, warn, fail (default).',
    'orphans': 'Cassettes that no test owns: ignore (default), warn, fail.',
    'max-age': 'How old a recording may be: 90d, 12w (default: as old as it likes).',
    'network': 'Connections to other machines in a replay: block (default), allow.',
    'allowed-hosts': 'Hosts that a replay may connect to all the same.',
    'dir': 'Folder of the cassettes, relative to the root of the tests (default: cassettes).',
    'pending': 'Play pending recordings (NAME.json.new) where there are some.',
    'disable': 'Neither record nor replay agent runs.',
    'record-in-ci': 'Record in CI too (environment variable CI), where nothing is recorded otherwise.',
}
_HELP_REDACT = 'What to redact beside what is known: lines NAME = REGEX; what matches is recorded as <secret:NAME>.'
_WISHES = ('record', 'tools', 'match', 'unplayed', 'max_age', 'network', 'allowed_hosts')
"""Options that a test may have its own value of; what is left empty is as usual."""

_FLAGS = ('pending', 'disable', 'record-in-ci')
_DEFAULTS = {'record': 'none', 'dir': 'cassettes'}
"""What options that take a value are, if they are not empty."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register `--replay-...`, an ini value of the same name for each, and `replay_auto`."""
    group = parser.getgroup('replay', 'record and replay of agent runs')
    for name, text in _HELP.items():
        option, ini = f'--replay-{name}', f'replay_{name.replace("-", "_")}'
        if name in _FLAGS:
            group.addoption(option, action='store_true', default=None, dest=ini, help=text)
            parser.addini(ini, text, type='bool', default=False)
        else:
            group.addoption(option, default=None, dest=ini, metavar=name.upper(), help=text)
            parser.addini(ini, text, default=_DEFAULTS.get(name, ''))
    parser.addini('replay_redact', _HELP_REDACT, type='linelist', default=[])
    parser.addini('replay_auto', 'Replay every test that runs an agent, without asking.', type='bool', default=False)


class _Settings:
    """What options and ini values say.

    A dataclass or named tuple would take longer to make, and every start of pytest would wait for it.
    """

    def __init__(self, config: pytest.Config) -> None:
        def value(name: str) -> Any:
            given = config.getoption(name)
            return config.getini(name) if given is None else given

        self.usual = {name: str(found) for name in _WISHES if (found := config.getini(f'replay_{name}'))}
        """Ini values of `_WISHES`, which marker and configuration fixture win over."""
        given = {name: config.getoption(f'replay_{name}') for name in _WISHES}
        self.fixed = {name: str(found) for name, found in given.items() if found is not None}
        """Those of the command line, which win over these."""
        _check(self.usual)
        _check(self.fixed, rebind=True)
        self.record = self.fixed.get('record', self.usual.get('record', 'none'))
        """Mode of tests that do not say otherwise."""
        self.orphans = _one_of('orphans', str(value('replay_orphans') or 'ignore'), ('ignore', 'warn', 'fail'))
        self.dir = config.rootpath / value('replay_dir')
        self.pending: bool = value('replay_pending')
        self.disable: bool = value('replay_disable')
        self.auto: bool = config.getini('replay_auto')
        self.redact = _rules(config.getini('replay_redact'))
        self.ci = os.environ.get('CI', '').lower() not in {'', '0', 'false'} and not value('replay_record_in_ci')
        """Whether nothing may be recorded, because this is CI."""


def _check(wishes: dict[str, str], *, rebind: bool = False) -> None:
    """Make sure that options have values that exist. The mode `rebind` is that of a command, not of files."""
    for name, value in wishes.items():
        if (name, value) == ('record', 'none'):
            continue  # without loading the engine
        from .errors import ReplayError
        from .modes import OFFERED
        from .options import Options

        if name == 'record' and not (rebind and value == 'rebind'):
            _one_of(name, value, OFFERED)
            continue
        try:
            Options.of({name: value})
        except ReplayError as error:
            raise pytest.UsageError(_refusal(name, value, error.headline, error.expected or '')) from None


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise pytest.UsageError(_refusal(name, value, f'{value!r} does not exist', ', '.join(known)))
    return value


def _refusal(name: str, value: str, why: str, expected: str) -> str:
    return f'--replay-{name.replace("_", "-")}={value}: {why}; expected {expected}'


def _rules(lines: list[str]) -> 'tuple[UserRule, ...]':
    if not lines:
        return ()
    from .errors import ReplayError
    from .redact import parse_rules

    try:
        return tuple(parse_rules(lines))
    except ReplayError as error:
        raise pytest.UsageError(f'replay_redact: {error.render()}') from None


_SETTINGS = pytest.StashKey[_Settings]()


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, so that a wrong one stops pytest at its start."""
    config.addinivalue_line(
        'markers',
        'agent_run_replay(record=, tools=, match=, cassette=, unplayed=, max_age=): '
        'record or replay the agent runs of a test.',
    )
    config.stash[_SETTINGS] = settings = _Settings(config)
    if settings.orphans != 'ignore' and not settings.disable:
        from .pytest_orphans import OrphanJudge

        judge = OrphanJudge(config, verdict=settings.orphans, dir=settings.dir, redact=settings.redact)
        config.pluginmanager.register(judge, 'replay-orphans')
    if config.getoption('dist', 'no') != 'no' or config.pluginmanager.hasplugin('pytest_forked'):
        _report(config)  # sessions are those of other processes, whose reports come here


def _report(config: pytest.Config) -> None:
    """Let somebody print what the notes of tests say together, in the process that prints."""
    if not hasattr(config, 'workerinput') and not config.pluginmanager.hasplugin('replay-reporter'):
        from .pytest_reporter import Reporter

        settings = config.stash[_SETTINGS]
        reporter = Reporter(config, mode='none' if settings.ci else settings.record)
        config.pluginmanager.register(reporter, 'replay-reporter')


# -- what a test asks for


@pytest.fixture(scope='module')
def agent_run_replay_config() -> dict[str, Any]:
    """What the marker takes, for every test of a module: override this fixture. The marker wins over it."""
    return {}


@pytest.fixture(autouse=True)
def _agent_run_replay(request: pytest.FixtureRequest) -> None:
    """Open the session of a test that asks for one, before the other fixtures of its own are set up."""
    if (
        'agent_run_replay' in request.fixturenames
        or request.node.get_closest_marker('agent_run_replay') is not None
        or request.config.stash[_SETTINGS].auto
    ):
        _open(request)


@pytest.fixture
def agent_run_replay(request: pytest.FixtureRequest) -> 'Session | Disabled':
    """The session of this test: its runs, nodes, messages, usage, cassette and mode."""
    from .pytest_hooks import OWN
    from .pytest_session import Disabled

    own = request.node.stash.get(OWN, None) or _open(request)
    return Disabled() if own is None else own.session


def _open(request: pytest.FixtureRequest) -> 'OwnSession | None':
    """Open the session of a test, unless replay is disabled."""
    settings = request.config.stash[_SETTINGS]
    if settings.disable:
        return None
    from .errors import ReplayError
    from .pytest_hooks import OWN
    from .pytest_session import OwnSession

    plugins, hooks = request.config.pluginmanager, sys.modules[f'{__package__}.pytest_hooks']
    if not plugins.is_registered(hooks):  # the start of pytest would have to wait for each hook
        plugins.register(hooks, hooks.__name__)
    _report(request.config)
    item: pytest.Item = request.node
    refusal = ''
    try:
        own = OwnSession(
            item,
            request.getfixturevalue('agent_run_replay_config'),
            usual=settings.usual,
            fixed=settings.fixed,
            dir=settings.dir,
            play_pending=settings.pending,
            ci=settings.ci,
            redact=settings.redact,
        )
    except ReplayError as error:
        own, refusal = None, error.render()
    if own is None:
        pytest.fail(refusal, pytrace=False)
    item.stash[OWN] = own
    own.open()
    return own
