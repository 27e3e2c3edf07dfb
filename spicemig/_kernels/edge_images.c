// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_images.c: drawables packed with their images; see edge_packing.h. */
#include "edge_packing.h"

#include <string.h>

#include "convert.h"

/* spice.proto: Image, Bitmap and their flags */
#define TYPE_BITMAP 0
#define TYPE_SURFACE 104
#define CACHE_ME 1
#define HIGH_BITS_SET 2
#define TOP_DOWN_FLAG 4
#define DESCRIPTOR_BYTES 18
#define BITMAP_BYTES 18 /* what stands between descriptor and pixels: no palette */

#define MINI_HEADER_BYTES 6
#define FULL_HEADER_BYTES 18

#define MOST_SIDE 0xffff
#define MOST_IMAGE_BYTES ((long long)256 << 20) /* MAX_IMAGE_BYTES of codecs/pixels.py */

int spicemig_finish_part(struct packing *packing)
{
    if (packing->packed.used == 0)
        return 1;
    PyObject *const part =
        PyBytes_FromStringAndSize((const char *)packing->packed.bytes, (Py_ssize_t)packing->packed.used);
    const int done = part != NULL && PyList_Append(packing->parts, part) == 0;
    Py_XDECREF(part);
    packing->packed.used = 0;
    return done;
}

/* Add bytes; 0: an exception. */
static int add(struct packing *packing, const void *bytes, size_t count)
{
    if (!spicemig_grow(&packing->packed, count))
        return 0;
    memcpy(packing->packed.bytes + packing->packed.used, bytes, count);
    packing->packed.used += count;
    return 1;
}

/* Add the first bytes of a buffer: a copy of them, or if they are many the buffer itself. */
static int add_buffer(struct packing *packing, PyObject *object, size_t count)
{
    Py_buffer buffer;

    if ((long long)count >= packing->separate) {
        PyObject *part = NULL;
        if (PyBytes_Check(object) && (size_t)PyBytes_Size(object) == count) {
            part = Py_NewRef(object);
        } else {
            PyObject *const view = PyMemoryView_FromObject(object);
            if (view != NULL)
                part = PySequence_GetSlice(view, 0, (Py_ssize_t)count);
            Py_XDECREF(view);
        }
        const int done =
            part != NULL && spicemig_finish_part(packing) && PyList_Append(packing->parts, part) == 0;
        Py_XDECREF(part);
        return done;
    }
    if (PyObject_GetBuffer(object, &buffer, PyBUF_SIMPLE) < 0)
        return 0;
    const int done = count <= (size_t)buffer.len && add(packing, buffer.buf, count);
    PyBuffer_Release(&buffer);
    return done;
}

/* Begin a message: its header, and its body up to the images. */
static int begin(struct packing *packing, const struct spicemig_drawable *drawable, size_t behind)
{
    const size_t size = drawable->body_bytes + behind;
    uint8_t header[FULL_HEADER_BYTES] = {0}, *at = header;

    packing->serial++;
    if (!packing->mini) {
        put_word(at, (uint32_t)packing->serial);
        put_word(at + 4, (uint32_t)(packing->serial >> 32));
        at += 8;
    }
    at[0] = (uint8_t)drawable->number;
    at[1] = (uint8_t)(drawable->number >> 8);
    put_word(at + 2, (uint32_t)size);
    const size_t count = packing->mini ? MINI_HEADER_BYTES : FULL_HEADER_BYTES;
    if (!add(packing, header, count) || !add(packing, drawable->body, drawable->body_bytes))
        return 0;
    for (size_t which = 0; which < drawable->relocations; which++) {
        uint32_t pointer, image;
        spicemig_drawable_relocation(drawable, which, &pointer, &image);
        put_word(packing->packed.bytes + packing->packed.used - drawable->body_bytes + pointer,
                 (uint32_t)drawable->body_bytes);
    }
    packing->messages++;
    packing->total += (long long)(count + size);
    return 1;
}

