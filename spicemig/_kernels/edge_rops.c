// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_rops.c: Python's arguments of tiles, ternary operations and rounding. */
#include "edge.h"
#include "edge_paint.h"
#include "settle.h"
#include "tile.h"

const char spicemig_tile_rect_doc[] =
    "tile_rect(pixels, stride, left, top, cols, rows, value, tile, tile_stride, tile_width, tile_height, "
    "tile_x, tile_y, rop)\n--\n\nCombine a tile that repeats with a rectangle of 32-bit pixels.";

PyObject *spicemig_edge_tile_rect(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer pixels;
    struct area area;
    struct paint paint = {.area = {0}};
    struct spicemig_tile tile;
    unsigned rop;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLLLIy*LLLLLI:tile_rect", &pixels, &area.stride, &area.left, &area.top,
                          &area.cols, &area.rows, &paint.value, &paint.pixels, &paint.area.stride,
                          &paint.area.cols, &paint.area.rows, &paint.x, &paint.y, &rop))
        return NULL;
    if (!inside("pixels", &pixels, area) || !known_rop(rop) ||
        !tile_of(&paint, &pixels, area.left, area.top, &tile))
        goto exit;
    PyThreadState *state = released(area.rows, area.cols);
    spicemig_tile_rect(first_pixel(&pixels, area), (ptrdiff_t)area.stride, (size_t)area.rows,
                       (size_t)area.cols, tile, rop);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&paint.pixels);
    return result;
}

const char spicemig_rop3_rect_doc[] =
    "rop3_rect(dst, dst_stride, dst_left, dst_top, src, src_stride, src_left, src_top, cols, rows, value, "
    "tile, tile_stride, tile_width, tile_height, tile_x, tile_y, code)\n--\n\n"
    "Combine a tile, a rectangle and what is there, as a ternary raster operation says.";

PyObject *spicemig_edge_rop3_rect(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst, src;
    struct area to, from;
    struct paint paint = {.area = {0}};
    struct spicemig_tile tile;
    unsigned code;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLy*LLLLLIy*LLLLLI:rop3_rect", &dst, &to.stride, &to.left, &to.top,
                          &src, &from.stride, &from.left, &from.top, &to.cols, &to.rows, &paint.value,
                          &paint.pixels, &paint.area.stride, &paint.area.cols, &paint.area.rows, &paint.x,
                          &paint.y, &code))
        return NULL;
    from.cols = to.cols;
    from.rows = to.rows;
    if (!inside("dst", &dst, to) || !inside("src", &src, from) || !apart(&dst, &src))
        goto exit;
    if (code > 255) {
        PyErr_Format(PyExc_ValueError, "code: %u is not a ternary raster operation", code);
        goto exit;
    }
    if (!tile_of(&paint, &dst, to.left, to.top, &tile))
        goto exit;
    PyThreadState *state = released(to.rows, to.cols);
    spicemig_rop3_rect(first_pixel(&dst, to), (ptrdiff_t)to.stride, first_pixel(&src, from),
                       (ptrdiff_t)from.stride, (size_t)to.rows, (size_t)to.cols, tile, code);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&dst);
    PyBuffer_Release(&src);
    PyBuffer_Release(&paint.pixels);
    return result;
}

const char spicemig_settle_rect_doc[] =
    "settle_rect(pixels, stride, left, top, cols, rows, format)\n--\n\n"
    "Round a rectangle of 32-bit pixels to what a surface of this format keeps.";

PyObject *spicemig_edge_settle_rect(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer pixels;
    struct area area;
    unsigned format;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLLLI:settle_rect", &pixels, &area.stride, &area.left, &area.top,
                          &area.cols, &area.rows, &format))
        return NULL;
    if (!inside("pixels", &pixels, area))
        goto exit;
    PyThreadState *state = released(area.rows, area.cols);
    spicemig_settle_rect(first_pixel(&pixels, area), (ptrdiff_t)area.stride, (size_t)area.rows,
                         (size_t)area.cols, format);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&pixels);
    return result;
}
