// What any streaming page does; it knows nothing of client-stats.js.
"use strict";

async function play() {
  const pc = new RTCPeerConnection();
  pc.addTransceiver("video", { direction: "recvonly" });
  pc.ontrack = (event) => {
    const video = document.querySelector("video");
    video.addEventListener("playing", () => (video.className = "plays"));
    video.srcObject = new MediaStream([event.track]);
  };
  await pc.setLocalDescription(await pc.createOffer());
  while (pc.iceGatheringState !== "complete") {
    await new Promise((resolve) => pc.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  const answer = await fetch("/offer", { method: "POST", body: JSON.stringify(pc.localDescription) });
  await pc.setRemoteDescription(await answer.json());
  window.pc = pc;
}

play();
