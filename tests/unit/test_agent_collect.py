import time

import pytest

from agent.collect import Rounds, overall_status
from agent.report import Audio, HealthReport, Network, Qemu, Video
from agent.settings import Settings

ADDRESS = ("127.0.0.1", 0)
FULL = Settings(ADDRESS, "/qmp", "", "qemu-system-*", ADDRESS, "/pulse", "loco-br", "tap0", "", "", "")
BARE = Settings(ADDRESS, "/qmp", "", "qemu-system-*", ADDRESS, "", "", "", "", "", "")


def a_measured_report(**fields):
    """Return a report of a healthy instance as far as the agent's own word goes."""
    healthy = {
        "timestamp": "2026-11-24T20:00:00Z",
        "overall_status": "unknown",
        "qemu_healthy": True,
        "qemu": Qemu(run_state="running"),
        "video": Video(vnc_available=True),
        "audio": Audio(pulse_running=True, muted=False),
        "network": Network(bridge_up=True, tap_up=True, tap_in_bridge=True),
    }
    return HealthReport(**{**healthy, **fields})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "healthy"),
        ({"qemu_healthy": False}, "unhealthy"),
        ({"qemu_healthy": None}, "unknown"),
        ({"video": Video(vnc_available=False)}, "unhealthy"),
        ({"video": Video(error="hangs")}, "unknown"),
        ({"video": None}, "unknown"),
        ({"video": Video(error="hangs"), "qemu_healthy": False}, "unhealthy"),
        ({"qemu": Qemu(run_state="paused")}, "degraded"),
        ({"audio": Audio(pulse_running=False)}, "degraded"),
        ({"audio": Audio(pulse_running=True, muted=True)}, "degraded"),
        ({"audio": Audio(error="hangs")}, "unknown"),
        ({"network": Network(bridge_up=True, tap_up=False, tap_in_bridge=True)}, "degraded"),
        ({"network": Network(bridge_up=False, tap_up=True, tap_in_bridge=True)}, "degraded"),
        ({"network": Network(bridge_up=True, tap_up=True, tap_in_bridge=False)}, "degraded"),
        ({"network": Network(bridge_up=True, tap_up=True)}, "unknown"),
        ({"network": Network(error="hangs")}, "unknown"),
    ],
)
def test_the_agents_own_word_follows_from_the_facts(fields, word):
    assert word == overall_status(a_measured_report(**fields), FULL)


def test_before_the_first_round_a_report_names_the_links_that_are_not_measured_yet():
    network = Rounds(FULL).report().network

    assert ("loco-br", "tap0", None, "not measured yet") == (
        network.bridge,
        network.tap,
        network.tap_up,
        network.error,
    )


def test_a_missed_round_is_not_made_up_for(monkeypatch):
    """Two rounds at once would take a viewer of a moment for a session."""
    rounds, now, pauses = Rounds(BARE), [0.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += 10 * seconds  # as a stopped process does
        if len(pauses) == 3:
            raise SystemExit

    monkeypatch.setattr(rounds, "run_round", lambda: None)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(SystemExit):
        rounds._serve()

    assert [3.0, 3.0, 3.0] == pauses


def test_what_an_instance_is_not_set_up_with_counts_neither_way():
    report = a_measured_report(audio=Audio(error="none is configured"), network=Network(error="none is configured"))

    assert "healthy" == overall_status(report, BARE)
