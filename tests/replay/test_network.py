"""Who reaches for another machine while a session replays is stopped, and told by name."""

import asyncio
import contextvars
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel
from agentrun.usage import RunUsage
from replay import NetworkBlocked, Session, use_cassette
from replay.adapters.agentrun import _calls
from replay.network import Guard, Who, judge
from tests.terminal import in_pipe

FAR = '192.0.2.1'
"""An address for documentation, which no machine has."""

Open = Callable[..., Session]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the cassette `trip`."""
    with use_cassette('trip', dir=tmp_path, record='once'):
        agent().run_sync('hi')
    return tmp_path


def agent(instruct: Callable[[], str] = lambda: 'Be brief.') -> Agent[None, str]:
    made = Agent(FunctionModel(lambda _, __: ModelResponse(parts=[TextPart('Sunny')])), name='trip')
    made.instructions(instruct)
    return made


@contextmanager
def replaying(folder: Path, **wishes: Any) -> Generator[Session]:
    """A session in which nothing need be played, whose problems are not raised."""
    session = Session('trip', dir=folder, **wishes).open()
    try:
        with session.bound():
            yield session
    finally:
        session.close()


def connect(host: str = FAR, port: int = 443) -> None:
    with socket.socket() as end:
        end.settimeout(0)
        end.connect((host, port))


def fails() -> None:
    """Get as far as the network, which does not know the address, or does not wait."""
    with pytest.raises(OSError, match=r'.'):
        connect()


def refused(call: Callable[[], object]) -> NetworkBlocked:
    with pytest.raises(NetworkBlocked) as caught:
        call()
    return caught.value


def test_the_error_names_run_and_target_and_says_what_to_type(folder: Path):
    def instruct() -> str:
        connect()
        return 'Be brief.'

    with pytest.raises(NetworkBlocked) as caught, use_cassette('trip', dir=folder):
        agent(instruct).run_sync('hi')
    error = caught.value
    assert (error.host, error.port, error.run, error.tool) == (FAR, 443, 'trip', None)
    assert (
        error.render().replace(f'{folder.as_posix()}/', '')
        == """\
