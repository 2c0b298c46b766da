"""Picks the agent libraries whose runs are recorded and replayed."""

from datetime import datetime

from replay.adapters._protocol import Conductor, Host, Played, RunConductor, Started

__all__ = ('Conductor', 'Host', 'Played', 'RunConductor', 'Started', 'hosts', 'seen_now', 'system_now')


def hosts() -> tuple[Host, ...]:
    """The hosts for the agent libraries that are there, imported now and not before."""
    from replay.adapters._pydantic_ai_host import PydanticAiHost
    from replay.adapters.agentrun import AgentrunHost

    usual = AgentrunHost()
    return (usual, PydanticAiHost(usual))


def seen_now() -> datetime:
    """The time as code sees it, in the zone of this place."""
    return hosts()[0].now()


def system_now() -> datetime:
    """The time of the machine, in the zone of this place, where a test has set the clock that code sees too."""
    return hosts()[0].system_now()
