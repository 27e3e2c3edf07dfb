// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_pipe.c: Python's arguments for drawables.h and regions.h; one of the files that know Python. */
#include "edge.h"

#include <stdlib.h>
#include <string.h>

#include "drawables.h"
#include "regions.h"

#define MOST_ROWS (1 << 20)

const char spicemig_covered_doc[] =
    "covered(rows, cover, whole)\n--\n\nThe rows, last one first, that a later drawable makes pointless.";

PyObject *spicemig_edge_covered(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer rows, cover;
    int whole;
    PyObject *result = NULL;
    uint32_t few[64], *found = few;
    struct spicemig_row row;

    if (!PyArg_ParseTuple(args, "y*y*p:covered", &rows, &cover, &whole))
        return NULL;
    const size_t count = (size_t)rows.len / sizeof row;
    if ((size_t)rows.len % sizeof row != 0 || count > MOST_ROWS || (size_t)cover.len != sizeof row) {
        PyErr_Format(PyExc_ValueError, "rows: not %zu bytes each, or too many", sizeof row);
        goto exit;
    }
    memcpy(&row, cover.buf, sizeof row);
    if (count > sizeof few / sizeof few[0] && (found = malloc(count * sizeof *found)) == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    const size_t some = spicemig_covered(rows.buf, count, &row, whole, found);
    result = PyList_New((Py_ssize_t)some);
    for (size_t index = 0; result != NULL && index < some; index++) {
        PyObject *const place = PyLong_FromUnsignedLong(found[index]);
        if (place == NULL || PyList_SetItem(result, (Py_ssize_t)index, place) < 0)
            Py_CLEAR(result);
    }
exit:
    if (found != few)
        free(found);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&cover);
    return result;
}

#define RECT_BYTES 16
#define MOST_BOXES 256 /* in a region */

const char spicemig_add_boxes_doc[] =
    "add_boxes(region, boxes, most)\n--\n\nA region of at most so many boxes, with these added.";

PyObject *spicemig_edge_add_boxes(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer region, added;
    long long most;
    PyObject *result = NULL;
    struct spicemig_box boxes[MOST_BOXES];
    uint8_t packed[MOST_BOXES * RECT_BYTES];

    if (!PyArg_ParseTuple(args, "y*y*L:add_boxes", &region, &added, &most))
        return NULL;
    size_t count = (size_t)region.len / RECT_BYTES;
    if (most < 1 || most > MOST_BOXES || region.len % RECT_BYTES || added.len % RECT_BYTES ||
        (long long)count > most) {
        PyErr_SetString(PyExc_ValueError, "region: not whole boxes, or too many");
        goto exit;
    }
    for (size_t index = 0; index < count; index++)
        boxes[index] = spicemig_rect_at((const uint8_t *)region.buf + index * RECT_BYTES);
    for (Py_ssize_t at = 0; at < added.len; at += RECT_BYTES)
        spicemig_region_add(boxes, &count, (size_t)most, spicemig_rect_at((const uint8_t *)added.buf + at));
    for (size_t index = 0; index < count; index++) {
        const int32_t sides[] = {boxes[index].top, boxes[index].left, boxes[index].bottom, boxes[index].right};
        for (size_t side = 0; side < 4; side++)
            for (size_t byte = 0; byte < 4; byte++)
                packed[index * RECT_BYTES + side * 4 + byte] = (uint8_t)((uint32_t)sides[side] >> 8 * byte);
    }
    result = PyBytes_FromStringAndSize((const char *)packed, (Py_ssize_t)(count * RECT_BYTES));
exit:
    PyBuffer_Release(&region);
    PyBuffer_Release(&added);
    return result;
}
