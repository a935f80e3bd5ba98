"""client-stats.js in a real browser: what it posts when, and that no page ever notices it."""

import os
import threading
from itertools import pairwise

import pytest
from streaming import NGINX, a_stream, an_ingress

from agent.collect import Rounds
from agent.routes import Routes
from agent.server import Server
from agent.settings import Settings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(NGINX is None and not os.environ.get("CI"), reason="nginx isn't on PATH"),
]

NOWHERE = ("127.0.0.1", 1)
POST_MS = 15_000

# The page's two ends of one connection: data flows, and the offered video has no codec that there is.
REFUSED = """async () => {
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  near.onicecandidate = ({ candidate }) => far.addIceCandidate(candidate);
  far.onicecandidate = ({ candidate }) => near.addIceCandidate(candidate);
  near.createDataChannel("any");
  near.addTransceiver("video", { direction: "sendonly" });
  const offer = await near.createOffer();
  await near.setLocalDescription(offer);
  const sdp = offer.sdp.replace(/^(a=rtpmap:\\d+) (?!rtx)[\\w-]+\\/90000/gm, "$1 NOBODY/90000");
  await far.setRemoteDescription({ type: "offer", sdp });
  await far.setLocalDescription(await far.createAnswer());
  await near.setRemoteDescription(far.localDescription);
}"""

# What a timer began is done once a message has come round.
SETTLED = """() => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = resolve;
  port2.postMessage(0);
})"""


@pytest.fixture(scope="module")
def rounds():
    """Return rounds that were never begun."""
    return Rounds(Settings(NOWHERE, "", "", "qemu-system-*", NOWHERE, "", "", "", "", "pod-0", "uid-0"))


@pytest.fixture(scope="module")
def origin(tmp_path_factory, rounds):
    """Return where the page is, with an agent behind it that measures nothing."""
    agent = Server((NOWHERE[0], 0), Routes(rounds))
    threading.Thread(target=agent.serve, daemon=True).start()
    with (
        a_stream() as stream,
        an_ingress(
            tmp_path_factory.mktemp("nginx"), agent=f"http://127.0.0.1:{agent.address[1]}", stream=stream
        ) as url,
    ):
        yield url


def posted(page, *, to="**/instance-3/client-stats"):
    """Return the next post of a page, which the agent takes."""
    with page.expect_response(to, timeout=POST_MS) as answer:
        pass
    assert 204 == answer.value.status
    return answer.value.request.post_data_json


def test_what_it_posts_of_a_stream_is_what_the_agent_reports(open_page, origin, rounds):
    page = open_page(origin)
    posts = [posted(page), posted(page)]
    client = next(one for one in rounds.clients.measure().clients if one.id == posts[0]["id"])

    assert (None, None) == (posts[0]["packetLoss"], posts[0]["framerate"])
    assert (0, "VP8", "160x120", None) == tuple(
        posts[1][name] for name in ("packetLoss", "codec", "resolution", "error")
    )
    assert posts[1]["framerate"] > 0
    assert 0 <= posts[1]["latency"] < 60
    assert posts[1] == {name: getattr(client, name) for name in posts[1]}


def test_a_hidden_tab_posts_nothing_and_begins_anew(open_page, origin):
    page = open_page(origin)
    assert posted(page)["packetLoss"] is None
    assert posted(page)["packetLoss"] is not None
    posts = []
    page.on("request", lambda request: posts.append(request) if request.method == "POST" else None)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.wait_for_timeout(6000)
    page.evaluate("delete document.hidden")

    assert [] == posts
    assert posted(page)["packetLoss"] is None


def test_a_codec_that_the_browser_lacks_is_an_error(open_page, origin):
    page = open_page(f"{origin}/empty.html")
    page.evaluate(REFUSED)

    assert "no offered video codec is supported" == posted(page)["error"]


