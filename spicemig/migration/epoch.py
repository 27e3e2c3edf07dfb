# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Who owns the guest, on disk.

An epoch is one ownership: its number grows with every handover. The source
writes that it gave the guest away before it says COMMIT, the target that it owns
the guest before it says OWNED; so after any crash at most one file says ``owner``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from spicemig.errors import MigrationError

FILE_NAME = "epoch.json"
SLOT_BYTES = 4096
BLANK_SLOT = b" " * (SLOT_BYTES - 1) + b"\n"
MAX_REMEMBERED = 64  # handovers that a host can answer for; they fit into a slot


@dataclass(frozen=True, slots=True)
class Epoch:
    """One ownership, as one host sees it."""

    epoch: int = 0
    owner: bool = False
    migration_id: str = ""  # that brought it about, in hex
    stage: str = "never"  # what happened last, for people
    taken: tuple[str, ...] = ()  # handovers by which this host became the owner, latest last

    def given_away(self, epoch: int, migration_id: bytes) -> Epoch:
        """This host hands the guest over."""
        return replace(self, epoch=epoch, owner=False, migration_id=migration_id.hex(), stage="given away")

    def taken_over(self, epoch: int, migration_id: bytes) -> Epoch:
        """This host gets the guest."""
        taken = (*self.taken, migration_id.hex())[-MAX_REMEMBERED:]
        return replace(
            self, epoch=epoch, owner=True, migration_id=migration_id.hex(), stage="taken over", taken=taken
        )

    def claimed(self, stage: str) -> Epoch:
        """This host owns the guest without, or against, a handover."""
        return replace(self, epoch=self.epoch + 1, owner=True, stage=stage)

    def took(self, migration_id: bytes) -> bool:
        """Whether this host owns the guest, or owned it, by this handover."""
        return migration_id.hex() in self.taken


class EpochFile:
    """
    The epoch of a host in its state directory.

    The file has two lines of ``SLOT_BYTES``, written in turn and each with its own
    checksum; the later good one counts. A write so goes over blocks that the file
    has already, and costs the pause of a handover no more than the disk's own time
    for a block; and a write that is cut short leaves the one before.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self.path = os.path.join(self.directory, FILE_NAME)
        self.written: Callable[[], None] = lambda: None  # told after every write
        self._sequence = 0
        self.current = self._load()

    def _load(self) -> Epoch:
        try:
            with open(self.path, "rb") as file:
                content = file.read(2 * SLOT_BYTES + 1)
        except FileNotFoundError:
            return Epoch()
        if len(content) == 2 * SLOT_BYTES and not content.strip():
            return Epoch()  # made, and never written
        found = [
            slot for slot in map(_read_slot, (content[:SLOT_BYTES], content[SLOT_BYTES:])) if slot is not None
        ]
        if not found:
            raise MigrationError(
                "start",
                f"{self.path} cannot be understood",
                "find out who owns the guest; remove the file, and run `spicemig recover` on the owner",
            )
        self._sequence, epoch = max(found, key=lambda slot: slot[0])
        return epoch

    def make_room(self) -> None:
        """Have the file's blocks on the disk, for the next ``write`` to fill; raises ``OSError``."""
        descriptor = self._open()
        os.close(descriptor)

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size != 2 * SLOT_BYTES:
                os.pwrite(descriptor, BLANK_SLOT * 2, 0)
                os.ftruncate(descriptor, 2 * SLOT_BYTES)
                os.fsync(descriptor)
                self._sync_directory()
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write(self, epoch: Epoch) -> None:
        """Make this the host's epoch, on the disk on return; raises ``OSError`` if that does not take it."""
        sequence = self._sequence + 1
        place = sequence % 2 * SLOT_BYTES
        descriptor = self._open()
        try:
            os.pwrite(descriptor, _slot(sequence, epoch), place)
            os.fdatasync(descriptor)
        except OSError:
            with suppress(OSError):
                os.pwrite(descriptor, BLANK_SLOT, place)  # it must not reach the disk after all
            raise
        finally:
            os.close(descriptor)
        self._sequence = sequence
        self.current = epoch
        self.written()

    def claim_first(self) -> Epoch:
        """Own the guest if no host ever did: a source that starts for the first time."""
        if self.current.epoch == 0:
            self.write(self.current.claimed("started"))
        return self.current

    def recover(self) -> Epoch:
        """Own the guest because the operator says so."""
        if not self.current.owner:
            self.write(self.current.claimed("recovered by the operator"))
        return self.current


def _slot(sequence: int, epoch: Epoch) -> bytes:
    """One line of the file."""
    told = json.dumps({"sequence": sequence, **asdict(epoch)})
    line = json.dumps({"sha256": sha256(told.encode()).hexdigest(), "told": told}).encode()
    return line.ljust(SLOT_BYTES - 1) + b"\n"


def _read_slot(line: bytes) -> tuple[int, Epoch] | None:
    """Sequence number and epoch of one line, or None if it was never, or not wholly, written."""
    try:
        outer = json.loads(line)
        if sha256(outer["told"].encode()).hexdigest() != outer["sha256"]:
            return None
        found = json.loads(outer["told"])
        return int(found["sequence"]), Epoch(
            epoch=int(found["epoch"]),
            owner=found["owner"] is True,
            migration_id=str(found["migration_id"]),
            stage=str(found["stage"]),
            taken=tuple(str(taken) for taken in found["taken"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
