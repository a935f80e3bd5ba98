"""A streaming page and the other end of its stream: aiortc sends noise, and loses packets when it is told to.

`python stream_server.py PAGE_FOLDER` prints its port. GET a file of the folder, POST /offer with the browser's offer,
POST /loss with the share of RTP packets to lose from now on. Which are lost is drawn from a seeded generator; what is
sent again is lost like everything else, as on a bad line.
"""

import asyncio
import json
import random
import sys
from contextlib import suppress
from pathlib import Path

from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame

TYPES = {".html": "text/html", ".js": "text/javascript"}
# As strict as a careful page is; client-stats.js must need no more.
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; media-src 'self' blob:; img-src data:"


class Line:
    """What the packets go over."""

    def __init__(self):
        self.loss_ratio = 0.0
        self._random = random.Random(7)

    def drops(self):
        """Tell whether the next packet gets lost."""
        return self._random.random() < self.loss_ratio


class Noise(VideoStreamTrack):
    """A picture that is another one each frame, so that a frame takes several packets."""

    def __init__(self):
        super().__init__()
        self._random = random.Random(1)

    async def recv(self):
        """Return the next frame when it is due."""
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(160, 120, "yuv420p")
        for plane in frame.planes:
            plane.update(self._random.randbytes(plane.buffer_size // 64) * 64)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Streams:
    """The connections of all browsers, over one line."""

    def __init__(self):
        self.line = Line()
        self._peers = set()

    async def answer(self, offer):
        """Return our answer to a browser's offer."""
        peer = RTCPeerConnection()
        self._peers.add(peer)
        sender = peer.addTrack(Noise())
        self._over_the_line(sender)
        await peer.setRemoteDescription(RTCSessionDescription(**offer))
        await peer.setLocalDescription(await peer.createAnswer())
        return {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}

    def _over_the_line(self, sender: RTCRtpSender):
        """Let the line drop what the sender hands to its transport; RTCP is another call and passes."""
        transport, send = sender.transport, sender.transport._send_rtp

        async def maybe_send(data):
            if data[1] & 0x7F in range(72, 77) or not self.line.drops():  # RFC 5761: those are RTCP
                await send(data)

        transport._send_rtp = maybe_send


async def converse(reader, writer, streams, folder):
    """Answer one request."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        length = next((int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line), 0)
        body = await reader.readexactly(length)
        status, kind, answer = "200 OK", "application/json", b"{}"
        if method == "GET":
            file = folder / (path.strip("/") or "index.html")
            kind = TYPES.get(file.suffix, "text/plain")
            status, answer = ("200 OK", file.read_bytes()) if file.exists() else ("404 Not Found", b"")
        elif path == "/offer":
            answer = json.dumps(await streams.answer(json.loads(body))).encode()
        else:
            streams.line.loss_ratio = json.loads(body)
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n"
            f"Content-Security-Policy: {POLICY}\r\nConnection: close\r\n\r\n".encode()
            + answer
        )
        await writer.drain()
    writer.close()


async def main(folder):
    """Serve until the process ends."""
    streams = Streams()
    server = await asyncio.start_server(
        lambda reader, writer: converse(reader, writer, streams, folder), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
