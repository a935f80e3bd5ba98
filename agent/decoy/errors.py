"""What can stop a decoy's command; each carries the exit code that says the same.

DecoyError           1   the decoy, or what it stands on, doesn't do as asked
└── BadRequest       2   an id, a fault or a folder that a person must mend
"""

from __future__ import annotations


class DecoyError(Exception):
    """Stop the command; the message is one sentence: what, where, observed, allowed, what happens next."""

    exit_code = 1


class BadRequest(DecoyError):
    """An id, a fault or a folder that a person must mend."""

    exit_code = 2
