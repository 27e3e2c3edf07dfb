// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/scan.h: from header to header through the bytes of a channel. */
#ifndef SPICEMIG_SCAN_H
#define SPICEMIG_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define SPICEMIG_SCAN_NUMBERS 512 /* message numbers that are told apart */

struct spicemig_scan {
    uint64_t at;       /* where a wanted message, or the next header, begins; may lie beyond the data */
    uint64_t messages; /* stepped over */
    uint64_t serial;   /* of the last of them; 0 without any, and with mini headers */
    int found;         /* whether a wanted message is there */
};

/*
 * Step over messages from the header at `at` (at most size) until one is wanted,
 * or the data ends, or before one that is not complete although it has no more
 * than `whole` bytes. Headers have 6 bytes if mini, else 18. Cannot fail.
 * Reference: relay/scan_reference.py.
 */
struct spicemig_scan spicemig_scan_headers(const uint8_t *data, size_t size, size_t at, int mini,
                                           size_t whole, const uint8_t *wanted);

#endif
