"""A server of the Model Context Protocol on stdio, for tests: each start leaves a line in the file it is given."""

import os
import sys
from pathlib import Path

try:
    from mcp.server.fastmcp import FastMCP
except ImportError:  # since 2.0 under another name
    from mcp.server.mcpserver import MCPServer as FastMCP

server = FastMCP('sums', instructions='Sums are exact.')


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    if b < 0:
        raise ValueError('no negative numbers')
    return a + b


@server.tool()
def spell(n: int) -> str:
    """Spell a number."""
    return {1: 'one', 2: 'two'}.get(n, 'many')


if __name__ == '__main__':
    with Path(sys.argv[1]).open('a') as log:
        log.write(f'{os.getpid()}\n')
    server.run()
