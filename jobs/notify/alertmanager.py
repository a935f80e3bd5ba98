"""Alertmanager: it forgets an alert that isn't told again, and tells nobody of one that was over before it looked.

So open incidents are told again every minute. And the end of one is told only when the alert has stood there for a
while: an Alertmanager that was away, or was started anew, may have lost it, and then nobody would hear of the end, or
of any of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from jobs.errors import ConfigError
from jobs.notify.address import Address, Links
from jobs.notify.alerts import active, resolved, trial
from jobs.notify.letter import Letter, Transition
from jobs.notify.posting import Line, Reply
from jobs.notify.sending import SENDING_SECONDS, Report, Sent, Task

# chosen: as Prometheus resends its own (--rules.alert.resend-delay), and as long as it may take until an Alertmanager
# that has come back knows everything again.
REPEAT_SECONDS = 60.0

# chosen: longer than `dispatch` is away between two windows; then silence of ours is no good news.
KEEP_SECONDS = 900

# chosen: twice Alertmanager's usual group_wait, at whose end it looks what is to be told.
STAND_SECONDS = 60.0

# chosen: some 100 KiB a request.
_BATCH = 64

_PATH = "/api/v2/alerts"
_STATUS = "/api/v2/status"

_TEST_SECONDS = 300


class _Status(msgspec.Struct):
    """What Alertmanager says of itself. uptime: when it was started; None where something else answers."""

    uptime: str | None = None


class Alertmanager:
    """One Alertmanager. name: in the store. clock: Unix milliseconds.

    repeat_seconds: how often it is told anew of what is open. stand_seconds: how long an alert stands before its end.
    """

    def __init__(
        self,
        line: Line,
        links: Links,
        *,
        clock: Callable[[], int],
        name: str = "alertmanager",
        repeat_seconds: float = REPEAT_SECONDS,
        stand_seconds: float = STAND_SECONDS,
    ) -> None:
        self.name = name
        self.place = line.address.place
        self.repeat_seconds = repeat_seconds
        self._line = line
        self._links = links
        self._clock = clock
        self._stand_seconds = stand_seconds
        self._stood_since: dict[str, float] = {}  # by the notice's name
        self._began: str | None = None
        self._shown_up_to = 0

    def send(self, task: Task) -> Report:
        """Tell again of what is open, then send the letters in their order."""
        ends_at = time.monotonic() + SENDING_SECONDS
        self._note_restart()
        reply = self._show_again(task.standing, ends_at)
        if reply.is_of_the_receiver:
            return self._lost((), reply)
        sent: list[Sent] = []
        for batch in _runs(task.letters):
            is_end = batch[0].transition is Transition.CLOSED
            reply, told = self._end(batch[0]) if is_end else self._show_each(batch)
            sent += told
            if reply.is_of_the_receiver:
                return self._lost(sent, reply)
            if time.monotonic() > ends_at:
                break
        return Report(sent)

    def test(self) -> Reply:
        """Send an alert that ends by itself within minutes."""
        return self._post([trial(self._clock(), seconds=_TEST_SECONDS)])

    def _show_again(self, standing: Sequence[Letter], ends_at: float) -> Reply:
        """Tell again of what is open until the time is up; the next time goes on where this one stopped."""
        first, reply = self._shown_up_to, Reply(None)
        letters = [*standing[first:], *standing[:first]]
        for number, batch in enumerate(_batches(letters), 1):
            reply, _ = self._show_each(batch)
            if reply.is_of_the_receiver:
                break
            shown = number * _BATCH
            self._shown_up_to = (first + shown) % len(letters) if shown < len(letters) else 0
            if time.monotonic() > ends_at:
                break
        return reply

    def _show_each(self, letters: Sequence[Letter]) -> tuple[Reply, list[Sent]]:
        """Show alerts at once; where that is refused each alone, so that a bad one holds up no other."""
        reply = self._show(letters)
        if len(letters) == 1 or not reply.is_of_the_body:
            return reply, [Sent(one, reply.problem) for one in letters]
        sent: list[Sent] = []
        for one in letters:
            reply = self._show([one])
            sent.append(Sent(one, reply.problem))
            if reply.is_of_the_receiver:
                break
        return reply, sent

    def _show(self, letters: Iterable[Letter]) -> Reply:
        """Have alerts stand there for as long as nobody says otherwise."""
        letters = list(letters)
        until_ms = self._clock() + KEEP_SECONDS * 1000
        reply = self._post([active(letter, self._links, until_ms=until_ms) for letter in letters])
        if not reply.problem:
            now = time.monotonic()
            for letter in letters:
                self._stood_since.setdefault(letter.notice.name, now)
        return reply

    def _end(self, letter: Letter) -> tuple[Reply, list[Sent]]:
        """End the alerts of an incident, once the youngest has stood there; one that doesn't yet is shown first."""
        if not letter.earlier:  # nothing was ever told of it
            return Reply(None), [Sent(letter)]
        names = [one.notice.name for one in letter.earlier]
        if unshown := [one for one in letter.earlier if one.notice.name not in self._stood_since]:
            reply = self._show(unshown)
            wait_seconds = None if reply.problem else self._stand_seconds
            return reply, [Sent(letter, reply.problem, wait_seconds)]
        youngest_since = max(self._stood_since[name] for name in names)
        left_seconds = youngest_since + self._stand_seconds - time.monotonic()
        if left_seconds > 0:
            return Reply(None), [Sent(letter, wait_seconds=left_seconds)]
        reply = self._post(resolved(letter, self._links))
        if not reply.problem:
            for name in names:
                del self._stood_since[name]
        return reply, [Sent(letter, reply.problem)]

    def _note_restart(self) -> None:
        """Find out whether it is another process now, which knows nothing of what was told before."""
        answer = self._line.get(urlsplit(self._line.address.url).path.removesuffix(_PATH) + _STATUS)
        try:
            began = msgspec.json.decode(answer or b"{}", type=_Status).uptime
        except (msgspec.MsgspecError, UnicodeDecodeError):
            began = None
        if began != self._began:
            self._stood_since.clear()
        self._began = began

    def _lost(self, sent: Sequence[Sent], reply: Reply) -> Report:
        """Return what failed; who didn't answer may have forgotten everything."""
        self._stood_since.clear()
        return Report(sent, reply.problem, reply.retry_seconds)

    def _post(self, alerts: Sequence[dict[str, Any]]) -> Reply:
        return self._line.post(msgspec.json.encode(alerts), {}) if alerts else Reply(None)


def alerts_address(setting: str, address: Address) -> Address:
    """Return where alerts are posted to, of Alertmanager's address with its route prefix, if it has one.

    Raises: ConfigError.
    """
    parts = urlsplit(address.url)
    if parts.query:
        raise ConfigError(f"{setting} holds a query, and Alertmanager takes none; nothing was started")
    path = parts.path.rstrip("/").removesuffix(_PATH) + _PATH
    return replace(address, url=urlunsplit(parts._replace(path=path)))


def _runs(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """Yield neighbours that may share a request: alerts, but each end alone, so that no order is lost."""
    run: list[Letter] = []
    for letter in letters:
        is_end = letter.transition is Transition.CLOSED
        if run and (is_end or len(run) == _BATCH):
            yield run
            run = []
        if is_end:
            yield [letter]
        else:
            run.append(letter)
    if run:
        yield run


def _batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    rest = iter(letters)
    while batch := list(islice(rest, _BATCH)):
        yield batch
