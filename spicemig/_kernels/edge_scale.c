// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_scale.c: Python's arguments for scale.c; one of the files that know Python. */
#include "edge.h"

#include "scale.h"

/* Of both numbers: the first place less half a pixel, and the last one, fit into 16.16. */
static int fits(long long first, long long step, long long count)
{
    if (step < 0 || step > SIZE_LIMIT || first < (long long)INT32_MIN + 0x8000 || first > SIZE_LIMIT)
        return 0;
    return count < 1 || first + (count - 1) * step <= SIZE_LIMIT;
}

const char spicemig_scale_part_doc[] =
    "scale_part(dst, cols, rows, src, src_stride, src_width, src_height, x, y, step_x, step_y, bilinear, "
    "has_alpha)\n--\n\n"
    "Make rows of cols 32-bit pixels without gaps of an image read in steps of 16.16.";

PyObject *spicemig_edge_scale_part(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst, src;
    struct area to = {0}, from = {0};
    long long x, y, step_x, step_y;
    int bilinear, has_alpha;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLy*LLLLLLLpp:scale_part", &dst, &to.cols, &to.rows, &src, &from.stride,
                          &from.cols, &from.rows, &x, &y, &step_x, &step_y, &bilinear, &has_alpha))
        return NULL;
    if (to.cols < 0 || to.cols > SIZE_LIMIT / 4) {
        outside("dst");
        goto exit;
    }
    to.stride = to.cols * 4;
    if (!inside("dst", &dst, to) || !inside("src", &src, from))
        goto exit;
    if (!fits(x, step_x, to.cols) || !fits(y, step_y, to.rows)) {
        PyErr_SetString(PyExc_ValueError, "step: the part does not fit into 16.16 fixed point");
        goto exit;
    }
    if (!apart(&dst, &src))
        goto exit;
    const struct spicemig_image image = {
        .pixels = src.buf,
        .stride = (ptrdiff_t)from.stride,
        .width = (int32_t)from.cols,
        .height = (int32_t)from.rows,
        .opaque = has_alpha ? 0 : UINT32_C(0xff000000),
    };
    PyThreadState *state = released(to.rows, to.cols);
    spicemig_scale_part(dst.buf, (ptrdiff_t)to.stride, (size_t)to.rows, (size_t)to.cols, &image, x, y, step_x,
                        step_y, bilinear);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&dst);
    PyBuffer_Release(&src);
    return result;
}
