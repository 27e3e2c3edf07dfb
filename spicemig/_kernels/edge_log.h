// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_log.h: attributes of Python objects and arguments, for edge_log*.c. */
#ifndef SPICEMIG_EDGE_LOG_H
#define SPICEMIG_EDGE_LOG_H

#include "edge.h"

#include "drawing.h"

/* Names of attributes, made once. */
enum name {
    NAME_BATCH_IMAGES,
    NAME_BATCH_RECORDS,
    NAME_DATA,
    NAME_FLAGS,
    NAME_FORMAT,
    NAME_HEIGHT,
    NAME_PIXELS,
    NAME_STRIDE,
    NAME_SURFACE,
    NAME_TOP_DOWN,
    NAME_WIDTH,
    NAME_ID,
    NAME_TILES,
    NAME_ACROSS,
    NAMES
};

/* The attribute, a new reference; NULL with an error if there is none. */
PyObject *spicemig_attribute(PyObject *object, enum name name);

/* An attribute that is a number; 0 for one that is negative or above UINT32_MAX. -1: there is none. */
int spicemig_number(PyObject *object, enum name name, uint32_t *number);

/*
 * The commands of a log; how many, or -1 with an error. Of each the places were checked;
 * used is behind the last of them.
 */
Py_ssize_t spicemig_commands(const Py_buffer *log, size_t places, size_t *used);

#endif
