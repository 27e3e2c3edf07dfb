// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/box.h: rectangles of pixels. */
#ifndef SPICEMIG_BOX_H
#define SPICEMIG_BOX_H

#include <stdint.h>

/* A rectangle of pixels; right and bottom are the first that are not in it. */
struct spicemig_box {
    int32_t left, top, right, bottom;
};

static inline int spicemig_box_is_empty(struct spicemig_box box)
{
    return box.left >= box.right || box.top >= box.bottom;
}

/* What both have in common; may be empty. */
static inline struct spicemig_box spicemig_box_within(struct spicemig_box one, struct spicemig_box other)
{
    return (struct spicemig_box){
        .left = one.left > other.left ? one.left : other.left,
        .top = one.top > other.top ? one.top : other.top,
        .right = one.right < other.right ? one.right : other.right,
        .bottom = one.bottom < other.bottom ? one.bottom : other.bottom,
    };
}

/* Whether all of other is in the box. */
static inline int spicemig_box_covers(struct spicemig_box box, struct spicemig_box other)
{
    return box.left <= other.left && box.top <= other.top && box.right >= other.right &&
           box.bottom >= other.bottom;
}

#endif
