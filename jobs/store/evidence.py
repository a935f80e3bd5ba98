"""Evidence bundles: what was seen right before an act, one JSON file an attempt, in folder `evidence` beside the store.

A bundle is written whole or not at all. Its attempt says `has_evidence`; a bundle that was pruned since is just gone.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

# architecture section 7, and issue 6 part 4
MAX_BUNDLE_BYTES = 2 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
MAX_AGE_SECONDS = 7 * 24 * 3600

_BUNDLE = re.compile(r"[0-9]{1,18}\.json")
_UNFINISHED = ".unfinished"

# chosen: a writer needs milliseconds; what is older was left by one that died.
_UNFINISHED_SECONDS = 3600


def folder_of(store: Path) -> Path:
    """Return where a store's bundles lie."""
    return store.parent / "evidence"


def path_of(store: Path, attempt_id: int) -> Path:
    """Return where the bundle of one attempt lies, if it is kept."""
    return folder_of(store) / f"{attempt_id}.json"


def read_bundle(store: Path, attempt_id: int) -> bytes | None:
    """Return one bundle as the JSON text that was kept, None when there is none.

    Raises: OSError when it is there and can't be read, or is larger than any bundle.
    """
    path = path_of(store, attempt_id)
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BUNDLE_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(body) > MAX_BUNDLE_BYTES:
        raise OSError(f"{path} has more than {MAX_BUNDLE_BYTES} bytes, so it is no bundle")
    return body


def write_bundle(store: Path, attempt_id: int, body: bytes) -> None:
    """Keep a bundle; what the attempt had before is replaced. Raises: OSError, ValueError when it is too large."""
    if len(body) > MAX_BUNDLE_BYTES:
        raise ValueError(f"a bundle of {len(body)} bytes, at most {MAX_BUNDLE_BYTES} are kept")
    path = path_of(store, attempt_id)
    path.parent.mkdir(mode=0o750, exist_ok=True)
    unfinished = path.with_name(f".{attempt_id}-{os.getpid()}{_UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def prune(store: Path, *, at_seconds: float) -> int:
    """Delete bundles that are too old, then the oldest until the rest fits; returns how many went.

    at_seconds: Unix time, as the files' own. Raises: OSError.
    """
    total_bytes = removed = 0
    for age_seconds, path, size_bytes in sorted(_kept(store, at_seconds)):
        total_bytes += size_bytes
        if age_seconds > MAX_AGE_SECONDS or total_bytes > MAX_TOTAL_BYTES:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _kept(store: Path, at_seconds: float) -> list[tuple[float, Path, int]]:
    """Return age, path and size of each bundle; drop on the way what dead writers left."""
    kept: list[tuple[float, Path, int]] = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder_of(store)):
            with suppress(FileNotFoundError):
                stat = entry.stat(follow_symlinks=False)
                age_seconds = at_seconds - stat.st_mtime
                if _BUNDLE.fullmatch(entry.name):
                    kept.append((age_seconds, Path(entry.path), stat.st_size))
                elif entry.name.endswith(_UNFINISHED) and age_seconds > _UNFINISHED_SECONDS:
                    Path(entry.path).unlink()
    return kept
