// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_paths.c: Python's arguments of lines and glyphs; one of the files that know Python. */
#include "edge_paint.h"

#include <string.h>

#include "curves.h"
#include "dashes.h"
#include "glyphs.h"
#include "lines.h"

#define PLACE_LIMIT (1 << 28)            /* of lines; more than any place in 28.4 fixed point */
#define CURVE_PLACE_LIMIT (1LL << 31)    /* of curves, in 28.4 fixed point */
#define DASHED_LIMIT (1LL << 23)         /* pixels of the dashed lines of one call, times their dashes */
#define GLYPH_LIMIT 65535                /* pixels of its sides */
#define GLYPH_PLACE_LIMIT (1LL << 33)    /* more than the sum of two places in 32 bits */
#define STYLE_LIMIT 255                  /* dashes */
#define OFFSET_LIMIT 65535               /* into the dashes */

static int wrong(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return 0;
}

/* A copy of a buffer of records; of none, a little memory all the same. */
static void *copy_of(const Py_buffer *buffer)
{
    void *copy = PyMem_Malloc((size_t)buffer->len + 16);

    if (copy == NULL)
        PyErr_NoMemory();
    else
        memcpy(copy, buffer->buf, (size_t)buffer->len);
    return copy;
}

/* Whether the boxes of a canvas are in bands on it. */
static int banded(const struct spicemig_canvas *canvas)
{
    int32_t left_limit = 0, top_limit = 0;

    for (size_t index = 0; index < canvas->box_count; index++) {
        const struct spicemig_box box = canvas->boxes[index];
        const struct spicemig_box before = index ? canvas->boxes[index - 1] : (struct spicemig_box){0, 0, 0, 0};
        const int same = index && box.top == before.top && box.bottom == before.bottom;
        if (!same) {
            left_limit = 0;
            top_limit = before.bottom;
        }
        if (box.left < left_limit || box.left >= box.right || box.right > canvas->width ||
            box.top >= box.bottom || box.bottom > canvas->height || (!same && box.top < top_limit))
            return wrong("boxes: not in bands on the surface");
        left_limit = box.right;
    }
    return 1;
}

static int near_enough(const struct spicemig_point *points, size_t count, int32_t limit)
{
    for (size_t index = 0; index < count; index++)
        if (points[index].x < -limit || points[index].x > limit || points[index].y < -limit ||
            points[index].y > limit)
            return wrong("points: too far away");
    return 1;
}

static long long distance(int32_t one, int32_t other)
{
    const long long distance = (long long)one - other;
    return distance < 0 ? -distance : distance;
}

static int short_enough(const struct spicemig_point *points, size_t count, long long dashes)
{
    long long total = 0;

    for (size_t index = 1; index < count; index++) {
        const long long across = distance(points[index].x, points[index - 1].x);
        const long long down = distance(points[index].y, points[index - 1].y);
        total += across > down ? across : down;
    }
    return total <= DASHED_LIMIT / dashes || wrong("points: too long a line");
}

static int dashed(const Py_buffer *style, long long offset)
{
    long long total = 0;

    for (Py_ssize_t index = 0; index < style->len; index++)
        total += ((const uint8_t *)style->buf)[index];
    if (total == 0 || style->len > STYLE_LIMIT || offset < 0 || offset > OFFSET_LIMIT)
        return wrong("dashes: none of them has a length");
    return 1;
}

/* What both kinds of lines are called with. */
struct stroke {
    Py_buffer pixels, points, boxes;
    struct area area;
    struct paint paint;
    unsigned rop;
    struct spicemig_canvas canvas;
    struct spicemig_point *places;
    size_t place_count;
    struct spicemig_box *clip;
};

static void release(struct stroke *stroke)
{
    PyBuffer_Release(&stroke->pixels);
    PyBuffer_Release(&stroke->points);
    PyBuffer_Release(&stroke->boxes);
    PyBuffer_Release(&stroke->paint.pixels);
    PyMem_Free(stroke->places);
    PyMem_Free(stroke->clip);
}

static int checked(struct stroke *stroke)
{
    struct spicemig_canvas *canvas = &stroke->canvas;

    if (!inside("pixels", &stroke->pixels, stroke->area) || !known_rop(stroke->rop) ||
        !tile_of(&stroke->paint, &stroke->pixels, 0, 0, &canvas->tile))
        return 0;
    if (stroke->boxes.len % (Py_ssize_t)sizeof *stroke->clip)
        return wrong("boxes: not a whole number of boxes");
    if ((stroke->clip = copy_of(&stroke->boxes)) == NULL)
        return 0;
    canvas->pixels = stroke->pixels.buf;
    canvas->stride = (ptrdiff_t)stroke->area.stride;
    canvas->width = (int32_t)stroke->area.cols;
    canvas->height = (int32_t)stroke->area.rows;
    canvas->boxes = stroke->clip;
    canvas->box_count = (size_t)stroke->boxes.len / sizeof *stroke->clip;
    canvas->rop = stroke->rop;
    if (!banded(canvas))
        return 0;
    if (stroke->points.len % (Py_ssize_t)sizeof *stroke->places)
        return wrong("points: not a whole number of points");
    if ((stroke->places = copy_of(&stroke->points)) == NULL)
        return 0;
    stroke->place_count = (size_t)stroke->points.len / sizeof *stroke->places;
    return 1;
}

