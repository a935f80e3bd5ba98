"""At most so many in any second, for one and for all; no memory grows with who asks. Pure."""

from __future__ import annotations

from collections import deque

# chosen: more than may come in a second in all, so that only those who come under many names are turned away for it.
_MOST_SENDERS = 256


class Rate:
    """At most `most` in any second."""

    def __init__(self, most: int) -> None:
        self._times: deque[float] = deque(maxlen=most)

    def takes(self, now: float) -> bool:
        """Tell whether one more may come now, and count it if so."""
        if self.is_full(now):
            return False
        self._times.append(now)
        return True

    def is_full(self, now: float) -> bool:
        """Tell whether no more may come now."""
        return len(self._times) == self._times.maxlen and self._times[0] > now - 1

    def is_idle(self, now: float) -> bool:
        """Tell whether nothing came within the last second."""
        return not self._times or self._times[-1] <= now - 1


class Rates:
    """At most `most` of each sender in any second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rates: dict[str, Rate] = {}

    def takes(self, sender: str, now: float) -> bool:
        """Tell whether a sender may come once more now, and count it if so."""
        if sender not in self._rates and len(self._rates) >= _MOST_SENDERS:
            self._rates = {name: rate for name, rate in self._rates.items() if not rate.is_idle(now)}
            if len(self._rates) >= _MOST_SENDERS:
                return False
        return self._rates.setdefault(sender, Rate(self._most)).takes(now)
