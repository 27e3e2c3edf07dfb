# SPDX-License-Identifier: LGPL-2.1-or-later
"""The HTTP API on the control socket, and the command line that talks to it."""
