# SPDX-License-Identifier: LGPL-2.1-or-later
"""Both cores of a handover, joined in memory, on a fake clock."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from spicemig.errors import GuestError, WireError
from spicemig.migration.interfaces import IHandoverHost, IHandoverObserver
from spicemig.migration.settings import HandoverSettings
from spicemig.migration.stages import SOURCE_BEFORE_COMMIT, Stage
from spicemig.testing.handover import STRIDE, FakeDevice, FakeHost, ScriptedClient, TwoHosts
from spicemig.wire.messages import migration as wire
from spicemig.wire.messages.migration import OfferFlag


class HandoverTestCase(SynchronousTestCase):
    def hosts(self, *clients, **more):
        return TwoHosts(self._directory, clients or (ScriptedClient(1),), **more)

    def _directory(self):
        import os

        directory = self.mktemp()
        os.makedirs(directory)
        return directory

    def completed(self, *clients, **more):
        hosts = self.hosts(*clients, **more)
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.report is not None))
        return hosts

    def assert_nothing_happened(self, hosts):
        """Promise 2: the source serves as before, nobody is away, the target is empty."""
        self.assertTrue(hosts.source_host.serving)
        self.assertTrue(hosts.source_epochs.current.owner)
        self.assertFalse(hosts.target_epochs.current.owner)
        self.assertFalse(hosts.source_host.device.precopying)
        self.assertIsNone(hosts.source_host.observer)
        self.assertIsNone(hosts.target_host.observer)
        self.assertIsNone(hosts.target_host.guest)
        self.assertEqual(hosts.target_host.expected, {})
        self.assertIs(hosts.source.stage, Stage.UNDONE)
        for client in hosts.source_host.clients.values():
            self.assertEqual(client.told.count("invited"), client.told.count("cancelled"), client)
        self.assertEqual(hosts.most_owners, 1)

    def assert_moved(self, hosts):
        """Promise 3: the target owns the guest and runs it; the source does not."""
        self.assertTrue(hosts.target_epochs.current.owner)
        self.assertFalse(hosts.source_epochs.current.owner)
        self.assertTrue(hosts.target_host.serving)
        self.assertFalse(hosts.source_host.serving)
        self.assertEqual(hosts.most_owners, 1)


class DoublesTests(SynchronousTestCase):
    """What stands for the host is one."""

    def test_interfaces(self):
        """The fake host has the whole interface."""
        verifyObject(IHandoverHost, FakeHost(None, FakeDevice()))


class SmoothTests(HandoverTestCase):
    """Nothing goes wrong."""

    def test_everything_arrives(self):
        """Pixels, states and the client are at the target; the source is empty."""
        hosts = self.completed()
        self.assert_moved(hosts)
        self.assertEqual(hosts.report["outcome"], "completed")
        self.assertEqual(hosts.report["exit_status"], 0)
        self.assertEqual(len(hosts.target_host.device.rows), 256)
        self.assertEqual(hosts.target_host.loaded[:3], (b"host state", b"device state", "demo"))
        self.assertEqual(hosts.target_host.guest.state, b"guest state" * 100_000)
        self.assertEqual(set(hosts.target_host.clients), {1})
        self.assertEqual(len(hosts.target_host.staged[1]), 3)
        self.assertTrue(hosts.source_host.released)
        hosts.settle()
        self.assertIs(hosts.target.stage, Stage.DONE)
        verifyObject(IHandoverObserver, hosts.source)
        verifyObject(IHandoverObserver, hosts.target)

    def test_stages_in_order(self):
        """Source and target go through their stages in order, each once."""
        hosts = self.completed()
        stages = [stage for side, stage in hosts.entered if side == "source"]
        self.assertEqual(stages, ["prepare", "invite", "precopy", "stop", "commit", "switch", "done"])
        stages = [stage for side, stage in hosts.entered if side == "target"]
        self.assertEqual(
            stages, ["prepare", "invite", "precopy", "stop", "ready", "commit", "switch", "settled", "done"]
        )

    def test_report(self):
        """The report has what users were promised."""
        report = self.completed().report
        self.assertEqual(
            {
                "id",
                "outcome",
                "stage",
                "pause_ms",
                "precopy_bytes",
                "final_bytes",
                "rounds",
                "duration_ms",
                "clients",
            }
            - set(report),
            set(),
        )
        self.assertEqual(report["stage"], "done")
        self.assertEqual(report["precopy_bytes"], 256 * STRIDE)
        self.assertGreater(report["final_bytes"], 1_100_000)
        self.assertEqual(report["timeline"][0]["stage"], "prepare")
        (client,) = report["clients"]
        self.assertEqual(
            (client["mode"], client["outcome"], client["bytes_resent"]), ("seamless", "completed", 0)
        )
        self.assertEqual(client["channels"], ["main:0", "display:0", "inputs:0"])

    def test_rounds(self):
        """Rounds go on while they get smaller; the last pixels travel while the guest stands still."""
        hosts = self.hosts(settings=HandoverSettings(pause_goal_ms=0))
        hosts.source_host.device.draws.extend([0, 200, 0, 0, 0, 50])
        hosts.start()
        hosts.run_until(lambda: hosts.report is not None)
        self.assertEqual(hosts.report["rounds"], 2)
        self.assertEqual(hosts.target_host.device.rows, hosts.source_host.device.rows)

    def test_guest_that_draws_without_end(self):
        """A guest that draws faster than it can be copied is stopped after so many rounds."""
        hosts = self.hosts(settings=HandoverSettings(max_rounds=4, pause_goal_ms=0))
        hosts.source_host.device.draws.extend([0] + [256 - n for n in range(40)])
        hosts.start()
        hosts.run_until(lambda: hosts.report is not None)
        self.assertLessEqual(hosts.report["rounds"], 4)
        self.assertEqual(hosts.report["outcome"], "completed")

    def test_back_and_again(self):
        """The target hands on what it got, under a higher epoch."""
        hosts = self.completed()
        hosts.settle()
        back = TwoHosts(self._directory)
        back.source_host, back.target_host = hosts.target_host, hosts.source_host
        back.target_host.device = FakeDevice(0)
        back.target_host.given = back.target_host.frozen = False
        back.source_directory, back.target_directory = hosts.target_directory, hosts.source_directory
        back.source_epochs, back.target_epochs = hosts.target_epochs, hosts.source_epochs
        back.migrations = back._new_target()
        back.start()
        self.assertTrue(back.run_until(lambda: back.report is not None))
        self.assertEqual(back.report["outcome"], "completed", back.report)
        self.assertGreater(back.target_epochs.current.epoch, back.source_epochs.current.epoch - 1)
        self.assertGreater(back.report["epoch"], hosts.report["epoch"])
        self.assertTrue(back.target_epochs.current.owner)

    def test_dry_run(self):
        """A dry run asks, and touches nothing on either side."""
        hosts = self.hosts()
        hosts.start(dry_run=True)
        hosts.run_until(lambda: hosts.report is not None)
        self.assertEqual((hosts.report["outcome"], hosts.report["exit_status"]), ("completed", 0))
        self.assertEqual(hosts.source_host.clients[1].told, [])
        self.assertEqual(hosts.target_host.expected, {})
        self.assertFalse(hosts.target_host.abandoned)
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.report is not None))

    def test_transport_client(self):
        """With transport client no channel state travels between the hosts."""
        hosts = self.completed(settings=HandoverSettings(transport="client"))
        self.assertEqual(hosts.target_host.staged, {})
        self.assert_moved(hosts)


class ClientsTests(HandoverTestCase):
    """Each client ends as well as it can, and none delays another."""

    def modes(self, report):
        return {client["id"]: (client["mode"], client["outcome"]) for client in report["clients"]}

    def test_all_kinds(self):
        """Every kind of client at once; each goes the best way that it can."""
        hosts = self.completed(
            ScriptedClient(1),
            ScriptedClient(2, flags=OfferFlag.SEMI_SEAMLESS),
            ScriptedClient(3, flags=0),
            ScriptedClient(4, flags=OfferFlag.SEAMLESS | OfferFlag.UNIX),
            ScriptedClient(5, answer="failed"),
            ScriptedClient(6, answer="not seamless"),
            ScriptedClient(7, answer="linked"),
        )
        self.assertEqual(
            self.modes(hosts.report),
            {
                1: ("seamless", "completed"),
                2: ("semi-seamless", "completed"),
                3: ("switch-host", "completed"),
                4: ("cannot follow", "cannot follow"),
                5: ("switch-host", "completed"),
                6: ("semi-seamless", "completed"),
                7: ("seamless", "completed"),
            },
        )
        self.assertLess(hosts.report["duration_ms"], 1000)

    def test_read_only_client(self):
        """A client that cannot say that it is linked counts as connected soon after the target says it."""
        hosts = self.completed(ScriptedClient(1, answer="linked"))
        self.assertEqual(self.modes(hosts.report), {1: ("seamless", "completed")})
        told = {entry["stage"]: entry["at_ms"] for entry in hosts.report["timeline"]}
        self.assertLessEqual(abs(told["precopy"] - told["invite"] - 100), 60)

    def test_no_client(self):
        """A guest that nobody looks at moves too."""
        hosts = TwoHosts(self._directory)
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.report is not None))
        self.assert_moved(hosts)

    def test_silent_client(self):
        """A client that answers nothing is waited for a little, while the guest runs, and then switched."""
        hosts = self.hosts(ScriptedClient(1), ScriptedClient(2, answer="silent", leaves=False))
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.source.stage is Stage.SWITCH))
        told = {entry["stage"]: entry["at_ms"] for entry in hosts.source.timeline_ms()}
        self.assertLessEqual(abs(told["precopy"] - told["invite"] - 1500), 60)
        self.assertLess(hosts.source.pause_ms, 60)
        hosts.settle()
        self.assertEqual(hosts.source.clients[1].outcome, "completed")
        self.assertIsNone(hosts.source.clients[2].outcome)
        hosts.run_until(lambda: hosts.report is not None)
        self.assertEqual(self.modes(hosts.report)[2], ("switch-host", "timed out"))
        self.assertEqual(hosts.report["outcome"], "completed")

    def test_only_silent_clients(self):
        """If nobody answers, the stage's time is the limit."""
        hosts = self.hosts(ScriptedClient(2, answer="silent"))
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.source.stage is Stage.SWITCH))
        told = {entry["stage"]: entry["at_ms"] for entry in hosts.source.timeline_ms()}
        self.assertLessEqual(abs(told["precopy"] - told["invite"] - 10_000), 60)

    def test_client_that_comes_late(self):
        """A client that attaches while the handover is under way is told where to go."""
        hosts = self.hosts()
        hosts.start()
        hosts.run_until(lambda: hosts.source.stage is Stage.PRECOPY)
        hosts.source_host.clients[9] = late = ScriptedClient(9)
        hosts.run_until(lambda: hosts.report is not None)
        self.assertEqual(late.told, ["switch host"])
        self.assertIn(9, hosts.target.clients)
        self.assertEqual(self.modes(hosts.report)[9], ("switch-host", "completed"))

    def test_client_that_comes_very_late(self):
        """So is one that attaches while the guest stands still."""
        hosts = self.hosts()
        hosts.start()
        hosts.run_until(lambda: hosts.source.stage is Stage.COMMIT)
        hosts.source_host.clients[9] = late = ScriptedClient(9)
        hosts.run_until(lambda: hosts.report is not None)
        self.assertEqual(late.told, ["switch host"])

    def test_client_that_cannot_be_taken_over(self):
        """A fault of one client at the target does not keep the guest from moving."""
        hosts = self.hosts()

        def assume(open_seal):
            hosts.target_host.guest.running = True
            raise WireError("PixmapCache", "images", 3, "broken")

        hosts.target_host.assume = assume
        hosts.start()
        hosts.run_until(lambda: hosts.report is not None)
        self.assertEqual(hosts.report["outcome"], "completed")
        self.assertEqual(self.modes(hosts.report)[1], ("seamless", "lost"))
        self.assertEqual(len(self.flushLoggedErrors(WireError)), 1)

    def test_client_that_goes(self):
        """A client that leaves in the middle is not waited for on either side."""
        hosts = self.hosts(ScriptedClient(1), ScriptedClient(2, answer="silent"))
        hosts.start()
        hosts.run_until(lambda: hosts.source.stage is Stage.INVITE)
        hosts.source_host._leave(hosts.source_host.clients[2])
        hosts.run_until(lambda: hosts.report is not None)
        self.assertEqual(self.modes(hosts.report)[2], ("seamless", "gone"))
        self.assertLess(hosts.report["duration_ms"], 1000)

    def test_client_that_stays(self):
        """A client that is sent over and does not go is dropped when its time is up."""
        hosts = self.completed(ScriptedClient(1, leaves=False))
        self.assertEqual(self.modes(hosts.report)[1], ("seamless", "timed out"))
        self.assertLessEqual(abs(hosts.report["duration_ms"] - 10_000), 500)

    def test_mode_asked_for(self):
        """No client goes a better way than was asked for."""
        hosts = self.completed(ScriptedClient(1), settings=HandoverSettings(mode="semi-seamless"))
        self.assertEqual(self.modes(hosts.report), {1: ("semi-seamless", "completed")})
        hosts = self.completed(ScriptedClient(1), settings=HandoverSettings(mode="switch-host"))
        self.assertEqual(self.modes(hosts.report), {1: ("switch-host", "completed")})


