"""The health report on the wire, version 1: the seed's names and types, with measured blocks added beside them.

Every value is measured. One that can't be measured is None, and its block's `error` says why.
A report without `schema_version` comes from the legacy shell agent: its missing blocks are unknown, not healthy.
Times are RFC 3339 with `Z` on the agent's own clock; they are shown and never decide anything outside the agent.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

SCHEMA_VERSION = 1

# chosen: a full report is 2 KiB; 256 KiB leaves room for two orders of magnitude of growth.
MAX_REPORT_BYTES = 256 * 1024

# chosen: the contract nests five levels deep; deeper bodies are attacks, and msgspec would recurse into them.
MAX_REPORT_DEPTH = 32


class ReportInvalid(ValueError):
    """Say why bytes are not a health report; the text names the field where there is one."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One check's part of the report: when it was measured, and why values are missing."""

    checked_at: str | None = None
    error: str | None = None


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the report. `boot_id` is new with every agent process; `sequence` counts its rounds of checks."""

    version: str
    pod: str | None = None
    uid: str | None = None
    boot_id: str
    sequence: int
    uptime_seconds: float


class QemuEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One QMP event: its name, when QEMU emitted it, its age on the agent's clock, and its cause if it has one."""

    name: str
    at: str
    age_seconds: float
    detail: str | None = None


class Qemu(Block, frozen=True, kw_only=True):
    """The emulator process as the kernel and QMP see it.

    process_state: the kernel's letter (`R`, `S`, `T` stopped, `D` uninterruptible, `Z`); None without a process.
    run_state: QMP's RunState word (`running`, `paused`, `io-error`, ...).
    restarts: QEMU processes seen since the agent started, less one.
    seconds_since_restart: None also where an act of ours had planned it.
    qmp_error: why QMP told no run state; it starts with `timeout` where QEMU took the connection and stayed silent.
    """

    process_state: str | None = None
    run_state: str | None = None
    accelerator: str | None = None
    started_at: str | None = None
    uptime_seconds: float | None = None
    restarts: int | None = None
    seconds_since_restart: float | None = None
    qmp_error: str | None = None
    block_errors: int | None = None
    events: list[QemuEvent] = []


class Video(Block, frozen=True, kw_only=True):
    """The VNC server as a viewer would meet it.

    shareable: True where one more shared=1 viewer throws nobody out and needs no password.
    estimated_frame_rate: counted framebuffer updates a second, from the last burst.
    """

    vnc_available: bool | None = None
    display_active: bool | None = None
    estimated_frame_rate: float | None = None
    vnc_port: int | None = None
    display: str | None = None
    shareable: bool | None = None
    width: int | None = None
    height: int | None = None
    frame_rate_checked_at: str | None = None


class Screen(Block, frozen=True, kw_only=True):
    """What the guest shows, from a QMP screendump.

    verdict: `moving`, `still`, `blank` (one colour, black) or `single-colour`.
    still_seconds: since the picture last changed, as far as dumps can tell.
    largest_colour_ratio: share of the commonest colour, 0-1.
    """

    width: int | None = None
    height: int | None = None
    hash: str | None = None
    still_seconds: float | None = None
    largest_colour_ratio: float | None = None
    verdict: str | None = None


class Sink(msgspec.Struct, frozen=True, kw_only=True):
    """One PulseAudio sink: volume 0-1 (above 1 is amplified), monitor peak 0-1, streams that QEMU plays into it."""

    name: str
    state: str
    muted: bool
    volume: float
    level: float | None = None
    qemu_streams: int = 0


class Audio(Block, frozen=True, kw_only=True):
    """The sound path: server, sinks, and the peak of the sink that QEMU plays into (0-1).

    muted: that sink is muted, suspended or at volume 0.
    qemu_streams: sink inputs that belong to QEMU; 0 with a running QEMU means that its stream is lost.
    silent_seconds: since the peak last passed the silence limit.
    seconds_since_restart: None also where an act of ours had planned it.
    """

    pulse_running: bool | None = None
    audio_devices: int | None = None
    alsa_devices: int | None = None
    estimated_level: float | None = None
    audio_backend: str | None = None
    muted: bool | None = None
    qemu_streams: int | None = None
    silent_seconds: float | None = None
    underruns: int | None = None
    restarts: int | None = None
    seconds_since_restart: float | None = None
    sinks: list[Sink] = []


