// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_scan.c: Python's arguments for scan.h; one of the files that know Python. */
#include "edge.h"

#include "scan.h"

const char spicemig_scan_headers_doc[] =
    "scan_headers(data, at, mini, whole, wanted)\n--\n\n"
    "Step over messages to a wanted one or the end: (at, messages, last serial, found).";

PyObject *spicemig_edge_scan_headers(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data, wanted;
    long long at, whole;
    int mini;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "y*LpLy*:scan_headers", &data, &at, &mini, &whole, &wanted))
        return NULL;
    if (wanted.len != SPICEMIG_SCAN_NUMBERS) {
        PyErr_Format(PyExc_ValueError, "wanted: not %d bytes", SPICEMIG_SCAN_NUMBERS);
    } else if (at < 0 || at > data.len) {
        PyErr_SetString(PyExc_ValueError, "at: outside the data");
    } else if (whole < 0 || (unsigned long long)whole > SIZE_MAX) {
        PyErr_SetString(PyExc_ValueError, "whole: not a number of bytes");
    } else {
        const struct spicemig_scan scan =
            spicemig_scan_headers(data.buf, (size_t)data.len, (size_t)at, mini, (size_t)whole, wanted.buf);
        result = Py_BuildValue("KKKO", (unsigned long long)scan.at, (unsigned long long)scan.messages,
                               (unsigned long long)scan.serial, scan.found ? Py_True : Py_False);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&wanted);
    return result;
}
