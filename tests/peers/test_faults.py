# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts that die at every stage of a handover, and handovers that are refused before anything happens."""

from __future__ import annotations

from typing import Any

from twisted.web.client import ResponseNeverReceived

from spicemig.client.session import ViewerSession
from tests.peers.certificates import Authority
from tests.peers.harness import Daemon, HTTPError, PeersTestCase, eventually, spicemig

BEFORE_COMMIT = ("prepare", "invite", "precopy", "stop")
KEYS = [30, 48, 46]


async def owners(*daemons: Daemon) -> list[str]:
    """The running daemons that own the guest."""
    found = []
    for daemon in daemons:
        if daemon.running:
            status = await daemon.get("/v1/status")
            if status["owner"]:
                found.append(daemon.name)
    return found


class KilledTests(PeersTestCase):
    """
    SIGKILL at every stage, for each of the two hosts.

    Before COMMIT the client stays on S, or finds S where it was; after it the
    session lives on T. Never do two hosts own the guest.
    """

    timeout = 120

    async def struck(
        self, side: str, stage: str, transport: str = "both"
    ) -> tuple[Daemon, Daemon, ViewerSession]:
        """A handover during which one side kills itself at a stage, and a client that was attached."""
        options = {"migration": {"stage_timeout_seconds": "3"}}
        where = f"{side}:{stage}"
        source = await self.daemon("source", options=options, kill_at=where if side == "source" else None)
        target = await self.daemon("target", options=options, kill_at=where if side == "target" else None)
        viewer = await self.viewer(source.address())
        viewer.type_keys(*KEYS)
        try:
            await source.start_migration(target, transport=transport)
        except ResponseNeverReceived:
            pass  # it died before it could answer
        victim = source if side == "source" else target
        await victim.when_ended(20)
        self.assertEqual(victim.status, -9)
        return source, target, viewer

    async def lives_on(self, host: Daemon, viewer: ViewerSession) -> None:
        """The client shows the guest's picture and types."""
        await self.same_picture(host, viewer.screen, seconds=15)

        async def typed() -> bool:
            viewer.type_keys(44)
            return any(each[:2] == ("key_down", 44) for each in await host.inputs())

        await eventually(typed, 15, "the client types")

    async def alone(self, owner: Daemon, *others: Daemon) -> None:
        """Exactly this host owns the guest, now and for some time."""
        await eventually(lambda: self._owns(owner), 15, f"{owner.name} owns the guest")
        self.assertEqual(await owners(owner, *others), [owner.name])

    async def _owns(self, daemon: Daemon) -> bool:
        return (await daemon.get("/v1/status"))["owner"]

    async def again(self, daemon: Daemon) -> Daemon:
        """The same daemon, started once more with its state directory."""
        migration = {"stage_timeout_seconds": "3"}
        return await self.daemon(daemon.kind, name=daemon.name, options={"migration": migration})

    async def target_killed_early(self, stage: str) -> None:
        """The client stays on S and works."""
        source, target, viewer = await self.struck("target", stage)
        await self.alone(source, target)
        await self.lives_on(source, viewer)
        self.assertEqual(viewer.moves, [])

    async def source_killed_early(self, stage: str) -> None:
        """T does not take the guest; S, started again, owns it."""
        source, target, viewer = await self.struck("source", stage)
        self.assertEqual(await owners(target), [])
        source = await self.again(source)
        await self.alone(source, target)
        await self.viewer(source.address())

    async def test_target_at_prepare(self):
        """T dies when it is asked: nothing has happened."""
        await self.target_killed_early("prepare")

    async def test_target_at_invite(self):
        """T dies while clients are linking to it: they stay."""
        await self.target_killed_early("invite")

    async def test_target_at_precopy(self):
        """T dies while it is sent pixels: the guest runs on at S."""
        await self.target_killed_early("precopy")

    async def test_target_at_stop(self):
        """T dies while the guest stands still: it goes on at S."""
        await self.target_killed_early("stop")

    async def test_target_at_ready(self):
        """T dies when it has everything, before COMMIT: the guest goes on at S."""
        await self.target_killed_early("ready")

    async def test_target_at_commit(self):
        """T dies at COMMIT: S waits for its word; started again, T says that it never owned the guest."""
        source, target, viewer = await self.struck("target", "commit")
        self.assertLessEqual(len(await owners(source)), 1)
        target = await self.restarted_on_same_port(target)
        running = await eventually(lambda: owners(source, target), 20, "somebody owns the guest")
        self.assertEqual(len(running), 1)

    async def restarted_on_same_port(self, target: Daemon) -> Daemon:
        """T again, reachable for S where it was."""
        port = target.port("migration")
        migration = {"stage_timeout_seconds": "3", "listen": f"tcp:{port}:interface=127.0.0.1"}
        return await self.daemon("target", name="target", options={"migration": migration})

    async def test_target_at_switch(self):
        """T dies as the owner: S does not take the guest, which was T's."""
        source, target, viewer = await self.struck("target", "switch")
        self.assertEqual(await owners(source), [])

    async def test_source_at_prepare(self):
        """S dies before it has asked: started again it serves its guest."""
        await self.source_killed_early("prepare")

    async def test_source_at_invite(self):
        """S dies while it invites."""
        await self.source_killed_early("invite")

    async def test_source_at_precopy(self):
        """S dies while it sends pixels."""
        await self.source_killed_early("precopy")

    async def test_source_at_stop(self):
        """S dies while its guest stands still."""
        await self.source_killed_early("stop")

    async def test_source_at_commit(self):
        """S dies as it gives the guest away: at most one of both owns it, whatever T has heard."""
        source, target, viewer = await self.struck("source", "commit")
        self.assertLessEqual(len(await owners(target)), 1)
        source = await self.again(source)
        self.assertLessEqual(len(await owners(source, target)), 1)

    async def test_source_at_switch(self):
        """S dies when T owns the guest: the session lives on at T."""
        source, target, viewer = await self.struck("source", "switch")
        await self.alone(target)
        fresh = await self.viewer(target.address())
        await self.lives_on(target, fresh)
        source = await self.again(source)
        await self.alone(target, source)