const char spicemig_draw_lines_doc[] =
    "draw_lines(pixels, stride, width, height, points, boxes, value, tile, tile_stride, tile_width, "
    "tile_height, tile_x, tile_y, rop)\n--\n\n"
    "Draw lines of 32-bit pixels from point to point, cut to boxes.";

PyObject *spicemig_edge_draw_lines(PyObject *Py_UNUSED(module), PyObject *args)
{
    struct stroke stroke = {.clip = NULL};
    struct paint *paint = &stroke.paint;
    struct spicemig_span *spans = NULL;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLy*y*Iy*LLLLLI:draw_lines", &stroke.pixels, &stroke.area.stride,
                          &stroke.area.cols, &stroke.area.rows, &stroke.points, &stroke.boxes, &paint->value,
                          &paint->pixels, &paint->area.stride, &paint->area.cols, &paint->area.rows,
                          &paint->x, &paint->y, &stroke.rop))
        return NULL;
    if (!checked(&stroke) || !near_enough(stroke.places, stroke.place_count, PLACE_LIMIT))
        goto exit;
    const struct spicemig_canvas *canvas = &stroke.canvas;
    const size_t larger = (size_t)(canvas->width > canvas->height ? canvas->width : canvas->height);
    spans = PyMem_Malloc((larger + canvas->box_count + 1) * sizeof *spans);
    if (spans == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    if (canvas->box_count)
        spicemig_draw_lines(canvas, stroke.places, stroke.place_count, spans);
    result = Py_NewRef(Py_None);
exit:
    PyMem_Free(spans);
    release(&stroke);
    return result;
}

const char spicemig_draw_dashes_doc[] =
    "draw_dashes(pixels, stride, width, height, points, boxes, dashes, offset, value, tile, tile_stride, "
    "tile_width, tile_height, tile_x, tile_y, rop)\n--\n\n"
    "Draw dashed lines of 32-bit pixels from point to point, cut to boxes.";

PyObject *spicemig_edge_draw_dashes(PyObject *Py_UNUSED(module), PyObject *args)
{
    struct stroke stroke = {.clip = NULL};
    struct paint *paint = &stroke.paint;
    Py_buffer style;
    long long offset;
    struct spicemig_span *spans = NULL;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLy*y*y*LIy*LLLLLI:draw_dashes", &stroke.pixels, &stroke.area.stride,
                          &stroke.area.cols, &stroke.area.rows, &stroke.points, &stroke.boxes, &style, &offset,
                          &paint->value, &paint->pixels, &paint->area.stride, &paint->area.cols,
                          &paint->area.rows, &paint->x, &paint->y, &stroke.rop))
        return NULL;
    if (!checked(&stroke) || !dashed(&style, offset) ||
        !near_enough(stroke.places, stroke.place_count, SPICEMIG_DASH_PLACE_LIMIT) ||
        !short_enough(stroke.places, stroke.place_count, style.len))
        goto exit;
    const struct spicemig_canvas *canvas = &stroke.canvas;
    const struct spicemig_dashes dashes = {style.buf, (size_t)style.len, (unsigned)offset};
    size_t capacity = 0, needed = canvas->box_count ? SPICEMIG_DASH_ROWS + canvas->box_count : 0;
    while (needed > capacity) {
        struct spicemig_span *more = PyMem_Realloc(spans, needed * sizeof *spans);
        if (more == NULL) {
            PyErr_NoMemory();
            goto exit;
        }
        spans = more;
        capacity = needed;
        needed = spicemig_draw_dashes(canvas, stroke.places, stroke.place_count, dashes, spans, capacity);
    }
    result = Py_NewRef(Py_None);
exit:
    PyMem_Free(spans);
    PyBuffer_Release(&style);
    release(&stroke);
    return result;
}

const char spicemig_curve_points_doc[] =
    "curve_points(points, x0, y0, x1, y1, x2, y2, x3, y3)\n--\n\n"
    "Divide a Bezier curve into lines.";

PyObject *spicemig_edge_curve_points(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer buffer;
    long long numbers[8];
    struct spicemig_fixed curve[4];
    struct spicemig_point *points = NULL;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLLLLLL:curve_points", &buffer, &numbers[0], &numbers[1], &numbers[2],
                          &numbers[3], &numbers[4], &numbers[5], &numbers[6], &numbers[7]))
        return NULL;
    for (int index = 0; index < 8; index++)
        if (numbers[index] < -CURVE_PLACE_LIMIT || numbers[index] > CURVE_PLACE_LIMIT) {
            wrong("places: too far away");
            goto exit;
        }
    for (int index = 0; index < 4; index++)
        curve[index] = (struct spicemig_fixed){numbers[2 * index], numbers[2 * index + 1]};
    if ((points = copy_of(&buffer)) == NULL)
        goto exit;
    const size_t count = spicemig_curve_points(curve, points, (size_t)buffer.len / sizeof *points);
    if (count == 0) {
        wrong("points: too many");
        goto exit;
    }
    memcpy(buffer.buf, points, (size_t)buffer.len);
    result = PyLong_FromSize_t(count);
