# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image payloads: what stands in an image record behind its descriptor, both ways."""
