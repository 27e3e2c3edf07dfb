// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_sketch.c: Python's arguments for sketch.h; one of the files that know Python. */
#include "edge.h"

#include "sketch.h"

#define MOST_LOG 24

/* What both kernels take; the buffers are held when it returns 1. */
struct call {
    Py_buffer slots, src;
    unsigned log;
    struct spicemig_sketched image;
};

static int read_call(PyObject *args, const char *format, struct call *call)
{
    long long stride, width, height;
    unsigned pixel_bytes;

    if (!PyArg_ParseTuple(args, format, &call->slots, &call->src, &stride, &width, &height, &pixel_bytes,
                          &call->image.kind))
        return 0;
    for (call->log = 1; call->log < MOST_LOG && (Py_ssize_t)4 << call->log < call->slots.len;)
        call->log++;
    if (call->slots.len != (Py_ssize_t)4 << call->log) {
        PyErr_SetString(PyExc_ValueError, "slots: a power of two of them is wanted");
    } else if (pixel_bytes < 2 || pixel_bytes > 4) {
        PyErr_Format(PyExc_ValueError, "pixel_bytes: no pixels have %u", pixel_bytes);
    } else if (width < 1 || height < 1 || width > 0xffff || height > 0xffff) {
        PyErr_SetString(PyExc_ValueError, "width: an image has 1 to 65535 pixels either way");
    } else if (stride < width * pixel_bytes || stride > SIZE_LIMIT ||
               (height - 1) * stride + width * pixel_bytes > call->src.len) {
        PyErr_SetString(PyExc_ValueError, "src: the rows do not fit into the buffer");
    } else if (apart(&call->slots, &call->src)) {
        call->image.src = call->src.buf;
        call->image.stride = (size_t)stride;
        call->image.width = (size_t)width;
        call->image.height = (size_t)height;
        call->image.pixel_bytes = pixel_bytes;
        return 1;
    }
    PyBuffer_Release(&call->slots);
    PyBuffer_Release(&call->src);
    return 0;
}

static void end_call(struct call *call)
{
    PyBuffer_Release(&call->slots);
    PyBuffer_Release(&call->src);
}

const char spicemig_sketch_add_doc[] = "sketch_add(slots, src, stride, width, height, pixel_bytes, kind)\n--\n\n"
                                       "Note an image.";

PyObject *spicemig_edge_sketch_add(PyObject *Py_UNUSED(module), PyObject *args)
{
    struct call call;

    if (!read_call(args, "w*y*LLLIb:sketch_add", &call))
        return NULL;
    PyThreadState *const state = released((long long)call.image.height, (long long)call.image.width);
    spicemig_sketch_add(call.slots.buf, call.log, &call.image);
    taken_back(state);
    end_call(&call);
    return Py_NewRef(Py_None);
}

const char spicemig_sketch_find_doc[] =
    "sketch_find(slots, src, stride, width, height, pixel_bytes, kind)\n--\n\n"
    "How many squares of an image were noted, and how many were looked at.";

PyObject *spicemig_edge_sketch_find(PyObject *Py_UNUSED(module), PyObject *args)
{
    struct call call;
    size_t tried;

    if (!read_call(args, "y*y*LLLIb:sketch_find", &call))
        return NULL;
    const size_t found = spicemig_sketch_find(call.slots.buf, call.log, &call.image, &tried);
    end_call(&call);
    return Py_BuildValue("nn", (Py_ssize_t)found, (Py_ssize_t)tried);
}
