"""A real browser plays a real stream over a line that loses packets: class client, and no pod is touched."""

import os
import time

import pytest
from collecting import a_collector
from decoys import Decoy
from streaming import NGINX, a_stream, an_ingress

from jobs.health.model import FailureClass, Instance, InstanceKey, Verdict
from jobs.health.recovery import Action
from jobs.store.plans import read_plans

LACKS = [
    *([] if os.geteuid() == 0 else ["root, for a decoy"]),
    *([] if NGINX else ["nginx"]),
]
CLIENT_ACTS = {Action.RESTART_STREAM, Action.LOWER_QUALITY}
# The agent's round; two ticks within one would see the same thing twice.
ROUND_SECONDS = 3

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(LACKS) and not os.environ.get("CI"), reason=f"lacks {', '.join(LACKS)}"),
]


@pytest.fixture(scope="module")
def decoy(tmp_path_factory):
    """Return a real instance with its agent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCO_LOWER_QUALITY", "true")
        running = Decoy(tmp_path_factory.mktemp("decoy"), "streamed")
        try:
            yield running.wait_up()
        finally:
            running.stop()


@pytest.fixture(scope="module")
def stream():
    """Return the other end of the browsers' streams."""
    with a_stream() as stream:
        yield stream


@pytest.fixture(scope="module")
def origin(tmp_path_factory, decoy, stream):
    """Return where the browsers go."""
    with an_ingress(tmp_path_factory.mktemp("nginx"), agent=decoy.health_url, stream=stream) as url:
        yield url


class Watch:
    """Ticks of a real collector over the decoy, each noted with its plan."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.planned = set()

    def until(self, test, seconds):
        """Make ticks until the latest assessment passes the test, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.rounds.reports()
            self.planned |= {plan.action for plan in read_plans(self.rounds.connection).values() if plan.action}
            latest = self.rounds.latest("streamed").assessment
            if test(latest):
                return latest
            time.sleep(ROUND_SECONDS)
        raise AssertionError(f"waited {seconds} s; {latest}")


def has(code):
    """Return a test of an assessment: whether it gives that reason."""
    return lambda assessment: code in {reason.code for reason in assessment.reasons}


@pytest.fixture
def watch(tmp_path, decoy):
    """Return the watch over the decoy, which is up and healthy."""
    with a_collector(tmp_path / "loco.db") as rounds:
        rounds.discover(
            Instance(InstanceKey("static/streamed"), "instance-3", "streamed", f"{decoy.health_url}/health")
        )
        watch = Watch(rounds)
        # Nothing is planned for a guest that boots.
        watch.until(lambda one: one.verdict is Verdict.HEALTHY and not has("Booting")(one), 90)
        yield watch


def test_a_line_that_loses_packets_is_class_client_until_it_is_well_again(open_page, origin, stream, decoy, watch):
    before = decoy.record["processes"]
    open_page(origin).wait_for_selector("video.plays", timeout=20_000)
    stream.lose(0.15)
    sick = watch.until(has("ClientPacketLoss"), 60)
    loss = next(reason for reason in sick.reasons if reason.code == "ClientPacketLoss").evidence[0]
    watch.rounds.reports()
    stream.lose(0.0)
    watch.until(lambda one: not has("ClientPacketLoss")(one), 60)

    assert (Verdict.DEGRADED, FailureClass.CLIENT) == (sick.verdict, sick.failure_class)
    assert loss.value > loss.limit
    assert set() < watch.planned <= CLIENT_ACTS
    assert before == decoy.record["processes"]
