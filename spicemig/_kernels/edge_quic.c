// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_quic.c: Python's arguments for quic.h; one of the files that know Python. */
#include "edge.h"

#include <stdlib.h>

#include "edge_packing.h"
#include "quic.h"

struct rows {
    long long stride, width, height;
    unsigned type;
};

static int fit(const char *argument, const Py_buffer *buffer, struct rows rows)
{
    const long long bytes = (long long)spicemig_quic_pixel_bytes(rows.type);

    if (bytes == 0) {
        PyErr_Format(PyExc_ValueError, "type: QUIC has no type %u", rows.type);
        return 0;
    }
    if (rows.width < 1 || rows.width > 0xffff || rows.height < 1 || rows.height > 0xffff) {
        PyErr_SetString(PyExc_ValueError, "width: an image has 1 to 65535 pixels either way");
        return 0;
    }
    if (rows.stride < bytes * rows.width || rows.stride > SIZE_LIMIT ||
        buffer->len < (rows.height - 1) * rows.stride + bytes * rows.width) {
        PyErr_Format(PyExc_ValueError, "%s: the rows do not fit into the buffer", argument);
        return 0;
    }
    return 1;
}

const char spicemig_quic_encode_doc[] =
    "quic_encode(src, stride, width, height, type, top_down)\n--\n\n"
    "The words that follow the header of a QUIC stream.";

/* Everything coded, in *out, which is the caller's to free; 0 if there is no memory. Needs no GIL. */
static int encoded(const uint8_t *src, struct rows rows, int top_down, uint8_t **out, size_t *filled)
{
    const size_t width = (size_t)rows.width, height = (size_t)rows.height;
    const size_t most = spicemig_quic_row_bytes(rows.type, width);
    const ptrdiff_t stride = top_down ? (ptrdiff_t)rows.stride : -(ptrdiff_t)rows.stride;
    const uint8_t *row = top_down ? src : src + (height - 1) * (size_t)rows.stride;
    size_t room = width * height * spicemig_quic_pixel_bytes(rows.type) / 4 + most;
    struct spicemig_quic *coder = malloc(spicemig_quic_bytes(width));

    *out = malloc(room);
    *filled = 0;
    if (coder == NULL || *out == NULL)
        goto exit;
    spicemig_quic_begin(coder, rows.type, width);
    for (size_t done = 0;;) {
        done += spicemig_quic_encode(coder, row + (ptrdiff_t)done * stride, stride, height - done, *out, room,
                                     filled);
        if (done == height)
            break;
        room += room / 2 + most;
        uint8_t *more = realloc(*out, room);
        if (more == NULL) {
            free(*out);
            *out = NULL;
            goto exit;
        }
        *out = more;
    }
    spicemig_quic_end(coder, *out, filled);
exit:
    free(coder);
    return *out != NULL && coder != NULL;
}

int spicemig_quic_whole(const uint8_t *src, size_t stride, size_t width, size_t height, unsigned type,
                        int top_down, uint8_t **out, size_t *filled)
{
    const struct rows rows = {(long long)stride, (long long)width, (long long)height, type};

    return encoded(src, rows, top_down, out, filled);
}

PyObject *spicemig_edge_quic_encode(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer src;
    struct rows rows;
    int top_down;
    uint8_t *out;
    size_t filled;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "y*LLLIp:quic_encode", &src, &rows.stride, &rows.width, &rows.height,
                          &rows.type, &top_down))
        return NULL;
    if (fit("src", &src, rows)) {
        PyThreadState *state = released(rows.height, rows.width);
        const int done = encoded(src.buf, rows, top_down, &out, &filled);
        taken_back(state);
        result = done ? PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)filled) : PyErr_NoMemory();
        free(out);
    }
    PyBuffer_Release(&src);
    return result;
}

const char spicemig_quic_decode_doc[] =
    "quic_decode(dst, stride, width, height, type, data)\n--\n\n"
    "Rows from the words that follow the header of a QUIC stream; returns how many are whole.";

PyObject *spicemig_edge_quic_decode(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst, data;
    struct rows rows;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLIy*:quic_decode", &dst, &rows.stride, &rows.width, &rows.height,
                          &rows.type, &data))
        return NULL;
    if (!fit("dst", &dst, rows) || !apart(&dst, &data))
        goto exit;
    struct spicemig_quic *coder = malloc(spicemig_quic_bytes((size_t)rows.width));
    if (coder == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    PyThreadState *state = released(rows.height, rows.width);
    spicemig_quic_begin(coder, rows.type, (size_t)rows.width);
    const size_t done = spicemig_quic_decode(coder, dst.buf, (ptrdiff_t)rows.stride, (size_t)rows.height,
                                             data.buf, (size_t)data.len / 4);
    taken_back(state);
    free(coder);
    result = PyLong_FromSize_t(done);
exit:
    PyBuffer_Release(&dst);
    PyBuffer_Release(&data);
    return result;
}
