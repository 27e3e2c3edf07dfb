#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A headless spice-gtk client that is told what to do.

Runs under the system's Python, which has gi (Debian: python3-gi and
gir1.2-spiceclientglib-2.0). Commands are JSON objects, one a line, on standard
input; every one with an "id" is answered by {"reply": id, ...}. What happens is
told by {"t": seconds since the epoch, "event": name, ...}.

Commands ("do"): connect (host, port, tls_port, unix_path, ca_file, cert_subject,
password, proxy, read_only), disconnect, key (codes), key_down, key_up (code), motion (dx,
dy), position (x, y), button (button), shot (path), prefer_codecs (codecs), stats, pause (the
longest time without a change of the picture since it was asked last), quit.
"""

import ctypes
import json
import os
import signal
import sys
import time
import zlib

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import GLib, GObject, SpiceClientGLib  # noqa: E402

KINDS = {
    1: "main",
    2: "display",
    3: "inputs",
    4: "cursor",
    5: "playback",
    6: "record",
    8: "smartcard",
    9: "usbredir",
    10: "port",
    11: "webdav",
}
CLIENT_MOUSE_MODE = 2


class Primary(ctypes.Structure):
    """SpiceDisplayPrimary of spice-client-glib."""

    _fields_ = [
        ("format", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("stride", ctypes.c_int),
        ("shmid", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("marked", ctypes.c_int),
    ]


library = ctypes.CDLL("libspice-client-glib-2.0.so.8")
library.spice_display_channel_get_primary.argtypes = [
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.POINTER(Primary),
]


def listen(thing, signal_name, callback):
    """GObject's connect; sessions and channels have another method of that name."""
    return GObject.Object.connect(thing, signal_name, callback)


def png(width, height, rgb):
    """An RGB picture as a PNG file."""
    rows = b"".join(b"\0" + rgb[y * width * 3 : (y + 1) * width * 3] for y in range(height))

    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


