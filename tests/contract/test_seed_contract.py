"""Every field that the seed's dashboard and discovery status read is there, of its type, in any state of the fleet.

The shapes are the seed's; fields may be added, none may be lost. None stands where the seed has a number and nothing
was measured: what isn't known is null here.
"""

import json
import time
from contextlib import contextmanager
from datetime import datetime
from ipaddress import ip_address

import pytest
from api_process import an_api
from full_report import a_full_report
from stores import TICK_MS, a_fleet, an_instance

from jobs.cluster.pods import instance_of
from jobs.health.model import Instance, InstanceKey, Pod, ProbeOutcome
from jobs.health.policy import Policy
from jobs.store import writer
from jobs.store.connection import transaction
from jobs.store.discovery import Detail, Discovery, Mode, Namespace, Port, Service, StatefulSet, record_discovery

NUMBER = (int, float)
MEASURED = (int, float, None)
SEEN = (bool, None)
TEXT_OR_NONE = (str, None)
CLASSES = {"none", "network", "qemu", "client", "mixed"}


def moment(value):
    """Tell whether a value is a time as the seed's front end parses it."""
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def moment_or_none(value):
    """Tell whether a value is a time, or nothing happened yet."""
    return value is None or moment(value)


def one_of(*words):
    """Return a check for one of these words."""
    return lambda value: value in words


INSTANCE = {
    "id": str,
    "name": str,
    "description": str,
    "podName": TEXT_OR_NONE,
    "podIP": TEXT_OR_NONE,
    "streamUrl": str,
    "vncUrl": str,
    "healthUrl": TEXT_OR_NONE,
    "provisioned": bool,
    "ready": bool,
    "status": one_of("ready", "booting", "error", "unknown"),
    "discoveredAt": moment,
    "kubernetes": {},
}
# The agent's report by the seed's names and nesting; `status` is the agent's own word.
REPORT = {
    "timestamp": str,
    "overall_status": str,
    "qemu_healthy": SEEN,
    "video": {
        "vnc_available": SEEN,
        "display_active": SEEN,
        "estimated_frame_rate": MEASURED,
        "vnc_port": (int, None),
        "display": TEXT_OR_NONE,
    },
    "audio": {
        "pulse_running": SEEN,
        "audio_devices": (int, None),
        "alsa_devices": (int, None),
        "estimated_level": MEASURED,
        "audio_backend": TEXT_OR_NONE,
    },
    "performance": {
        "cpu_usage": MEASURED,
        "memory_usage": MEASURED,
        "load_average": MEASURED,
        "qemu_cpu": MEASURED,
        "qemu_memory": MEASURED,
        "qemu_pid": TEXT_OR_NONE,
    },
    "network": {
        "bridge_up": SEEN,
        "tap_up": SEEN,
        "tx_packets": (int, None),
        "rx_packets": (int, None),
        "tx_errors": (int, None),
        "rx_errors": (int, None),
    },
}
DEEP_HEALTH = {
    "instanceId": str,
    "timestamp": moment_or_none,
    "overallStatus": one_of("healthy", "degraded", "unhealthy", "unreachable", "unknown"),
    "deepHealth": (REPORT, None),
    "failureType": one_of(*CLASSES),
    "recoveryNeeded": bool,
    "errors": [str],
    "recommendations": [str],
    "kubernetes": {},
}
METRICS = {
    "instanceId": str,
    "timestamp": moment_or_none,
    "availability": dict.fromkeys(("vnc", "stream", "audio", "controls"), SEEN),
    "quality": {
        "connectionLatency": MEASURED,
        "videoFrameRate": MEASURED,
        "audioQuality": TEXT_OR_NONE,
        "audioLevel": MEASURED,
        "controlsResponsive": SEEN,
        "packetLoss": MEASURED,
        "jitter": MEASURED,
    },
    "errors": [str],
    "slaScore": MEASURED,
}
SUMMARY = {
    "total": int,
    "available": (int, None),
    "availabilityPercent": MEASURED,
    "averageLatency": MEASURED,
    "qualityDistribution": dict,
}
RECOVERY = {"attempts": (int, None), "maxAttempts": (int, None), "canRecover": SEEN, "history": ([{}], None)}
LIVE = {"mode": TEXT_OR_NONE, "instances": [INSTANCE], "cache": {}}
DISCOVERY = {
    "kubernetesDiscovery": bool,
    "usingAutoDiscovery": bool,
    "fallbackToStatic": bool,
    "namespace": TEXT_OR_NONE,
    "services": dict,
    "cache": {"ttlSeconds": NUMBER, "instances": int},
}
LISTS = {"/api/instances": [INSTANCE], "/api/instances/provisioned": [INSTANCE]}
OBJECTS = {"/api/instances/live": LIVE, "/api/instances/discovery-info": DISCOVERY, "/api/quality/summary": SUMMARY}
KEYED = {
    "/api/quality/deep-health": DEEP_HEALTH,
    "/api/quality/metrics": METRICS,
    "/api/quality/recovery-status": RECOVERY,
}
SINGLE = ("/api/quality/deep-health", "/api/quality/metrics")


