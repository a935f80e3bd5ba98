"""Every threshold as data; `jobs.health.policyfile` reads the TOML file that may change them.

Ratios are 0-1. `*_ticks` of `*_window` means: at this tick and at so many of the last so many, this one included.
Ticks are 15 s apart; they count what wall clocks can't, because nobody steps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.health.bounds import RecoveryBounds
from jobs.health.recovery import Action
from jobs.health.remedies import REMEDIES
from jobs.health.thresholds import threshold


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds of the rules, of opening and closing incidents, and of recovery.

    remedies: the acts that answer each fault, least disruptive first.
    """

    # chosen: three equal reports 15 s apart mean that the agent missed ten of its 3 s rounds.
    stale_ticks: int = threshold(3, 2, 12)
    # chosen: ticks asked for by hand may follow each other at once; without seconds they would look stale.
    stale_seconds: float = threshold(20.0, 1.0, 3600.0)
    # faults-and-security section 2, row 14: more than 5 s is shown.
    clock_skew_seconds: float = threshold(5.0, 0.1, 86400.0)
    # faults-and-security row 38: a pod's boot takes up to 90 s.
    pod_start_seconds: float = threshold(90.0, 0.0, 3600.0)
    # chosen: a first pull of an emulator's image takes minutes; kubelet says by itself when it fails.
    pod_pull_seconds: float = threshold(300.0, 0.0, 86400.0)
    # chosen: four times the default grace period of a pod.
    pod_terminating_seconds: float = threshold(120.0, 0.0, 86400.0)
    # chosen: a StatefulSet makes the next pod within a second; a busy control plane gets a minute.
    pod_missing_seconds: float = threshold(60.0, 0.0, 86400.0)
    # chosen: first picture and first sound of the decoy come within 10 s; three times that for slower guests.
    boot_grace_seconds: float = threshold(30.0, 0.0, 3600.0)
    # architecture section 5: an unplanned restart is a finding for 60 s.
    restart_shown_seconds: float = threshold(60.0, 15.0, 180.0)
    # chosen: the connectivity probe runs every 5 s; four missed ones make its last answer history.
    connectivity_max_age_seconds: float = threshold(20.0, 5.0, 600.0)
    # chosen: one lost handshake proves nothing; two of three do within 35 s.
    connectivity_ticks: int = threshold(2, 1, 12)
    connectivity_window: int = threshold(3, 1, 12)

    # chosen: a tap without faults has no errors at all; one a second is out of the noise of a link that flaps once.
    interface_errors_per_second: float = threshold(1.0, 0.0, 1e6)
    # faults-and-security section 4: more than 5 % loss is felt.
    packet_drop_ratio: float = threshold(0.05, 0.0, 1.0)
    # chosen: a ratio of a handful of packets is noise.
    packet_drops_per_second: float = threshold(1.0, 0.0, 1e6)
    network_rate_ticks: int = threshold(2, 1, 12)
    network_rate_window: int = threshold(3, 1, 12)

    # chosen: above 95 % of its share nothing is left for the next frame.
    cpu_ratio: float = threshold(0.95, 0.0, 1.01)
    # kernel doc accounting/psi: share of time in which some task waited; a guest that idles busily waits for nothing.
    cpu_pressure_ratio: float = threshold(0.1, 0.0, 1.0)
    # chosen: the kernel reclaims hard, and kills, in the last few percent.
    memory_ratio: float = threshold(0.95, 0.0, 1.01)
    # chosen: a quarter of all scheduler periods throttled makes sound and picture stutter.
    throttled_ratio: float = threshold(0.25, 0.0, 1.0)
    load_ticks: int = threshold(4, 1, 12)
    load_window: int = threshold(5, 1, 12)

    # faults-and-security section 4 (webrtc-issue-detector): loss > 5 %, round trip >= 250 ms, jitter >= 200 ms.
    client_packet_loss_ratio: float = threshold(0.05, 0.0, 1.0)
    client_latency_seconds: float = threshold(0.25, 0.0, 60.0)
    client_jitter_seconds: float = threshold(0.2, 0.0, 60.0)
    # chosen: below 10 frames a second a game of mouse and motion can't be played; judged only where the screen moves.
    client_frames_per_second: float = threshold(10.0, 0.0, 240.0)
    client_ticks: int = threshold(2, 1, 12)
    client_window: int = threshold(3, 1, 12)

    # chosen: one bad tick proves nothing, two of three open within 30 s.
    incident_open_ticks: int = threshold(2, 1, 12)
    incident_open_window: int = threshold(3, 1, 12)
    # chosen: one good tick too few of five is forgiven, because reports get lost too.
    incident_close_ticks: int = threshold(4, 1, 12)
    incident_close_window: int = threshold(5, 1, 12)
    # faults-and-security row 63: healthy 20 s, bad 40 s is one incident; eight ticks are two minutes without a bad one.
    incident_hold_down_ticks: int = threshold(8, 1, 11)

    recovery: RecoveryBounds = field(default_factory=RecoveryBounds)
    remedies: Mapping[str, tuple[Action, ...]] = field(default_factory=lambda: REMEDIES)
