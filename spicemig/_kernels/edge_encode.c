// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_encode.c: images encoded where they are packed; see edge_packing.h. */
#include "edge_packing.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "glz.h"
#include "gradual.h"
#include "lz.h"

/* How a step of a choice is done; Codec of codecs/compiled.py. */
enum codec { WITH_LZ = 1, WITH_QUIC, WITH_LZ4 };

/* A step: one encoder that is tried. */
struct step {
    int codec, natural;
    unsigned image_type;
    long long most_bytes; /* of pixels that are encoded here */
    const char *start;    /* of the payload */
    Py_ssize_t start_bytes;
    const char *planes; /* of LZ; the type of QUIC */
    Py_ssize_t plane_count;
    PyObject *call; /* borrowed */
};

static unsigned long long nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
}

static int read_step(PyObject *steps, Py_ssize_t index, struct step *step)
{
    PyObject *const tuple = PyTuple_GetItem(steps, index);

    return tuple != NULL &&
           PyArg_ParseTuple(tuple, "iIpLy#y#O:step", &step->codec, &step->image_type, &step->natural,
                            &step->most_bytes, &step->start, &step->start_bytes, &step->planes,
                            &step->plane_count, &step->call);
}

/* The rows one behind the other. */
static const uint8_t *tight_rows(struct packing *packing, const struct device_image *image)
{
    const uint8_t *row = image->pixels.buf;

    if (image->stride == image->tight)
        return row;
    packing->rows.used = 0;
    if (!spicemig_grow(&packing->rows, image->tight * image->height))
        return NULL;
    for (size_t y = 0; y < image->height; y++, row += image->stride)
        memcpy(packing->rows.bytes + y * image->tight, row, image->tight);
    return packing->rows.bytes;
}

