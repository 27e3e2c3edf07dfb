# SPDX-License-Identifier: LGPL-2.1-or-later
"""What twistd offers when spicemig is installed."""

from twisted.application.service import ServiceMaker

source = ServiceMaker(
    "spicemig source",
    "spicemig.daemons.source",
    "Serve a guest over SPICE and hand its clients to another host.",
    "spice-source",
)

relay = ServiceMaker(
    "spicemig relay",
    "spicemig.daemons.relay",
    "Bring clients to the server that has their guest, and along when it moves.",
    "spice-relay",
)

target = ServiceMaker(
    "spicemig target",
    "spicemig.daemons.target",
    "Wait for a guest and its clients to arrive from another host, then serve them.",
    "spice-target",
)
