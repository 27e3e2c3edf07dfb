# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why a target could not be reached, and what to do about it."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import CancelledError, TimeoutError
from twisted.python.failure import Failure

from spicemig.errors import LinkError, ProtocolError
from spicemig.migration.handover import problem
from spicemig.wire.messages.migration import Problem

NOT_TRUSTED_HERE = ("certificate verify failed",)
NOT_TRUSTED_THERE = (
    "unknown ca",
    "certificate required",
    "bad certificate",
    "certificate unknown",
    "certificate expired",
)

LINK_PROBLEMS = {
    LinkError.PERMISSION_DENIED: (
        "ticket",
        "the target does not accept this host's migration ticket",
        "put the same secret into [migration] ticket_file of both hosts",
    ),
    LinkError.CHANNEL_NOT_AVAILABLE: (
        "no-migration",
        "the target takes no migrations",
        "set [migration] listen on the target, and name that port; is this the port for clients?",
    ),
    LinkError.NEED_SECURED: (
        "tls",
        "the target wants TLS for a migration",
        "name the port of the target's [migration] listen, not the one for clients",
    ),
    LinkError.VERSION_MISMATCH: (
        "version",
        "the target speaks another version of SPICE",
        "install the same version of spicemig on both hosts",
    ),
    LinkError.INVALID_MAGIC: (
        "no-spice",
        "what listens there is no SPICE server",
        "look at host and port; a migration needs the target's [migration] listen",
    ),
}


def reason_for(failure: Failure, where: str) -> Problem:
    """The :class:`Problem` for a connection to ``where`` that did not come about."""
    value = failure.value
    if isinstance(value, ProtocolError):
        known = LINK_PROBLEMS.get(value.code)
        if known is not None:
            return problem(*known)
        return problem("link", f"the target at {where} refused the link: {value}", "look at the target's log")
    if isinstance(value, VerificationError):
        return problem(
            "name",
            f"the certificate of the target at {where} is for another name",
            "dial the target by the name in its certificate, or set [migration] peer_name to that name",
        )
    if isinstance(value, SSL.Error):
        return _tls_reason(value, where)
    if isinstance(value, error.ConnectionRefusedError):
        return problem(
            "refused",
            f"nobody listens at {where}",
            "start spice-target there, and compare the port with [migration] listen",
        )
    if isinstance(value, error.DNSLookupError):
        return problem("dns", f"the name of {where} is not known", "look at the name, or use an address")
    if isinstance(value, (error.TimeoutError, TimeoutError, CancelledError)):
        return problem(
            "unreachable",
            f"{where} does not answer",
            "look whether the host is up, and whether a firewall is between",
        )
    if isinstance(value, error.ConnectError):
        return problem(
            "unreachable", f"{where} cannot be reached: {value}", "look at the network between the hosts"
        )
    return problem(
        "closed",
        f"the target at {where} closed the connection: {failure.getErrorMessage()}",
        "look at the target's log; its [migration] allow_from and accept_names say who may connect",
    )


def _tls_reason(value: SSL.Error, where: str) -> Problem:
    said = str(value).lower()
    if any(text in said for text in NOT_TRUSTED_HERE):
        return problem(
            "ca",
            f"the certificate of the target at {where} is not signed by [tls] ca, or has expired",
            "set [tls] ca to the authority that signed the target's certificate",
        )
    if any(text in said for text in NOT_TRUSTED_THERE):
        return problem(
            "own-certificate",
            f"the target at {where} does not accept this host's certificate",
            "have [tls] certificate signed by the authority in [tls] ca of the target, and not expired",
        )
    return problem(
        "tls",
        f"no TLS with {where}: {value}",
        "name the port of the target's [migration] listen; look at [tls] minimum_version of both hosts",
    )
