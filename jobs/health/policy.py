"""Every threshold as data, and the TOML file that may change them.

Ratios are 0-1. `*_ticks` of `*_window` means: at this tick and at so many of the last so many, this one included.
Ticks are 15 s apart; they count what wall clocks can't, because nobody steps them.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field, fields
from typing import Any

from jobs.errors import ConfigError


def _limit(default: float, least: float, most: float) -> Any:  # noqa: ANN401 - what dataclasses.field returns
    """Return a field whose value a policy file may set from `least` to `most`; an int default takes whole numbers."""
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds of the rules, and of opening and closing incidents."""

    # chosen: three equal reports 15 s apart mean that the agent missed ten of its 3 s rounds.
    stale_ticks: int = _limit(3, 2, 12)
    # chosen: ticks asked for by hand may follow each other at once; without seconds they would look stale.
    stale_seconds: float = _limit(20.0, 1.0, 3600.0)
    # faults-and-security section 2, row 14: more than 5 s is shown.
    clock_skew_seconds: float = _limit(5.0, 0.1, 86400.0)
    # faults-and-security row 38: a pod's boot takes up to 90 s.
    pod_start_seconds: float = _limit(90.0, 0.0, 3600.0)
    # chosen: a first pull of an emulator's image takes minutes; kubelet says by itself when it fails.
    pod_pull_seconds: float = _limit(300.0, 0.0, 86400.0)
    # chosen: four times the default grace period of a pod.
    pod_terminating_seconds: float = _limit(120.0, 0.0, 86400.0)
    # chosen: a StatefulSet makes the next pod within a second; a busy control plane gets a minute.
    pod_missing_seconds: float = _limit(60.0, 0.0, 86400.0)
    # chosen: first picture and first sound of the decoy come within 10 s; three times that for slower guests.
    boot_grace_seconds: float = _limit(30.0, 0.0, 3600.0)
    # architecture section 5: an unplanned restart is a finding for 60 s.
    restart_shown_seconds: float = _limit(60.0, 15.0, 180.0)
    # chosen: the connectivity probe runs every 5 s; four missed ones make its last answer history.
    connectivity_max_age_seconds: float = _limit(20.0, 5.0, 600.0)
    # chosen: one lost handshake proves nothing; two of three do within 35 s.
    connectivity_ticks: int = _limit(2, 1, 12)
    connectivity_window: int = _limit(3, 1, 12)

    # chosen: a tap without faults has no errors at all; one a second is out of the noise of a link that flaps once.
    interface_errors_per_second: float = _limit(1.0, 0.0, 1e6)
    # faults-and-security section 4: more than 5 % loss is felt.
    packet_drop_ratio: float = _limit(0.05, 0.0, 1.0)
    # chosen: a ratio of a handful of packets is noise.
    packet_drops_per_second: float = _limit(1.0, 0.0, 1e6)
    network_rate_ticks: int = _limit(2, 1, 12)
    network_rate_window: int = _limit(3, 1, 12)

    # chosen: above 95 % of its share nothing is left for the next frame.
    cpu_ratio: float = _limit(0.95, 0.0, 1.01)
    # kernel doc accounting/psi: share of time in which some task waited; a guest that idles busily waits for nothing.
    cpu_pressure_ratio: float = _limit(0.1, 0.0, 1.0)
    # chosen: the kernel reclaims hard, and kills, in the last few percent.
    memory_ratio: float = _limit(0.95, 0.0, 1.01)
    # chosen: a quarter of all scheduler periods throttled makes sound and picture stutter.
    throttled_ratio: float = _limit(0.25, 0.0, 1.0)
    load_ticks: int = _limit(4, 1, 12)
    load_window: int = _limit(5, 1, 12)

    # faults-and-security section 4 (webrtc-issue-detector): loss > 5 %, round trip >= 250 ms, jitter >= 200 ms.
    client_packet_loss_ratio: float = _limit(0.05, 0.0, 1.0)
    client_latency_seconds: float = _limit(0.25, 0.0, 60.0)
    client_jitter_seconds: float = _limit(0.2, 0.0, 60.0)
    # chosen: below 10 frames a second a game of mouse and motion can't be played; judged only where the screen moves.
    client_frames_per_second: float = _limit(10.0, 0.0, 240.0)
    client_ticks: int = _limit(2, 1, 12)
    client_window: int = _limit(3, 1, 12)

    # chosen: one bad tick proves nothing, two of three open within 30 s.
    incident_open_ticks: int = _limit(2, 1, 12)
    incident_open_window: int = _limit(3, 1, 12)
    # chosen: one good tick too few of five is forgiven, because reports get lost too.
    incident_close_ticks: int = _limit(4, 1, 12)
    incident_close_window: int = _limit(5, 1, 12)
    # faults-and-security row 63: healthy 20 s, bad 40 s is one incident; eight ticks are two minutes without a bad one.
    incident_hold_down_ticks: int = _limit(8, 1, 11)


def parse_policy(text: str, where: str) -> Policy:
    """Return the default policy with the keys of TOML `text` put over it.

    where: the file's name, for the sentence.
    Raises: ConfigError for TOML that doesn't parse, an unknown key, or a value of another type or out of its range.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"policy {where} is not TOML: {error}; nothing was started") from error
    policy = Policy(**{name: _checked(name, value, where) for name, value in values.items()})
    _check_windows(policy, where)
    return policy


def _checked(name: str, value: Any, where: str) -> Any:  # noqa: ANN401 - TOML says which type it is
    """Return `value` if the field `name` takes it."""
    limit = _FIELDS.get(name)
    if limit is None:
        near = difflib.get_close_matches(name, _FIELDS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"policy {where}: {name} is not a key{hint}; docs/reasons.md lists all; nothing was started")
    kind, least, most = limit
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (kind == "whole number" and not isinstance(value, int)) or not least <= value <= most:
        raise ConfigError(
            f"policy {where}: {name} is {value!r}, allowed is a {kind} from {least:g} to {most:g}; nothing was started"
        )
    return value


def _check_windows(policy: Policy, where: str) -> None:
    """Refuse counts that can't be reached, and a hold-down so short that two incidents would share a tick."""
    for name in ("connectivity", "network_rate", "load", "client", "incident_open", "incident_close"):
        _check_order(policy, f"{name}_ticks", f"{name}_window", where)
    _check_order(policy, "incident_open_window", "incident_hold_down_ticks", where)


def _check_order(policy: Policy, less: str, more: str, where: str) -> None:
    """Raise ConfigError when the field `less` is greater than the field `more`."""
    low, high = getattr(policy, less), getattr(policy, more)
    if low > high:
        raise ConfigError(f"policy {where}: {less} is {low}, allowed is at most {more}, {high}; nothing was started")


_FIELDS = {
    one.name: (
        "whole number" if isinstance(one.default, int) else "number",
        one.metadata["least"],
        one.metadata["most"],
    )
    for one in fields(Policy)
}