class RefusedTests(PeersTestCase):
    """What the pre-flight finds: the client notices nothing, the operator is told what to do."""

    async def refused(self, source: Daemon, to: str, *words: str, exit_status: int = 3) -> dict[str, Any]:
        """The command line refuses with these words and status 3; the client is as before."""
        viewer = await self.viewer(source.address())
        out, errors, status = await spicemig(
            "--control", str(source.control), "migrate", "--to", to, "--timeout", "3"
        )
        said = out + errors
        self.assertEqual(status, exit_status, said)
        for word in words:
            self.assertIn(word.lower(), said.lower())
        self.assertEqual(await owners(source), ["source"])
        viewer.type_keys(30)
        await self.same_picture(source, viewer.screen)
        self.assertEqual(viewer.moves, [])
        self.assertEqual(viewer.counters.surfaces_created, 1)
        await viewer.disconnect()
        return {"said": said}

    async def test_nobody_there(self):
        """The target cannot be reached."""
        source, target = await self.hosts()
        port = target.port("migration")
        await target.end()
        await self.refused(source, f"127.0.0.1:{port}", "nobody listens", "spice-target")

    async def test_wrong_authority(self):
        """The target's certificate was signed by somebody else."""
        other = Authority(self.directory / "other", "somebody else")
        source = await self.daemon("source")
        target = await self.daemon("target", pair=other.sign("target"), ca=self.authority.ca)
        await self.refused(source, f"127.0.0.1:{target.port('migration')}", "certificate", "ca")

    async def test_wrong_name(self):
        """The target's certificate is another host's."""
        source = await self.daemon("source")
        stranger = self.authority.sign("stranger", hosts=("elsewhere.example",))
        target = await self.daemon("target", pair=stranger)
        await self.refused(source, f"127.0.0.1:{target.port('migration')}", "certificate", "name")

    async def test_source_not_trusted(self):
        """The source's certificate was signed by somebody that the target does not know."""
        other = Authority(self.directory / "other", "somebody else")
        source = await self.daemon("source", pair=other.sign("source"), ca=self.authority.ca)
        target = await self.daemon("target")
        await self.refused(source, f"127.0.0.1:{target.port('migration')}", "certificate")

    async def test_wrong_secret(self):
        """Both hosts must have the same secret."""
        source = await self.daemon("source")
        secret = self.directory / "other-secret"
        secret.write_text("something else\n")
        target = await self.daemon("target", options={"migration": {"ticket_file": secret}})
        await self.refused(source, f"127.0.0.1:{target.port('migration')}", "ticket_file")

    async def test_clients_port(self):
        """The port for clients takes no migrations."""
        source, target = await self.hosts()
        await self.refused(source, f"127.0.0.1:{target.port('tls')}", "port")

    async def test_busy(self):
        """A host that serves a guest of its own takes no other."""
        source = await self.daemon("source")
        busy = await self.daemon("source", name="busy")
        await self.refused(source, f"127.0.0.1:{busy.port('migration')}", "guest")

    async def test_dry_run(self):
        """A dry run only asks; it says yes here and moves nothing."""
        source, target = await self.hosts()
        to = f"127.0.0.1:{target.port('migration')}"
        _, errors, status = await spicemig(
            "--control", str(source.control), "migrate", "--to", to, "--dry-run"
        )
        self.assertEqual(status, 0, errors)
        self.assertEqual(await owners(source, target), ["source"])

    async def test_without_certificates(self):
        """A host without certificates says what is missing."""
        source = await self.daemon("source", pair=None)
        refused = await self.failing(source.start_migration_to("127.0.0.1:1"))
        self.assertIn("certificate", str(refused.body))

    async def failing(self, asked: Any) -> HTTPError:
        """The error of a request."""
        try:
            await asked
        except HTTPError as error:
            return error
        raise AssertionError("it was not refused")
