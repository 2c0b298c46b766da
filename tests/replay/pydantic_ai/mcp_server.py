"""A server of the Model Context Protocol on stdio, for tests: each start leaves a line in the file it is given."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

try:
    kind: Any = import_module('mcp.server.fastmcp').FastMCP
except ImportError:  # since 2.0 under another name
    kind = import_module('mcp.server.mcpserver').MCPServer

server = kind('sums', instructions='Sums are exact.')


def add(a: int, b: int) -> int:
    """Add two numbers."""
    if b < 0:
        raise ValueError('no negative numbers')
    return a + b


def spell(n: int) -> str:
    """Spell a number."""
    return {1: 'one', 2: 'two'}.get(n, 'many')


server.add_tool(add)
server.add_tool(spell)

if __name__ == '__main__':
    with Path(sys.argv[1]).open('a') as log:
        log.write(f'{os.getpid()}\n')
    server.run()
