"""Record an agent run, replay it, and see that nothing ran and every byte is the same.

Run it: `python examples/first_replay.py`
"""

import sys
import tempfile
from pathlib import Path

from trip import trip_agent

import replay

PROMPT = 'Weather in Paris? And open a ticket.'


def main() -> int:
    """Record in a folder of its own, replay from there; 0 if the bytes are equal."""
    with tempfile.TemporaryDirectory() as folder:
        print('1. Record: the model is asked, the tools run.')
        with replay.use_cassette('trip', record='once', dir=folder) as recording:
            result = trip_agent.run_sync(PROMPT)
        print(f'   {result.output}')

        print('2. Replay: nothing runs, the cassette answers.')
        with replay.use_cassette('trip', record='none', dir=folder) as replayed:
            again = trip_agent.run_sync(PROMPT)
        print(f'   {again.output}')

        print('3. The node sequence:')
        for node in replayed.node_kinds:
            print(f'   {node}')

        equal = again.all_messages_json() == result.all_messages_json()
        size = len(again.all_messages_json())
        print(f'4. {size} bytes of messages: {"equal" if equal else "DIFFERENT"}.')
        print(f'   Requests to the model while replaying: {replayed.live_requests}.')
        lines = Path(recording.cassette_path).read_text(encoding='utf-8').count('\n')
        print(f'   The cassette has {lines} lines.')
    return 0 if equal else 1


if __name__ == '__main__':
    sys.exit(main())