def lacks(shape, value, place=""):
    """Return what a value lacks of a shape, one line each; an object may have more than the shape names."""
    match shape:
        case tuple():
            found = [lacks(one, value, place) for one in shape]
            return [] if [] in found else min(found, key=len)
        case list() if isinstance(value, list):
            return [line for n, one in enumerate(value) for line in lacks(shape[0], one, f"{place}[{n}]")]
        case dict() if isinstance(value, dict):
            lost = [f"{place}.{name} is lost" for name in shape if name not in value]
            there = [name for name in shape if name in value]
            return lost + [line for name in there for line in lacks(shape[name], value[name], f"{place}.{name}")]
        case type() | None:  # exactly: True is no number
            is_kept = type(value) is (shape or type(None))
        case list() | dict():
            is_kept = False
        case _:
            is_kept = shape(value)
    return [] if is_kept else [f"{place}: {value!r} isn't allowed"]


ODD = ("observedAt", "source", "error", "__proto__", "a b")


def instances():
    """Return instances of a file and of a cluster, some called as fields are."""
    pod = Pod(namespace="loco", name="loco-emulator-9", phase="Running", since_ms=1_795_000_000_000, node="node-1")
    of_pod = instance_of(pod, uid="uid-9", address=ip_address("10.9.0.2"), ordinal=9)
    odd = [Instance(InstanceKey(f"static/{name}"), name, name, "http://10.55.0.9:8080/health") for name in ODD]
    return [an_instance(0), an_instance(1), of_pod, *odd]


def write(folder, *, age_ms):
    """Fill a store with healthy, lost, legacy and never seen instances; its last tick is so old."""
    known = instances()
    with a_fleet(folder / "loco.db", known, at_ms=int(time.time() * 1000) - age_ms - 12 * TICK_MS) as fleet:
        fleet.ticks(6)
        fleet.ticks(6, {"instance-1": ProbeOutcome.REFUSED, "source": a_full_report(sequence=3)})
        with transaction(fleet.connection):
            writer.record_inventory(fleet.connection, [*known, an_instance(2)], at_ms=fleet.at_ms)
            record_discovery(fleet.connection, IN_A_CLUSTER)
    return {one.public_id for one in known} | {"instance-2"}


IN_A_CLUSTER = Discovery(
    Mode.KUBERNETES,
    1_795_550_863_000,
    Detail(
        selector="component=emulator",
        namespaces=(
            Namespace(
                name="loco",
                listed_at_ms=1_795_550_863_000,
                pods=3,
                statefulsets=(StatefulSet("loco-emulator", 3, 2, service="loco-emulator"),),
                services=(Service("loco-emulator", "None", (Port("health", 8080, "health"),)),),
            ),
        ),
    ),
)


@contextmanager
def serving(folder, *, age_ms):
    """Yield an API of one machine, the ids that it knows, and its token."""
    ids = write(folder, age_ms=age_ms)
    (folder / "instances.json").write_text(json.dumps([an_instance(0).fields]))
    settings = {"LOCO_TOKEN_FILE": str(folder / "token"), "LOCO_INSTANCES": str(folder / "instances.json")}
    with an_api(folder / "loco.db", **settings) as api:
        yield api, ids, (folder / "token").read_text().strip()


@pytest.fixture(scope="module", params=[0, 3_600_000], ids=["fresh", "stale"])
def site(request, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("seed"), age_ms=request.param) as running:
        yield running