static void put_big_word(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

/* Each of these leaves a payload in scratch; 0: an exception. */
static int with_lz(struct packing *packing, const struct device_image *image, const struct step *step)
{
    const uint8_t *const rows = tight_rows(packing, image);
    const size_t bytes = image->tight * image->height;
    struct room *const out = &packing->payload;

    out->used = 0;
    if (rows == NULL || !spicemig_grow(out, (size_t)step->start_bytes + 16))
        return 0;
    memcpy(out->bytes, step->start, (size_t)step->start_bytes);
    uint8_t *const rest = out->bytes + step->start_bytes;
    put_big_word(rest, image->width);
    put_big_word(rest + 4, image->height);
    put_big_word(rest + 8, image->tight);
    put_big_word(rest + 12, image->top_down ? 1 : 0);
    out->used = (size_t)step->start_bytes + 16;
    for (Py_ssize_t index = 0; index < step->plane_count; index++) {
        const unsigned plane = (uint8_t)step->planes[index];
        const size_t unit = spicemig_lz_unit_bytes(plane);
        if (unit == 0 || bytes % unit != 0) {
            PyErr_SetString(PyExc_ValueError, "planes: not of these pixels");
            return 0;
        }
        packing->lz.used = 0;
        if (!spicemig_grow(&packing->lz, spicemig_lz_encode_scratch_bytes(plane, bytes / unit)) ||
            !spicemig_grow(out, spicemig_lz_room(plane, bytes / unit)))
            return 0;
        PyThreadState *const state = released((long long)image->height, (long long)image->width);
        out->used += spicemig_lz_encode(rows, plane, bytes / unit, packing->lz.bytes, out->bytes + out->used);
        taken_back(state);
    }
    return 1;
}

static int with_quic(struct packing *packing, const struct device_image *image, const struct step *step)
{
    struct room *const out = &packing->payload;
    uint8_t *words;
    size_t filled;

    if (step->plane_count != 1) {
        PyErr_SetString(PyExc_ValueError, "planes: QUIC has one type");
        return 0;
    }
    PyThreadState *const state = released((long long)image->height, (long long)image->width);
    const int made = spicemig_quic_whole(image->pixels.buf, image->stride, image->width, image->height,
                                         (uint8_t)step->planes[0], image->top_down, &words, &filled);
    taken_back(state);
    out->used = 0;
    if (made && spicemig_grow(out, (size_t)step->start_bytes + 8 + filled)) {
        memcpy(out->bytes, step->start, (size_t)step->start_bytes);
        put_word(out->bytes + step->start_bytes, (uint32_t)image->width);
        put_word(out->bytes + step->start_bytes + 4, (uint32_t)image->height);
        memcpy(out->bytes + step->start_bytes + 8, words, filled);
        out->used = (size_t)step->start_bytes + 8 + filled;
    } else if (!made) {
        PyErr_NoMemory();
    }
    free(words);
    return made && out->used != 0;
}

/* One block, by the library's own function, which is called with the rows. */
static int with_lz4(struct packing *packing, const struct device_image *image, const struct step *step)
{
    const size_t bytes = image->tight * image->height;
    struct room *const out = &packing->payload;
    char *block;
    Py_ssize_t size;
    PyObject *rows, *coded = NULL;

    if (image->stride == image->tight && (size_t)image->pixels.len == bytes) {
        rows = Py_NewRef(image->data);
    } else {
        const uint8_t *const copied = tight_rows(packing, image);
        rows = copied == NULL ? NULL : PyBytes_FromStringAndSize((const char *)copied, (Py_ssize_t)bytes);
    }
    if (rows != NULL) {
        coded = PyObject_CallFunctionObjArgs(step->call, rows, NULL);
        Py_DECREF(rows);
    }
    out->used = 0;
    if (coded != NULL && PyBytes_AsStringAndSize(coded, &block, &size) == 0 &&
        spicemig_grow(out, 6 + (size_t)size)) {
        out->bytes[0] = image->top_down ? 1 : 0;
        out->bytes[1] = (uint8_t)image->format;
        put_big_word(out->bytes + 2, (size_t)size);
        memcpy(out->bytes + 6, block, (size_t)size);
        out->used = 6 + (size_t)size;
    }
    Py_XDECREF(coded);
    return out->used != 0;
}

#define GLZ_RGB 102 /* a type of image */

/* Into the window without asking; STOPPED if the dictionary must be asked. */
static enum outcome into_window(struct packing *packing, const struct device_image *image, unsigned type,
                                struct payload *payload)
{
    const size_t count = image->width * image->height;
    enum outcome outcome = STOPPED;
    struct spicemig_glz_window *const window = spicemig_edge_glz_claim(packing->window);
    struct room *const out = &packing->payload;

    if (window == NULL)
        return FAILED;
    if (count <= window->size && spicemig_glz_row_bytes(type, (unsigned)image->width) == image->tight) {
        const uint8_t *const rows = tight_rows(packing, image);
        out->used = 0;
        outcome = FAILED;
        if (rows != NULL && spicemig_grow(out, spicemig_glz_room(type, count))) {
            const unsigned long long began = nanoseconds();
            PyThreadState *const state = released((long long)image->height, (long long)image->width);
            payload->size = spicemig_glz_encode(window, rows, type, (unsigned)image->width,
                                                (unsigned)image->height, image->top_down, out->bytes);
            taken_back(state);
            packing->sent[GLZ_RGB].nanoseconds += nanoseconds() - began;
            payload->type = GLZ_RGB;
            payload->bytes = out->bytes;
            packing->own_pixels += (long long)count;
            outcome = DONE;
        }
    }
    spicemig_edge_glz_release(packing->window);
    return outcome;
}

/*
 * What the client's own dictionary makes of the image: the type and a list of buffers.
 * None: it does not take it. NotImplemented: not here.
 */
static enum outcome owned(const struct packing *packing, const struct device_image *image, int natural_apart,
                          struct payload *payload)
{
    enum outcome outcome = FAILED;
    PyObject *parts, *const apart = natural_apart ? Py_True : Py_False;
    PyObject *const made = PyObject_CallFunctionObjArgs(packing->own, image->object, apart, NULL);

    if (made == NULL)
        return FAILED;
    if (made == Py_NotImplemented) {
        outcome = STOPPED;
    } else if (made == Py_None) {
        outcome = DONE;
    } else if (PyArg_ParseTuple(made, "IO!:made", &payload->type, &PyList_Type, &parts)) {
        payload->parts = Py_NewRef(parts);
        outcome = DONE;
    }
    Py_DECREF(made);
    return outcome;
}

/* What an Encoding that somebody made in Python has come to. */
static enum outcome from_encoding(PyObject *encoding, struct payload *payload)
{
    enum outcome outcome = FAILED;
    long long done, lossy, type, size = 0;
    PyObject *result = NULL, *head = NULL, *parts = NULL;
    char *bytes;
    Py_ssize_t head_bytes;
    uint8_t front[64];

    if (!spicemig_packing_number(encoding, DONE_, &done))
        return FAILED;
    if (!done)
        return STOPPED;
    result = spicemig_packing_attribute(encoding, RESULT);
    if (result == NULL || result == Py_None) {
        outcome = result == NULL ? FAILED : DONE;
        goto exit;
    }
    if (!spicemig_packing_number(result, LOSSY, &lossy) || !spicemig_packing_number(result, IMAGE_TYPE, &type))
        goto exit;
    head = spicemig_packing_attribute(result, HEAD);
    parts = spicemig_packing_attribute(result, PARTS);
    if (head == NULL || parts == NULL)
        goto exit;
    if (lossy || type < 0 || type > 255 || !PyList_Check(parts) || !PyBytes_Check(head) ||
        PyBytes_AsStringAndSize(head, &bytes, &head_bytes) < 0 || head_bytes > (Py_ssize_t)sizeof front - 4) {
        outcome = PyErr_Occurred() ? FAILED : STOPPED;
        goto exit;
    }
    for (Py_ssize_t index = 0; index < PyList_Size(parts); index++) {
        const Py_ssize_t some = PyObject_Size(PyList_GetItem(parts, index));
        if (some < 0)
            goto exit;
        size += some;
    }
    memcpy(front, bytes, (size_t)head_bytes);
    put_word(front + head_bytes, (uint32_t)size);
    PyObject *const first = PyBytes_FromStringAndSize((const char *)front, head_bytes + 4);
    payload->parts = PyList_GetSlice(parts, 0, PyList_Size(parts));
    if (first != NULL && payload->parts != NULL && PyList_Insert(payload->parts, 0, first) == 0) {
        payload->type = (unsigned)type;
        outcome = DONE;
    }
    Py_XDECREF(first);
exit:
    Py_XDECREF(result);
    Py_XDECREF(head);
    Py_XDECREF(parts);
    return outcome;
}

/* What was made of the image before, for any client. */
static enum outcome known(PyObject *found, struct payload *payload)
{
    char *bytes;
    Py_ssize_t size;
    PyObject *coded;

    if (found == Py_None)
        return DONE;
    if (!PyTuple_Check(found))
        return from_encoding(found, payload);
    if (!PyArg_ParseTuple(found, "IS:known", &payload->type, &coded) ||
        PyBytes_AsStringAndSize(coded, &bytes, &size) < 0)
        return FAILED;
    payload->held = Py_NewRef(coded);
    payload->bytes = (const uint8_t *)bytes;
    payload->size = (size_t)size;
    return DONE;
}

/* Leave what was made with the image, for other clients; 0: an exception. */
static int leave(const struct device_image *image, PyObject *names, const struct payload *payload)
{
    PyObject *const value = payload->type == 0 ? Py_NewRef(Py_None)
                                               : Py_BuildValue("Iy#", payload->type, payload->bytes,
                                                               (Py_ssize_t)payload->size);
    const int left = value != NULL && PyDict_SetItem(image->encodings, names, value) == 0;

    Py_XDECREF(value);
    return left;
}

static int is_natural(const struct device_image *image, int pixel_bytes, double below)
{
    size_t pairs;

    if (pixel_bytes == 0 || image->width < 2 || image->height < 2)
        return 0;
    const int64_t score = spicemig_gradual_score(image->pixels.buf, image->stride, image->width,
                                                 image->height, (size_t)pixel_bytes, &pairs);
    return (double)score < (double)pairs * below;
}

/* Whether an image of so many bytes may be encoded here; it counts. */
static int affordable(struct packing *packing, long long plain, long long most)
{
    if (plain > most || (plain > packing->small && plain > packing->budget))
        return 0;
    if (plain > packing->small)
        packing->budget -= plain;
    return 1;
}

/* Try the steps until one helps; 0: an exception. */
static int encode(struct packing *packing, const struct device_image *image, PyObject *steps, int pixel_bytes,
                  double below, struct payload *payload)
{
    const size_t plain = image->tight * image->height;
    const unsigned long long began = nanoseconds();
    int natural = -1;
    struct step step;

    for (Py_ssize_t index = 0; index < PyTuple_Size(steps) && payload->type == 0; index++) {
        int made;
        if (!read_step(steps, index, &step))
            return 0;
        if (step.natural && natural < 0)
            natural = is_natural(image, pixel_bytes, below);
        if (step.natural && !natural)
            continue;
        if (step.codec == WITH_LZ)
            made = with_lz(packing, image, &step);
        else if (step.codec == WITH_QUIC)
            made = with_quic(packing, image, &step);
        else
            made = with_lz4(packing, image, &step);
        if (!made)
            return 0;
        if (packing->payload.used < plain) {
            payload->type = step.image_type;
            payload->bytes = packing->payload.bytes;
            payload->size = packing->payload.used;
        }
    }
    packing->sent[payload->type & 255].nanoseconds += nanoseconds() - began;
    return 1;
}

enum outcome spicemig_encode_image(struct packing *packing, const struct device_image *image,
                                   struct payload *payload)
{
    const long long plain = (long long)(image->tight * image->height);
    PyObject *const choice = PyTuple_GetItem(packing->choices, image->format), *names, *steps;
    int pixel_bytes, natural_apart;
    unsigned own_type;
    double below;
    long long most = packing->small, own_bytes;
    struct step step;

    if (choice == NULL)
        return FAILED;
    if (choice == Py_None)
        return STOPPED;
    if (!PyArg_ParseTuple(choice, "OO!idLIp:choice", &names, &PyTuple_Type, &steps, &pixel_bytes, &below,
                          &own_bytes, &own_type, &natural_apart))
        return FAILED;
    if (plain < packing->min_encoded)
        return DONE;
    /* one with high bits set the client changes, so that it is not in its window as it was here */
    if (own_bytes > 0 && packing->own != Py_None && image->flags == 0) {
        if (!affordable(packing, plain, own_bytes))
            return STOPPED;
        enum outcome outcome = STOPPED;
        if (packing->window != Py_None && !(natural_apart && is_natural(image, pixel_bytes, below)))
            outcome = into_window(packing, image, own_type, payload);
        if (outcome == STOPPED)
            outcome = owned(packing, image, natural_apart, payload);
        if (outcome != DONE || payload->type != 0)
            return outcome;
    }
    if (PyTuple_Size(steps) == 0)
        return DONE;
    PyObject *const found = PyDict_GetItemWithError(image->encodings, names);
    if (found != NULL)
        return known(found, payload);
    if (PyErr_Occurred())
        return FAILED;
    for (Py_ssize_t index = 0; index < PyTuple_Size(steps); index++) {
        if (!read_step(steps, index, &step))
            return FAILED;
        most = index == 0 || step.most_bytes < most ? step.most_bytes : most;
    }
    if (!affordable(packing, plain, most))
        return STOPPED;
    return encode(packing, image, steps, pixel_bytes, below, payload) && leave(image, names, payload) ? DONE
                                                                                                      : FAILED;
}
