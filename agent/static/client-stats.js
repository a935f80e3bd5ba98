// Tells an instance's agent how its stream arrives in this tab; never breaks its page. See docs/client-stats.md.
(() => {
  "use strict";
  if (window.LocoClientStats) return;

  const PAUSE_MS = 5000; // the agent forgets after 30 s
  const LONGEST_PAUSE_MS = 60000; // while nobody takes it
  const DEADLINE_MS = 4000;
  const TOLD_MS = 60000; // for what the page told
  const LEAST_PACKETS = 20; // a share of fewer says nothing

  const send = window.fetch?.bind(window); // the page may replace its own
  const { dataset, src } = document.currentScript || {};
  const home = dataset?.url ?? src?.replace(/\.js(\?.*)?$/, "");
  // Random, and kept nowhere.
  const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const places = new Map(); // by the address that is posted to
  let watched = 0;

  function placeOf(url = home) {
    if (!url) throw new Error(); // dropped
    const address = new URL(url, document.baseURI).href;
    if (!places.size) setTimeout(round, PAUSE_MS * Math.random());
    if (!places.has(address)) {
      places.set(address, { address, peers: new Map(), seen: new Map(), toldUntil: 0, failures: 0, quietUntil: 0 });
    }
    return places.get(address);
  }

  async function round() {
    for (const place of places.values()) {
      try {
        // A hidden tab is throttled: what it would read looks like loss and is none.
        if (document.hidden) place.seen.clear();
        else await post(place, await read(place));
      } catch {}
    }
    setTimeout(round, PAUSE_MS);
  }

  async function read(place) {
    const sum = { lost: 0, received: 0, jitter: [], latency: [], framerate: [], frozen: [], errors: [] };
    const seen = new Map();
    const failed = [];
    let connected = false;
    for (const [pc, number] of place.peers) {
      if (pc.connectionState === "closed") place.peers.delete(pc);
      if (pc.connectionState === "failed") failed.push(`${pc.iceConnectionState === "failed" ? "ICE" : "DTLS"} failed`);
      if (pc.connectionState !== "connected") continue;
      connected = true;
      if (isRefused(pc)) sum.errors.push("no offered video codec is supported");
      const stats = await pc.getStats();
      addLatency(sum, stats);
      for (const now of stats.values()) {
        if (now.type !== "inbound-rtp") continue;
        const key = `${number} ${now.id} ${now.ssrc}`;
        seen.set(key, now);
        if (place.seen.has(key)) addStream(sum, place.seen.get(key), now, stats);
      }
    }
    place.seen = seen;
    if (!connected) sum.errors.push(...failed); // one that connected anew has got over it
    if (performance.now() < place.toldUntil) sum.errors.push(place.told);
    return connected || sum.errors.length ? sum : null;
  }

  // Our answer takes no video though the offer has some.
  function isRefused({ currentLocalDescription: local, currentRemoteDescription: remote }) {
    const takes = ({ sdp }) => /^m=video [1-9]/m.test(sdp);
    return local?.type === "answer" && takes(remote) && !takes(local);
  }

  function addLatency(sum, stats) {
    for (const one of stats.values()) {
      const pair = one.type === "transport" ? stats.get(one.selectedCandidatePairId) : one.selected && one; // Firefox
      if (pair) sum.latency.push(pair.currentRoundTripTime);
    }
  }

  function addStream(sum, before, now, stats) {
    const since = (name) => now[name] - before[name];
    const seconds = since("timestamp") / 1000;
    const received = since("packetsReceived");
    if (!(seconds > 0 && received >= 0)) return;
    sum.received += received;
    sum.lost += Math.max(0, since("packetsLost")); // duplicates lower it
    if (received) sum.jitter.push(now.jitter);
    if (now.kind !== "video") return;
    const frames = since("framesDecoded");
    sum.framerate.push(frames / seconds);
    sum.frozen.push(Math.min(1, since("totalFreezesDuration") / seconds)); // a long one is told when it ends
    sum.codec = stats.get(now.codecId)?.mimeType.replace("video/", "");
    sum.resolution = now.frameWidth && `${now.frameWidth}x${now.frameHeight}`;
    if (received >= LEAST_PACKETS && frames === 0) sum.errors.push(`no frame of ${received} video packets was decoded`);
  }

  // What wasn't read is null, which is not 0.
  function most(values) {
    const known = values.filter((value) => value >= 0);
    return known.length ? Math.max(...known) : null;
  }

  async function post(place, sum) {
    if (!sum || performance.now() < place.quietUntil) return;
    const expected = sum.received + sum.lost;
    const body = {
      id,
      packetLoss: expected >= LEAST_PACKETS ? sum.lost / expected : null,
      jitter: most(sum.jitter),
      latency: most(sum.latency),
      framerate: most(sum.framerate),
      frozen: most(sum.frozen),
      resolution: sum.resolution,
      codec: sum.codec,
      error: sum.errors.join("; ").slice(0, 200) || null,
    };
    place.failures += 1; // until it is taken
    place.quietUntil = performance.now() + Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** place.failures);
    const answer = await send(place.address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      keepalive: true,
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout?.(DEADLINE_MS),
    });
    if (answer.ok) place.failures = place.quietUntil = 0;
  }

  // A mistake in a call is no reason to break the page.
  const guarded = (work) => (what, url) => {
    try {
      work(what, url);
    } catch {}
  };
  const watch = guarded((pc, url) => placeOf(url).peers.set(pc, ++watched));
  const error = guarded((told, url) => {
    Object.assign(placeOf(url), { told, toldUntil: told ? performance.now() + TOLD_MS : 0 });
  });
  window.LocoClientStats = Object.freeze({ watch, error });

  const Native = window.RTCPeerConnection;
  if (!Native || !home) return;
  window.RTCPeerConnection = new Proxy(Native, {
    construct(target, values, made) {
      const pc = Reflect.construct(target, values, made === window.RTCPeerConnection ? target : made);
      watch(pc);
      return pc;
    },
  });
})();
