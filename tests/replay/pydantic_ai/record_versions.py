"""Records what `recorded` holds of the installed version of pydantic_ai.

python tests/replay/pydantic_ai/record_versions.py
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed

from pydantic_ai import Agent, ModelRetry  # noqa: E402, needs the path above

from replay import use_cassette  # noqa: E402, needs the path above
from replay.adapters.pydantic_ai._compat import installed_version  # noqa: E402, needs the path above
from tests.replay.pydantic_ai.calling import call, calling_at  # noqa: E402, needs the path above
from tests.replay.pydantic_ai.driving import STYLES, Asked  # noqa: E402, needs the path above
from tests.replay.pydantic_ai.test_runs import made  # noqa: E402, needs the path above

RECORDED = Path(__file__).parent / 'recorded'


async def retried() -> Any:
    """A run in which a tool and a validator ask again, and one that goes on from it.

    Returns:
        The result of the second one.
    """
    model = calling_at([call('look', 'c0', at=1)], [call('look', 'c1', at=2)], 'bad', 'good', 'better')
    agent = Agent(model, name='looker', retries=2)

    @agent.tool_plain
    def look(at: int) -> str:
        if at == 1:
            raise ModelRetry('not there')
        return 'seen'

    @agent.output_validator
    def good(text: str) -> str:
        if text == 'bad':
            raise ModelRetry('not that')
        return text

    first = await agent.run('Go')
    return await agent.run('Again', message_history=first.all_messages())


async def main() -> None:
    """Record each of them anew."""
    for style in ('run', 'run_stream'):
        with use_cassette(f'{style}_by_{installed_version()}.json', dir=RECORDED, record='rewrite'):
            await STYLES[style](made('both', Asked()), 'Weather in Paris?')
    with use_cassette(f'retried_by_{installed_version()}.json', dir=RECORDED, record='rewrite'):
        await retried()


if __name__ == '__main__':
    asyncio.run(main())
