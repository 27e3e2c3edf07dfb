# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON log: one object per line, with every field of the event."""

from __future__ import annotations

import json
import traceback
from typing import Any, TextIO

from twisted.logger import FileLogObserver, LogEvent, formatEvent

_INTERNAL = ("log_logger", "log_source", "log_format", "log_flattened", "log_failure", "log_trace", "format")


def json_observer(out: TextIO) -> FileLogObserver:
    """Writes every event to ``out`` as a line of JSON."""
    return FileLogObserver(out, json_line)


def json_line(event: LogEvent) -> str:
    """One event: time, level, namespace, message, the event's own fields, and a failure's traceback."""
    line: dict[str, Any] = {
        "time": event.get("log_time"),
        "level": getattr(event.get("log_level"), "name", None),
        "namespace": event.get("log_namespace"),
        "message": formatEvent(event),
    }
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = "".join(traceback.format_exception(failure.type, failure.value, failure.tb))
    for name, value in event.items():
        if not name.startswith("log_") and name not in _INTERNAL and name not in line:
            line[name] = value
    return json.dumps(line, default=str) + "\n"