class PreflightTests(HandoverTestCase):
    """What would fail later is refused before anything happens, with a hint."""

    def refused(self, code, **facts):
        hosts = self.hosts(**facts)
        return self.assert_refused(hosts, code)

    def assert_refused(self, hosts, code):
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.report is not None))
        self.assertEqual([problem["code"] for problem in hosts.report["problems"]], [code])
        self.assertTrue(all(problem["hint"] and problem["text"] for problem in hosts.report["problems"]))
        self.assertEqual((hosts.report["outcome"], hosts.report["exit_status"]), ("failed", 3))
        self.assertTrue(hosts.source_host.serving)
        self.assertEqual([client.told for client in hosts.source_host.clients.values()], [[]])
        self.assertEqual(hosts.target_host.expected, {})
        return hosts

    def test_missing_channel(self):
        """A target without a channel that clients have."""
        self.refused("channels", channels=frozenset({(1, 0), (2, 0)}))

    def test_guest_kind(self):
        """A target that cannot make this kind of guest."""
        self.refused("guest-kind", guest_versions={"x11": 1})

    def test_guest_version(self):
        """A target whose guest is older."""
        self.refused("guest-version", guest_versions={"demo": 0})

    def test_state_version(self):
        """A target whose sessions are older."""
        self.refused("state-version", state_versions={"inputs": 0})

    def test_settings(self):
        """A target with another setting where it must be alike."""
        self.refused("settings", same_settings={"display.jpeg_wan": "never"})

    def test_no_listener(self):
        """A target that no client can reach."""
        from spicemig.migration.settings import ClientAddress

        self.refused("listen", address=ClientAddress())

    def test_too_many_clients(self):
        """A target that takes fewer clients."""
        self.refused("clients", max_clients=0)

    def test_target_serves(self):
        """A target with a guest of its own."""
        hosts = self.hosts()
        hosts.target_host.guest = object()
        self.assert_refused(hosts, "busy")

    def test_target_owner(self):
        """A target whose epoch says that it owns a guest."""
        hosts = self.hosts()
        hosts.target_epochs.claim_first()
        self.assert_refused(hosts, "owner")

    def test_target_cannot_write(self):
        """A target that could not keep its epoch."""
        hosts = self.hosts()
        hosts.target_epochs.path = hosts.target_epochs.directory + "/missing/epoch.json"
        self.assert_refused(hosts, "state-dir")

    def test_second_handover(self):
        """A target that is busy with another handover refuses the second, and goes on with the first."""
        hosts = self.hosts()
        hosts.start()
        hosts.run_until(lambda: hosts.source.stage is Stage.PRECOPY)
        first, second = hosts, self.hosts()
        second.migrations = first.migrations
        self.assert_refused(second, "busy")
        self.assertTrue(first.run_until(lambda: first.report is not None))
        self.assert_moved(first)

    def test_unreachable(self):
        """A target that does not answer."""
        hosts = self.hosts()
        hosts.up = False
        self.assert_refused(hosts, "refused")

    def test_nothing_served(self):
        """A source without a guest."""
        hosts = self.hosts()
        hosts.source_host.guest = None
        hosts.start()
        self.assertEqual(hosts.report["problems"][0]["code"], "nothing-served")
        self.assertEqual(hosts.report["exit_status"], 3)

    def test_gave_it_away(self):
        """A source whose epoch says that another host owns the guest."""
        hosts = self.hosts()
        hosts.source_epochs.write(hosts.source_epochs.current.given_away(5, bytes(16)))
        hosts.start()
        self.assertEqual(hosts.report["problems"][0]["code"], "not-owner")

    def test_other_protocol_version(self):
        """Hosts that speak different versions."""
        self.refused("version", protocol=2)


