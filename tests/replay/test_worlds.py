"""Any world of agents, recorded once, replays to the same in every process: bytes, objects, events, nodes, errors.

The worlds are drawn (`worlds_drawn.py`) and acted out (`worlds_acted.py`) by real processes, which differ in hash seed,
time zone, locale, event loop, how tools are executed, and how long these take. In the profile `nightly` there are many.
"""

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from replay import Session
from tests.replay.worlds import AgentPlan, Happened, Step, WorldPlan
from tests.replay.worlds_acted import differences, in_session, recorded, replayed
from tests.replay.worlds_drawn import worlds

CHECKOUT = Path(__file__).parent.parent.parent
NIGHTLY = settings.default is not None and settings.default.max_examples > 1000
WORLDS, PROCESSES, ALONE = (500, 20, 500) if NIGHTLY else (20, 3, 15)
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much)
ZONES = ('UTC', 'Pacific/Kiritimati', 'America/St_Johns', 'Asia/Kathmandu', 'Pacific/Pago_Pago')
LOCALES = ('C', 'C.UTF-8', 'POSIX', 'tr_TR.UTF-8', 'de_DE.UTF-8')


def drawn(count: int) -> list[WorldPlan]:
    """So many different worlds; the first that are drawn are too simple to tell much."""
    found: list[WorldPlan] = []

    @settings(max_examples=3 * count, phases=[Phase.generate], database=None, suppress_health_check=SLOW)
    @given(worlds())
    def draw(plan: WorldPlan) -> None:
        if plan not in found:
            found.append(plan)

    draw()
    return found[-count:]


def ready_to_act(number: int) -> dict[str, str]:
    """The environment of a process: each has another one."""
    return {
        **os.environ,
        'PYTHONHASHSEED': str(number * 7919 % 4_000_000),
        'TZ': ZONES[number % len(ZONES)],
        'LC_ALL': LOCALES[number % len(LOCALES)],
        'PYTHONWARNINGS': 'error',
    }


@dataclass(frozen=True)
class Recorded:
    """Worlds that were recorded by a process of their own."""

    folder: Path
    plans: list[WorldPlan]

    def done(self, task: str, number: int) -> list[Any]:
        """Let a process do a task with all worlds."""
        subprocess.run(
            [sys.executable, '-m', 'tests.replay.worlds_acted', str(self.folder), task, str(number)],
            cwd=CHECKOUT,
            env=ready_to_act(number),
            check=True,
            timeout=1200,
        )
        return json.loads((self.folder / f'{task}-{number}.json').read_text())


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorded, list[Any]]:
    here = Recorded(tmp_path_factory.mktemp('worlds'), drawn(WORLDS))
    (here.folder / 'plans.pickle').write_bytes(pickle.dumps(here.plans))
    return here, here.done('record', 0)


def test_every_world_is_recorded(world: tuple[Recorded, list[Any]]):
    here, firsts = world
    assert [(plan, first['wrong']) for plan, first in zip(here.plans, firsts, strict=True) if first['wrong']] == []
    assert len({len(first['runs']) for first in firsts}) > 2


def test_every_world_replays_to_the_same_in_every_process(world: tuple[Recorded, list[Any]]):
    here, firsts = world
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(partial(here.done, 'replay'), range(1, PROCESSES + 1)))
    wrong = [
        '\n'.join([f'{again["how"]} {here.plans[at]}', *differences(first, again)])
        for process in found
        for at, (first, again) in enumerate(zip(firsts, process, strict=True))
        if differences(first, again)
    ]
    print(f'{WORLDS} worlds, {sum(len(one["runs"]) for one in firsts)} runs at the top, {PROCESSES} processes')
    assert not wrong, f'{len(wrong)} replays differ\n' + '\n\n'.join(wrong[:3])


def test_every_world_that_is_recorded_anew_and_does_the_same_leaves_its_file_untouched(
    world: tuple[Recorded, list[Any]],
):
    here, _ = world
    again = here.done('modes', PROCESSES + 1)
    assert [one for modes in again for one in modes.values() if one['wrong']] == []
    assert {mode: sum(modes[mode]['asked'] for modes in again) for mode in ('once', 'new_episodes')} == {
        'once': 0, 'new_episodes': 0,
    }  # fmt: skip
    same = [(here.plans[at], mode) for at, modes in enumerate(again) for mode, one in modes.items() if one['same']]
    touched = [(plan, mode) for plan, mode in same if not again[here.plans.index(plan)][mode]['untouched']]
    print(f'{len(same)} of {4 * WORLDS} recordings did the same again, {len(touched)} touched their file')
    assert len(same) > WORLDS
    assert not touched, touched[:3]


@settings(max_examples=ALONE, phases=[Phase.reuse, Phase.generate, Phase.shrink], suppress_health_check=SLOW)
@given(worlds())
def test_a_world_replays_in_the_process_that_recorded_it(plan: WorldPlan):
    with TemporaryDirectory() as name:
        first = recorded(plan, Path(name), 'world', seed=1)
        again = replayed(plan, Path(name), 'world', seed=2)
    assert first['wrong'] == []
    assert differences(first, again) == []


def test_a_world_that_does_something_else_is_told_from_its_recording(tmp_path: Path):
    agent = AgentPlan(name='support', script=((('call', 'slow', '{}'),),))
    plan = WorldPlan(((Step(agent=agent, style='iter'),),))
    first = recorded(plan, tmp_path, 'world', seed=1)
    other = WorldPlan(((replace(plan.together[0][0], prompt='Stop'),),))
    again = in_session(other, Session('world', dir=tmp_path), Happened(Random(2)), 'asyncio')
    assert any('user prompt of support changed' in line for line in differences(first, again))
    later = in_session(plan, Session('world', dir=tmp_path), Happened(Random(2)), 'asyncio')
    assert differences(first, later) == []
    later['noted'][0].append('more')
    assert differences(first, later) != []
