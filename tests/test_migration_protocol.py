# SPDX-License-Identifier: LGPL-2.1-or-later
"""Handovers over TLS, on a network in memory."""

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.protocol import LinkFactory
from spicemig.errors import LinkError, MigrationError, ProtocolError
from spicemig.migration.epoch import EpochFile
from spicemig.migration.protocol import Migrations
from spicemig.migration.settings import ClientAddress, HandoverSettings, HostFacts
from spicemig.migration.stages import Stage
from spicemig.testing.handover import FakeDevice, FakeGuest, FakeHost, ScriptedClient
from spicemig.testing.hosts import OneKey
from spicemig.testing.network import MemoryNetwork
from spicemig.wire.declare import CHANNEL_TYPES

PORT = 5999
NAME = "target.example"


class Authority:
    """Signs certificates, for tests."""

    def __init__(self, name):
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = ssl.Certificate.loadPEM(
            self._sign(self.name, self.key, True, []).public_bytes(Encoding.PEM)
        )
        self.root = ssl.trustRootFromCertificates([self.certificate])

    def _sign(self, subject, key, authority, names):
        now = datetime.datetime(2020, 1, 1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=36500))
            .add_extension(x509.BasicConstraints(authority, None), True)
        )
        if names:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(names, False)
        return builder.sign(self.key, SHA256())

    def issue(self, name):
        """A certificate with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        pem = self._sign(subject, key, False, [name]).public_bytes(Encoding.PEM)
        pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return ssl.PrivateCertificate.loadPEM(pem)


OURS, THEIRS = Authority("ours"), Authority("theirs")
TARGET, SOURCE, STRANGER = OURS.issue(NAME), OURS.issue("source.example"), THEIRS.issue(NAME)


class Door:
    """The host of the migration listener."""

    ticket = b"secret"

    def __init__(self, migrations):
        self.admit = migrations.admit

    def authenticate(self, request, password, now):
        return password == self.ticket


class NoMigrations(Door):
    """A host that takes clients only."""

    def __init__(self):
        pass

    def admit(self, request):
        raise ProtocolError(LinkError.CHANNEL_NOT_AVAILABLE, "no migrations here")


class Mute(Protocol):
    """Accepts a connection and says nothing, or something else."""

    says = b""

    def connectionMade(self):
        self.transport.write(self.says)


class TLSEndpoint:
    """As ``wrapClientTLS``, on the fake clock."""

    def __init__(self, clock, options, endpoint):
        self.clock, self.options, self.endpoint = clock, options, endpoint

    def connect(self, factory):
        connecting = self.endpoint.connect(over_tls(self.clock, self.options, True, factory))
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)


def over_tls(clock, options, is_client, factory):
    """The factory behind TLS; newer Twisted collects small writes, and wants a clock for that."""
    try:
        return TLSMemoryBIOFactory(options, is_client, factory, clock)
    except TypeError:
        return TLSMemoryBIOFactory(options, is_client, factory)


class NetworkTestCase(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock, 0.001)
        self.name, self.source_pair, self.trusted = NAME, SOURCE, OURS
        self.source_host = FakeHost(FakeGuest(), FakeDevice(), (ScriptedClient(1),))
        self.target_host = FakeHost(None, FakeDevice(0))
        self.source_host.other, self.target_host.other = self.target_host, self.source_host
        channels = frozenset((CHANNEL_TYPES[name], 0) for name in ("main", "display", "inputs"))
        common = {"guest_kind": "demo", "guest_versions": {"demo": 1}, "channels": channels}
        self.facts = HostFacts(address=ClientAddress(port=5900), **common)
        self.at_source = self.migrations(self.source_host)
        self.at_source.epochs.claim_first()
        self.at_target = self.migrations(self.target_host)

    def migrations(self, host):
        directory = self.mktemp()
        os.makedirs(directory)
        return Migrations(
            host,
            EpochFile(directory),
            lambda: self.facts,
            HandoverSettings(),
            self.clock,
            self.endpoint_to,
            b"secret",
        )

    def endpoint_to(self, host, port):
        options = ssl.optionsForClientTLS(
            self.name, trustRoot=self.trusted.root, clientCertificate=self.source_pair
        )
        return TLSEndpoint(self.clock, options, self.network.endpoint(host, port))

    def listen(self, pair=TARGET, trusted=OURS, host=None, secure=True):
        factory = LinkFactory(host or Door(self.at_target), secure=secure, keys=OneKey(), clock=self.clock)
        self.listen_for(factory, pair, trusted)

    def listen_for(self, factory, pair=TARGET, trusted=OURS):
        options = pair.options(trusted.certificate)
        self.network.listen(NAME, PORT, over_tls(self.clock, options, False, factory))

    def start(self, **more):
        return self.at_source.start((NAME, PORT), **more)

    def until(self, condition, seconds=60.0):
        end = self.clock.seconds() + seconds
        while not condition() and self.clock.seconds() < end:
            self.clock.advance(0.01)
        self.assertTrue(condition())


class HandoverTests(NetworkTestCase):
    """A whole handover over a connection."""

    def test_handover(self):
        """Source dials, target listens, the guest moves, and no timer stays behind."""
        self.listen()
        events = []
        handover = self.start(observer=events.append)
        self.until(lambda: handover.ended)
        self.assertEqual(handover.report()["outcome"], "completed", handover.report())
        self.assertTrue(self.target_host.serving)
        self.assertEqual(self.successResultOf(handover.done), handover.report())
        self.assertEqual(events[-1]["event"], "end")
        self.assertEqual(self.at_source.handovers[handover.migration_id.hex()], handover)
        self.until(lambda: self.at_target.arrival.ended)
        self.clock.pump([1.0] * 30)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.target_host.expected, {})

    def test_lasting(self):
        """A connection on which nothing is said for long stays, as both hosts live."""
        self.listen()
        waiting = []
        self.source_host.freezes = waiting.append
        handover = self.start(timeout=60.0)
        self.until(lambda: waiting)
        self.clock.pump([0.1] * 80)
        self.assertIs(handover.stage, Stage.STOP)
        waiting[0].callback(None)
        self.until(lambda: handover.ended)
        self.assertEqual(handover.report()["outcome"], "completed")

    def test_cut_and_dialled_again(self):
        """A connection that breaks after OWNED is made again."""
        self.listen()

        def cut(side, stage):
            if stage is Stage.SWITCH:
                (end,) = self.network.connections(NAME)
                end.disconnecting = True  # nothing that is written now arrives
                end.abortConnection()

        self.at_target.stage_hook = cut
        handover = self.start()
        self.until(lambda: handover.ended)
        self.assertEqual(handover.report()["outcome"], "completed")
        self.assertIn("in doubt", [entry["stage"] for entry in handover.report()["timeline"]])

    def test_cut_before_commit(self):
        """A connection that breaks in PRECOPY undoes everything."""
        self.listen()
        self.at_target.stage_hook = lambda side, stage: (
            stage is Stage.PRECOPY
            and self.clock.callLater(0, self.network.connections(NAME)[0].abortConnection)
        )
        handover = self.start()
        self.until(lambda: handover.ended and self.at_target.arrival.ended)
        self.assertIs(handover.stage, Stage.UNDONE)
        self.assertTrue(self.source_host.serving)
        self.assertTrue(self.target_host.abandoned)

    def test_one_at_a_time(self):
        """A second handover is refused while one is under way."""
        self.listen()
        handover = self.start()
        self.assertRaises(MigrationError, self.start)
        self.until(lambda: handover.ended)
        self.assertIs(handover.stage, Stage.DONE)

    def test_cancelled_while_dialling(self):
        """Cancelling before there is a connection ends the attempt."""
        self.listen_for(Factory.forProtocol(Mute))
        handover = self.start()
        self.clock.advance(0.1)
        self.assertTrue(handover.cancel())
        self.assertEqual(handover.report()["outcome"], "cancelled")
        self.clock.pump([0.1] * 20)
        self.assertEqual(self.network.connections(NAME), [])

    def test_newcomer_who_says_nothing(self):
        """A host that connects and asks for nothing is sent away."""
        channel = self.at_target.admit(type("Request", (), {"secure": True}))
        closed = []
        channel.hang_up = lambda: closed.append(True)
        self.clock.advance(11)
        self.assertEqual(closed, [True])

    def test_recover_nothing(self):
        """Without a lost guest there is nothing to recover."""
        self.assertFalse(self.at_source.recover())


class RefusalTests(NetworkTestCase):
    """What keeps the hosts from meeting is told with what to do, and no client notices."""

    def refused(self, code):
        handover = self.start()
        self.until(lambda: handover.ended)
        (problem,) = handover.report()["problems"]
        self.assertEqual(problem["code"], code, problem)
        self.assertTrue(problem["hint"])
        self.assertEqual(handover.report()["exit_status"], 3)
        self.assertTrue(self.source_host.serving)
        self.assertEqual(self.source_host.clients[1].told, [])

    def test_nobody_listens(self):
        """No program at the port."""
        self.refused("refused")

    def test_silent_host(self):
        """A program that takes the connection and says nothing."""
        self.listen_for(Factory.forProtocol(Mute))
        handover = self.start()
        self.until(lambda: handover.ended)
        self.assertEqual(handover.report()["exit_status"], 3)
        self.assertEqual(handover.report()["problems"][0]["code"], "unreachable")
        self.assertLess(handover.report()["duration_ms"], 10_000)

    def test_host_without_answer(self):
        """A host that does not even take the connection."""
        self.endpoint_to = None
        waiting = Deferred()
        self.at_source.endpoint_to = lambda host, port: type(
            "Never", (), {"connect": lambda _, factory: waiting}
        )()
        handover = self.start(timeout=3.0)
        self.until(lambda: handover.ended)
        self.assertEqual(handover.report()["problems"][0]["code"], "unreachable")

    def test_other_program(self):
        """A program that speaks something else."""
        self.patch(Mute, "says", b"220 mail.example ESMTP\r\n")
        self.listen_for(Factory.forProtocol(Mute))
        self.refused("no-spice")

    def test_wrong_name(self):
        """A target whose certificate bears another name."""
        self.listen()
        self.name = "elsewhere.example"
        self.refused("name")

    def test_wrong_authority(self):
        """A target that another authority has signed."""
        self.listen(pair=STRANGER)
        self.refused("ca")

    def test_not_trusted_there(self):
        """A target that does not know our authority."""
        self.listen(trusted=THEIRS)
        self.refused("own-certificate")

    def test_wrong_ticket(self):
        """Hosts that do not share a secret."""
        self.listen()
        self.at_source.ticket = b"guess"
        self.refused("ticket")

    def test_port_for_clients(self):
        """The port for clients was named."""
        self.listen(host=NoMigrations())
        self.patch(Door, "ticket", b"secret")
        self.refused("no-migration")

    def test_without_tls_there(self):
        """A listener that is not behind TLS takes no migrations."""
        self.listen(secure=False)
        self.refused("tls")
