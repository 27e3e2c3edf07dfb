// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_draw_log.c: draws the commands of a log; those that are not common, by Python. */
#include "edge_log.h"

#include <stdlib.h>
#include <string.h>

#include "copy.h"
#include "fill.h"
#include "rop.h"

/* A surface that was drawn on or read, its pixels held. */
struct held {
    int is_known;
    Py_buffer pixels;
    uint32_t width, height, stride;
};

/* What draw_log works with. */
struct drawing_log {
    PyObject *batches, *surfaces;
    size_t place_count;
    struct held *held;
};

/* What a command copies from: its first pixel and rows as they are drawn. */
struct source {
    const uint8_t *first;
    ptrdiff_t stride;
    struct spicemig_box whole;
};

/* The surface at this place, or NULL with an error. */
static struct held *held_at(struct drawing_log *drawing, uint32_t place)
{
    struct held *held = &drawing->held[place];

    if (held->is_known)
        return held;
    PyObject *surface = PyList_GetItem(drawing->surfaces, (Py_ssize_t)place);
    if (surface == NULL || spicemig_number(surface, NAME_WIDTH, &held->width) < 0 ||
        spicemig_number(surface, NAME_HEIGHT, &held->height) < 0 ||
        spicemig_number(surface, NAME_STRIDE, &held->stride) < 0)
        return NULL;
    PyObject *pixels = spicemig_attribute(surface, NAME_PIXELS);
    if (pixels == NULL)
        return NULL;
    const int fault = PyObject_GetBuffer(pixels, &held->pixels, PyBUF_WRITABLE) < 0;
    Py_DECREF(pixels);
    if (fault)
        return NULL;
    held->is_known = 1;
    const struct area whole = {held->stride, 0, 0, held->width, held->height};
    return inside("pixels", &held->pixels, whole) ? held : NULL;
}

/* An item of a batch's list of images, borrowed as long as nobody changes the batch. */
static PyObject *image_of(const struct drawing_log *drawing, const struct spicemig_command *command)
{
    PyObject *batch = PyList_GetItem(drawing->batches, (Py_ssize_t)command->batch);
    PyObject *images = batch == NULL ? NULL : spicemig_attribute(batch, NAME_BATCH_IMAGES);
    PyObject *image = images == NULL ? NULL : PyList_GetItem(images, (Py_ssize_t)command->value);

    Py_XDECREF(images);
    return image;
}

/* Call work with every box that is to be drawn; 0 with an error. */
typedef void paint_box(uint8_t *dst, const struct held *to, struct spicemig_box box,
                       const struct spicemig_command *command, const struct source *source);

static void fill_box(uint8_t *dst, const struct held *to, struct spicemig_box box,
                     const struct spicemig_command *command, const struct source *Py_UNUSED(source))
{
    spicemig_fill_rect(dst, (ptrdiff_t)to->stride, (size_t)(box.bottom - box.top),
                       (size_t)(box.right - box.left), command->value, command->rop);
}

static const uint8_t *source_pixel(const struct source *source, const struct spicemig_command *command,
                                   struct spicemig_box box)
{
    return source->first + (ptrdiff_t)(box.top + command->dy) * source->stride +
           (ptrdiff_t)(box.left + command->dx) * 4;
}

static void copy_box(uint8_t *dst, const struct held *to, struct spicemig_box box,
                     const struct spicemig_command *command, const struct source *source)
{
    spicemig_copy_rect(dst, (ptrdiff_t)to->stride, source_pixel(source, command, box), source->stride,
                       (size_t)(box.bottom - box.top), (size_t)(box.right - box.left), command->rop);
}

static void move_box(uint8_t *dst, const struct held *to, struct spicemig_box box,
                     const struct spicemig_command *command, const struct source *source)
{
    spicemig_move_rect(dst, source_pixel(source, command, box), (ptrdiff_t)to->stride,
                       (size_t)(box.bottom - box.top), (size_t)(box.right - box.left));
}

/* Draw one box, as far as it and its source are on their surfaces. */
static void paint(const struct held *to, struct spicemig_box box, const struct spicemig_command *command,
                  const struct source *source, paint_box *work)
{
    const struct spicemig_box surface = {0, 0, (int32_t)to->width, (int32_t)to->height};

    box = spicemig_box_within(box, command->box);
    box = spicemig_box_within(box, surface);
    if (source != NULL) {
        const struct spicemig_box there = {
            source->whole.left - command->dx,
            source->whole.top - command->dy,
            source->whole.right - command->dx,
            source->whole.bottom - command->dy,
        };
        box = spicemig_box_within(box, there);
    }
    if (spicemig_box_is_empty(box))
        return;
    PyThreadState *state = released((long long)box.bottom - box.top, (long long)box.right - box.left);
    work((uint8_t *)to->pixels.buf + (size_t)box.top * to->stride + (size_t)box.left * 4, to, box, command,
         source);
    taken_back(state);
}