def test_a_failed_connection_is_an_error_until_another_one_connects(open_page, origin):
    page = open_page(f"{origin}/empty.html")
    page.evaluate("LocoClientStats.watch({ connectionState: 'failed', iceConnectionState: 'failed' })")
    assert "ICE failed" == posted(page)["error"]
    page.evaluate(REFUSED.replace("NOBODY", "VP8"))

    assert posted(page)["error"] is None


def test_a_page_without_webrtc_posts_only_what_it_is_told(open_page, origin):
    page = open_page(f"{origin}/empty.html")
    page.evaluate("LocoClientStats.error('VNC connection lost')")
    post = posted(page)

    assert {"error"} == {name for name, value in post.items() if value is not None} - {"id"}
    page.evaluate("LocoClientStats.error('')")
    page.evaluate("LocoClientStats.error('lost', '/instance-4/client-stats')")
    assert "lost" == posted(page, to="**/instance-4/client-stats")["error"]


def test_a_page_with_several_instances_names_each(open_page, origin):
    page = open_page(f"{origin}/several.html")
    addresses = []
    page.on("request", lambda request: addresses.append(request.url) if request.method == "POST" else None)
    page.evaluate(REFUSED)
    page.evaluate("LocoClientStats.error('lost')")
    page.evaluate("LocoClientStats.error('lost', '/instance-4/client-stats')")
    posted(page, to="**/instance-4/client-stats")

    assert {f"{origin}/instance-4/client-stats"} == set(addresses)


def test_the_page_finds_everything_as_it_was(open_page, origin):
    page = open_page(f"{origin}/empty.html")
    bare = open_page(f"{origin}/bare.html")
    names = "Object.getOwnPropertyNames(window)"

    assert {"LocoClientStats"} == set(page.evaluate(names)) - set(bare.evaluate(names))
    assert page.evaluate("""() => {
      class Own extends RTCPeerConnection {}
      const pc = new Own({ iceServers: [] });
      return pc instanceof Own && pc instanceof RTCPeerConnection && pc.constructor === Own &&
        typeof RTCPeerConnection.generateCertificate === "function" &&
        new RTCPeerConnection().constructor.name === "RTCPeerConnection";
    }""")
    assert "TypeError" == page.evaluate(
        "(() => { try { RTCPeerConnection(); } catch (error) { return error.name; } })()"
    )


def test_no_mistake_reaches_the_page(open_page, origin):
    page = open_page(f"{origin}/empty.html")
    page.evaluate("""() => {
      LocoClientStats.watch(null);
      LocoClientStats.watch({ connectionState: "connected", getStats: () => Promise.reject(new Error("no")) });
      LocoClientStats.watch({}, "http://[");
      LocoClientStats.error(Symbol("odd"), "/instance-5/client-stats");
      LocoClientStats.error({ toString() { throw new Error("no"); } });
    }""")
    page.wait_for_timeout(6000)  # a round; open_page fails the test for any error in the console


def seconds_of_posts(page, *, status, tells):
    """Return at which seconds of the page's own clock it posted, each post answered with a status.

    tells: at which seconds the page tells of an error; the last one ends it.
    """
    page.clock.install()
    page.goto(page.url)
    seconds = []
    page.route("**/client-stats", lambda route: (seconds.append(now), route.fulfill(status=status)))
    for now in range(tells[-1]):
        if now in tells:
            page.evaluate("LocoClientStats.error('lost')")
        page.clock.run_for(1000)
        page.evaluate(SETTLED)
    return seconds


def test_posts_become_rarer_while_nobody_takes_them(open_page, origin):
    seconds = seconds_of_posts(open_page(f"{origin}/empty.html"), status=304, tells=range(0, 361, 40))

    pauses = [later - earlier for earlier, later in pairwise(seconds)]

    assert pytest.approx([10, 20, 40, 60, 60], abs=4) == pauses[:5]


def test_what_the_page_told_is_over_after_a_minute(open_page, origin):
    seconds = seconds_of_posts(open_page(f"{origin}/empty.html"), status=204, tells=(0, 120))

    assert 10 <= len(seconds) <= 13
    assert 50 <= seconds[-1] <= 62
