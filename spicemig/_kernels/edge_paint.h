// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_paint.h: Python's arguments for what is painted with; for edge_*.c. */
#ifndef SPICEMIG_EDGE_PAINT_H
#define SPICEMIG_EDGE_PAINT_H

#include "edge.h"

#include "tile.h"

/* A tile that lies somewhere on the surface or, if that has no width, a value. */
struct paint {
    Py_buffer pixels;
    unsigned value;
    struct area area;
    long long x, y;
};

static inline long long remainder_of(long long value, long long size)
{
    const long long rest = value % size;
    return rest < 0 ? rest + size : rest;
}

/* Whether the paint is possible; the tile is then such that (left, top) of the surface comes first. */
static inline int tile_of(struct paint *paint, const Py_buffer *surface, long long left, long long top,
                          struct spicemig_tile *tile)
{
    if (!inside("tile", &paint->pixels, paint->area))
        return 0;
    if (paint->area.cols == 0) {
        *tile = (struct spicemig_tile){(const uint8_t *)&paint->value, 4, 1, 1, 0, 0};
        return 1;
    }
    if (paint->area.rows == 0) {
        PyErr_SetString(PyExc_ValueError, "tile: there is nothing to repeat");
        return 0;
    }
    if (paint->x < -SIZE_LIMIT || paint->x > SIZE_LIMIT || paint->y < -SIZE_LIMIT ||
        paint->y > SIZE_LIMIT) {
        PyErr_SetString(PyExc_ValueError, "tile: lies too far away");
        return 0;
    }
    if (!apart(surface, &paint->pixels))
        return 0;
    *tile = (struct spicemig_tile){
        .pixels = paint->pixels.buf,
        .stride = (ptrdiff_t)paint->area.stride,
        .width = (size_t)paint->area.cols,
        .height = (size_t)paint->area.rows,
        .x = (size_t)remainder_of(left - paint->x, paint->area.cols),
        .y = (size_t)remainder_of(top - paint->y, paint->area.rows),
    };
    return 1;
}

#endif
