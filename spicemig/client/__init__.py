# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client's side of link and channels: for the demo, the tests and the relay."""