replay: network blocked: run trip reached for 192.0.2.1:443
   expected  a replay, which needs no network; this machine and allowed hosts may be reached
   got       a connection to 192.0.2.1:443
   where     trip.json  run trip
   next      use_cassette(..., allowed_hosts=['192.0.2.1'])     lets this host be reached
             use_cassette(..., network='allow')     lets all be reached
             use_cassette(..., record='rewrite')     to record anew, over the network"""
    )


def test_a_connection_counts_even_if_the_code_that_made_it_swallows_the_error(folder: Path):
    def instruct() -> str:
        for _ in range(3):
            with suppress(NetworkBlocked):
                connect()
        return 'Be brief.'

    session = Session('trip', dir=folder).open()
    with session.bound():
        agent(instruct).run_sync('hi')
    assert [type(problem) for problem in session.close()] == [NetworkBlocked]


Way = Callable[[socket.socket], object]
WAYS: dict[str, Way] = {
    'connect': lambda end: end.connect((FAR, 443)),
    'connect_ex': lambda end: end.connect_ex((FAR, 443)),
    'sendto': lambda end: end.sendto(b'x', (FAR, 443)),
    'sendmsg': lambda end: end.sendmsg([b'x'], [], 0, (FAR, 443)),
    'getaddrinfo': lambda _: socket.getaddrinfo('api.example.invalid', 443),
    'gethostbyname': lambda _: socket.gethostbyname('api.example.invalid'),
    'create_connection': lambda _: socket.create_connection(('api.example.invalid', 443)),
}


@pytest.mark.parametrize('way', WAYS)
def test_every_way_out_of_the_socket_module_is_closed(folder: Path, way: str):
    with replaying(folder), socket.socket(type=socket.SOCK_DGRAM) as end:
        refused(lambda: WAYS[way](end))


@pytest.mark.anyio
async def test_asynchronous_look_ups_are_stopped_too(folder: Path):
    with replaying(folder), pytest.raises(NetworkBlocked, match=r'reached for api\.example\.invalid:443'):
        await anyio.connect_tcp('api.example.invalid', 443)


@pytest.mark.anyio
async def test_an_asynchronous_connection_counts_against_its_session(folder: Path):
    with replaying(folder) as session:
        with suppress(ExceptionGroup):  # anyio tries several addresses at once
            await anyio.connect_tcp(FAR, 443)
        assert [type(problem) for problem in session.problems] == [NetworkBlocked]


async def look_up_in_the_executor() -> None:
    await asyncio.get_running_loop().getaddrinfo('api.example.invalid', 443)


def test_a_look_up_in_a_thread_of_asyncio_counts_against_the_session_of_its_task(folder: Path):
    with replaying(folder), replaying(folder) as session:
        refused(lambda: asyncio.run(look_up_in_the_executor()))
        assert [type(problem) for problem in session.problems] == [NetworkBlocked]


async def connect_by_the_loop() -> None:
    await asyncio.open_connection(FAR, 443)


async def connect_by_name() -> None:
    await asyncio.open_connection('api.example.invalid', 443)


async def send_by_the_loop() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(FAR, 53))


@pytest.mark.parametrize(
    'ask',
    [look_up_in_the_executor, connect_by_the_loop, connect_by_name, send_by_the_loop],
    ids=lambda ask: ask.__name__,
)
def test_what_uvloop_is_asked_is_stopped_and_counts_against_the_session(
    folder: Path, ask: Callable[[], Coroutine[Any, Any, None]]
):
    uvloop = pytest.importorskip('uvloop', reason='uvloop is not installed')
    with replaying(folder) as session:
        refused(lambda: uvloop.run(ask()))
        assert [type(problem) for problem in session.problems] == [NetworkBlocked]
        assert 'getaddrinfo' in vars(uvloop.Loop)
    assert 'getaddrinfo' not in vars(uvloop.Loop)  # it is as it was


@pytest.mark.parametrize('which', ['asyncio', 'uvloop'])
def test_loops_reach_this_machine_and_whatever_is_allowed(folder: Path, which: str):
    run = pytest.importorskip(which, reason='uvloop is not installed').run
    with socket.create_server(('127.0.0.1', 0)) as server:

        async def ask() -> None:
            _, writer = await asyncio.open_connection(*server.getsockname())
            writer.close()
            await writer.wait_closed()
            assert await asyncio.get_running_loop().getaddrinfo('localhost', 80)
            with suppress(OSError):
                await asyncio.get_running_loop().getaddrinfo('api.example.invalid', 443)

        with replaying(folder, allowed_hosts=('*.example.invalid',)) as session:
            run(ask())
            assert session.problems == []


def test_a_method_of_a_loop_that_somebody_else_replaced_since_stays_theirs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    loop: Any = asyncio.BaseEventLoop
    before = loop.getaddrinfo
    with replaying(folder):
        monkeypatch.setattr(loop, 'getaddrinfo', theirs := object())
    assert loop.getaddrinfo is theirs
    monkeypatch.setattr(loop, 'getaddrinfo', before)
    with replaying(folder):
        assert loop.getaddrinfo is not before
    assert loop.getaddrinfo is before


def in_thread(call: Callable[[], object]) -> list[BaseException]:
    found: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except (NetworkBlocked, OSError) as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found


def test_a_thread_without_context_is_stopped_by_the_only_session_without_counting_against_it(folder: Path):
    with replaying(folder) as session:
        assert [type(error) for error in in_thread(connect)] == [NetworkBlocked]
        assert session.problems == []


def test_a_thread_without_context_belongs_to_none_of_two_sessions(folder: Path):
    with replaying(folder), replaying(folder):
        assert [isinstance(error, OSError) for error in in_thread(connect)] == [True]


def test_a_context_belongs_to_its_own_session(folder: Path):
    with replaying(folder) as outer:
        inside = contextvars.copy_context()
        with use_cassette('other', dir=folder, record='once'):
            fails()
            assert [type(error) for error in in_thread(lambda: inside.run(connect))] == [NetworkBlocked]
        assert len(outer.problems) == 1


@pytest.mark.parametrize('wishes', [{'network': 'allow'}, {'record': 'new_episodes'}, {'record': 'rewrite'}])
def test_the_network_is_open_if_asked_and_where_something_may_be_recorded(folder: Path, wishes: dict[str, Any]):
    with replaying(folder, **wishes):
        fails()


def test_once_blocks_only_where_there_is_a_cassette(folder: Path):
    with replaying(folder, record='once'):
        refused(connect)
    with use_cassette('new', dir=folder, record='once'):
        fails()


def test_the_network_is_open_again_when_the_session_is_closed(folder: Path):
    with replaying(folder):
        refused(connect)
    fails()


def test_this_machine_may_be_reached(folder: Path):
    with replaying(folder), socket.create_server(('127.0.0.1', 0)) as server:
        with socket.create_connection(('localhost', server.getsockname()[1])):
            pass
        left, right = socket.socketpair()
        left.close()
        right.close()


def test_unix_sockets_may_be_reached(folder: Path):
    if sys.platform == 'win32':
        pytest.skip('there are no unix sockets')
    with replaying(folder), socket.socket(socket.AF_UNIX) as end, pytest.raises(FileNotFoundError):
        end.connect(str(folder / 'none'))


def test_tools_that_a_replay_executes_may_use_the_network(folder: Path):
    with replaying(folder, tools='fetch=live,*=replay'):
        usage = RunUsage()
        for tool, expected in (('fetch', OSError), ('other', NetworkBlocked)):
            token = _calls.within.set(_calls.Within('trip', tool, 0, usage, 1))
            with pytest.raises(expected) as caught:
                connect()
            _calls.within.reset(token)
        assert isinstance(caught.value, NetworkBlocked)
        assert caught.value.headline == 'network blocked: run trip, tool other reached for 192.0.2.1:443'


# -- what a guard lets pass


def guard(*allowed: str, test: str | None = None) -> Guard:
    return Guard(cassette='c.json', test=test, allowed=allowed, who=Who, noted=lambda _: None)


@pytest.mark.parametrize(
    'host',
    ['127.0.0.1', '127.8.9.1', '::1', '0.0.0.0', '::ffff:127.0.0.1', '::1%lo', 'LOCALHOST.', 'a.localhost', b'', None],
)
def test_these_are_this_machine(host: Any):
    guard().send(host, 80)


@pytest.mark.parametrize(
    ('allowed', 'host', 'passes'),
    [
        ('api.test', 'API.test', True),
        ('api.test', 'www.api.test', False),
        ('*.api.test', 'eu.api.test', True),
        ('192.0.2.1', '192.0.2.1', True),
        ('192.0.2.1', '192.0.2.2', False),
        ('::1', '2001:db8::1', False),
    ],
)
def test_allowed_hosts_may_be_reached(allowed: str, host: str, *, passes: bool):
    if passes:
        guard(allowed).send(host, 80)
    else:
        refused(lambda: guard(allowed).send(host, 80))


def test_an_address_may_be_looked_up_because_nobody_is_asked():
    guard().look_up(FAR, 443)


def test_the_addresses_of_an_allowed_name_may_be_reached(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def look_up(name: str, _: object) -> list[Any]:
        asked.append(name)
        if name == 'gone.test':
            raise OSError('no such name')
        return [(socket.AF_INET, 1, 6, '', (FAR, 0))]

    monkeypatch.setattr(socket, 'getaddrinfo', look_up)
    one = guard('*.test', 'gone.test')
    refused(lambda: one.send(FAR, 443))
    one.look_up('api.test')
    one.send(FAR, 443)
    one.send(FAR, 443)
    assert asked == ['gone.test', 'api.test']


def test_the_own_look_up_of_an_allowed_name_is_let_pass(folder: Path):
    with replaying(folder, allowed_hosts='localhost.example.invalid'):
        refused(connect)


def test_code_outside_of_runs_is_told_so():
    assert refused(lambda: guard().look_up('api.test')).headline == (
        'network blocked: code outside of runs reached for api.test'
    )


def test_a_test_is_told_options_of_pytest():
    error = refused(lambda: guard(test='tests/test_a.py::test_b[x y]').send('api.test', 443))
    assert error.next == (
        "pytest 'tests/test_a.py::test_b[x y]' --replay-allowed-hosts=api.test     lets this host be reached",
        "pytest 'tests/test_a.py::test_b[x y]' --replay-network=allow     lets all be reached",
        "pytest 'tests/test_a.py::test_b[x y]' --replay-record=rewrite     to record anew, over the network",
    )


def test_a_connected_socket_may_send_without_an_address():
    with socket.socket() as end:
        judge(guard(), 'socket.sendmsg', (end, None))


# -- under pytest, beside other plugins that block the network

PROJECT = """
import socket

