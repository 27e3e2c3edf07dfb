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
from dataclasses import asdict, dataclass, replace

from spicemig.errors import MigrationError

FILE_NAME = "epoch.json"
MAX_REMEMBERED = 64  # handovers that a host can answer for


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

    ``write`` returns when the file is on the disk under its name. What will have
    to be written in the pause can be put on the disk before, with ``stage``:
    ``write`` of the same epoch then only renames.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self.path = os.path.join(self.directory, FILE_NAME)
        self._staged: Epoch | None = None
        self.current = self._load()

    def _load(self) -> Epoch:
        try:
            with open(self.path, encoding="utf-8") as file:
                found = json.load(file)
            return Epoch(
                epoch=int(found["epoch"]),
                owner=found["owner"] is True,
                migration_id=str(found["migration_id"]),
                stage=str(found["stage"]),
                taken=tuple(str(taken) for taken in found["taken"]),
            )
        except FileNotFoundError:
            return Epoch()
        except (ValueError, KeyError, TypeError) as error:
            raise MigrationError(
                "start",
                f"{self.path} cannot be understood ({error})",
                "find out who owns the guest; remove the file, and run `spicemig recover` on the owner",
            ) from error

    def stage(self, epoch: Epoch) -> None:
        """Put on the disk, beside the file, what ``write`` will be given."""
        self._staged = None
        temporary = self.path + ".new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(epoch), file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        self._staged = epoch

    def write(self, epoch: Epoch) -> None:
        """Make this the host's epoch; raises ``OSError`` if the disk does not take it."""
        if self._staged != epoch:
            self.stage(epoch)
        self._staged = None
        os.replace(self.path + ".new", self.path)
        self.current = epoch
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

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
