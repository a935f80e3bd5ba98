"""What can stop a command; each carries the exit code that says the same.

JobError                 1   our own broken promise
├── ConfigError          2   a setting or a file that a person must mend
├── Superseded           0   another run holds the baton; this one has written nothing and leaves
├── ClusterError        75   EX_TEMPFAIL: the API server can't be asked now; the next run tries again
│   ├── Forbidden            403: a right is missing
│   ├── NotFound             404
│   ├── Conflict             409: the name is taken
│   └── Gone                 410: that version is too old, list anew
└── StoreError          75   EX_TEMPFAIL: the next run tries again
    ├── StoreLocked          another connection held the file past the busy timeout
    ├── StoreFull            no space left, or over quota
    ├── StoreReadOnly        the file or its folder can't be written
    ├── StoreNewer           the schema is of a later version than this program
    ├── StoreCorrupt         SQLite refuses the file
    └── StoreNotLocal        a network or FUSE file system, where SQLite's locks don't hold
"""

from __future__ import annotations

import os


class JobError(Exception):
    """Stop the command; the message is one sentence: what, where, observed, allowed, what happens next."""

    exit_code = 1


class ConfigError(JobError):
    """A setting or file that a person must mend."""

    exit_code = 2


class Superseded(JobError):
    """Another run holds the baton."""

    exit_code = 0


class ClusterError(JobError):
    """The API server can't be asked now, or refuses; the next run tries again.

    retry_seconds: for how long it wants to be left alone.
    """

    exit_code = os.EX_TEMPFAIL

    def __init__(self, message: str, *, retry_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Forbidden(ClusterError):
    """403: a right is missing."""


class NotFound(ClusterError):
    """404: there is no such object."""


class Conflict(ClusterError):
    """409: the name is taken, or the object has moved on."""


class Gone(ClusterError):
    """410: that resource version or page is too old; list anew."""


class StoreError(JobError):
    """The store can't be used now; the next run tries again."""

    exit_code = os.EX_TEMPFAIL


class StoreLocked(StoreError):
    """Another connection held the file past the busy timeout."""


class StoreFull(StoreError):
    """No space left."""


class StoreReadOnly(StoreError):
    """The file or its folder can't be written."""


class StoreNewer(StoreError):
    """The schema is of a later version than this program."""


class StoreCorrupt(StoreError):
    """SQLite refuses the file."""


class StoreNotLocal(StoreError):
    """A file system where SQLite's locks don't hold."""