BEFORE = [(("source", stage.value)) for stage in SOURCE_BEFORE_COMMIT if stage is not Stage.IDLE]
BEFORE_AT_TARGET = [("target", stage) for stage in ("prepare", "invite", "precopy", "stop", "ready")]
AFTER = [
    ("source", "commit"),
    ("target", "commit"),
    ("target", "switch"),
    ("source", "switch"),
    ("target", "settled"),
]


class FaultTests(HandoverTestCase):
    """Every stage with every fault: before COMMIT nothing has happened, after it the target serves."""

    def at(self, where):
        """A handover that has just entered a stage."""
        hosts = self.hosts(ScriptedClient(1), ScriptedClient(2, flags=OfferFlag.SEMI_SEAMLESS))
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: where in hosts.entered), where)
        return hosts

    def ends(self, hosts, seconds=120.0):
        self.assertTrue(
            hosts.run_until(lambda: hosts.report is not None, seconds, tick=0.5), hosts.source.stage
        )
        hosts.run_until(lambda: hosts.target is None or hosts.target.ended, 60.0, tick=0.5)

    def test_connection_lost_before_commit(self):
        """The connection breaks and stays away."""
        for where in BEFORE + BEFORE_AT_TARGET:
            hosts = self.at(where)
            if hosts.source.stage in SOURCE_BEFORE_COMMIT:
                hosts.up = False
                hosts.break_off()
                self.ends(hosts)
                self.assert_nothing_happened(hosts)
                self.assertEqual(hosts.report["outcome"], "failed")

    def test_silence_before_commit(self):
        """Nothing that is said arrives any more."""
        for where in BEFORE + BEFORE_AT_TARGET:
            hosts = self.at(where)
            hosts.silent = True
            hosts.to_source.clear()
            hosts.to_target.clear()
            self.ends(hosts)
            self.assert_nothing_happened(hosts)

    def test_cancelled_at_source(self):
        """Somebody cancels at the source."""
        for where in BEFORE + BEFORE_AT_TARGET:
            hosts = self.at(where)
            self.assertTrue(hosts.source.cancel(), where)
            self.ends(hosts)
            self.assert_nothing_happened(hosts)
            self.assertEqual((hosts.report["outcome"], hosts.report["exit_status"]), ("cancelled", 4))

    def test_cancelled_at_target(self):
        """Somebody cancels at the target."""
        for where in BEFORE_AT_TARGET:
            hosts = self.at(where)
            self.assertTrue(hosts.target.cancel(), where)
            self.ends(hosts)
            self.assert_nothing_happened(hosts)

    def test_target_killed_before_commit(self):
        """The target's process ends, and comes back empty."""
        for where in BEFORE + BEFORE_AT_TARGET:
            hosts = self.at(where)
            hosts.step()  # connects, in the first stage
            hosts.kill_target()
            self.ends(hosts)
            self.assert_nothing_happened(hosts)

    def test_messages_that_never_come(self):
        """A peer that lives but does not go on is given up at the deadline, and nothing has happened."""
        for missing in (
            wire.Prepare,
            wire.PrepareAnswer,
            wire.Invited,
            wire.RoundAck,
            wire.Stopped,
            wire.Final,
            wire.Ready,
        ):
            hosts = self.hosts(ScriptedClient(1))
            hosts.swallowed = {missing}
            hosts.start()
            self.ends(hosts)
            self.assert_nothing_happened(hosts)
            self.assertEqual(hosts.report["outcome"], "failed", missing)

    def test_commit_never_comes(self):
        """A COMMIT that does not arrive on a living connection is found out by asking on another one."""
        hosts = self.hosts()
        hosts.swallowed = {wire.Commit}
        hosts.start()
        self.ends(hosts)
        self.assert_nothing_happened(hosts)

    def test_answers_after_commit_never_come(self):
        """An OWNED or SETTLED that does not arrive is asked for again."""
        hosts = self.hosts()
        hosts.swallowed = {wire.Owned}
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.source.stage is Stage.IN_DOUBT))
        hosts.swallowed = set()
        self.ends(hosts)
        self.assert_moved(hosts)
        self.assertEqual(hosts.report["outcome"], "completed")

    def test_finished_never_comes(self):
        """A target that is not told of the end ends by itself."""
        hosts = self.hosts()
        hosts.swallowed = {wire.Finished}
        hosts.start()
        self.ends(hosts)
        self.assert_moved(hosts)
        self.assertIs(hosts.target.stage, Stage.DONE)

    def test_settled_never_comes(self):
        """Without SETTLED the source does not say completed, and keeps the guest for the operator."""
        hosts = self.hosts()
        hosts.swallowed = {wire.Settled}
        hosts.start()
        self.ends(hosts)
        self.assertIs(hosts.source.stage, Stage.LOST)
        self.assertTrue(hosts.target_host.serving)
        self.assertFalse(hosts.source_host.serving)

    def test_done_deferred_cancelled(self):
        """Cancelling the Deferred of the report cancels the handover."""
        hosts = self.at(("source", "precopy"))
        hosts.source.done.cancel()
        self.ends(hosts)
        self.assert_nothing_happened(hosts)

    def test_connection_lost_after_commit(self):
        """The connection breaks for a while: the source asks whose the guest is, and all goes on."""
        for where in AFTER:
            hosts = self.at(where)
            hosts.up = False
            hosts.cut()
            hosts.run_until(lambda: False, 5.0)
            self.assertTrue(hosts.target_epochs.current.owner or not hosts.target_host.serving)
            hosts.up = True
            self.ends(hosts)
            self.assert_moved(hosts)
            self.assertEqual(hosts.report["outcome"], "completed", where)

    def test_commit_lost(self):
        """COMMIT is lost: the target says that it never owned the guest; the source takes it back."""
        hosts = self.at(("source", "commit"))
        hosts.break_off()
        self.assertIs(hosts.source.stage, Stage.IN_DOUBT)
        self.assertFalse(hosts.source_host.serving)
        self.assertFalse(hosts.source_epochs.current.owner)
        self.ends(hosts)
        self.assert_nothing_happened(hosts)
        self.assertEqual(hosts.report["exit_status"], 4)

    def test_commit_lost_and_target_away(self):
        """While the target is away the guest stands still, for as long as it takes."""
        hosts = self.at(("source", "commit"))
        hosts.up = False
        hosts.break_off()
        hosts.run_until(lambda: False, 600.0, tick=0.5)
        self.assertIs(hosts.source.stage, Stage.IN_DOUBT)
        self.assertFalse(hosts.source_host.serving)
        self.assertFalse(hosts.source.cancel())
        self.assertTrue(hosts.source.recover())
        self.assertTrue(hosts.source_host.serving)
        self.assertTrue(hosts.source_epochs.current.owner)
        self.assertEqual(hosts.report["outcome"], "failed")

    def test_owned_lost(self):
        """OWNED is lost: asked again, the target says that it owns, and the clients are sent over."""
        hosts = self.at(("target", "switch"))
        hosts.break_off()
        self.assertIs(hosts.source.stage, Stage.IN_DOUBT)
        self.ends(hosts)
        self.assert_moved(hosts)
        self.assertEqual(hosts.report["outcome"], "completed")

    def test_silence_after_commit(self):
        """The source is silent after OWNED: the target serves on, and ends its part."""
        for where in [("target", "switch"), ("target", "settled")]:
            hosts = self.at(where)
            hosts.silent = True
            hosts.run_until(lambda hosts=hosts: hosts.target.ended, 60.0, tick=0.5)
            self.assertTrue(hosts.target_host.serving)
            self.assertTrue(hosts.target_epochs.current.owner)
            self.assertEqual(hosts.most_owners, 1)

    def test_target_killed_with_commit_under_way(self):
        """The target ends between COMMIT and its epoch: it denies, and the source takes back."""
        hosts = self.at(("source", "commit"))
        hosts.kill_target()
        self.ends(hosts)
        self.assert_nothing_happened(hosts)

    def test_target_killed_after_owning(self):
        """A target that ends right after it owned lost the guest: only the operator runs it at the source."""
        hosts = self.at(("target", "switch"))
        hosts.kill_target()
        hosts.run_until(lambda: False, 120.0, tick=0.5)
        self.assertIs(hosts.source.stage, Stage.IN_DOUBT)
        self.assertFalse(hosts.source_host.serving)
        self.assertEqual(len(hosts.source_host.clients), 2)
        self.assertEqual(hosts.most_owners, 1)
        self.assertTrue(hosts.source.recover())
        self.assertTrue(hosts.source_host.serving)
        for client in hosts.source_host.clients.values():
            self.assertEqual(client.told, ["invited", "cancelled"])

    def test_target_killed_while_clients_move(self):
        """A target that ends when clients are under way is lost, and the guest waits for the operator."""
        hosts = self.at(("source", "switch"))
        hosts.kill_target()
        self.ends(hosts)
        self.assertIs(hosts.source.stage, Stage.LOST)
        self.assertFalse(hosts.source_host.serving)
        self.assertFalse(hosts.source_host.released)
        self.assertEqual(hosts.report["exit_status"], 5)
        self.assertTrue(hosts.source.recover())
        self.assertTrue(hosts.source_host.serving)

    def test_target_gone_for_good_while_clients_move(self):
        """A target that is never heard of again after OWNED is lost when time is up."""
        hosts = self.at(("source", "switch"))
        hosts.up = False
        hosts.break_off()
        self.ends(hosts)
        self.assertIs(hosts.source.stage, Stage.LOST)
        self.assertFalse(hosts.source_host.serving)

    def test_target_refuses_the_state(self):
        """A state that the target cannot load: everything is as before, and the reason is told."""
        for error in (
            WireError("DeviceState", "surfaces", 3, "too many"),
            GuestError("unknown state"),
            ValueError("x"),
        ):
            hosts = self.hosts()
            hosts.target_host.load_error = error
            hosts.start()
            self.ends(hosts)
            self.assert_nothing_happened(hosts)
            self.assertEqual([problem["code"] for problem in hosts.report["problems"]], ["load"])

    def test_guest_without_state(self):
        """A guest that cannot say its state stays where it is."""
        hosts = self.hosts()
        hosts.source_host.guest.broken = True
        hosts.start()
        self.ends(hosts)
        self.assert_nothing_happened(hosts)

    def test_freeze_that_hangs(self):
        """A guest that does not stop is let go on when the stage's time is up."""
        hosts = self.hosts()
        cancelled = []
        hosts.source_host.freezes = lambda frozen: frozen.addErrback(cancelled.append)
        hosts.start()
        self.ends(hosts)
        self.assert_nothing_happened(hosts)
        self.assertEqual(len(cancelled), 1)

    def test_freeze_that_fails(self):
        """A guest that cannot be stopped goes on."""
        hosts = self.hosts()
        hosts.source_host.freezes = lambda frozen: frozen.errback(GuestError("it will not"))
        hosts.start()
        self.ends(hosts)
        self.assert_nothing_happened(hosts)

    def test_digest_differs(self):
        """A target that has other bytes than were sent does not get the guest."""
        hosts = self.at(("target", "stop"))
        hosts.target.digest._hash.update(b"one more")
        self.ends(hosts)
        self.assert_nothing_happened(hosts)
        self.assertEqual(hosts.report["problems"][0]["code"], "digest")

    def test_source_disk_full(self):
        """A source that cannot write that it gave the guest away keeps it."""
        hosts = self.at(("source", "stop"))

        def full(epoch):
            raise OSError(28, "No space left on device")

        self.patch(hosts.source_epochs, "write", full)
        self.ends(hosts)
        self.assert_nothing_happened(hosts)
        self.assertEqual(hosts.report["problems"][0]["code"], "state-dir")

    def test_target_disk_full(self):
        """A target that cannot write that it owns the guest says so at once, and the source takes it back."""
        hosts = self.at(("target", "stop"))

        def full(epoch):
            raise OSError(28, "No space left on device")

        self.patch(hosts.target_epochs, "write", full)
        self.ends(hosts)
        self.assert_nothing_happened(hosts)

    def test_any_message_lost(self):
        """The connection breaks at every single message in turn; there is one owner, and it serves."""
        number = 0
        while True:
            hosts = self.hosts(ScriptedClient(1))
            hosts.start()
            for _ in range(number):
                hosts.step()
            if hosts.report is not None:
                break
            hosts.break_off()
            self.ends(hosts)
            if hosts.source.stage is Stage.UNDONE:
                self.assert_nothing_happened(hosts)
            else:
                self.assert_moved(hosts)
            number += 1
        self.assertGreater(number, 10)


class PatienceTests(HandoverTestCase):
    """Freezing takes its time."""

    def test_freeze_later(self):
        """The last pixels and the states wait for the freeze to be complete."""
        hosts = self.hosts()
        waiting: list[Deferred[None]] = []
        hosts.source_host.freezes = waiting.append
        hosts.start()
        hosts.run_until(lambda: hosts.source.stage is Stage.STOP)
        hosts.settle()
        self.assertEqual(hosts.target.state_bytes, 0)
        waiting[0].callback(None)
        self.assertTrue(hosts.run_until(lambda: hosts.report is not None))
        self.assert_moved(hosts)
