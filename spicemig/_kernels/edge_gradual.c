// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_gradual.c: Python's arguments for gradual.h; one of the files that know Python. */
#include "edge.h"

#include "gradual.h"

const char spicemig_gradual_score_doc[] =
    "gradual_score(src, stride, width, height, pixel_bytes)\n--\n\n"
    "What samples of an image score, in quarters, and how many pairs of pixels that were.";

PyObject *spicemig_edge_gradual_score(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer src;
    long long stride, width, height;
    unsigned pixel_bytes;
    size_t pairs;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "y*LLLI:gradual_score", &src, &stride, &width, &height, &pixel_bytes))
        return NULL;
    if (pixel_bytes < 2 || pixel_bytes > 4) {
        PyErr_Format(PyExc_ValueError, "pixel_bytes: no pixels have %u", pixel_bytes);
    } else if (width < 2 || height < 2 || width > 0xffff || height > 0xffff) {
        PyErr_SetString(PyExc_ValueError, "width: an image has 2 to 65535 pixels either way");
    } else if (stride < width * pixel_bytes || stride > SIZE_LIMIT ||
               (height - 1) * stride + width * pixel_bytes > src.len) {
        PyErr_SetString(PyExc_ValueError, "src: the rows do not fit into the buffer");
    } else {
        PyThreadState *state = released(height, width);
        const int64_t score = spicemig_gradual_score(src.buf, (size_t)stride, (size_t)width, (size_t)height,
                                                     pixel_bytes, &pairs);
        taken_back(state);
        result = Py_BuildValue("Ln", (long long)score, (Py_ssize_t)pairs);
    }
    PyBuffer_Release(&src);
    return result;
}