@pytest.mark.parametrize("path", [*LISTS, *OBJECTS])
def test_a_list_or_an_object_has_every_field(site, path):
    api, _, _ = site

    assert [] == lacks({**LISTS, **OBJECTS}[path], api.ask(path).json)


@pytest.mark.parametrize("path", KEYED)
def test_an_object_by_id_has_every_field_of_every_instance_and_no_key_but_ids(site, path):
    api, ids, _ = site
    told = api.ask(path).json

    assert ids == set(told)
    assert [] == [line for public_id, one in told.items() for line in lacks(KEYED[path], one, public_id)]


@pytest.mark.parametrize("path", SINGLE)
def test_one_instance_is_told_as_among_all(site, path):
    api, ids, _ = site
    told = api.ask(path).json

    for public_id in ids:
        one = api.ask(f"{path}/{public_id.replace(' ', '%20')}").json
        assert told[public_id] == one
        assert public_id == one["instanceId"]


def test_every_route_lists_the_same_instances(site):
    api, ids, _ = site

    assert ids == {one["id"] for one in api.ask("/api/instances").json}
    assert ids == {one["id"] for one in api.ask("/api/instances/live").json["instances"]}
    assert len(ids) == api.ask("/api/quality/summary").json["total"]


def test_an_unknown_instance_is_404(site):
    api, _, _ = site

    assert [404, 404] == [api.ask(f"{path}/nobody").status for path in SINGLE]


def test_what_the_dashboard_shows_of_a_fleet(tmp_path):
    with serving(tmp_path, age_ms=0) as (api, _, _):
        health = api.ask("/api/quality/deep-health").json
        entries = {one["id"]: one for one in api.ask("/api/instances").json}
        attempts = api.ask("/api/quality/recovery-status").json["instance-0"]
        info = api.ask("/api/instances/discovery-info").json

    assert ("healthy", "none", False) == tuple(
        health["instance-0"][field] for field in ("overallStatus", "failureType", "recoveryNeeded")
    )
    assert ("unreachable", "network", True) == tuple(
        health["instance-1"][field] for field in ("overallStatus", "failureType", "recoveryNeeded")
    )
    assert ("unknown", None) == (health["instance-2"]["overallStatus"], health["instance-2"]["deepHealth"])
    # QEMU is 20 s old in these reports.
    assert ["booting", "error", "unknown"] == [entries[f"instance-{n}"]["status"] for n in range(3)]
    assert ("loco-emulator-9", "10.9.0.2", "loco") == (
        entries["loco-emulator-9"]["podName"],
        entries["loco-emulator-9"]["podIP"],
        entries["loco-emulator-9"]["kubernetes"]["namespace"],
    )
    assert (0, Policy().recovery.limits.attempts, []) == tuple(
        attempts[field] for field in ("attempts", "maxAttempts", "history")
    )
    assert (True, True, False, ["loco-emulator"]) == (
        info["kubernetesDiscovery"],
        info["usingAutoDiscovery"],
        info["fallbackToStatic"],
        list(info["services"]),
    )


def test_a_recovery_and_a_refresh_that_were_asked_for_are_told_as_the_seed_tells_them(tmp_path):
    with serving(tmp_path, age_ms=0) as (api, _, token):
        recovery = api.post("/api/quality/recover/instance-1", token=token, body={"forceRecovery": True})
        refresh = api.post("/api/instances/refresh", token=token)

    assert [202, 202] == [recovery.status, refresh.status]
    assert [] == lacks({"message": str, "failureType": one_of(*CLASSES), "forceRecovery": bool}, recovery.json)
    assert ("network", True) == (recovery.json["failureType"], recovery.json["forceRecovery"])
    assert [] == lacks({"message": str}, refresh.json)


def test_a_lost_field_and_a_wrong_type_are_seen():
    shape = {"a": NUMBER, "b": [{"c": TEXT_OR_NONE}]}

    assert [] == lacks(shape, {"a": 1.5, "b": [{"c": None}], "more": 1})
    assert [".b is lost", ".a: True isn't allowed"] == lacks(shape, {"a": True})
    assert [".b[1].c is lost"] == lacks(shape, {"a": 1, "b": [{"c": ""}, {}]})
