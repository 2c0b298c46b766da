"""The command `replay`. Everything it needs is imported when a command runs, so that help is instant."""

import sys
from importlib.util import find_spec
from io import TextIOWrapper

__all__ = ('main',)


def main() -> None:
    """Run the command line and leave the process: 0 clean, 1 differs or fails, 2 usage or bad input."""
    missing = [name for name in ('click', 'jinja2', 'rich') if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"replay: the command line needs {' and '.join(missing)}: pip install 'agentrun-replay[cli]'\n"
        )
        sys.exit(2)
    from ._group import replay

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal or pipe that cannot show a character gets its escape instead of an error.
            stream.reconfigure(errors='backslashreplace')
    replay(prog_name='replay')