/* Draw the whole command, or its rectangles; 0 with an error. */
static int paint_all(const struct drawing_log *drawing, const struct held *to,
                     const struct spicemig_command *command, const struct source *source, paint_box *work)
{
    struct spicemig_record record;
    Py_buffer records;

    if (!(command->flags & SPICEMIG_CLIPPED)) {
        paint(to, command->box, command, source, work);
        return 1;
    }
    PyObject *batch = PyList_GetItem(drawing->batches, (Py_ssize_t)command->batch);
    PyObject *bytes = batch == NULL ? NULL : spicemig_attribute(batch, NAME_BATCH_RECORDS);
    if (bytes == NULL)
        return 0;
    const int fault = PyObject_GetBuffer(bytes, &records, PyBUF_SIMPLE) < 0;
    Py_DECREF(bytes);
    if (fault)
        return 0;
    const int known = spicemig_record_at(records.buf, (size_t)records.len, command->offset, &record);
    if (known) {
        struct spicemig_reader reader = {record.body, record.body_bytes, 0};
        const struct spicemig_draw_base base = spicemig_take_draw_base(&reader);
        for (uint32_t which = 0; which < base.rects_count; which++)
            paint(to, spicemig_rect_at(base.rects + (size_t)which * 16), command, source, work);
    } else {
        PyErr_SetString(PyExc_ValueError, "batches: there is no record");
    }
    PyBuffer_Release(&records);
    return known;
}

static struct source source_of(const struct held *held)
{
    return (struct source){held->pixels.buf, (ptrdiff_t)held->stride,
                           {0, 0, (int32_t)held->width, (int32_t)held->height}};
}

/* Copy from an image; 0 with an error, -1 if it has not the pixels any more that it had. */
static int copy_image(const struct drawing_log *drawing, const struct held *to,
                      const struct spicemig_command *command)
{
    const size_t row_bytes = (size_t)command->width * 4, rows = command->height;
    Py_buffer data;
    PyObject *image = image_of(drawing, command);
    PyObject *bytes = image == NULL ? NULL : spicemig_attribute(image, NAME_DATA);

    if (bytes == NULL)
        return 0;
    const int fault = PyObject_GetBuffer(bytes, &data, PyBUF_SIMPLE) < 0;
    Py_DECREF(bytes);
    if (fault) {
        PyErr_Clear();
        return -1;
    }
    int result = -1;
    if (rows != 0 && command->stride >= row_bytes &&
        (rows - 1) * (size_t)command->stride + row_bytes <= (size_t)data.len && apart(&to->pixels, &data)) {
        const uint8_t *first = data.buf;
        struct source source = {first, (ptrdiff_t)command->stride,
                                {0, 0, (int32_t)command->width, (int32_t)command->height}};
        if (command->flags & SPICEMIG_BOTTOM_UP) {
            source.first = first + (rows - 1) * (size_t)command->stride;
            source.stride = -source.stride;
        }
        result = paint_all(drawing, to, command, &source, copy_box);
    } else {
        PyErr_Clear();
    }
    PyBuffer_Release(&data);
    return result;
}

/* Draw a command; 0 with an error, -1 if Python has to. */
static int draw(struct drawing_log *drawing, const struct spicemig_command *command)
{
    if (command->operation == SPICEMIG_BY_OTHERS || command->rop > 15)
        return -1;
    const struct held *to = held_at(drawing, command->place), *from;
    struct source source;

    if (to == NULL)
        return 0;
    switch (command->operation) {
    case SPICEMIG_FILL:
        return paint_all(drawing, to, command, NULL, fill_box);
    case SPICEMIG_COPY:
        return copy_image(drawing, to, command);
    case SPICEMIG_COPY_SURFACE:
        if (command->reads[0] == SPICEMIG_NO_PLACE || command->reads[0] == command->place)
            return -1;
        if ((from = held_at(drawing, command->reads[0])) == NULL || !apart(&to->pixels, &from->pixels))
            return 0;
        source = source_of(from);
        return paint_all(drawing, to, command, &source, copy_box);
    case SPICEMIG_MOVE:
        source = source_of(to);
        return paint_all(drawing, to, command, &source, move_box);
    default:
        return -1;
    }
}

const char spicemig_draw_log_doc[] =
    "draw_log(commands, batches, surfaces, other)\n--\n\n"
    "Draw commands in order; other is called with the number of each that is not drawn here.";

PyObject *spicemig_edge_draw_log(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer log;
    PyObject *other, *result = NULL;
    struct drawing_log drawing = {0};

    if (!PyArg_ParseTuple(args, "y*O!O!O:draw_log", &log, &PyList_Type, &drawing.batches, &PyList_Type,
                          &drawing.surfaces, &other))
        return NULL;
    const struct spicemig_command *commands = log.buf;
    const Py_ssize_t count =
        spicemig_commands(&log, (size_t)PyList_Size(drawing.surfaces), &drawing.place_count);
    if (count < 0)
        goto exit;
    drawing.held = calloc(drawing.place_count + 1, sizeof *drawing.held);
    if (drawing.held == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        const int drawn = draw(&drawing, &commands[index]);
        if (drawn == 0)
            goto exit;
        if (drawn < 0) {
            PyObject *said = PyObject_CallFunction(other, "n", index);
            if (said == NULL)
                goto exit;
            Py_DECREF(said);
        }
    }
    result = Py_NewRef(Py_None);
exit:
    for (size_t place = 0; drawing.held != NULL && place < drawing.place_count; place++)
        if (drawing.held[place].is_known)
            PyBuffer_Release(&drawing.held[place].pixels);
    free(drawing.held);
    PyBuffer_Release(&log);
    return result;
}
