"""A user's VNC session by an RFB client that isn't ours (vncdotool): `python viewer.py HOST PORT`.

Prints a line a painted update; ends with code 1 when the server ends the session, 0 when its stdin is closed.
"""

import sys
import threading

from twisted.internet import reactor
from vncdotool.client import VNCDoToolClient, VNCDoToolFactory


def watch(client: VNCDoToolClient) -> None:
    """Ask for the next update, for ever."""
    client.refreshScreen(incremental=True).addCallback(painted)


def painted(client: VNCDoToolClient) -> None:
    """Say that something was painted."""
    print("painted", flush=True)
    watch(client)


def lost(_reason: object) -> None:
    """End with the session."""
    print("lost", flush=True)
    if reactor.running:
        reactor.stop()


def end_with_stdin() -> None:
    """Wait for the end of stdin, then end."""
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


def main() -> None:
    """View until told to stop."""
    factory = VNCDoToolFactory()
    factory.shared = True
    factory.deferred.addCallbacks(watch, lost)
    factory.clientConnectionLost = lambda _connector, reason: lost(reason)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    reactor.connectTCP(sys.argv[1], int(sys.argv[2]), factory)
    reactor.run()


if __name__ == "__main__":
    main()