static void describe(uint8_t *at, unsigned long long id, unsigned type, unsigned flags, size_t width,
                     size_t height)
{
    put_word(at, (uint32_t)id);
    put_word(at + 4, (uint32_t)(id >> 32));
    at[8] = (uint8_t)type;
    at[9] = (uint8_t)flags;
    put_word(at + 10, (uint32_t)width);
    put_word(at + 14, (uint32_t)height);
}

static enum outcome done_if(int done)
{
    return done ? DONE : FAILED;
}

static int read_id(PyObject *object, unsigned long long *id)
{
    PyObject *const value = spicemig_packing_attribute(object, ID);

    if (value == NULL)
        return 0;
    *id = PyLong_AsUnsignedLongLong(value);
    Py_DECREF(value);
    return !PyErr_Occurred();
}

static enum outcome pack_surface(struct packing *packing, const struct spicemig_drawable *drawable,
                                 PyObject *image, long long surface)
{
    unsigned long long id;
    long long width, height;
    uint8_t named[DESCRIPTOR_BYTES + 4];

    if (!read_id(image, &id) || !spicemig_packing_number(image, WIDTH, &width) ||
        !spicemig_packing_number(image, HEIGHT, &height))
        return FAILED;
    if (width < 0 || width > UINT32_MAX || height < 0 || height > UINT32_MAX)
        return STOPPED;
    describe(named, id, TYPE_SURFACE, 0, (size_t)width, (size_t)height);
    put_word(named + DESCRIPTOR_BYTES, (uint32_t)surface);
    count_image(packing, TYPE_SURFACE, sizeof named);
    return done_if(begin(packing, drawable, sizeof named) && add(packing, named, sizeof named));
}

/* Take an image's attributes; STOPPED if it is not sound. The buffer is held when it is DONE. */
static enum outcome open_image(PyObject *object, struct device_image *image)
{
    long long width, height, stride, format, flags, top_down;

    if (!spicemig_packing_number(object, FLAGS, &flags) || !spicemig_packing_number(object, FORMAT, &format) ||
        !spicemig_packing_number(object, WIDTH, &width) || !spicemig_packing_number(object, HEIGHT, &height) ||
        !spicemig_packing_number(object, STRIDE, &stride) || !spicemig_packing_number(object, TOP_DOWN, &top_down) ||
        !read_id(object, &image->id))
        return FAILED;
    if (format < 0 || format >= FORMATS || width < 1 || width > MOST_SIDE || height < 1 ||
        height > MOST_SIDE || stride < 1 || stride > SIZE_LIMIT || stride * height > MOST_IMAGE_BYTES)
        return STOPPED;
    image->tight = spicemig_row_bytes((unsigned)format, (size_t)width);
    if (image->tight == 0 || stride < (long long)image->tight)
        return STOPPED;
    image->object = object;
    image->width = (size_t)width;
    image->height = (size_t)height;
    image->stride = (size_t)stride;
    image->format = (unsigned)format;
    image->flags = (unsigned)flags;
    image->top_down = top_down != 0;
    image->encodings = spicemig_packing_attribute(object, ENCODINGS);
    image->data = spicemig_packing_attribute(object, DATA);
    enum outcome outcome = FAILED;
    if (image->encodings != NULL && image->data != NULL &&
        PyObject_GetBuffer(image->data, &image->pixels, PyBUF_SIMPLE) == 0) {
        if (image->pixels.len >= stride * height && PyDict_Check(image->encodings))
            return DONE;
        PyBuffer_Release(&image->pixels);
        outcome = STOPPED;
    }
    Py_XDECREF(image->encodings);
    Py_XDECREF(image->data);
    return outcome;
}

static void close_image(struct device_image *image)
{
    PyBuffer_Release(&image->pixels);
    Py_DECREF(image->encodings);
    Py_DECREF(image->data);
}

