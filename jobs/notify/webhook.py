"""The webhook: one signed POST a letter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from jobs.notify.address import Links
from jobs.notify.posting import Line, Reply
from jobs.notify.sending import SENDING_SECONDS, Report, Sent, Task
from jobs.notify.signature import sign
from jobs.notify.wire import Envelope, a_test, encode, envelope


class Webhook:
    """A receiver that remembers, and tells a repetition by its `webhook-id`. clock: Unix milliseconds."""

    name = "webhook"
    repeat_seconds = None

    def __init__(self, line: Line, keys: Sequence[bytes], links: Links, *, clock: Callable[[], int]) -> None:
        self.place = line.address.place
        self._line = line
        self._keys = tuple(keys)
        self._links = links
        self._clock = clock

    def send(self, task: Task) -> Report:
        """Send the letters one by one, and stop where the receiver is away."""
        ends_at = time.monotonic() + SENDING_SECONDS
        sent = []
        for letter in task.letters:
            reply = self._post(letter.notice.name, envelope(letter, self._links))
            sent.append(Sent(letter, reply.problem))
            if reply.is_of_the_receiver:
                return Report(sent, reply.problem, reply.retry_seconds)
            if time.monotonic() > ends_at:
                break
        return Report(sent)

    def test(self) -> Reply:
        """Send a message of type `test`."""
        at_ms = self._clock()
        return self._post(f"test-{at_ms}", a_test(at_ms))

    def _post(self, delivery: str, message: Envelope) -> Reply:
        body = encode(message)
        signed = sign(self._keys, delivery=delivery, at_seconds=self._clock() // 1000, body=body)
        return self._line.post(body, signed)
