// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/scan.c: see scan.h. */
#include "scan.h"

enum { MINI_HEADER = 6, FULL_HEADER = 18, SERIAL = 8 };

static inline uint64_t little(const uint8_t *bytes, int count)
{
    uint64_t value = 0;

    for (int index = 0; index < count; index++)
        value |= (uint64_t)bytes[index] << 8 * index;
    return value;
}

struct spicemig_scan spicemig_scan_headers(const uint8_t *data, size_t size, size_t at, int mini,
                                           size_t whole, const uint8_t *wanted)
{
    const uint64_t header = mini ? MINI_HEADER : FULL_HEADER;
    struct spicemig_scan scan = {.at = at};

    /* at stays below 2^64: it grows by at most 2^32 + 18 from a place within the data */
    while (scan.at <= size && size - scan.at >= header) {
        const uint8_t *here = data + scan.at, *rest = mini ? here : here + SERIAL;
        const unsigned number = (unsigned)little(rest, 2);
        const uint64_t length = header + little(rest + 2, 4);

        if (number < SPICEMIG_SCAN_NUMBERS && wanted[number]) {
            scan.found = 1;
            break;
        }
        if (length > size - scan.at && length <= whole)
            break;
        scan.serial = mini ? 0 : little(here, SERIAL);
        scan.messages++;
        scan.at += length;
    }
    return scan;
}
