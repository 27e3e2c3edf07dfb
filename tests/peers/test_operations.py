# SPDX-License-Identifier: LGPL-2.1-or-later
"""What operators do to real daemons: read their logs, and have them reload."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread

from spicemig.errors import ProtocolError
from spicemig.wire.messages.base import ClientMigrateData
from spicemig.wire.messages.main import AgentData, ClientAgentData
from tests.peers.certificates import Authority
from tests.peers.harness import MIGRATION_SECRET, Daemon, PeersTestCase, Relay, eventually, spicemig

TOKEN, NEW_TOKEN = "token.of-the/monitor==", "another+token"
TICKET, WRONG, NEW = "ticket-of-clients", "barley-not-sesame", "set-while-it-ran"
AT_SERVER, NOT_AT_SERVER = "ticket-of-the-server", "another-of-the-server"
CLIPBOARD = b"copied-in-the-clipboard"


class LogCase(PeersTestCase):
    """Daemons with secrets, and what they log."""

    def ticketed(self, log_format: str) -> dict[str, dict[str, Any]]:
        """Settings with a ticket."""
        file = self.short_directory / "ticket"
        file.write_text(TICKET + "\n")
        return {"server": {"log_format": log_format}, "auth": {"mode": "ticket", "ticket_file": file}}

    async def refused(self, daemon: Daemon, password: str) -> None:
        """A viewer with a ticket that is not right."""
        viewer = ensureDeferred(self.viewer(daemon.address(), password.encode()))
        await self.assertFailure(viewer, ProtocolError)

    def logged(self, daemon: Daemon, text: str) -> bool:
        """Whether a line of the log has this."""
        return any(text in line for line in daemon.lines)

    async def silent_typing(self, viewer: Any, daemon: Daemon) -> None:
        """Typing writes nothing at all to the log."""
        before, lines = len(await daemon.inputs()), self.own_lines(daemon)
        viewer.do(viewer.inputs.position, 5, 5)
        viewer.type_keys(*range(2, 50))

        async def typed() -> bool:
            return len(await daemon.inputs()) >= before + 96

        await eventually(typed, what="the guest saw the keys")
        self.assertEqual(self.own_lines(daemon), lines)

    @staticmethod
    def own_lines(daemon: Daemon) -> list[str]:
        """The log, but for what the control socket was asked."""
        return [line for line in daemon.lines if "/v1/" not in line]

    async def scrape(self, daemon: Daemon, token: str) -> str:
        """The metrics over TLS, or the status if they are refused."""
        return await deferToThread(scrape, daemon.port("web"), token, self.authority.ca)

    async def reload(self, daemon: Daemon, file: Path, content: str, said: str) -> None:
        """Have a daemon read its files again, this one with something else, and wait for what it says."""
        file.write_text(f"{content}\n")
        daemon.kill(signal.SIGHUP)
        await eventually(lambda: self.logged(daemon, said), what=said)


class LogTests(LogCase):
    """What is secret is in no log, in text or JSON, whatever happens."""

    async def test_secrets(self) -> None:
        """Tickets, right and wrong, keys that are typed and what is copied never come to a log."""
        source = await self.daemon("source", options=self.ticketed("json"))
        target = await self.daemon("target", options=self.ticketed("text"))
        await self.refused(source, WRONG)
        viewer = await self.viewer(source.address(), TICKET.encode())
        await self.silent_typing(viewer, source)
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "completed", report)
        await self.silent_typing(viewer, target)
        await target.fetch("PUT", "/v1/ticket", {"ticket": NEW})
        await self.refused(target, TICKET)
        await self.viewer(target.address(), NEW.encode())
        viewer.do(viewer.main.send, ClientAgentData(data=CLIPBOARD))
        # the same where it has no business: the channel is closed, and that is logged
        viewer.do(viewer.cursor.send, AgentData(data=CLIPBOARD))
        await eventually(lambda: self.logged(target, "cursor channel of"), what="the message is refused")
        for daemon in (source, target):
            daemon.kill(signal.SIGHUP)
            await eventually(lambda daemon=daemon: self.logged(daemon, "read again"))
            text = "\n".join(daemon.lines)
            for secret in (TICKET, WRONG, NEW, MIGRATION_SECRET, CLIPBOARD.decode()):
                self.assertNotIn(secret, text)
        events = [json.loads(line) for line in source.lines if line.startswith("{")]
        self.assertTrue({"time", "level", "namespace", "message"} <= set.intersection(*map(set, events)))
        self.assertTrue([event for event in events if event.get("reason") == "wrong or expired ticket"])

    async def test_relay_and_web(self) -> None:
        """At a relay, tickets of both sides and the token of the API never come to its log, nor a host's."""
        files = {name: self.short_directory / name for name in ("ticket", "servers", "token")}
        for file, secret in zip(files.values(), (NEW, TICKET, TOKEN), strict=True):
            file.write_text(f"{secret}\n")
        web = {"listen": "tcp:0:interface=127.0.0.1", "token_file": files["token"]}
        auth = {"mode": "ticket", "ticket_file": files["servers"]}
        source = await self.daemon("source", options={"auth": auth, "web": web})
        options = {
            "server": {"log_format": "json"},
            "auth": {"mode": "ticket", "ticket_file": files["ticket"]},
            "relay": {"ticket_file": files["servers"]},
            "web": web,
        }
        relay = await self.relay(f"spice://127.0.0.1:{source.port('plain')}", options=options)
        await self.refused(relay, WRONG)
        viewer = await self.viewer(relay.address(), NEW.encode())
        await self.silent_typing(viewer, source)
        for daemon in (source, relay):
            self.assertIn("spicemig_build_info", await self.scrape(daemon, TOKEN))
            self.assertEqual(await self.scrape(daemon, WRONG), "401")
            await self.reload(daemon, files["token"], "no token, as it has blanks", "not reloaded")
            self.assertIn("spicemig_build_info", await self.scrape(daemon, TOKEN))
            await self.reload(daemon, files["token"], NEW_TOKEN, "read again")
            self.assertEqual(await self.scrape(daemon, TOKEN), "401")
            self.assertIn("spicemig_build_info", await self.scrape(daemon, NEW_TOKEN))
            self.assertTrue(self.logged(daemon, "has not shown the token"))
            text = "\n".join(daemon.lines)
            for secret in (TICKET, WRONG, NEW, TOKEN, NEW_TOKEN, "as it has blanks"):
                self.assertNotIn(secret, text)
            files["token"].write_text(f"{TOKEN}\n")


