"""The command that runs in every instance."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

import click

from agent.collect import Rounds
from agent.commandline import log_level_option, start_logging
from agent.routes import Routes
from agent.server import Server
from agent.settings import Settings, setting_options

_log = logging.getLogger(__name__)


_ENDING = {signal.SIGTERM, signal.SIGINT}


class ListenFailed(click.ClickException):
    """The address can't be had."""

    exit_code = 2


@click.command()
@setting_options
@log_level_option
def serve(log_level: str, **values: Any) -> None:  # noqa: ANN401 - the fields of Settings
    """Measure the instance in rounds and serve the report until SIGTERM or Ctrl-C.

    Example: LOCO_QEMU_PID_FILE=/run/loco/qemu.pid loco-agent serve --listen 0.0.0.0:8080
    """
    settings = Settings(**values)
    rounds = Rounds(settings)
    try:
        server = Server(settings.listen, Routes(rounds))
    except OSError as error:
        place = ":".join(map(str, settings.listen))
        raise ListenFailed(f"cannot listen on {place}: {os.strerror(error.errno or 0)}; nothing was started") from error
    # Blocked before any thread begins and waited for here: a handler may run just before a blocking call and be missed.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    rounds.open()
    start_logging(log_level)
    _log.info("agent started", extra={"listen": ":".join(map(str, server.address)), "pod": settings.pod})
    threading.Thread(target=_serve, args=(server,), name="server", daemon=True).start()
    # Not sigtimedwait(): CPython returns a signal that nobody sent when SIGCONT interrupts it at its end.
    signal.sigwait(_ENDING)


def _serve(server: Server) -> None:
    """Serve; an agent that can't serve ends, so that its container starts it again."""
    try:
        server.serve()
    except Exception:  # noqa: BLE001 - whatever it is
        _log.critical("the server's thread has ended", exc_info=True)
        os._exit(1)
