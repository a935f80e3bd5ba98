"""The TOML file that may change the policy: what it may say, and one sentence for each mistake; pure."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from jobs.errors import ConfigError
from jobs.health.bounds import VERIFY_RANGE, VERIFY_SECONDS, RecoveryBounds
from jobs.health.model import FailureClass
from jobs.health.policy import Policy
from jobs.health.recovery import Action
from jobs.health.remedies import LADDERS, ORDER, REMEDIES
from jobs.health.rules import BY_CODE, BY_WORD, FAULTS
from jobs.health.thresholds import Range, ranges_of

_ACTIONS = {action.value: action for action in Action}
_TABLES = ("recovery", "remedies")

# chosen: a value that is wrong is told to be found in its file, not to be read.
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class _File:
    """The file's name, for sentences."""

    name: str

    def refusal(self, complaint: str) -> ConfigError:
        return ConfigError(f"policy {self.name}: {complaint}; nothing was started")

    def unknown(self, key: str, known: Iterable[str], *, what: str = "a key", page: str) -> ConfigError:
        near = difflib.get_close_matches(key, list(known), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return self.refusal(f"{key} is not {what}{hint}; docs/{page}.md lists all")


def parse_policy(text: str, where: str) -> Policy:
    """Return the default policy with what TOML `text` says put over it.

    where: the file's name, for the sentence.
    Raises: ConfigError for TOML that doesn't parse or holds too much, an unknown key, reason or action, a value of
    another type or out of its range, or a remedy against its ladder.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"policy {where} is not TOML: {error}; nothing was started") from error
    except RecursionError as error:
        raise _File(where).refusal("its arrays or tables are nested too deep to be read") from error
    except ValueError as error:  # int() takes 4300 digits
        raise _File(where).refusal("a number in it has too many digits to be read") from error
    file = _File(where)
    tables = {name: _table(file, name, values.pop(name, {})) for name in _TABLES}
    policy = Policy(
        **_thresholds(file, values, Policy, page="reasons"),
        recovery=_recovery(file, tables["recovery"]),
        remedies=_remedies(file, tables["remedies"]),
    )
    _check_windows(file, policy)
    return policy


def ladder_of(code: str) -> tuple[Action, ...]:
    """Return the ladder of a fault's class, empty where nothing may ever be done about a code.

    That is so of findings, of what somebody planned, and where no report was judged: then nobody answers who could act.
    What browsers say leads to acts on the stream alone, whatever its class.
    """
    rule = BY_CODE[code]
    if code not in FAULTS or rule.is_final:
        return ()
    return LADDERS.get(FailureClass.CLIENT if code in BY_WORD else rule.failure_class, ())


def _shown(value: object) -> str:
    """Return a value as a sentence can show it."""
    try:
        said = repr(value)
    except (ValueError, RecursionError):  # hexadecimal digits and dotted keys can make what is never written out
        return "too much to be shown"
    return said if len(said) <= _SHOWN_CHARACTERS else f"{said[:_SHOWN_CHARACTERS]}..."


def _table(file: _File, name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise file.refusal(f"{name} is {_shown(value)}, allowed is a table, [{name}]")
    return value


def _thresholds(file: _File, values: Mapping[str, Any], policy: type, *, page: str, table: str = "") -> dict[str, Any]:
    """Return the values that the fields of a policy's class take."""
    ranges = {f"{table}{name}": one for name, one in ranges_of(policy).items()}
    for name, value in values.items():
        _check_number(file, f"{table}{name}", value, ranges, page=page)
    return dict(values)


def _check_number(file: _File, name: str, value: object, ranges: Mapping[str, Range], *, page: str) -> None:
    if name not in ranges:
        raise file.unknown(name, [*ranges, *_TABLES], page=page)
    if not ranges[name].takes(value):
        raise file.refusal(f"{name} is {_shown(value)}, allowed is {ranges[name]}")


def _recovery(file: _File, values: dict[str, Any]) -> RecoveryBounds:
    seconds = _table(file, "recovery.verify_seconds", values.pop("verify_seconds", {}))
    ranges = {f"recovery.verify_seconds.{action}": VERIFY_RANGE for action in Action}
    for name, value in seconds.items():
        _check_number(file, f"recovery.verify_seconds.{name}", value, ranges, page="recovery")
    return replace(
        RecoveryBounds(**_thresholds(file, values, RecoveryBounds, page="recovery", table="recovery.")),
        verify_seconds={**VERIFY_SECONDS, **{_ACTIONS[name]: value for name, value in seconds.items()}},
    )


def _remedies(file: _File, values: Mapping[str, Any]) -> Mapping[str, tuple[Action, ...]]:
    return {**REMEDIES, **{code: _remedy(file, code, names) for code, names in values.items()}}


def _remedy(file: _File, code: str, names: object) -> tuple[Action, ...]:
    """Return a fault's acts; an empty list is a fault that is never acted on."""
    where = f"remedies.{code}"
    if code not in BY_CODE:
        raise file.unknown(where, [f"remedies.{one}" for one in BY_CODE], what="a reason", page="reasons")
    ladder = ladder_of(code)
    if not ladder:
        raise file.refusal(f"{where}: nothing is ever done about {code}, allowed are reasons in docs/recovery.md")
    allowed = f"allowed are, in this order, {', '.join(ladder)}"
    if not isinstance(names, list):
        raise file.refusal(f"{where} is {_shown(names)}, allowed is a list of actions; {allowed}")
    for name in names:
        if name not in ladder:
            near = difflib.get_close_matches(name, ladder, n=1) if isinstance(name, str) else None
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise file.refusal(f"{where} names {_shown(name)}{hint}; {allowed}")
    actions = tuple(_ACTIONS[name] for name in names)
    if any(ORDER[first] >= ORDER[second] for first, second in pairwise(actions)):
        raise file.refusal(f"{where} is {', '.join(actions)}; {allowed}, each once")
    return actions


def _check_windows(file: _File, policy: Policy) -> None:
    """Refuse counts that can't be reached, and a hold-down so short that two incidents would share a tick."""
    for name in ("connectivity", "network_rate", "load", "client", "incident_open", "incident_close"):
        _check_order(file, policy, f"{name}_ticks", f"{name}_window")
    _check_order(file, policy, "incident_open_window", "incident_hold_down_ticks")


def _check_order(file: _File, policy: Policy, less: str, more: str) -> None:
    """Raise ConfigError when the field `less` is greater than the field `more`."""
    low, high = getattr(policy, less), getattr(policy, more)
    if low > high:
        raise file.refusal(f"{less} is {low}, allowed is at most {more}, {high}")
