// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/regions.c: see regions.h. */
#include "regions.h"

#include <string.h>

/* Sides are below 2^32, so that this is below 2^64. */
static uint64_t pixels_of(struct spicemig_box box)
{
    return (uint64_t)((int64_t)box.right - box.left) * (uint64_t)((int64_t)box.bottom - box.top);
}

static struct spicemig_box around(struct spicemig_box one, struct spicemig_box other)
{
    return (struct spicemig_box){
        .left = one.left < other.left ? one.left : other.left,
        .top = one.top < other.top ? one.top : other.top,
        .right = one.right > other.right ? one.right : other.right,
        .bottom = one.bottom > other.bottom ? one.bottom : other.bottom,
    };
}

void spicemig_region_add(struct spicemig_box *boxes, size_t *count, size_t most, struct spicemig_box box)
{
    if (spicemig_box_is_empty(box))
        return;
    for (;;) {
        size_t kept = 0, nearest = 0;
        uint64_t least = UINT64_MAX;

        for (size_t index = 0; index < *count; index++)
            if (spicemig_box_covers(boxes[index], box))
                return;
        for (size_t index = 0; index < *count; index++)
            if (!spicemig_box_covers(box, boxes[index]))
                boxes[kept++] = boxes[index];
        *count = kept;
        if (kept < most) {
            boxes[(*count)++] = box;
            return;
        }
        for (size_t index = 0; index < kept; index++) {
            const uint64_t growth = pixels_of(around(boxes[index], box)) - pixels_of(boxes[index]);
            if (growth < least) {
                least = growth;
                nearest = index;
            }
        }
        box = around(boxes[nearest], box);
        memmove(boxes + nearest, boxes + nearest + 1, (kept - nearest - 1) * sizeof *boxes);
        *count = kept - 1;
    }
}
