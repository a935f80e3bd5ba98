"""What ends a command with one sentence.

Exception
├── AskFailed        an answer was wanted and there is none: exit code 1
│   ├── KubectlFailed    kubectl's own sentence and exit code
│   └── ApiFailed        what stands at --url said no, or nothing
├── Strange          an answer of another version, or of something else: exit code 1
├── NoSuchThing      exit code 4
├── WrongUse         exit code 2
└── TimedOut         exit code 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class AskFailed(Exception):
    """Nobody answered, or with a no."""

    exit_code = 1

    @property
    def is_not_found(self) -> bool:
        """Tell whether the answer was that there is no such thing."""
        return False


class KubectlFailed(AskFailed):
    """kubectl's own sentence, and its exit code, which ends the plugin too."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code

    @property
    def is_not_found(self) -> bool:
        """Tell whether the API server, or the service behind it, said 404: kubectl says so in its sentence alone."""
        return "(NotFound)" in str(self)


class ApiFailed(AskFailed):
    """What stands at --url. status: of HTTP, 0 where nothing answered."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status

    @property
    def is_not_found(self) -> bool:
        """Tell whether it said 404."""
        return self.status == 404


class Strange(Exception):
    """An answer without what every answer of ours has; the error that it led to is its cause."""

    exit_code = 1


@contextmanager
def reading_an_answer() -> Iterator[None]:
    """Read what the API answered. Raises: Strange, for what an answer of another shape leads to."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Strange(f"what the API answered has another shape than this version knows: {error!r}") from error


class NoSuchThing(Exception):
    """The fleet, or this version, has nothing of that name."""

    exit_code = 4


class WrongUse(Exception):
    """What was asked for can't be done as it was asked."""

    exit_code = 2


class TimedOut(Exception):
    """What was waited for didn't come."""

    exit_code = 1
