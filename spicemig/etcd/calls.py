# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What etcd's JSON gateway is asked, and what it answers.

Source: etcd's documentation, API reference and gRPC gateway (v3). Keys and values
are in base64; numbers of 64 bits are strings; what is zero or empty is left out.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spicemig.errors import EtcdError

MAX_ANSWER_BYTES = 8 * 1024 * 1024  # of one answer, or of one line of a watch
INVALID_ARGUMENT, NOT_FOUND, UNAUTHENTICATED = 3, 5, 16  # codes of gRPC


@dataclass(frozen=True, slots=True)
class Call:
    """One request: always a POST."""

    path: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of etcd's with its value; None: it is gone."""

    key: bytes
    value: bytes | None
    mod_revision: int = 0  # of etcd's store, at which it was put
    lease: int = 0  # with which it vanishes


def authenticate(user: str, password: str) -> Call:
    """Ask for a token."""
    return Call("/v3/auth/authenticate", {"name": user, "password": password})


def read(key: bytes) -> Call:
    """Ask for one key."""
    return Call("/v3/kv/range", {"key": _base64(key)})


def read_under(prefix: bytes, limit: int) -> Call:
    """Ask for the keys that begin in this way."""
    return Call("/v3/kv/range", {**_under(prefix), "limit": str(limit)})


def watch_under(prefix: bytes, revision: int) -> Call:
    """Ask to be told what becomes of these keys, from a revision of the store on."""
    return Call("/v3/watch", {"create_request": {**_under(prefix), "start_revision": str(revision)}})


def grant(seconds: int) -> Call:
    """Ask for a lease, with which keys vanish that are put with it."""
    return Call("/v3/lease/grant", {"TTL": str(seconds)})


def keep_alive(lease: int) -> Call:
    """Have the time of a lease begin anew."""
    return Call("/v3/lease/keepalive", {"ID": str(lease)})


def revoke(lease: int) -> Call:
    """End a lease: the keys vanish that were put with it last, and no others."""
    return Call("/v3/lease/revoke", {"ID": str(lease)})


def put_if_unchanged(key: bytes, value: bytes, lease: int, mod_revision: int) -> Call:
    """Put a key if it is still the one that was read at this revision; 0: if it is not there."""
    unchanged = {
        "key": _base64(key),
        "target": "MOD",
        "result": "EQUAL",
        "mod_revision": str(mod_revision),
    }
    put = {"key": _base64(key), "value": _base64(value), "lease": str(lease)}
    return Call("/v3/kv/txn", {"compare": [unchanged], "success": [{"request_put": put}]})


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _under(prefix: bytes) -> dict[str, str]:
    return {"key": _base64(prefix), "range_end": _base64(prefix[:-1] + bytes([prefix[-1] + 1]))}


# -- answers; all raise EtcdError for what is none ---------------------------------------------------


def parse(data: bytes) -> dict[str, Any]:
    """A JSON object; if it is about an error, that is raised."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EtcdError("the answer is no JSON: is this etcd?") from error
    if not isinstance(answer, dict):
        raise EtcdError("the answer is no JSON object: is this etcd?")
    wrong = answer.get("error")
    if isinstance(wrong, dict):  # of a stream
        raise EtcdError(_message(wrong), _code(wrong.get("grpc_code", wrong.get("code"))))
    if wrong is not None or ("code" in answer and "message" in answer):
        raise EtcdError(_message(answer), _code(answer.get("code")))
    return answer


def _message(answer: dict[str, Any]) -> str:
    return str(answer.get("message") or answer.get("error"))[:200]


def _code(code: Any) -> int:
    return code if isinstance(code, int) else EtcdError.UNAVAILABLE


def number(answer: dict[str, Any], name: str) -> int:
    """A number that is not negative; what is left out is 0."""
    found = answer.get(name, 0)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        return int(found)
    if isinstance(found, int) and found >= 0:
        return found
    raise EtcdError(f"{name} is no number in the answer: is this etcd?")


def revision(answer: dict[str, Any]) -> int:
    """That of the store at the time of the answer."""
    return number(_part(answer, "header", dict), "revision")


def entries(answer: dict[str, Any]) -> list[Entry]:
    """The keys that were asked for."""
    return [_entry(each) for each in _part(answer, "kvs", list)]


def granted(answer: dict[str, Any]) -> int:
    """The id of a new lease."""
    lease = number(answer, "ID")
    if not lease:
        raise EtcdError("etcd grants no lease")
    return lease


def kept_alive(answer: dict[str, Any]) -> bool:
    """Whether the lease is still there."""
    return number(_part(answer, "result", dict), "TTL") > 0


def succeeded(answer: dict[str, Any]) -> bool:
    """Whether the condition was true."""
    return answer.get("succeeded") is True


def token(answer: dict[str, Any]) -> str:
    """What shows who asks."""
    found = answer.get("token")
    if not (isinstance(found, str) and found.isascii() and found.isprintable() and found):
        raise EtcdError("etcd gives no token")
    return found


@dataclass(frozen=True, slots=True)
class Heard:
    """What a line of a watch tells; ``over``: the watch has to be begun anew, from what is there now."""

    revision: int
    entries: list[Entry]
    over: bool


def heard(line: bytes) -> Heard:
    """What a line of a watch tells."""
    result = _part(parse(line), "result", dict)
    if result.get("canceled") and not number(result, "compact_revision"):
        raise EtcdError(str(result.get("cancel_reason") or "etcd has cancelled the watch")[:200])
    found = [
        _entry(_part(event, "kv", dict), gone=event.get("type") == "DELETE")
        for event in _part(result, "events", list)
        if isinstance(event, dict)
    ]
    return Heard(revision(result), found, bool(result.get("canceled")))


def _entry(found: Any, gone: bool = False) -> Entry:
    if not isinstance(found, dict):
        raise EtcdError("a key is no JSON object in the answer: is this etcd?")
    value = None if gone else _bytes(found, "value")
    return Entry(_bytes(found, "key"), value, number(found, "mod_revision"), number(found, "lease"))


def _bytes(found: dict[str, Any], name: str) -> bytes:
    try:
        return b64decode(found.get(name, ""), validate=True)
    except (ValueError, TypeError) as error:
        raise EtcdError(f"{name} is no base64 in the answer: is this etcd?") from error


def _part(answer: dict[str, Any], name: str, kind: type) -> Any:
    found = answer.get(name, kind())
    if not isinstance(found, kind):
        raise EtcdError(f"{name} is of the wrong kind in the answer: is this etcd?")
    return found


class Lines:
    """Cuts what comes piece by piece into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete with this piece."""
        self._rest += data
        if b"\n" in data:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
            yield from filter(None, lines)
        if len(self._rest) > MAX_ANSWER_BYTES:
            raise EtcdError("a line of the watch is too long")
