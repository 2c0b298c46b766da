"""The pytest plugin: replay for every agent run of a test, wherever it starts.

pytest loads this module at its start, so it imports nothing but pytest; the engine comes with the first test that needs
it. A test needs it if it asks for the fixture `agent_run_replay`, bears the marker of that name, or if ini
`replay_auto` says that all tests do.

The life of a session follows the test: an automatic fixture, the first of the test's own, opens it; it is judged at
the end of the test's call, so that what it finds fails the test itself. In between it is the state of the process (a
fixture of another task or thread finds it) and is set inside the test's own coroutine (a task that outlives its test
takes that test's closed session along and is refused by it).
"""

import os
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from .pytest_session import Disabled, OwnSession
    from .redact import UserRule
    from .report import Note
    from .session import Session

_NOTE = 'agent_run_replay'
"""Attribute of a test report that takes the note from a worker to the process that prints."""

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


class _Settings(NamedTuple):
    """What options and ini values say.

    A dataclass would take longer to make, and every start of pytest would wait for it.
    """

    record: str
    """Mode of tests that do not say otherwise."""
    usual: dict[str, str]
    """Ini values of `_WISHES`, which marker and configuration fixture win over."""
    fixed: dict[str, str]
    """Those of the command line, which win over these."""
    orphans: str
    dir: Path
    pending: bool
    disable: bool
    auto: bool
    redact: 'tuple[UserRule, ...]'
    ci: bool
    """Whether nothing may be recorded, because this is CI."""

    @classmethod
    def of(cls, config: pytest.Config) -> '_Settings':
        def value(name: str) -> Any:
            given = config.getoption(name)
            return config.getini(name) if given is None else given

        usual = {name: str(found) for name in _WISHES if (found := config.getini(f'replay_{name}'))}
        fixed = {name: str(found) for name in _WISHES if (found := config.getoption(f'replay_{name}')) is not None}
        _check(usual)
        _check(fixed, rebind=True)
        return cls(
            record=fixed.get('record', usual.get('record', 'none')),
            usual=usual,
            fixed=fixed,
            orphans=_one_of('orphans', str(value('replay_orphans') or 'ignore'), ('ignore', 'warn', 'fail')),
            dir=config.rootpath / value('replay_dir'),
            pending=value('replay_pending'),
            disable=value('replay_disable'),
            auto=config.getini('replay_auto'),
            redact=_rules(config.getini('replay_redact')),
            ci=os.environ.get('CI', '').lower() not in {'', '0', 'false'} and not value('replay_record_in_ci'),
        )


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
_OWN = pytest.StashKey['OwnSession']()


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, so that a wrong one stops pytest at its start."""
    config.addinivalue_line(
        'markers',
        'agent_run_replay(record=, tools=, match=, cassette=, unplayed=, max_age=): '
        'record or replay the agent runs of a test.',
    )
    config.stash[_SETTINGS] = settings = _Settings.of(config)
    if settings.orphans != 'ignore' and not settings.disable:
        from .pytest_orphans import OrphanJudge

        judge = OrphanJudge(config, verdict=settings.orphans, dir=settings.dir, redact=settings.redact)
        config.pluginmanager.register(judge, 'replay-orphans')
    if not hasattr(config, 'workerinput'):
        config.pluginmanager.register(_Reporter(config), 'replay-reporter')


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
    own = request.node.stash.get(_OWN, None) or _open(request)
    if own is None:
        from .pytest_session import Disabled

        return Disabled()
    return own.session


def _open(request: pytest.FixtureRequest) -> 'OwnSession | None':
    """Open the session of a test, unless replay is disabled."""
    settings = request.config.stash[_SETTINGS]
    if settings.disable:
        return None
    from .errors import ReplayError
    from .pytest_session import OwnSession

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
    item.stash[_OWN] = own
    own.open()
    return own


# -- the life of a session


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Set the session in the context of the test's own fixtures; wider ones belong to no test."""
    own = request.node.stash.get(_OWN, None) if request.scope == 'function' else None
    if own is None:
        return (yield)
    with own.inside_fixture(fixturedef):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Judge the session of a test when its call is over, so that what is found fails the test itself."""
    own = item.stash.get(_OWN, None)
    with nullcontext() if own is None else own.inside():
        try:
            if own is not None:
                own.begin()
            yield
        except BaseException as error:
            _judge(item, error)
            raise
    _judge(item, None)


def _judge(item: pytest.Item, error: BaseException | None) -> None:
    """Judge the session that the test had or came to have, and fail a test that passed in spite of what is found."""
    own = item.stash.get(_OWN, None)
    if own is not None:
        own.judge(error)
        if own.problem is not None and error is None:
            own.fail()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Let fixtures be torn down under the closed session, which refuses runs that would otherwise go live."""
    own = item.stash.get(_OWN, None)
    if own is None:
        return (yield)
    del item.stash[_OWN]
    with own.session.bound():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report of a test take its note along, and say in its short line what was found."""
    report = yield
    own = item.stash.get(_OWN, None)
    if own is None or (call.when == 'setup' and call.excinfo is None):
        return report
    own.judge(call.excinfo and call.excinfo.value)  # of a test that failed before its call; else it is judged already
    if own.note is not None:
        vars(report)[_NOTE] = own.note.to_data()
        _say(report, own.note)
    return report


# -- reports


def _say(report: pytest.TestReport, note: 'Note', *, others: int = 0) -> None:
    """Let the short line of a failed test name what replay found."""
    crash = getattr(report.longrepr, 'reprcrash', None)
    if report.failed and note.problem is not None and crash is not None:
        from .report import short_line

        crash.message = short_line(note.problem, others=others)


class _Reporter:
    """Gathers the notes of all tests, from all workers, and prints what they say together."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._runs: set[str] = set()  # ids of runs with workers
        self._found: dict[str, tuple[Note, pytest.TestReport]] = {}  # by test: the last time counts, if it is run again
        self._order: dict[str, int] = {}  # of tests that workers run, which end in any order

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the note of a report, if it has one; what a test was expected to fail with is no finding."""
        data = vars(report).get(_NOTE)
        if data is not None:
            from .report import Note

            note = Note.from_data(data)
            self._found[report.nodeid] = (note if report.failed else replace(note, problem=None), report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: 'pytest.TerminalReporter') -> Generator[None]:
        """Complete the short lines before pytest prints them, and report the causes below them."""
        shown = bool(self._found) and not self._config.option.no_summary
        groups = self._grouped() if shown else []
        yield
        if not shown:
            return
        from .report import cause_lines, section_title, summary_line

        kept = self._keep_causes(groups)
        verbose = self._config.get_verbosity() > 0
        if groups:
            terminalreporter.write_sep('=', section_title(groups))
        for number, notes in enumerate(groups, 1):
            for line in cause_lines(number, notes, sole=len(groups) == 1, verbose=verbose, kept=kept):
                terminalreporter.write_line(line)
        settings = self._config.stash[_SETTINGS]
        mode = 'none' if settings.ci else settings.record
        terminalreporter.write_line(summary_line([note for note, _ in self._found.values()], mode=mode))

    def _keep_causes(self, groups: 'list[list[Note]]') -> bool:
        """Keep the tests of each cause for `replay record --cause N` and `replay rebind --cause N`.

        Returns:
            Whether they are kept: not without pytest's cache, and not if one of these commands runs the tests.
        """
        cache = getattr(self._config, 'cache', None)
        if cache is None or self._config.pluginmanager.hasplugin('replay.cli._recording'):
            return False
        cache.set('replay/causes', [[note.test for note in notes] for notes in groups])
        return True

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note the order of the tests, so that the report is the same as without workers."""
        self._order = {test: place for place, test in enumerate(ids)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Let others record what a worker of xdist had claimed that is no longer there."""
        from .pytest_claims import give_up

        give_up(node.workerinput['testrunuid'], node.workerinput['workerid'])
        self._runs.add(node.workerinput['testrunuid'])

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind of runs with workers."""
        if self._runs:
            from .pytest_claims import end

            for run in self._runs:
                end(run)

    def _grouped(self) -> 'list[list[Note]]':
        """Group the notes by cause; the first test of each says how many others there are."""
        from .report import causes

        last = len(self._order)
        inorder = sorted(self._found, key=lambda test: self._order.get(test, last))
        groups = causes(self._found[test][0] for test in inorder)
        others = {id(notes[0]): len(notes) - 1 for notes in groups}
        for note, report in self._found.values():
            if id(note) in others:
                _say(report, note, others=others[id(note)])
        return groups
