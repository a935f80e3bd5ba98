"""What a person can set: one value, built once from the command line and passed down."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

Address = tuple[str, int]

# Every act that an agent knows, from least to most disruptive; agent.actions.table has one for each.
ACTIONS = (
    "reset-interface",
    "rebuild-bridge",
    "reset-audio",
    "reset-display",
    "reset-guest",
    "restart-qemu",
    "restart-stream",
    "lower-quality",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the agent listens and what it looks at; an empty name means that there is none of it here."""

    listen: Address
    qmp_socket: str
    qemu_pid_file: str
    qemu_pattern: str
    vnc_address: Address
    pulse_server: str
    bridge: str
    tap: str
    namespace: str
    pod: str
    pod_uid: str
    action_key_file: str = ""
    actions: tuple[str, ...] = ()
    display_pattern: str = ""
    restart_stream: str = ""
    lower_quality: str = ""


def parse_address(value: str | Address) -> Address:
    """Return (host, port) of `HOST:PORT`; an IPv6 host stands in brackets.

    Raises: click.BadParameter with the whole sentence.
    """
    if isinstance(value, tuple):
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise click.BadParameter(f"{value!r} is not HOST:PORT with a port of 0-65535; nothing was started")
    return host.strip("[]"), int(port)


def parse_actions(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the acts of a comma-separated list, () for an empty one.

    Raises: click.BadParameter with the whole sentence.
    """
    names = value if isinstance(value, tuple) else tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in ACTIONS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(ACTIONS)}; nothing was started")
    return names


class _Emptiable(click.Option):
    """An option whose variable may be set to nothing; click takes an empty variable for an unset one."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the variable's value, "" included."""
        return os.environ.get(str(self.envvar)) if self.envvar else super().resolve_envvar_value(ctx)


_setting = partial(click.option, show_envvar=True)

_OPTIONS = (
    _setting(
        "--listen",
        envvar="LOCO_AGENT_LISTEN",
        type=parse_address,
        metavar="HOST:PORT",
        default="0.0.0.0:8080",
        help="Serve the report here.",
    ),
    _setting(
        "--qmp-socket",
        cls=_Emptiable,
        envvar="LOCO_QMP_SOCKET",
        default="/run/loco/qmp-agent.sock",
        help="QEMU's QMP socket for the agent alone; empty: there is none, and the process alone tells health.",
    ),
    _setting("--qemu-pid-file", envvar="LOCO_QEMU_PID_FILE", default="", help="File with QEMU's pid."),
    _setting(
        "--qemu-pattern",
        envvar="LOCO_QEMU_PATTERN",
        default="qemu-system-*",
        help="Name of QEMU's executable, with * and ?; finds the process where no pid file is given.",
    ),
    _setting(
        "--vnc-address",
        envvar="LOCO_VNC_ADDRESS",
        type=parse_address,
        metavar="HOST:PORT",
        default="127.0.0.1:5901",
        help="The instance's VNC server.",
    ),
    _setting(
        "--pulse-server",
        envvar=["LOCO_PULSE_SERVER", "PULSE_SERVER"],
        default="",
        help="PulseAudio, as unix:/path or host; empty: where libpulse looks itself.",
    ),
    _setting("--bridge", cls=_Emptiable, envvar="LOCO_BRIDGE", default="loco-br", help="Its bridge; empty: none."),
    _setting("--tap", cls=_Emptiable, envvar="LOCO_TAP", default="tap0", help="Its tap; empty: none."),
    _setting("--namespace", envvar="LOCO_NAMESPACE", default="", help="Namespace of the pod."),
    _setting("--pod", envvar="LOCO_POD", default="", help="Name of the pod or instance."),
    _setting("--pod-uid", envvar="LOCO_POD_UID", default="", help="Its uid, which every report carries."),
    _setting(
        "--action-key-file",
        envvar="LOCO_ACTION_KEY_FILE",
        default="",
        metavar="FILE",
        help="Who signs with the key in it may have the agent act; empty or no such file: acts are off.",
    ),
    _setting(
        "--actions",
        envvar="LOCO_ACTIONS",
        type=parse_actions,
        default="",
        metavar="ACT,...",
        help="Allow only these acts; empty: all.",
    ),
    _setting(
        "--display-pattern",
        envvar="LOCO_DISPLAY_PATTERN",
        default="",
        help="Name of the VNC bridge's executable, with * and ?, which reset-display ends; empty: there is none.",
    ),
    _setting(
        "--restart-stream",
        envvar="LOCO_RESTART_STREAM",
        default="",
        metavar="COMMAND|URL",
        help="What restarts the video stream: a command, run without a shell, or an http:// URL to POST to.",
    ),
    _setting(
        "--lower-quality",
        envvar="LOCO_LOWER_QUALITY",
        default="",
        metavar="COMMAND|URL",
        help="What lowers the stream's quality, likewise.",
    ),
)


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click command the options that make up `Settings`, under the names of its fields."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
