"""How the inventory was found: one row, for people who wonder why it is as it is."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Mode(StrEnum):
    """Where the inventory comes from. KEPT: it is the last good one of a cluster that can't be asked now."""

    KUBERNETES = "kubernetes"
    STATIC = "static"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class StatefulSet:
    """A StatefulSet. wanted, ready: replicas. service: its governing Service. is_ordered: one pod after the other."""

    name: str
    wanted: int
    ready: int
    first_ordinal: int = 0
    service: str | None = None
    is_ordered: bool = True


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a Service; target: a number or a container port's name."""

    name: str | None
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Service:
    """A Service that selects instances. cluster_ip: `None` as a text for a headless one."""

    name: str
    cluster_ip: str | None
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """What is known of one watched namespace.

    listed_at_ms: when its pods were last listed whole, None before the first. pods: how many match, None before that.
    problem: why it can't be listed now. is_forbidden: because a right is missing.
    statefulsets, services: None where they can't be listed; then `owners_problem` says why.
    """

    name: str
    listed_at_ms: int | None = None
    pods: int | None = None
    problem: str | None = None
    is_forbidden: bool = False
    statefulsets: tuple[StatefulSet, ...] | None = None
    services: tuple[Service, ...] | None = None
    owners_problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Everything beside the mode. selector: None in static mode. nodes_problem: why there are no node facts."""

    selector: str | None = None
    namespaces: tuple[Namespace, ...] = ()
    nodes_problem: str | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """The row. listed_at_ms: when the whole cluster was last listed, None before the first."""

    mode: Mode
    listed_at_ms: int | None
    detail: Detail


_detail = msgspec.json.Decoder(Detail)


def record_discovery(connection: sqlite3.Connection, discovery: Discovery) -> None:
    """Make this the row; readers look at it each time, so no revision moves. Inside the caller's transaction."""
    connection.execute(
        "INSERT INTO discovery (id, mode, listed_at_ms, detail) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " mode = excluded.mode, listed_at_ms = excluded.listed_at_ms, detail = excluded.detail",
        (discovery.mode.value, discovery.listed_at_ms, msgspec.json.encode(discovery.detail).decode()),
    )


def read_discovery(connection: sqlite3.Connection) -> Discovery | None:
    """Return the row, None before the first."""
    row = connection.execute("SELECT mode, listed_at_ms, detail FROM discovery").fetchone()
    return row and Discovery(Mode(row[0]), row[1], _detail.decode(row[2]))
