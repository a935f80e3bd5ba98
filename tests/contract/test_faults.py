"""From a real fault in a real decoy to the right class and reason in deep-health, and back to healthy."""

import io
import json
import time
import urllib.request

import pytest
from decoy_faults import FAULTS, TICK_SECONDS, Watch
from PIL import Image
from stack import Stack, told, until

pytestmark = [pytest.mark.decoy, pytest.mark.timeout(400)]

HEAL_SECONDS = 90
SHORT = ("stop-qemu", "tap-down", "pause", "blue")


def cause_all_and_watch(stack: Stack, faults) -> Watch:
    """Cause each fault in the decoy of its name; return how soon each was told."""
    watch = Watch(stack.deep_health)
    for fault in faults:
        stack.decoy("fault", fault, "--id", fault)
        watch.caused(fault, fault)
    allowed = max(FAULTS[fault][3] for fault in faults) + 2 * TICK_SECONDS
    until(watch.all_told, allowed, "every fault to be told", told=stack.told)
    return watch


def colours_shown(stack: Stack, instance: str) -> int:
    """Return how many colours the API's picture of an instance has."""
    with urllib.request.urlopen(f"{stack.url}/api/instances/{instance}/screen.png", timeout=5) as answer:
        return len(Image.open(io.BytesIO(answer.read())).getcolors(1 << 16))


def heal_all_and_watch(stack: Stack) -> float:
    """Heal every decoy; return the seconds until all were healthy."""
    started = time.monotonic()
    for decoy in stack.ids:
        stack.decoy("heal", "--id", decoy)
    stack.wait_healthy(HEAL_SECONDS)
    return time.monotonic() - started


def drill(stack: Stack, faults, *, is_timed: bool) -> None:
    stack.wait_healthy(60)
    watch = cause_all_and_watch(stack, faults)
    until(lambda: colours_shown(stack, "blue") == 1, 30, "the picture to show what the verdict says")
    healed = heal_all_and_watch(stack)
    print(f"\nto be told: {watch.told}; seconds to heal all: {healed:.1f}")

    assert {} == watch.late(is_timed=is_timed)


def test_one_fault_of_each_class_is_named_and_healing_is_seen(tmp_path):
    with Stack(tmp_path / "s", list(SHORT)) as stack:
        drill(stack, SHORT, is_timed=False)
        bad_client_is_class_client(stack, SHORT[0])


def bad_client_is_class_client(stack: Stack, instance: str) -> None:
    """Post what a browser on a bad line would post, beside a good one; only the client layer is blamed."""
    agent = stack.get(f"/api/quality/deep-health/{instance}")
    url = next(i["healthUrl"] for i in stack.get("/api/instances") if i["id"] == instance).removesuffix("/health")
    line = {"packetLoss": 0.2, "jitter": 0.3, "latency": 0.6, "framerate": 4, "resolution": "640x480", "codec": "VP8"}
    fine = {
        "packetLoss": 0.0,
        "jitter": 0.004,
        "latency": 0.03,
        "framerate": 30,
        "resolution": "640x480",
        "codec": "VP8",
    }

    def post_and_look() -> dict | None:
        for client, stats in (("far", line), ("near", fine)):
            body = json.dumps({"id": client, **stats}).encode()
            request = urllib.request.Request(f"{url}/client-stats", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=5).close()
        time.sleep(1)
        one = stack.get(f"/api/quality/deep-health/{instance}")
        return one if one["failureType"] == "client" else None

    assert agent["failureType"] == "none"
    assert until(
        post_and_look, 60, "class client", told=lambda: told(stack.get(f"/api/quality/deep-health/{instance}"))
    )


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_every_fault_is_named_and_healing_is_seen(tmp_path):
    with Stack(tmp_path / "s", list(FAULTS)) as stack:
        drill(stack, list(FAULTS), is_timed=True)
