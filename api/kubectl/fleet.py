"""Every instance as `get` and `top` tell it: from the API, or from ConfigMap `loco-health` while that is down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.instants import now_ms, rfc3339
from api.kubectl.errors import AskFailed, KubectlFailed
from api.kubectl.names import Named, ask_about, resolve
from api.kubectl.program import Kubectl
from api.kubectl.source import Proxied, Source, ask_json
from api.kubectl.told import told

_DEEP_HEALTH = "/api/quality/deep-health"


@dataclass(frozen=True, slots=True)
class Seen:
    """Instances by name, in the order told. note: why this is a second source's word, empty where it isn't."""

    instances: dict[str, dict[str, Any]]
    note: str = ""


def see(source: Source, name: str | None) -> Seen:
    """Return one instance, or all. Raises: AskFailed, NoSuchThing, WrongUse."""
    try:
        return Seen(_asked(source, name))
    except AskFailed as error:
        if not isinstance(source, Proxied) or error.exit_code != 1:
            raise
        try:
            return _published(source.kubectl, name, error)
        except (KubectlFailed, ValueError, KeyError, TypeError, AttributeError):
            raise error from None


def _asked(source: Source, name: str | None) -> dict[str, dict[str, Any]]:
    if name is not None:
        one = told(ask_about(source, name, f"{_DEEP_HEALTH}/{{id}}"))
        return {one["name"]: one}
    return {public_id: told(deep) for public_id, deep in ask_json(source, _DEEP_HEALTH).items()}


def _published(kubectl: Kubectl, name: str | None, why: AskFailed) -> Seen:
    """Return what the ConfigMap holds, as the API would tell it from there."""
    import msgspec  # noqa: PLC0415 - the way out, which most calls don't take

    from api import fleet  # noqa: PLC0415
    from api.kubectl.published import SNAPSHOT, read_snapshot  # noqa: PLC0415
    from api.mounted import snapshot_of  # noqa: PLC0415
    from api.views.quality import deep_health, keyed  # noqa: PLC0415

    published = read_snapshot(kubectl)
    shapes = keyed(deep_health, fleet.see(snapshot_of(published), str(why), now_ms()))
    instances = {key: told(deep) for key, deep in msgspec.to_builtins(shapes).items()}
    note = f"{why}; this is what ConfigMap {SNAPSHOT} said at {rfc3339(published.written_at_ms)}"
    if name is None:
        return Seen(instances, note)
    known = [Named(one["name"], one["namespace"] or "", one["pod"] or "") for one in instances.values()]
    found = resolve(name, known).id
    return Seen({found: instances[found]}, note)