def scrape(port: int, token: str, ca: Path) -> str:
    """What a monitoring host gets, or the status of the refusal."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"https://127.0.0.1:{port}/metrics", headers=headers)
    try:
        context = ssl.create_default_context(cafile=str(ca))
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code)


class MetricsTests(PeersTestCase):
    """Real daemons that are watched while a guest and its viewer move."""

    async def test_handover(self) -> None:
        """A monitoring host sees spice-gtk at the source, then at the target, and how the handover went."""
        token = self.short_directory / "token"
        token.write_text(f"{TOKEN}\n")
        web = {"listen": "tcp:0:interface=127.0.0.1", "token_file": token}
        source, target = await self.hosts(web=web)
        gtk = await self.gtk()
        await gtk.attach(port=source.port("plain"))
        here, there = await self.look(source), await self.look(target)
        self.assertEqual((here["sessions", "present"], there["sessions", "present"]), (1, 0))
        self.assertEqual((here["owner",], there["owner",], here["stage", "serving"]), (1, 0, 1))
        self.assertGreater(here["sent_bytes_total", "display"], 0)
        self.assertGreater(here["certificate_expiry_timestamp_seconds", "certificate"], time.time())
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "completed", report)
        before, (here, there) = here, (await self.look(source), await self.look(target))
        self.assertEqual((here["sessions", "present"], there["sessions", "present"]), (0, 1))
        self.assertEqual((here["owner",], there["owner",], there["epoch",]), (0, 1, 2))
        self.assertEqual(here["handovers_total", "completed", "source", "done"], 1)
        self.assertEqual(there["handovers_total", "completed", "target", "done"], 1)
        self.assertEqual(there["handover_clients_total", "seamless", "completed", "target"], 1)
        self.assertAlmostEqual(here["handover_pause_seconds_sum",], report["pause_ms"] / 1000)
        for key, value in before.items():
            if key[0].endswith("_total"):
                self.assertGreaterEqual(here[key], value, key)
        for wrong in ("", WRONG):
            refused = await deferToThread(scrape, source.port("web"), wrong, self.authority.ca)
            self.assertEqual(refused, "401")

    async def look(self, daemon: Daemon) -> dict[Any, float]:
        """All samples of spicemig's own metrics, by name without prefix and the values of labels."""
        text = await deferToThread(scrape, daemon.port("web"), TOKEN, self.authority.ca)
        return {
            (
                sample.name.removeprefix("spicemig_"),
                *dict(sorted(sample.labels.items())).values(),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("spicemig_")
        }


class RelayLogTests(LogCase):
    """The same of a relay."""

    async def test_secrets(self) -> None:
        """In text."""
        await self.look_for_secrets("text")

    async def test_json(self) -> None:
        """In JSON, where every event has its fields."""
        relay = await self.look_for_secrets("json")
        events = [json.loads(line) for line in relay.lines if line.startswith("{")]
        self.assertTrue({"time", "level", "namespace", "message"} <= set.intersection(*map(set, events)))
        reasons = {event.get("reason") for event in events}
        self.assertIn("wrong or expired ticket", reasons)

    async def look_for_secrets(self, log_format: str) -> Relay:
        """Have clients say what is secret where it belongs and where not, and look at all the logs."""
        to_server = self.short_directory / "to-server"
        to_server.write_text(AT_SERVER + "\n")
        auth = {"mode": "ticket", "ticket_file": to_server}
        source = await self.daemon("source", options={"auth": auth})
        options = {**self.ticketed(log_format), "relay": {"ticket_file": to_server, "hold_seconds": 0}}
        relay = await self.relay(f"spice://127.0.0.1:{source.port('plain')}", options=options)

        await self.refused(relay, WRONG)
        client = await self.gtk()
        await client.attach(port=relay.port("plain"), password=TICKET)
        before, lines = len(await source.inputs()), self.own_lines(relay)
        await client.do("key", codes=list(range(2, 50)))

        async def typed() -> bool:
            return len(await source.inputs()) >= before + 96

        await eventually(typed, what="the guest saw the keys")
        self.assertEqual(self.own_lines(relay), lines)

        # to an agent; on a channel for which it is not; and what no client says who knows of no migration
        viewer = await self.viewer(relay.address(), TICKET.encode())
        viewer.do(viewer.main.send, ClientAgentData(data=CLIPBOARD))
        viewer.do(viewer.cursor.send, AgentData(data=CLIPBOARD))
        await eventually(lambda: self.logged(source, "cursor channel of"), what="the message is refused")
        viewer.do(viewer.inputs.send, ClientMigrateData(CLIPBOARD))
        await eventually(lambda: self.logged(relay, "unasked"), what="the client is refused")

        # the server takes another ticket than the relay has, or none at all
        await relay.fetch("PUT", "/v1/ticket", {"ticket": NEW})
        await self.refused(relay, TICKET)
        await source.fetch("PUT", "/v1/ticket", {"ticket": NOT_AT_SERVER})
        await self.refused(relay, NEW)
        source.kill()
        await eventually(lambda: self.logged(relay, "begin anew"), what="the server is missed")
        await self.refused(relay, NEW)

        relay.kill(signal.SIGHUP)
        await eventually(lambda: self.logged(relay, "read again"))
        for daemon in (relay, source):
            text = "\n".join(daemon.lines)
            for secret in (TICKET, WRONG, NEW, AT_SERVER, NOT_AT_SERVER, CLIPBOARD.decode()):
                self.assertNotIn(secret, text)
                self.assertNotIn(secret.encode().hex(), text)
        return relay


class ReloadTests(PeersTestCase):
    """A daemon that reads its files again, and its clients."""

    async def shown(self, daemon: Daemon) -> str:
        """The certificate that a client is shown now."""
        address = ("127.0.0.1", daemon.port("tls"))
        return await deferToThread(ssl.get_server_certificate, address, timeout=10)

    async def test_reload(self) -> None:
        """On SIGHUP new clients see the new certificate and need the new ticket; others go on undisturbed."""
        ticket = self.short_directory / "ticket"
        ticket.write_text("first\n")
        pair = self.authority.sign("source")
        source = await self.daemon(
            "source", pair=pair, options={"auth": {"mode": "ticket", "ticket_file": ticket}}
        )
        viewer = await self.viewer(source.address(tls=True), b"first")
        before = await self.shown(source)
        self.assertEqual(before.split(), pair.certificate.read_text().split())
        other = self.authority.sign("another")
        os.replace(other.certificate, pair.certificate)
        os.replace(other.key, pair.key)
        ticket.write_text("second\n")
        source.kill(signal.SIGHUP)
        await eventually(lambda: any("read again" in line for line in source.lines))
        self.assertEqual((await self.shown(source)).split(), pair.certificate.read_text().split())
        self.assertNotEqual(await self.shown(source), before)
        refused = ensureDeferred(self.viewer(source.address(), b"first"))
        await self.assertFailure(refused, ProtocolError)
        await self.viewer(source.address(), b"second")
        await self.same_picture(source, viewer.screen)


class RelayReloadTests(PeersTestCase):
    """A relay that reads its files again, and its clients."""

    async def reload(self, daemon: Daemon, **changed: dict[str, Any]) -> str:
        """Change its settings, send the signal and wait; what it says of it."""
        daemon.change(changed)
        before = len(daemon.lines)
        daemon.kill(signal.SIGHUP)

        def said() -> list[str]:
            return [line for line in daemon.lines[before:] if re.search("read again|not reloaded", line)]

        return (await eventually(said, what="the files are read"))[0]

    async def test_reload(self) -> None:
        """
        On SIGHUP new clients go by other routes, tickets, authorities and limits.

        A spice-gtk that was there stays where it is, even if its route is gone.
        """
        tickets = self.short_directory / "tickets"
        tickets.mkdir()
        for name in ("clients", "first", "second"):
            (tickets / name).write_text(name + "\n")
        hosts = {}
        for name, width in (("first", 800), ("second", 900)):
            auth = {"mode": "ticket", "ticket_file": tickets / name}
            options = {"auth": auth, "demo": {"width": width}}
            hosts[name] = await self.daemon("source", name=name, options=options)
        first, second = hosts["first"], hosts["second"]
        relay = await self.relay(
            f"spice://127.0.0.1:{first.port('plain')}",
            options={
                "auth": {"mode": "ticket", "ticket_file": tickets / "clients"},
                "relay": {"ticket_file": tickets / "first"},
            },
        )
        client = await self.gtk()
        await client.attach(port=relay.port("plain"), password="clients")
        await self.same_picture(first, lambda: client.picture(self.directory))

        # to the second host, which is known by another authority only
        other = Authority(self.directory / "other")
        routes = {
            "routes": f"{relay.port('plain')} spice+tls://127.0.0.1:{second.port('tls')}",
            "ticket_file": tickets / "second",
        }
        (tickets / "clients").write_text("newer\n")
        await self.reload(relay, relay=routes, tls={"ca": other.ca}, listen={"max_clients": 2})
        await self.refused(relay, b"clients", "wrong or expired ticket")
        await self.refused(relay, b"newer", "certificate verify failed")
        await self.reload(relay, tls={"ca": self.authority.ca})
        viewer = await self.viewer(relay.address(), b"newer")
        await self.same_picture(second, viewer.screen)
        await self.refused(relay, b"newer", "2 clients, the limit")

        # a mistake changes nothing
        said = await self.reload(relay, relay={"routes": "* nonsense"}, listen={"max_clients": 9})
        self.assertRegex(said, r"not reloaded: .*\[relay\] routes: ")
        await self.refused(relay, b"newer", "2 clients, the limit")
        await self.same_picture(first, lambda: client.picture(self.directory))
        self.assertEqual((await client.stats())["counts"]["primary-create"], 1)

    async def refused(self, relay: Relay, password: bytes, reason: str) -> None:
        """A viewer is not let in, for a reason that the relay logs."""
        before = len(relay.lines)
        await self.assertFailure(ensureDeferred(self.viewer(relay.address(), password)), ProtocolError)
        await eventually(lambda: any(reason in line for line in relay.lines[before:]), what=reason)


class RelayCommandTests(PeersTestCase):
    """The command line at a relay's control socket."""

    async def ran(self, relay: Relay, line: str) -> tuple[str, int]:
        """What a command says, and its exit status."""
        out, errors, status = await spicemig("--control", str(relay.control), *line.split())
        return out + errors, status

    async def test_commands(self) -> None:
        """What a relay has is shown, and can be ended; what only a server has is refused with 2."""
        source = await self.daemon("source")
        server = f"127.0.0.1:{source.port('plain')}"
        relay = await self.relay(f"spice://{server}")
        viewer = await self.viewer(relay.address())
        said, status = await self.ran(relay, "status")
        self.assertEqual(status, 0)
        self.assertRegex(said, rf"(?s)spice-relay .*\nclients +1\n.*\nroute +\* to {server}\n")
        said, status = await self.ran(relay, "sessions")
        self.assertEqual(status, 0)
        self.assertRegex(said, rf"\n{viewer.connection_id} .* {server} +settled +4 ")
        said, status = await self.ran(relay, "channels")
        self.assertEqual((status, len(said.splitlines())), (0, 5))
        picture = self.directory / "none.png"
        for line in ("doctor", "migrate --to 127.0.0.1:1", f"screenshot {picture}", "recover", "cancel"):
            said, status = await self.ran(relay, line)
            self.assertEqual(status, 2, line)
            self.assertTrue(said.startswith("spicemig: a relay has no guest (name the control socket"), said)
        self.assertFalse(picture.exists())
        self.assertEqual(await self.ran(relay, f"disconnect {viewer.connection_id}"), ("", 0))
        await viewer.when_over().addTimeout(10, reactor)
        self.assertEqual((await relay.get("/v1/sessions"))["sessions"], [])
