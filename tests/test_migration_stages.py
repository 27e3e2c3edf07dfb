# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of a handover, walked."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import ProtocolError
from spicemig.migration.source import SourceHandover
from spicemig.migration.stages import (
    ENDS,
    FAULTS,
    SOURCE,
    SOURCE_BEFORE_COMMIT,
    TARGET,
    TARGET_BEFORE_COMMIT,
    Input,
    Stage,
    lines,
)
from spicemig.migration.target import TargetHandover


def reachable(table):
    """The stages to which there is a way from the beginning."""
    found, todo = set(), {Stage.IDLE}
    while todo:
        stage = todo.pop()
        found.add(stage)
        todo |= {after for (before, _), (after, _) in table.items() if before is stage} - found
    return found


class TableTests(SynchronousTestCase):
    """What is true of every move."""

    def test_actions_exist(self):
        """Every action that a table names is a method of its core."""
        for table, core in ((SOURCE, SourceHandover), (TARGET, TargetHandover)):
            for _, action in table.values():
                if action is not None:
                    self.assertTrue(callable(getattr(core, "_" + action, None)), action)

    def test_handlers_exist(self):
        """Every message that a core takes has a method."""
        for core in (SourceHandover, TargetHandover):
            for handler in core.handlers.values():
                self.assertTrue(callable(getattr(core, handler)), handler)

    def test_all_stages_reached(self):
        """Each stage can be reached on the side that has it."""
        self.assertEqual(reachable(SOURCE), set(Stage) - {Stage.READY, Stage.SETTLED})
        self.assertEqual(reachable(TARGET), set(Stage) - {Stage.IN_DOUBT, Stage.LOST})

    def test_every_stage_ends(self):
        """From each stage there is a way to an end, by faults and deadlines alone."""
        outside = {
            *FAULTS,
            Input.REDIAL_DUE,
            Input.CONNECTED,
            Input.OWNED_RECEIVED,
            Input.NEVER_OWNED_RECEIVED,
        }
        for table in (SOURCE, TARGET):
            for stage in reachable(table):
                seen, todo = set(), {stage}
                while todo:
                    one = todo.pop()
                    seen.add(one)
                    moves = {
                        after
                        for (before, what), (after, _) in table.items()
                        if before is one and what in outside
                    }
                    todo |= moves - seen
                if stage is Stage.COMMIT and table is TARGET:
                    continue  # left within the same call
                self.assertTrue(seen & set(ENDS), stage)

    def test_faults_before_commit(self):
        """Before COMMIT every fault leads to UNDONE, on both sides."""
        for table, stages in ((SOURCE, SOURCE_BEFORE_COMMIT), (TARGET, TARGET_BEFORE_COMMIT)):
            for stage in stages:
                for fault in FAULTS:
                    self.assertIs(table[stage, fault][0], Stage.UNDONE)

    def test_no_way_back_after_commit(self):
        """After COMMIT the source takes the guest back only on the target's or the operator's word."""
        back = {
            what
            for (before, what), (after, _) in SOURCE.items()
            if after is Stage.UNDONE and before in (Stage.COMMIT, Stage.IN_DOUBT, Stage.SWITCH, Stage.LOST)
        }
        self.assertEqual(back, {Input.NEVER_OWNED_RECEIVED, Input.RECOVERED, Input.FAILED})
        self.assertNotIn((Stage.IN_DOUBT, Input.FAILED), SOURCE)
        self.assertIs(SOURCE[Stage.SWITCH, Input.FAILED][0], Stage.LOST)
        for before in (Stage.SWITCH, Stage.SETTLED):
            self.assertNotIn(
                Stage.UNDONE, [after for (stage, _), (after, _) in TARGET.items() if stage is before]
            )

    def test_ends_stay(self):
        """An end is left only by the operator."""
        for table in (SOURCE, TARGET):
            for (before, what), (after, _) in table.items():
                if before in ENDS:
                    self.assertTrue(after is before or what is Input.RECOVERED)

    def test_lines(self):
        """A table can be printed, a line for each move."""
        self.assertEqual(len(list(lines(SOURCE))), len(SOURCE))
        self.assertIn(
            "stop       frozen                                   -> stop       send final", lines(SOURCE)
        )

    def test_no_such_move(self):
        """What is not in the table is a fault of the peer if it did it, and of ours if we did."""
        core = SourceHandover.__new__(SourceHandover)
        core.stage = Stage.DONE
        self.assertRaises(ProtocolError, core.step, Input.READY_RECEIVED, peer=True)
        self.assertRaises(AssertionError, core.step, Input.FROZEN)