class Performance(Block, frozen=True, kw_only=True):
    """Load of the container (or host) and of QEMU. The seed's `cpu_usage` and its kin are percent, 0-100.

    qemu_cpu: percent of one core, so it may pass 100. scope: `cgroup-v1`, `cgroup-v2` or `host`.
    """

    cpu_usage: float | None = None
    memory_usage: float | None = None
    load_average: float | None = None
    qemu_cpu: float | None = None
    qemu_memory: float | None = None
    qemu_pid: str | int | None = None
    scope: str | None = None
    cpu_limit_cores: float | None = None
    memory_limit_bytes: int | None = None
    throttled_ratio: float | None = None
    cpu_pressure_ratio: float | None = None
    memory_pressure_ratio: float | None = None


class Network(Block, frozen=True, kw_only=True):
    """The guest's bridge and tap. Counters are the tap's totals since it was made; rates are over the last round."""

    bridge_up: bool | None = None
    tap_up: bool | None = None
    tx_packets: int | None = None
    rx_packets: int | None = None
    tx_errors: int | None = None
    rx_errors: int | None = None
    bridge: str | None = None
    tap: str | None = None
    tap_in_bridge: bool | None = None
    tap_carrier: bool | None = None
    tx_dropped: int | None = None
    rx_dropped: int | None = None
    tx_packets_per_second: float | None = None
    rx_packets_per_second: float | None = None
    errors_per_second: float | None = None
    drops_per_second: float | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One person's VNC connection, seen in at least two rounds. websocket: None where TCP alone tells of it."""

    peer: str
    websocket: bool | None = False
    seconds: float


class Sessions(Block, frozen=True, kw_only=True):
    """Who is connected; the agent's and the jobs' own connections are left out.

    witness: `qmp` where QEMU lists them itself; `tcp` where it can't be asked, by the connections to the VNC port.
    """

    witness: str | None = None
    count: int | None = None
    sessions: list[Session] = []


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """What one browser posted last, in the seed's field names.

    packetLoss: ratio 0-1. jitter, latency: seconds. framerate: per second. resolution: `WxH`.
    frozen: share of the time in which no frame came when one was due, 0-1.
    """

    id: str
    age_seconds: float
    packetLoss: float | None = None  # noqa: N815 - the seed's name
    jitter: float | None = None
    latency: float | None = None
    framerate: float | None = None
    frozen: float | None = None
    resolution: str | None = None
    codec: str | None = None
    error: str | None = None


class Clients(Block, frozen=True, kw_only=True):
    """Browsers that posted to /client-stats within the last 30 s."""

    count: int | None = None
    clients: list[Client] = []


class Actions(Block, frozen=True, kw_only=True):
    """Which acts the agent would do here if it were asked now. cannot: by name, one clause why not.

    error: why it does none at all, such as no key.
    """

    can: list[str] = []
    cannot: dict[str, str] = {}


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of `GET /health`. overall_status is the agent's own word: healthy, degraded, unhealthy, unknown."""

    timestamp: str
    overall_status: str
    qemu_healthy: bool | None = None
    video: Video | None = None
    audio: Audio | None = None
    performance: Performance | None = None
    network: Network | None = None
    schema_version: int | None = None
    agent: Agent | None = None
    qemu: Qemu | None = None
    screen: Screen | None = None
    sessions: Sessions | None = None
    clients: Clients | None = None
    actions: Actions | None = None

    @property
    def is_legacy(self) -> bool:
        """Tell whether the legacy shell agent made it."""
        return self.schema_version is None


def rfc3339(seconds: float) -> str:
    """Return a time of the wall clock, in Unix seconds, as the report writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(HealthReport)


def encode(report: HealthReport) -> bytes:
    """Return the report as JSON bytes."""
    return _encoder.encode(report)


def decode(body: bytes) -> HealthReport:
    """Return the report that `body` holds; unknown fields are ignored.

    Raises: ReportInvalid for anything else: too large, too deep, not JSON (NaN and Infinity are not), wrong types,
    or a schema_version that this reader doesn't know. Cost: about 2 us for a full report.
    """
    if len(body) > MAX_REPORT_BYTES:
        raise ReportInvalid(f"body of {len(body)} bytes, at most {MAX_REPORT_BYTES} are read")
    # Only a body with that many brackets can be that deep; counting in C spares a scan of every honest report.
    if body.count(b"[") + body.count(b"{") > MAX_REPORT_DEPTH and _depth(body) > MAX_REPORT_DEPTH:
        raise ReportInvalid(f"nested deeper than {MAX_REPORT_DEPTH} levels")
    try:
        report = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ReportInvalid(str(error)) from error
    if report.schema_version not in (None, SCHEMA_VERSION):
        raise ReportInvalid(f"schema_version {report.schema_version}, this reader knows {SCHEMA_VERSION}")
    return report


def _depth(body: bytes) -> int:
    """Return the deepest bracket nesting of JSON text, ignoring brackets inside strings."""
    deepest = depth = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