exit:
    PyMem_Free(points);
    PyBuffer_Release(&buffer);
    return result;
}

/* Whether glyphs are possible and there is data for all of them. */
static int glyphs_fit(const struct spicemig_place *places, size_t count, unsigned bits, long long data_bytes)
{
    for (size_t index = 0; index < count; index++) {
        const struct spicemig_place place = places[index];
        if (place.width < 0 || place.width > GLYPH_LIMIT || place.height < 0 || place.height > GLYPH_LIMIT)
            return wrong("places: a glyph of that size is not possible");
        if (place.x < -GLYPH_PLACE_LIMIT || place.x > GLYPH_PLACE_LIMIT || place.y < -GLYPH_PLACE_LIMIT ||
            place.y > GLYPH_PLACE_LIMIT)
            return wrong("places: too far away");
        data_bytes -= spicemig_glyph_stride(place.width, bits) * place.height;
        if (data_bytes < 0)
            return wrong("data: too short");
    }
    return 1;
}

const char spicemig_add_glyphs_doc[] =
    "add_glyphs(mask, cols, rows, places, data, bits)\n--\n\n"
    "Add glyphs to a mask of bytes.";

PyObject *spicemig_edge_add_glyphs(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer mask, where, data;
    long long cols, rows;
    unsigned bits;
    struct spicemig_place *places = NULL;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLy*y*I:add_glyphs", &mask, &cols, &rows, &where, &data, &bits))
        return NULL;
    if (cols < 0 || cols > SIZE_LIMIT || rows < 0 || rows > SIZE_LIMIT || cols * rows > mask.len) {
        wrong("mask: too small");
        goto exit;
    }
    if (bits != 1 && bits != 4 && bits != 8) {
        PyErr_Format(PyExc_ValueError, "bits: there are no glyphs of %u bits", bits);
        goto exit;
    }
    if (where.len % (Py_ssize_t)sizeof *places) {
        wrong("places: not a whole number of glyphs");
        goto exit;
    }
    if ((places = copy_of(&where)) == NULL)
        goto exit;
    const size_t count = (size_t)where.len / sizeof *places;
    if (!glyphs_fit(places, count, bits, data.len) || !apart(&mask, &data))
        goto exit;
    const struct spicemig_cover cover = {mask.buf, rows, cols};
    spicemig_add_glyphs(cover, places, count, bits, data.buf);
    result = Py_NewRef(Py_None);
exit:
    PyMem_Free(places);
    PyBuffer_Release(&mask);
    PyBuffer_Release(&where);
    PyBuffer_Release(&data);
    return result;
}

const char spicemig_blend_mask_doc[] =
    "blend_mask(pixels, stride, left, top, cols, rows, mask, mask_stride, mask_left, mask_top, value, tile, "
    "tile_stride, tile_width, tile_height, tile_x, tile_y, has_alpha)\n--\n\n"
    "Blend a colour or a tile over a rectangle of 32-bit pixels through a mask of bytes.";

PyObject *spicemig_edge_blend_mask(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer pixels, mask;
    struct area area;
    long long mask_stride, mask_left, mask_top;
    struct paint paint = {.area = {0}};
    struct spicemig_tile tile;
    int has_alpha;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLLLy*LLLIy*LLLLLp:blend_mask", &pixels, &area.stride, &area.left,
                          &area.top, &area.cols, &area.rows, &mask, &mask_stride, &mask_left, &mask_top,
                          &paint.value, &paint.pixels, &paint.area.stride, &paint.area.cols, &paint.area.rows,
                          &paint.x, &paint.y, &has_alpha))
        return NULL;
    if (!inside("pixels", &pixels, area))
        goto exit;
    if (mask_stride < 0 || mask_stride > SIZE_LIMIT || mask_left < 0 || mask_left > SIZE_LIMIT || mask_top < 0 ||
        mask_top > SIZE_LIMIT || mask_left + area.cols > mask_stride ||
        (area.cols && area.rows &&
         (mask_top + area.rows - 1) * mask_stride + mask_left + area.cols > mask.len)) {
        outside("mask");
        goto exit;
    }
    if (!tile_of(&paint, &pixels, area.left, area.top, &tile) || !apart(&pixels, &mask))
        goto exit;
    if (area.cols && area.rows) {
        PyThreadState *state = released(area.rows, area.cols);
        spicemig_blend_mask(first_pixel(&pixels, area), (ptrdiff_t)area.stride, (size_t)area.rows,
                            (size_t)area.cols, (const uint8_t *)mask.buf + mask_top * mask_stride + mask_left,
                            (ptrdiff_t)mask_stride, tile, has_alpha);
        taken_back(state);
    }
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&mask);
    PyBuffer_Release(&paint.pixels);
    return result;
}
