// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_composite.c: Python's arguments for composite.c; one of the files that know Python. */
#include "edge.h"

#include "combine.h"
#include "composite.h"
#include "copy_keyed.h"

/* Sizes and origins stay below this, so that no sum of products with a matrix leaves 64 bits. */
#define PLACE_LIMIT (1LL << 24)

static int known_bits(const char *argument, unsigned bits)
{
    if (bits == 5 || bits == 6 || bits == 8)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s: green does not have %u bits in any format", argument, bits);
    return 0;
}

/* Take one of the tuples apart. Its buffer, zero before, is to be released whatever the answer. */
static int sampled(const char *argument, PyObject *tuple, Py_buffer *buffer, struct spicemig_sampled *from)
{
    struct area area = {0};
    int has_alpha;
    unsigned repeat;
    long long x, y;

    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "%s: not a tuple", argument);
        return 0;
    }
    if (!PyArg_ParseTuple(tuple, "y*LLLpIpI(iiiiii)LL:sampled", buffer, &area.stride, &area.cols, &area.rows,
                          &has_alpha, &from->green_bits, &from->bilinear, &repeat, &from->matrix[0], &from->matrix[1],
                          &from->matrix[2], &from->matrix[3], &from->matrix[4], &from->matrix[5], &x, &y))
        return 0;
    if (!inside(argument, buffer, area))
        return 0;
    if (area.cols < 1 || area.cols > PLACE_LIMIT || area.rows < 1 || area.rows > PLACE_LIMIT || x < -PLACE_LIMIT ||
        x > PLACE_LIMIT || y < -PLACE_LIMIT || y > PLACE_LIMIT) {
        PyErr_Format(PyExc_ValueError, "%s: its size or origin is not possible", argument);
        return 0;
    }
    if (repeat >= SPICEMIG_REPEATS) {
        PyErr_Format(PyExc_ValueError, "%s: %u is not a way to repeat", argument, repeat);
        return 0;
    }
    if (!known_bits(argument, from->green_bits))
        return 0;
    from->image.pixels = buffer->buf;
    from->image.stride = (ptrdiff_t)area.stride;
    from->image.width = (int32_t)area.cols;
    from->image.height = (int32_t)area.rows;
    from->image.opaque = has_alpha ? 0 : UINT32_C(0xff000000);
    from->repeat = (enum spicemig_repeat)repeat;
    from->x = x;
    from->y = y;
    return 1;
}

static int known_operator(unsigned number)
{
    const struct spicemig_operator operator = spicemig_operator_of(number);

    if (operator.combine != NULL || operator.combine_fractions != NULL)
        return 1;
    PyErr_Format(PyExc_ValueError, "operator: %u is not known", number);
    return 0;
}

const char spicemig_composite_doc[] =
    "composite(dst, dst_stride, left, top, cols, rows, dst_has_alpha, dst_green_bits, operator, source, "
    "mask, by_parts)\n--\n\n"
    "Combine an image, through a mask unless that is None, with a rectangle of 32-bit pixels.\n\n"
    "source and mask: (data, stride, width, height, has_alpha, green_bits, bilinear, repeat, matrix, x, y)";

PyObject *spicemig_edge_composite(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst = {0}, src = {0}, covered = {0};
    struct area to = {0};
    int dst_has_alpha, by_parts;
    unsigned number, dst_green_bits;
    PyObject *source_tuple, *mask_tuple, *result = NULL;
    struct spicemig_sampled source, mask;

    if (!PyArg_ParseTuple(args, "w*LLLLLpIIOOp:composite", &dst, &to.stride, &to.left, &to.top, &to.cols, &to.rows,
                          &dst_has_alpha, &dst_green_bits, &number, &source_tuple, &mask_tuple, &by_parts))
        return NULL;
    const int has_mask = mask_tuple != Py_None;
    if (!inside("dst", &dst, to))
        goto exit;
    if (to.cols > PLACE_LIMIT || to.rows > PLACE_LIMIT) {
        outside("dst");
        goto exit;
    }
    if (!known_bits("dst", dst_green_bits) || !known_operator(number) || !sampled("source", source_tuple, &src, &source))
        goto exit;
    if (has_mask && !sampled("mask", mask_tuple, &covered, &mask))
        goto exit;
    if (!apart(&dst, &src) || (has_mask && !apart(&dst, &covered)))
        goto exit;
    PyThreadState *state = released(to.rows, to.cols);
    spicemig_composite(first_pixel(&dst, to), (ptrdiff_t)to.stride, (size_t)to.rows, (size_t)to.cols,
                       dst_has_alpha, dst_green_bits, number, &source, has_mask ? &mask : NULL, by_parts);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&covered);
    PyBuffer_Release(&src);
    PyBuffer_Release(&dst);
    return result;
}

const char spicemig_copy_keyed_doc[] =
    "copy_keyed(dst, dst_stride, dst_left, dst_top, src, src_stride, src_left, src_top, cols, rows, key, "
    "compared)\n--\n\nCopy 32-bit pixels except those whose bits compared are those of key.";

PyObject *spicemig_edge_copy_keyed(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst, src;
    struct area to, from;
    unsigned key, compared;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLy*LLLLLII:copy_keyed", &dst, &to.stride, &to.left, &to.top, &src,
                          &from.stride, &from.left, &from.top, &to.cols, &to.rows, &key, &compared))
        return NULL;
    from.cols = to.cols;
    from.rows = to.rows;
    if (!inside("dst", &dst, to) || !inside("src", &src, from) || !apart(&dst, &src))
        goto exit;
    PyThreadState *state = released(to.rows, to.cols);
    spicemig_copy_keyed(first_pixel(&dst, to), (ptrdiff_t)to.stride, first_pixel(&src, from),
                        (ptrdiff_t)from.stride, (size_t)to.rows, (size_t)to.cols, key, compared);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&dst);
    PyBuffer_Release(&src);
    return result;
}
