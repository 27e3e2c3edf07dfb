// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_lz.c: Python's arguments for lz.h; one of the files that know Python. */
#include "edge.h"

#include <stdlib.h>

#include "lz.h"

#define MOST_UNITS ((size_t)1 << 28)

/* The units of a plane that a buffer holds; 0, with an exception, if that is wrong. */
static size_t units_of(const char *argument, const Py_buffer *buffer, unsigned plane)
{
    const size_t unit = spicemig_lz_unit_bytes(plane), bytes = (size_t)buffer->len;

    if (unit == 0) {
        PyErr_Format(PyExc_ValueError, "plane: LZ has no plane %u", plane);
        return 0;
    }
    if (bytes == 0 || bytes % unit != 0 || bytes / unit > MOST_UNITS) {
        PyErr_Format(PyExc_ValueError, "%s: not 1 to %zu whole units", argument, MOST_UNITS);
        return 0;
    }
    return bytes / unit;
}

const char spicemig_lz_encode_doc[] = "lz_encode(src, plane)\n--\n\nThe tokens of a plane of an image.";

PyObject *spicemig_edge_lz_encode(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer src;
    unsigned plane;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "y*I:lz_encode", &src, &plane))
        return NULL;
    const size_t count = units_of("src", &src, plane);
    if (count != 0) {
        void *scratch = malloc(spicemig_lz_encode_scratch_bytes(plane, count));
        uint8_t *out = malloc(spicemig_lz_room(plane, count));
        if (scratch == NULL || out == NULL) {
            PyErr_NoMemory();
        } else {
            PyThreadState *state = released(1, (long long)count);
            const size_t bytes = spicemig_lz_encode(src.buf, plane, count, scratch, out);
            taken_back(state);
            result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)bytes);
        }
        free(scratch);
        free(out);
    }
    PyBuffer_Release(&src);
    return result;
}

const char spicemig_lz_decode_doc[] =
    "lz_decode(dst, plane, data)\n--\n\n"
    "Fill a plane from tokens; returns how many bytes they are, 0 if they do not just fill it.";

PyObject *spicemig_edge_lz_decode(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst, data;
    unsigned plane;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*Iy*:lz_decode", &dst, &plane, &data))
        return NULL;
    const size_t count = units_of("dst", &dst, plane);
    if (count != 0 && apart(&dst, &data)) {
        const size_t scratch_bytes = spicemig_lz_decode_scratch_bytes(plane, count);
        void *scratch = malloc(scratch_bytes ? scratch_bytes : 1);
        if (scratch == NULL) {
            PyErr_NoMemory();
        } else {
            PyThreadState *state = released(1, (long long)count);
            const size_t taken =
                spicemig_lz_decode(dst.buf, plane, count, scratch, data.buf, (size_t)data.len);
            taken_back(state);
            result = PyLong_FromSize_t(taken);
        }
        free(scratch);
    }
    PyBuffer_Release(&dst);
    PyBuffer_Release(&data);
    return result;
}