static enum outcome pack_bitmap(struct packing *packing, const struct spicemig_drawable *drawable,
                                const struct device_image *image)
{
    const int padded = (long long)(image->stride - image->tight) < packing->max_padding;
    const size_t stride = padded ? image->stride : image->tight, bytes = stride * image->height;
    uint8_t head[DESCRIPTOR_BYTES + BITMAP_BYTES] = {0}, *const bitmap = head + DESCRIPTOR_BYTES;

    describe(head, image->id, TYPE_BITMAP, image->flags, image->width, image->height);
    bitmap[0] = (uint8_t)image->format;
    bitmap[1] = image->top_down ? TOP_DOWN_FLAG : 0;
    put_word(bitmap + 2, (uint32_t)image->width);
    put_word(bitmap + 6, (uint32_t)image->height);
    put_word(bitmap + 10, (uint32_t)stride);
    count_image(packing, TYPE_BITMAP, sizeof head + bytes);
    if (!begin(packing, drawable, sizeof head + bytes) || !add(packing, head, sizeof head))
        return FAILED;
    if (stride == image->stride)
        return done_if(add_buffer(packing, image->data, bytes));
    const uint8_t *row = image->pixels.buf;
    if (!spicemig_grow(&packing->packed, bytes))
        return FAILED;
    for (size_t y = 0; y < image->height; y++, row += image->stride) {
        memcpy(packing->packed.bytes + packing->packed.used, row, stride);
        packing->packed.used += stride;
    }
    return DONE;
}

static enum outcome pack_payload(struct packing *packing, const struct spicemig_drawable *drawable,
                                 const struct device_image *image, const struct payload *payload)
{
    uint8_t head[DESCRIPTOR_BYTES + 4];
    size_t size = 0;

    describe(head, image->id, payload->type, image->flags, image->width, image->height);
    if (payload->parts == NULL) {
        put_word(head + DESCRIPTOR_BYTES, (uint32_t)payload->size);
        count_image(packing, payload->type, sizeof head + payload->size);
        if (!begin(packing, drawable, sizeof head + payload->size) || !add(packing, head, sizeof head))
            return FAILED;
        return done_if(payload->held != NULL ? add_buffer(packing, payload->held, payload->size)
                                             : add(packing, payload->bytes, payload->size));
    }
    const Py_ssize_t count = PyList_Size(payload->parts);
    for (Py_ssize_t index = 0; index < count; index++) {
        const Py_ssize_t some = PyObject_Size(PyList_GetItem(payload->parts, index));
        if (some < 0)
            return FAILED;
        size += (size_t)some;
    }
    count_image(packing, payload->type, DESCRIPTOR_BYTES + size);
    if (!begin(packing, drawable, DESCRIPTOR_BYTES + size) || !add(packing, head, DESCRIPTOR_BYTES))
        return FAILED;
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *const part = PyList_GetItem(payload->parts, index);
        if (!add_buffer(packing, part, (size_t)PyObject_Size(part)))
            return FAILED;
    }
    return DONE;
}

enum outcome spicemig_pack_drawable(struct packing *packing, const struct spicemig_drawable *drawable,
                                    PyObject *object, long long surface)
{
    struct device_image image;
    struct payload payload = {0};

    if (object == NULL)
        return done_if(begin(packing, drawable, 0));
    if (surface >= 0)
        return pack_surface(packing, drawable, object, surface);
    enum outcome outcome = open_image(object, &image);
    if (outcome != DONE)
        return outcome;
    outcome = STOPPED;
    if (!(image.flags & CACHE_ME) &&
        spicemig_drawable_inside(drawable, (uint32_t)image.width, (uint32_t)image.height)) {
        image.flags &= HIGH_BITS_SET;
        outcome = spicemig_encode_image(packing, &image, &payload);
        if (outcome == DONE)
            outcome = payload.type == TYPE_BITMAP ? pack_bitmap(packing, drawable, &image)
                                                  : pack_payload(packing, drawable, &image, &payload);
    }
    Py_XDECREF(payload.held);
    Py_XDECREF(payload.parts);
    close_image(&image);
    return outcome;
}

enum outcome spicemig_image_is_plain(const struct spicemig_drawable *drawable, PyObject *object)
{
    struct device_image image;
    enum outcome outcome = open_image(object, &image);

    if (outcome == DONE) {
        if (image.format < SPICEMIG_16BIT ||
            !spicemig_drawable_inside(drawable, (uint32_t)image.width, (uint32_t)image.height))
            outcome = STOPPED;
        close_image(&image);
    }
    return outcome;
}
