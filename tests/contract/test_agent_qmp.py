"""The agent's monitor connection against a talkative monitor."""

import socket
import sys
import threading

import msgspec
import pytest

from agent.qmp import Qmp

EVENTS, COMMANDS = 5, 500


@pytest.fixture
def monitor(tmp_path):
    """Return the path of a monitor that sends events before each of its answers."""

    def talk():
        link, _ = listener.accept()
        with link, link.makefile("rwb", buffering=0) as lines:
            lines.write(b'{"QMP": {}}\n')
            for line in lines:
                answer = msgspec.json.encode({"return": {}, "id": msgspec.json.decode(line)["id"]})
                lines.write(b'{"event": "RESET"}\n' * EVENTS + answer + b"\n")

    path = str(tmp_path / "qmp")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=talk)
        thread.start()
        yield path
        thread.join(10)


def test_no_event_is_lost_while_another_thread_takes_them(monitor):
    qmp, taken, before = Qmp(monitor), [], sys.getswitchinterval()

    def ask():
        for _ in range(COMMANDS):
            qmp.execute("query-status")

    sys.setswitchinterval(1e-6)
    try:
        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive():
            taken += qmp.take_events()
    finally:
        sys.setswitchinterval(before)
    taken += qmp.take_events()
    qmp.close()

    assert (1 + COMMANDS) * EVENTS == len(taken)
