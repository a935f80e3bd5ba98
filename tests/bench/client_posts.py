"""The cost of browsers that post: CPU of an agent whose /client-stats gets 200 posts a second, each a connection."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import psutil
from stack import free_port, until

SECONDS = 30
THREADS = 8
POSTS_PER_SECOND = 200
STATS = {"packetLoss": 0.01, "jitter": 0.01, "latency": 0.02, "framerate": 30, "resolution": "640x480", "codec": "VP8"}


def post(port: int, name: int, statuses: Counter[int]) -> None:
    """Post at an even pace, each time from another address."""
    body = json.dumps({"id": f"{name}", **STATS})
    due_at = time.monotonic()
    for number in range(SECONDS * POSTS_PER_SECOND // THREADS):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("POST", "/client-stats", body, {"X-Forwarded-For": f"{name} {number % 50}"})
            statuses[connection.getresponse().status] += 1
        due_at += THREADS / POSTS_PER_SECOND
        time.sleep(max(0.0, due_at - time.monotonic()))


def main() -> None:
    """Print one row."""
    port, statuses = free_port(), Counter()
    command = [sys.executable, "-m", "agent", "serve", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as agent:
        until(lambda: answers(port), 10, "the agent to answer")
        process = psutil.Process(agent.pid)
        before, began = process.cpu_times(), time.monotonic()
        threads = [threading.Thread(target=post, args=(port, name, statuses)) for name in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after, seconds = process.cpu_times(), time.monotonic() - began
        share = (after.user + after.system - before.user - before.system) / seconds
        agent.terminate()
    told = f"{statuses.total() / seconds:.0f} posts/s, {statuses[204] / seconds:.0f} taken, the rest 429"
    print(f"| agent that browsers flood | {share:.1%} of a core | {told}, over {seconds:.0f} s |")


def answers(port: int) -> bool:
    """Tell whether the agent has made its first round."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


if __name__ == "__main__":
    main()