class Client:
    """One session at a time."""

    def __init__(self):
        self.loop = GLib.MainLoop()
        self.session = None
        self.channels = {}
        self.counts = {}
        self.changed = time.monotonic()
        self.pause_seconds = 0.0
        self.buttons = 0

    def tell(self, event, **more):
        self.counts[event] = self.counts.get(event, 0) + 1
        sys.stdout.write(json.dumps({"t": time.time(), "event": event, **more}) + "\n")
        sys.stdout.flush()

    # -- commands --------------------------------------------------------------

    def do_connect(self, host="127.0.0.1", read_only=False, **properties):
        session = self.session = SpiceClientGLib.Session()
        session.set_property("enable-audio", False)
        session.set_property("enable-usbredir", False)
        session.set_property("enable-smartcard", False)
        session.set_property("read-only", read_only)
        if "unix_path" not in properties:
            session.set_property("host", host)
        for name, value in properties.items():
            session.set_property(name.replace("_", "-"), value if name.endswith("_size") else str(value))
        listen(session, "channel-new", self.channel_new)
        listen(session, "channel-destroy", self.channel_destroy)
        listen(session, "notify::migration-state", self.migration_state)
        listen(session, "disconnected", lambda session: self.tell("disconnected"))
        session.connect()
        return {}

    def do_disconnect(self):
        self.session.disconnect()
        return {}

    def do_key(self, codes):
        for code in codes:
            self.one("inputs").key_press(code)
            self.one("inputs").key_release(code)
        return {}

    def do_key_down(self, code):
        self.one("inputs").key_press(code)
        return {}

    def do_key_up(self, code):
        self.one("inputs").key_release(code)
        return {}

    def do_motion(self, dx, dy):
        self.one("inputs").motion(dx, dy, self.buttons)
        return {}

    def do_position(self, x, y):
        self.one("inputs").position(x, y, 0, self.buttons)
        return {}

    def do_button(self, button):
        self.one("inputs").button_press(button, 0)
        self.one("inputs").button_release(button, 1 << (button - 1))
        return {}

    def do_shot(self, path=None):
        primary = Primary()
        display = self.one("display")
        found = library.spice_display_channel_get_primary(
            ctypes.c_void_p(hash(display)), 0, ctypes.byref(primary)
        )
        if not found or not primary.data:
            return {"error": "no primary surface"}
        pixels = ctypes.string_at(primary.data, primary.stride * primary.height)
        rgb = bytearray(primary.width * primary.height * 3)
        for colour in range(3):
            rgb[colour::3] = pixels[2 - colour :: 4]  # spice-gtk's rows have no padding
        if path is not None:
            with open(path, "wb") as file:
                file.write(png(primary.width, primary.height, bytes(rgb)))
        return {"width": primary.width, "height": primary.height, "crc32": zlib.crc32(rgb)}

    def do_stats(self):
        read = {name: channel.get_property("total-read-bytes") for name, channel in self.channels.items()}
        mode = self.one("main").get_property("mouse-mode") if "main:0" in self.channels else 0
        return {"counts": self.counts, "read_bytes": read, "mouse_mode": mode}

    def do_pause(self):
        self.look_at_time()
        seconds, self.pause_seconds = self.pause_seconds, 0.0
        return {"seconds": seconds}

    def look_at_time(self):
        before, self.changed = self.changed, time.monotonic()
        self.pause_seconds = max(self.pause_seconds, self.changed - before)

    def do_prefer_codecs(self, codecs):
        return {"sent": self.one("display").display_channel_change_preferred_video_codec_types(codecs)}

    def do_quit(self):
        GLib.idle_add(self.loop.quit)
        return {}

    def one(self, kind):
        return self.channels[kind + ":0"]

    # -- what happens ------------------------------------------------------------

    def channel_new(self, session, channel):
        kind = KINDS.get(channel.get_property("channel-type"), "?")
        name = f"{kind}:{channel.get_property('channel-id')}"
        self.channels[name] = channel
        self.tell("channel-new", channel=name)
        listen(channel, "channel-event", lambda channel, event: self.channel_event(name, channel, event))
        hook = getattr(self, "hook_" + kind, None)
        if hook is not None:
            hook(channel)
        if kind != "main":
            channel.connect()

    def channel_destroy(self, session, channel):
        for name, known in list(self.channels.items()):
            if known is channel:
                del self.channels[name]
                self.tell("channel-destroy", channel=name)

    def channel_event(self, name, channel, event):
        more = {}
        if event.value_nick.startswith("error"):
            error = SpiceClientGLib.Channel.get_error(channel)
            if error is not None:
                more = {"message": error.message, "code": error.code}
        self.tell("channel", channel=name, what=event.value_nick, **more)
        if name == "main:0" and (event.value_nick.startswith("error") or event.value_nick == "closed"):
            GLib.idle_add(self.session.disconnect)

    def migration_state(self, session, _):
        self.tell("migration-state", state=session.get_property("migration-state").value_nick)

    def hook_main(self, channel):
        listen(
            channel,
            "notify::mouse-mode",
            lambda c, _: self.tell("mouse-mode", mode=c.get_property("mouse-mode")),
        )

    def hook_display(self, channel):
        listen(
            channel,
            "display-primary-create",
            lambda c, f, w, h, *_: self.tell("primary-create", width=w, height=h),
        )
        listen(channel, "display-primary-destroy", lambda c: self.tell("primary-destroy"))
        listen(channel, "display-mark", lambda c, mark: self.tell("mark", mark=bool(mark)))
        listen(channel, "display-invalidate", self.invalidate)

    def invalidate(self, channel, x, y, width, height):
        # too many to tell of each
        self.counts["invalidate"] = self.counts.get("invalidate", 0) + 1
        self.look_at_time()

    def hook_cursor(self, channel):
        listen(channel, "cursor-set", lambda c, *_: self.tell("cursor-set"))
        listen(channel, "cursor-reset", lambda c: self.tell("cursor-reset"))

    # -- the loop ------------------------------------------------------------------

    def run(self):
        self.unread = b""
        GLib.io_add_watch(0, GLib.IO_IN | GLib.IO_HUP, self.readable)
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, self.loop.quit)
        self.tell("ready")
        self.loop.run()

    def readable(self, *_):
        data = os.read(0, 65536)
        if not data:
            self.loop.quit()
            return False
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            name, identity = command.pop("do"), command.pop("id", None)
            try:
                result = getattr(self, "do_" + name)(**command)
            except Exception as error:  # the test is told, whatever it is
                result = {"error": repr(error)}
            sys.stdout.write(json.dumps({"t": time.time(), "reply": identity, **result}) + "\n")
            sys.stdout.flush()
        return True


if __name__ == "__main__":
    Client().run()
