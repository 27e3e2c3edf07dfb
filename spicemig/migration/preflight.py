# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that could fail later, looked at before anything happens; and how each client can move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spicemig.migration.epoch import EpochFile
from spicemig.migration.handover import problem
from spicemig.migration.settings import HostFacts
from spicemig.wire.declare import channel_name
from spicemig.wire.messages.migration import (
    ChannelOffer,
    ClientOffer,
    Mode,
    NamedSetting,
    NamedVersion,
    OfferFlag,
    Prepare,
    Problem,
    Transport,
)


def mode_for(offer: ClientOffer, asked: Mode) -> Mode:
    """The best way in which this client can move, not better than was asked for."""
    if offer.flags & OfferFlag.UNIX:
        return Mode.STAYS
    if asked is Mode.SEAMLESS and offer.flags & OfferFlag.SEAMLESS:
        return Mode.SEAMLESS
    if asked in (Mode.SEAMLESS, Mode.SEMI_SEAMLESS) and offer.flags & OfferFlag.SEMI_SEAMLESS:
        return Mode.SEMI_SEAMLESS
    return Mode.SWITCH_HOST


def check_source(host: Any, facts: HostFacts, epochs: EpochFile) -> Iterator[Problem]:
    """What keeps this host from handing its guest over."""
    if host.guest is None or not host.owner:
        yield problem("nothing-served", "no guest is served here", "ask the host that serves it")
    elif epochs.current.epoch and not epochs.current.owner:
        yield problem(
            "not-owner",
            f"the guest was given away in epoch {epochs.current.epoch}",
            "if no other host has it, run `spicemig recover` here",
        )
    if not facts.guest_kind:
        yield problem(
            "guest-kind", "the guest has no kind by which a target could make it", "set [guest] kind"
        )


def prepare_message(handover: Any) -> Prepare:
    """What the source tells the target of itself."""
    facts: HostFacts = handover.facts
    return Prepare(
        version=facts.protocol,
        migration_id=handover.migration_id,
        dry_run=int(handover.dry_run),
        mode=handover.mode,
        transport=handover.transport,
        epoch=handover.epochs.current.epoch,
        seal_key=handover.seal_key,
        uuid=facts.uuid,
        name=facts.name.encode(),
        guest_kind=facts.guest_kind.encode(),
        guest_version=facts.guest_versions.get(facts.guest_kind, 1),
        state_versions=[
            NamedVersion(name.encode(), version) for name, version in facts.state_versions.items()
        ],
        settings=[NamedSetting(name.encode(), value.encode()) for name, value in facts.same_settings.items()],
        channels=[ChannelOffer(kind, number) for kind, number in sorted(facts.channels)],
        clients=[client.offer for client in handover.clients.values()],
    )


def check_target(
    prepare: Prepare, host: Any, facts: HostFacts, epochs: EpochFile, arriving: bool
) -> list[Problem]:
    """What would make this handover fail on this target."""
    if prepare.version != facts.protocol:
        return [
            problem(
                "version",
                f"the source speaks migration protocol {prepare.version}, the target {facts.protocol}",
                "install the same version of spicemig on both hosts",
            )
        ]
    checks = (
        _busy(host, epochs, arriving),
        _guest(prepare, facts),
        _states(prepare, facts),
        _sets(prepare, facts),
    )
    return [found for check in checks for found in check]


def _busy(host: Any, epochs: EpochFile, arriving: bool) -> Iterator[Problem]:
    if arriving:
        yield problem("busy", "another handover to the target is under way", "wait for it, or cancel it")
    elif host.guest is not None:
        yield problem(
            "busy", "the target already serves a guest", "choose another target, or end its guest first"
        )
    elif epochs.current.owner:
        yield problem(
            "owner",
            f"the target's epoch is that of a guest's owner ({epochs.current.epoch}), but none runs there",
            f"if that guest is gone, remove {epochs.path} on the target",
        )
    try:
        epochs.make_room()
    except OSError as error:
        yield problem(
            "state-dir",
            f"the target cannot write its state directory {epochs.directory}: {error.strerror}",
            "make [server] state_dir of the target writable for its user, and look for free space",
        )


def _guest(prepare: Prepare, facts: HostFacts) -> Iterator[Problem]:
    kind = bytes(prepare.guest_kind).decode(errors="replace")
    if kind not in facts.guest_versions:
        yield problem(
            "guest-kind",
            f"the target has no guest {kind}, only {', '.join(sorted(facts.guest_versions)) or 'none'}",
            f"install the plugin for {kind} on the target",
        )
    elif (known := facts.guest_versions[kind]) < prepare.guest_version:
        yield problem(
            "guest-version",
            f"the guest's state has version {prepare.guest_version}, the target knows {known}",
            "update spicemig, or the guest's plugin, on the target",
        )


def _states(prepare: Prepare, facts: HostFacts) -> Iterator[Problem]:
    for state in prepare.state_versions:
        name = bytes(state.name).decode(errors="replace")
        known = facts.state_versions.get(name, 0)
        if known < state.version:
            yield problem(
                "state-version",
                f"the state of {name} has version {state.version}, the target knows {known or 'none'}",
                "update spicemig on the target",
            )


def _sets(prepare: Prepare, facts: HostFacts) -> Iterator[Problem]:
    wanted = {(channel.type, channel.id) for channel in prepare.channels}
    wanted |= {(channel.type, channel.id) for client in prepare.clients for channel in client.channels}
    missing = sorted(wanted - facts.channels)
    if missing:
        names = ", ".join(f"{channel_name(kind)}:{number}" for kind, number in missing)
        yield problem(
            "channels",
            f"the target has no channel {names}, which clients have at the source",
            "offer the same channels on both hosts; sound, USB, smartcard and ports have sections",
        )
    for setting in prepare.settings:
        name, value = (
            bytes(setting.name).decode(errors="replace"),
            bytes(setting.value).decode(errors="replace"),
        )
        here = facts.same_settings.get(name)
        if here != value:
            yield problem(
                "settings",
                f"{name} is {value} at the source and {here or 'not set'} at the target",
                f"set {name} alike on both hosts",
            )
    if not facts.address.port and not facts.address.sport:
        yield problem(
            "listen",
            "the target listens on no address that clients can reach",
            "set [listen] plain or tls on the target",
        )
    if len(prepare.clients) > facts.max_clients:
        yield problem(
            "clients",
            f"{len(prepare.clients)} clients want to come, the target takes {facts.max_clients}",
            "raise [listen] max_clients on the target",
        )
    if prepare.transport not in list(Transport) or prepare.mode not in (
        Mode.SWITCH_HOST,
        Mode.SEMI_SEAMLESS,
        Mode.SEAMLESS,
    ):
        yield problem(
            "version", "the source asks for a way to move that the target does not know", "update the target"
        )
