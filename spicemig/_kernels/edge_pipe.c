// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_pipe.c: Python's arguments for drawables.h; one of the files that know Python. */
#include "edge.h"

#include <stdlib.h>
#include <string.h>

#include "drawables.h"

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
