# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bytes of a trace file, plain or compressed with xz, a piece at a time."""

from __future__ import annotations

import hashlib
import lzma
import os
from pathlib import Path
from typing import BinaryIO

from spicemig.errors import GuestError

XZ_MAGIC = b"\xfd7zXZ\x00"
PIECE_BYTES = 1 << 20  # asked of a plain file at once
COMPRESSED_PIECE_BYTES = 1 << 16
DECODER_BYTES = 512 << 20  # memory that a compressed file may ask for; xz -9 needs 65 MiB
HEAD_BYTES = 1 << 20  # of the file, by which two hosts see that they have the same


class TraceError(GuestError):
    """
    A trace that cannot be read, or not any further.

    ``offset`` is the byte of the plain trace at which it went wrong. What came
    before it is whole.
    """

    def __init__(self, reason: str, offset: int = -1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset

    def __str__(self) -> str:
        return f"at byte {self.offset}: {self.reason}" if self.offset >= 0 else self.reason


class TraceSource:
    """
    A trace file, opened for reading from its start.

    ``read`` gives the next piece of the plain trace, b"" at the end. A compressed
    file that is damaged or cut short ends where it went wrong, and ``trouble`` then
    says why.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.trouble = ""
        try:
            self._file: BinaryIO = open(self.path, "rb")
        except OSError as error:
            raise TraceError(f"{self.path}: {error.strerror}") from error
        self._decoder = _new_decoder() if self._file.read(len(XZ_MAGIC)) == XZ_MAGIC else None
        self._file.seek(0)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def read(self) -> bytes:
        """The next piece, at most :data:`PIECE_BYTES` long."""
        if self._decoder is None:
            return self._file.read(PIECE_BYTES)
        while not self.trouble:
            if self._decoder.eof:
                after = (self._decoder.unused_data + self._file.read(COMPRESSED_PIECE_BYTES)).lstrip(b"\0")
                if not after:
                    return b""
                self._decoder = _new_decoder()  # another stream follows
            else:
                after = self._file.read(COMPRESSED_PIECE_BYTES) if self._decoder.needs_input else b""
                if not after and self._decoder.needs_input:
                    self.trouble = "the compressed file is cut short"
                    break
            try:
                piece = self._decoder.decompress(after, PIECE_BYTES)
            except lzma.LZMAError as error:
                self.trouble = f"the compressed file is damaged: {error}"
                break
            if piece:
                return piece
        return b""


def _new_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_BYTES)


def fingerprint(path: str | os.PathLike[str]) -> tuple[int, bytes]:
    """
    By what two hosts see that they have the same file: its size, and the SHA-256 of its head.

    Raises :class:`TraceError` if it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            return os.fstat(file.fileno()).st_size, hashlib.sha256(head).digest()
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from error
