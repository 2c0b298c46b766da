"""Runs what concerns pydantic_ai under each version of it that is supported, in an environment of its own.

    nox                                   # all of them
    nox -s 'pydantic_ai(2.68.0)' -- -n 2  # one; what follows `--` goes to pytest, which may name fewer tests
    nox -s 'many_replays(1.38.0)' -- 100  # processes, each with another hash seed

`docs/testing.md` says what each takes. The environment of the ordinary suite has 1.38.0.
"""

from pathlib import Path

import nox

nox.needs_version = '>=2024.4'
nox.options.default_venv_backend = 'uv|virtualenv'
nox.options.reuse_existing_virtualenvs = True

VERSIONS = {
    # Its import asks opentelemetry for names that later versions have dropped.
    '1.15.0': ['opentelemetry-api==1.36.0', 'mcp<2', 'anthropic==0.75.0'],
    '1.38.0': ['mcp<2', 'anthropic==0.75.0'],
    # Clients of Anthropic that are newer than these two have made a union of a class that they instantiate.
    '1.107.5': ['mcp<2', 'anthropic<1'],
    '2.33.0': ['anthropic<2'],
    '2.68.0': [],
}
"""Supported versions: the first, the one whose bytes `agentrun` has, the last 1.x, an older 2.x, the newest; with what
each needs that its own requirements do not say."""

TESTS = ('tests/replay/pydantic_ai', 'tests/wire', 'tests/migration')


def install(session: nox.Session, version: str) -> None:
    """This checkout, the tools of the tests, and one version of pydantic_ai with the clients of providers."""
    pydantic_ai = f'pydantic-ai-slim[anthropic,mcp,openai]=={version}'
    session.install('-q', '-e', '.[cli,pytest,trio]', '--group', 'matrix', pydantic_ai, *VERSIONS[version])


@nox.session
@nox.parametrize('version', list(VERSIONS), ids=list(VERSIONS))
def pydantic_ai(session: nox.Session, version: str) -> None:
    """The tests of everything that meets pydantic_ai."""
    install(session, version)
    named = any(Path(each.partition('::')[0]).exists() for each in session.posargs)
    session.run('pytest', '-q', *session.posargs, *(() if named else TESTS))


@nox.session
@nox.parametrize('version', list(VERSIONS), ids=list(VERSIONS))
def many_replays(session: nox.Session, version: str) -> None:
    """Every case in so many processes, each with another hash seed: one distinct result per case."""
    install(session, version)
    session.run('python', 'tests/replay/pydantic_ai/many_replays.py', *(session.posargs or ['100']))
