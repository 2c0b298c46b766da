"""Commands as a person runs them: on a pseudo-terminal, or into a pipe."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent


def environment(**more: str) -> dict[str, str]:
    """This environment without what changes the look, with the packages of the checkout."""
    unwanted = ('PYTEST_', 'COV_', 'GIT_')
    kept = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    for name in ('CI', 'NO_COLOR', 'FORCE_COLOR', 'PYTHONIOENCODING'):
        kept.pop(name, None)
    # Byte code is kept by whole seconds and size: an edit of a test within the second would not be seen.
    fixed = {'TERM': 'xterm', 'COLUMNS': '120', 'PYTHONPATH': str(CHECKOUT), 'PYTHONDONTWRITEBYTECODE': '1'}
    steady = {'PYTEST_ADDOPTS': '-p no:randomly'}  # projects of tests run in the order in which they are written
    return {**kept, **fixed, **steady, **more}


def in_terminal(
    *arguments: str,
    cwd: Path,
    typed: str = '',
    keys: Iterable[tuple[str, str]] = (),
    more: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run this Python with some arguments on a terminal.

    Args:
        arguments: What follows the name of Python.
        cwd: Folder that it runs in.
        typed: What somebody types, all at once and before it is asked for.
        keys: Pairs of a text and keys: when the text has come after the last pair's, and somebody listens to single
            keys, they are pressed.
        more: Variables of the environment.

    Returns:
        The exit code, and all that the terminal got.
    """
    pty = pytest.importorskip('pty', reason='pseudo-terminals are a thing of POSIX')
    own, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=its, stdout=its, stderr=its, cwd=cwd, env=environment(**(more or {}))
    ) as child:
        os.close(its)
        os.write(own, typed.encode())
        shown = bytearray()
        waiting, seen = list(keys), 0
        while True:
            try:
                chunk = os.read(own, 65536)
            except OSError:  # the child has closed its end
                break
            if not chunk:
                break
            shown += chunk
            while waiting and (place := shown.find(waiting[0][0].encode(), seen)) >= 0:
                prompt, pressed = waiting.pop(0)
                seen = place + len(prompt.encode())
                _wait_for_listener(own)
                os.write(own, pressed.encode())
    os.close(own)
    return child.returncode, shown.decode()


def _wait_for_listener(terminal: int) -> None:
    """Wait until the terminal gives single keys: what is pressed before, though the prompt stands, is thrown away."""
    import termios

    until = time.monotonic() + 60
    while termios.tcgetattr(terminal)[3] & termios.ICANON and time.monotonic() < until:
        time.sleep(0.01)


def in_pipe(*arguments: str, cwd: Path, **more: str) -> 'subprocess.CompletedProcess[str]':
    """Run this Python with some arguments, both outputs caught."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        encoding='utf-8',
        timeout=120,
        check=False,
    )
