"""When the API answers with each problem; pure data for people. A test compares the codes with those of api.problem."""

from __future__ import annotations

from collections.abc import Mapping

PROBLEMS: Mapping[str, str] = {
    "UnknownRoute": "nothing is served at that path",
    "UnknownInstance": "the inventory has no such id",
    "UnknownIncident": "no incident has that id",
    "UnknownAttempt": "no attempt has that number",
    "NoPicture": "no screen picture was ever taken",
    "MethodNotAllowed": "a method that this path doesn't have; Allow lists those that it has",
    "BadQuery": "an unknown or repeated name, or a value outside its bounds; detail says which",
    "BadRequest": "no HTTP, a header over 16 KiB, a body over 4 KiB",
    "BadBody": "a body that is no JSON object, or a field that isn't known; detail says which",
    "UnsupportedMediaType": "a body without Content-Type: application/json",
    "CredentialsMissing": "a POST without Authorization; the API server's service proxy takes it away too",
    "CredentialsRefused": "no bearer token, or one that the API server, or this start, doesn't know",
    "NotAllowed": "the API server says that the token's owner may not do it; detail has its sentence",
    "ForeignOrigin": "without a cluster: sent by another site's page, or under a name that isn't this machine's",
    "AskingIsOff": "this API was given no way to start anything",
    "StillRunning": "without a cluster: the process that was asked for before still runs",
    "Busy": "as many requests as may wait for the API server, or run here, do so already",
    "TooManyRequests": "more POSTs than are taken in a minute; Retry-After says when to come back",
    "ClusterRefused": "the API server takes no such Job, as the admission policy says; detail has its sentence",
    "ClusterUnavailable": "the API server doesn't answer, is overloaded, or the template isn't there",
    "StoreUnreadable": "the store isn't there yet, is locked, damaged, or of another version; detail says which",
    "CollectorSilent": "/readyz only: no tick was committed for 45 s",
    "InternalError": "a bug of ours; the log has the traceback",
}
