// Tells an instance's agent how its stream arrives in this tab; docs/client-stats.md. It never breaks its page.
(() => {
  "use strict";
  if (window.LocoClientStats) return;

  const PAUSE_MS = 5000; // the agent forgets a browser after 30 s
  const LONGEST_PAUSE_MS = 60000; // while nobody takes the posts
  const DEADLINE_MS = 4000;
  const ERROR_MS = 60000; // an error that the page told counts no longer unless it is told again
  const LEAST_PACKETS = 20; // a share of fewer says nothing

  const send = window.fetch && window.fetch.bind(window); // the page may replace its own
  const script = document.currentScript;
  const named = script && script.dataset.url;
  const home = script && (named === undefined ? script.src.replace(/\.js(\?.*)?$/, "") : named);

  // One random number a tab, kept nowhere.
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const places = new Map(); // by the address that is posted to
  let peers = 0;

  function placeOf(url) {
    const address = new URL(url || home, document.baseURI).href;
    if (!places.size) setTimeout(round, PAUSE_MS * Math.random());
    if (!places.has(address)) {
      places.set(address, { address, peers: new Map(), streams: new Map(), told: "", toldAt: 0, failures: 0, quietUntil: 0 });
    }
    return places.get(address);
  }

  // A hidden tab is throttled: what it would read looks like loss and is none.
  async function round() {
    for (const place of places.values()) {
      try {
        if (document.hidden) place.streams.clear();
        else await post(place, await read(place));
      } catch {
        // the page's own work goes on
      }
    }
    setTimeout(round, PAUSE_MS);
  }

  async function read(place) {
    const seen = { streams: new Map(), lost: 0, received: 0, jitter: [], framerate: [], latency: [], resolution: null, codec: null, errors: [] };
    let connected = false;
    const failed = [];
    for (const [pc, number] of place.peers) {
      const state = pc.connectionState;
      if (state === "closed") place.peers.delete(pc);
      else if (state === "failed") failed.push(pc.iceConnectionState === "failed" ? "ICE failed" : "connection failed");
      else if (state === "connected") {
        connected = true;
        if (refused(pc)) seen.errors.push("no video codec that was offered is supported");
        add(seen, place.streams, number, await pc.getStats());
      }
    }
    place.streams = seen.streams;
    if (!connected) seen.errors.push(...failed); // a page that has connected anew has forgotten the old one
    if (place.told && performance.now() - place.toldAt < ERROR_MS) seen.errors.push(place.told);
    return connected || seen.errors.length ? seen : null;
  }

  // The answer takes no video although the offer has some.
  function refused(pc) {
    const local = pc.currentLocalDescription;
    const remote = pc.currentRemoteDescription;
    if (!local || !remote || local.type !== "answer") return false;
    const offered = /^m=video [1-9]/m.test(remote.sdp);
    return offered && /^m=video 0 /m.test(local.sdp) && !/^m=video [1-9]/m.test(local.sdp);
  }

  function add(seen, before, number, stats) {
    let pair;
    for (const one of stats.values()) {
      if (one.type === "inbound-rtp") addStream(seen, before, `${number} ${one.id} ${one.ssrc}`, one, stats);
      if (one.type === "transport" && one.selectedCandidatePairId) pair = stats.get(one.selectedCandidatePairId);
      if (one.type === "candidate-pair" && one.selected) pair = pair || one; // Firefox
    }
    if (pair && pair.currentRoundTripTime >= 0) seen.latency.push(pair.currentRoundTripTime);
  }

  function addStream(seen, streams, key, now, stats) {
    seen.streams.set(key, now);
    const before = streams.get(key);
    const seconds = before && (now.timestamp - before.timestamp) / 1000;
    if (!(seconds > 0) || now.packetsReceived < before.packetsReceived) return; // nothing to compare with
    const received = now.packetsReceived - before.packetsReceived;
    seen.received += received;
    seen.lost += Math.max(0, now.packetsLost - before.packetsLost); // duplicates make it fall
    if (received && now.jitter >= 0) seen.jitter.push(now.jitter);
    if (now.kind !== "video") return;
    const frames = now.framesDecoded - before.framesDecoded;
    if (frames >= 0) seen.framerate.push(frames / seconds);
    const codec = stats.get(now.codecId);
    if (codec) seen.codec = codec.mimeType.replace("video/", "");
    if (now.frameWidth) seen.resolution = `${now.frameWidth}x${now.frameHeight}`;
    if (received >= LEAST_PACKETS && frames === 0) {
      seen.errors.push(`${received} video packets arrived and no frame of them was decoded (${seen.codec})`);
    }
  }

  // The largest of what was read; null where nothing was, which is not 0.
  function most(values) {
    return values.length ? Math.max(...values) : null;
  }

  async function post(place, seen) {
    if (!seen || performance.now() < place.quietUntil) return;
    const expected = seen.received + seen.lost;
    const body = {
      id,
      packetLoss: expected >= LEAST_PACKETS ? seen.lost / expected : null,
      jitter: most(seen.jitter),
      latency: most(seen.latency),
      framerate: most(seen.framerate),
      resolution: seen.resolution,
      codec: seen.codec,
      error: seen.errors.length ? seen.errors.join("; ").slice(0, 200) : null,
    };
    const taken = await fetched(place.address, JSON.stringify(body));
    place.failures = taken ? 0 : place.failures + 1;
    place.quietUntil = taken ? 0 : performance.now() + Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** place.failures);
  }

  async function fetched(address, body) {
    const hangUp = new AbortController();
    const late = setTimeout(() => hangUp.abort(), DEADLINE_MS);
    try {
      const headers = { "Content-Type": "application/json" };
      const options = { method: "POST", headers, body, keepalive: true, cache: "no-store", referrerPolicy: "no-referrer" };
      return (await send(address, { ...options, signal: hangUp.signal })).ok;
    } catch {
      return false;
    } finally {
      clearTimeout(late);
    }
  }

  // What a page may call; a mistake in it is no reason to break it.
  function guarded(work) {
    return (...values) => {
      try {
        work(...values);
      } catch {
        // nothing is posted of it
      }
    };
  }

  const watch = guarded((pc, url) => placeOf(url).peers.set(pc, ++peers));
  const error = guarded((text, url) => Object.assign(placeOf(url), { told: String(text || ""), toldAt: performance.now() }));
  window.LocoClientStats = Object.freeze({ watch, error });

  const Native = window.RTCPeerConnection;
  if (!Native || !home) return;
  const Watched = new Proxy(Native, {
    construct(target, values, made) {
      const pc = Reflect.construct(target, values, made === Watched ? target : made);
      watch(pc);
      return pc;
    },
  });
  window.RTCPeerConnection = Watched;
})();
