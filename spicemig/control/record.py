# SPDX-License-Identifier: LGPL-2.1-or-later
"""``spicemig record``: the daemon sends a trace of its guest, which is written into a file here."""

from __future__ import annotations

import http.client
import lzma
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, BinaryIO

from spicemig.control.connection import Control, ControlError

PATH = "/v1/recording"
PIECE_BYTES = 1 << 16
XZ_PRESET = 1  # fast, so that the guest is not waited for


def run_record(control: Control, file: str, seconds: float | None = None) -> dict[str, Any]:
    """
    Record for so many seconds, until Ctrl-C, or until the guest leaves.

    The trace is compressed if the file's name ends in ``.xz``. Raises :class:`ControlError`.
    """
    began = time.monotonic()
    connection, response = control.open("GET", PATH)
    try:
        with _open(file) as out, ThreadPoolExecutor(1) as reading:
            copied = reading.submit(_copy, response, out)
            try:
                copied.result(seconds)
            except (KeyboardInterrupt, NotYet):
                control.ask("DELETE", PATH)  # what was drawn up to now still comes
            size = copied.result()
    except OSError as error:
        raise ControlError(f"{file}: {error.strerror}") from error
    except http.client.HTTPException as error:
        raise ControlError(f"the daemon went away, and {file} may end in the middle of a command") from error
    finally:
        connection.close()
    return {"file": file, "trace_bytes": size, "seconds": round(time.monotonic() - began, 3)}


def _open(file: str) -> BinaryIO:
    if file.endswith(".xz"):
        return lzma.open(file, "wb", preset=XZ_PRESET)  # type: ignore[return-value]
    return open(file, "wb")


def _copy(response: http.client.HTTPResponse, out: BinaryIO) -> int:
    size = 0
    while piece := response.read1(PIECE_BYTES):
        out.write(piece)
        size += len(piece)
    return size
