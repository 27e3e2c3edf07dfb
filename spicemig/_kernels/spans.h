// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/spans.h: pieces of rows, cut to a clip and painted. */
#ifndef SPICEMIG_SPANS_H
#define SPICEMIG_SPANS_H

#include <stddef.h>
#include <stdint.h>

#include "box.h"
#include "tile.h"

/* width pixels of row y; at least one. */
struct spicemig_span {
    int32_t x, y, width;
};

/*
 * A surface of 32-bit pixels and its clip: boxes that lie on the surface, in
 * bands. The boxes of a band have the same top and bottom, go from left to right
 * and do not overlap; bands go from the top down and do not overlap. It is
 * painted with a tile, whose pixel (x, y) comes to the surface's first one; rop is a
 * truth table as in rop.h.
 */
struct spicemig_canvas {
    uint8_t *pixels;
    ptrdiff_t stride;
    int32_t width, height;
    const struct spicemig_box *boxes;
    size_t box_count;
    struct spicemig_tile tile;
    unsigned rop;
};

/*
 * Cut spans to the boxes of the canvas and paint them; spans is used up. Spans go
 * from the top down, and have room for box_count more. What is kept of spans
 * replaces them in the order of work, so where boxes side by side leave more
 * pieces than there were spans before, the spans behind are lost and the last
 * pieces painted several times, as at clients. Cannot fail.
 * Reference: devices/raster/reference_lines.py, equal byte by byte.
 */
void spicemig_paint_spans(const struct spicemig_canvas *canvas, struct spicemig_span *spans, size_t count);

/* Sort spans from the top down and from left to right, and join those that touch; returns how many are left. */
size_t spicemig_merge_spans(struct spicemig_span *spans, size_t count);

#endif