import pytest
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel

reach = False
trip_agent = Agent(FunctionModel(lambda _, __: ModelResponse(parts=[TextPart('Sunny')])), name='trip_agent')


@trip_agent.instructions
def instructions():
    if reach:
        socket.create_connection(('api.example.invalid', 443))
    return 'Be brief.'


def test_trip(agent_run_replay):
    trip_agent.run_sync('hi')


def test_outside(request):
    with pytest.raises({expected}):
        socket.socket().connect(('192.0.2.1', 443))
"""


@pytest.mark.parametrize(
    ('plugin', 'options', 'expected'),
    [
        pytest.param('pytest_socket', ('--allow-hosts=127.0.0.1',), 'RuntimeError', id='pytest-socket'),
        pytest.param('pytest_recording.plugin', ('--block-network',), 'RuntimeError', id='pytest-recording'),
    ],
)
def test_plugins_that_block_the_network_too_keep_their_own_block(
    tmp_path: Path, plugin: str, options: tuple[str, ...], expected: str
):
    pytest.importorskip(plugin, reason=f'{plugin} is not installed')
    (tmp_path / 'test_trip.py').write_text(PROJECT.replace('{expected}', expected), encoding='utf-8')
    base = ('-m', 'pytest', '-p', 'replay.pytest_plugin', '-p', plugin, '-p', 'no:cacheprovider', *options)
    free = {'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'}
    recorded = in_pipe(*base, '--replay-record=once', cwd=tmp_path, **free)
    assert recorded.returncode == 0, recorded.stdout
    played = in_pipe(*base, cwd=tmp_path, **free)
    assert played.returncode == 0, played.stdout


def test_a_test_that_reaches_for_the_network_fails_with_the_reason_in_its_short_line(tmp_path: Path):
    (tmp_path / 'test_trip.py').write_text(PROJECT.replace('{expected}', 'OSError'), encoding='utf-8')
    base = ('-m', 'pytest', '-p', 'replay.pytest_plugin', '-p', 'no:cacheprovider', '-k', 'trip and not outside')
    free = {'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'}
    in_pipe(*base, '--replay-record=once', cwd=tmp_path, **free)
    test = tmp_path / 'test_trip.py'
    test.write_text(test.read_text(encoding='utf-8').replace('reach = False', 'reach = True'), encoding='utf-8')
    said = in_pipe(*base, cwd=tmp_path, **free).stdout
    assert 'FAILED test_trip.py::test_trip - replay: network blocked: run trip_agent reached for api.example' in said
    assert '--replay-allowed-hosts=api.example.invalid     lets this host be reached' in said
    allowed = in_pipe(*base, '--replay-network=allow', cwd=tmp_path, **free).stdout
    assert 'gaierror' in allowed
