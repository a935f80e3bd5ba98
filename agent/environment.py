"""The names of every LOCO_* setting of the project, so that a typo in a manifest stops a command at its start.

It stands in the room furthest upstream because a manifest hands one environment to all rooms:
a name that any room knows is not a typo anywhere. A test compares this set with the options of the three command lines.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

KNOWN = frozenset(
    {
        # every room
        "LOCO_LOG_LEVEL",
        # agent
        "LOCO_ACTIONS",
        "LOCO_ACTION_KEY_FILE",
        "LOCO_AGENT_LISTEN",
        "LOCO_BRIDGE",
        "LOCO_DISPLAY_PATTERN",
        "LOCO_LOWER_QUALITY",
        "LOCO_NAMESPACE",
        "LOCO_POD",
        "LOCO_POD_UID",
        "LOCO_PULSE_SERVER",
        "LOCO_QEMU_PATTERN",
        "LOCO_QEMU_PID_FILE",
        "LOCO_QMP_SOCKET",
        "LOCO_RESTART_STREAM",
        "LOCO_TAP",
        "LOCO_VNC_ADDRESS",
        # agent decoy
        "LOCO_DECOY_DIR",
        # jobs
        "LOCO_ACTION",
        "LOCO_ALERTMANAGER_TOKEN_FILE",
        "LOCO_ALERTMANAGER_URL",
        "LOCO_ALLOW_DELETE_POD",
        "LOCO_ATTEMPT",
        "LOCO_CONTROL",
        "LOCO_DRY_RUN",
        "LOCO_FORCE",
        "LOCO_INSTANCE",
        "LOCO_INSTANCES",
        "LOCO_JOB_NAME",
        "LOCO_MASTER_KEY_FILE",
        "LOCO_NAMESPACES",
        "LOCO_NODE_FACTS",
        "LOCO_NOTIFY_CA_FILE",
        "LOCO_POLICY",
        "LOCO_PUBLIC_URL",
        "LOCO_RECOVERY_NAMESPACE",
        "LOCO_REQUESTED_BY",
        "LOCO_RUNBOOK_URL",
        "LOCO_RUNNER",
        "LOCO_SCHEDULE",
        "LOCO_SELECTOR",
        "LOCO_SNAPSHOT_NAMESPACE",
        "LOCO_STORE",
        "LOCO_WEBHOOK_KEY_FILE",
        "LOCO_WEBHOOK_URL",
        "LOCO_WINDOW",
        # api
        "LOCO_API_LISTEN",
        "LOCO_CLUSTER_CA",
        "LOCO_SNAPSHOT",
        "LOCO_TOKEN_FILE",
    }
)

# Kubernetes injects these for each Service of the namespace (docs: "Discovering services", environment variables).
_SERVICE_LINK = re.compile(
    r"LOCO_\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


def unknown_setting(names: Iterable[str]) -> str | None:
    """Return one sentence about the first unknown LOCO_* name, or None when all are known."""
    for name in sorted(names):
        if name.startswith("LOCO_") and name not in KNOWN and not _SERVICE_LINK.fullmatch(name):
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            return (
                f"environment variable {name} is not a setting of loco-health{hint}; "
                "docs/configuration.md lists all; nothing was started"
            )
    return None
