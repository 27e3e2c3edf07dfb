// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/edge_batches.c: batches of drawables packed for a client.
 *
 * What every client draws alike goes out from here; the first drawable that
 * Python must look at stops it. See channels/display_batches.py; the twins are in
 * channels/display_packing_reference.py.
 */
#include "edge_packing.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 128 /* drawables among which covered ones are looked for */
#define SURFACE_ROW_BYTES 20
#define BOX_BYTES 16 /* top, left, bottom, right */
#define POINT_BYTES 8 /* x, y */
#define DRAW_ALPHA_BLEND 313
#define PRIMARY 0
#define FULL_DEPTH 32

static const char *const names[ATTRIBUTES] = {
    "data",   "done",   "encodings", "flags",  "format", "head",     "height", "id",       "image_type", "images",
    "lossy",  "parts",  "pinned",    "record", "result", "snapshot", "stride", "surface",  "top_down",   "width",
};
static PyObject *interned[ATTRIBUTES];

PyObject *spicemig_packing_attribute(PyObject *object, enum attribute attribute)
{
    if (interned[attribute] == NULL) {
        interned[attribute] = PyUnicode_InternFromString(names[attribute]);
        if (interned[attribute] == NULL)
            return NULL;
    }
    return PyObject_GetAttr(object, interned[attribute]);
}

int spicemig_packing_number(PyObject *object, enum attribute attribute, long long *number)
{
    PyObject *const value = spicemig_packing_attribute(object, attribute);

    if (value == NULL)
        return 0;
    *number = PyLong_AsLongLong(value);
    Py_DECREF(value);
    return *number != -1 || !PyErr_Occurred();
}

int spicemig_grow(struct room *room, size_t bytes)
{
    if (room->size - room->used >= bytes)
        return 1;
    const size_t size = room->used + bytes + room->size / 2 + 256;
    uint8_t *const more = realloc(room->bytes, size);
    if (more == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    room->bytes = more;
    room->size = size;
    return 1;
}

static const uint8_t *surface_row(const struct packing *packing, uint32_t id)
{
    for (size_t index = 0; index < packing->surface_count; index++)
        if (spicemig_u32_at(packing->surfaces + index * SURFACE_ROW_BYTES) == id)
            return packing->surfaces + index * SURFACE_ROW_BYTES;
    return NULL;
}

static uint32_t format_of(const uint8_t *row)
{
    return spicemig_u32_at(row + 4);
}

/* Bits of a pixel as clients keep the surface. */
static uint32_t depth_of(const uint8_t *row)
{
    return spicemig_u32_at(row + 8);
}

/* A drawable of a batch on its way. */
struct taken {
    struct spicemig_drawable drawable;
    enum spicemig_kind kind;
    const uint8_t *target; /* the row of its surface; NULL: the client was not told of it */
    PyObject *image;       /* borrowed: the first one, if any */
    long long surface;     /* that this image is, or -1 */
    int kept;              /* even if it is covered: it may be a frame of a stream */
};

/* The surface that an image is, or -1; 0: an exception. */
static int surface_of(PyObject *image, long long *surface)
{
    PyObject *const value = spicemig_packing_attribute(image, SURFACE);

    if (value == NULL)
        return 0;
    *surface = value == Py_None ? -1 : PyLong_AsLongLong(value);
    Py_DECREF(value);
    return value == Py_None || *surface >= 0 || !PyErr_Occurred();
}

static int may_be_streamed(const struct packing *packing, struct taken *taken)
{
    long long width, height;

    taken->kept = 0;
    if (packing->stream_pixels == 0 || taken->kind != SPICEMIG_ONE_IMAGE || taken->surface >= 0 ||
        taken->drawable.number != SPICEMIG_DRAW_COPY || taken->drawable.surface != PRIMARY)
        return 1;
    if (!spicemig_packing_number(taken->image, WIDTH, &width) || !spicemig_packing_number(taken->image, HEIGHT, &height))
        return 0;
    taken->kept = width > 0 && height > 0 && height >= packing->stream_pixels / width;
    if (taken->kept)
        taken->kind = SPICEMIG_UNUSUAL;
    return 1;
}

/* Take one apart and make its row; 0: an exception. */
static int take(const struct packing *packing, const Py_buffer *records, PyObject *index, PyObject *images,
                Py_ssize_t place, struct taken *taken, struct spicemig_row *row)
{
    PyObject *const item = PyList_GetItem(index, place);
    const size_t offset = item == NULL ? 0 : PyLong_AsSize_t(item);

    if (PyErr_Occurred())
        return 0;
    if (!spicemig_drawable_read(records->buf, (size_t)records->len, offset, &taken->drawable)) {
        PyErr_SetString(PyExc_ValueError, "records: one that is not whole");
        return 0;
    }
    taken->image = NULL;
    taken->surface = -1;
    taken->kept = 0;
    taken->target = surface_row(packing, taken->drawable.surface);
    memset(row, 0, sizeof *row);
    if (taken->target == NULL)
        return 1;
    taken->kind = spicemig_drawable_kind(&taken->drawable);
    spicemig_drawable_row(&taken->drawable, row);
    for (size_t which = 0; which < taken->drawable.relocations; which++) {
        uint32_t pointer, number;
        long long surface;
        spicemig_drawable_relocation(&taken->drawable, which, &pointer, &number);
        PyObject *const image = PyList_GetItem(images, (Py_ssize_t)number);
        if (image == NULL || !surface_of(image, &surface))
            return 0;
        if (which == 0) {
            taken->image = image;
            taken->surface = surface;
        }
        if (surface >= 0 && surface <= UINT32_MAX)
            spicemig_row_reads(row, (uint32_t)surface);
    }
    if (!may_be_streamed(packing, taken))
        return 0;
    if (taken->kept)
        row->flags &= (uint8_t)~SPICEMIG_ROW_DRAWS;
    return 1;
}

/* Whether a surface as an image is drawn alike; channels/display_stock.py says why not. */
static int reads_alike(const struct packing *packing, const struct taken *taken)
{
    if (taken->surface < 0)
        return 1;
    const uint8_t *const source =
        taken->surface <= UINT32_MAX ? surface_row(packing, (uint32_t)taken->surface) : NULL;
    if (source == NULL || taken->surface == taken->drawable.surface ||
        !spicemig_drawable_inside(&taken->drawable, spicemig_u32_at(source + 12), spicemig_u32_at(source + 16)))
        return 0;
    return taken->drawable.number == DRAW_ALPHA_BLEND || format_of(source) == format_of(taken->target) ||
           (depth_of(source) == FULL_DEPTH && depth_of(taken->target) == FULL_DEPTH);
}

/* What can be said of a drawable without opening its image. */
static int is_plain(const struct packing *packing, const struct taken *taken)
{
    return taken->kind != SPICEMIG_UNUSUAL && depth_of(taken->target) != 1 && reads_alike(packing, taken);
}

/* Whether a stream is in a box. */
static int is_streamed(const struct packing *packing, int64_t top, int64_t left, int64_t bottom, int64_t right)
{
    for (const uint8_t *at = packing->streamed, *const end = at + packing->streamed_bytes; end - at >= BOX_BYTES;
         at += BOX_BYTES)
        if (top < spicemig_i32_at(at + 8) && spicemig_i32_at(at) < bottom && left < spicemig_i32_at(at + 12) &&
            spicemig_i32_at(at + 4) < right)
            return 1;
    return 0;
}

/*
 * Whether a drawable that is not unusual changes or reads what is streamed. The surface
 * is the one that its image is, or below 0.
 */
static int meets_streams(const struct packing *packing, const struct spicemig_drawable *drawable,
                         long long surface)
{
    if (packing->streamed_bytes < BOX_BYTES)
        return 0;
    if (surface == PRIMARY)
        return 1;
    if (drawable->surface != PRIMARY)
        return 0;
    if (is_streamed(packing, drawable->top, drawable->left, drawable->bottom, drawable->right))
        return 1;
    if (drawable->number != SPICEMIG_COPY_BITS)
        return 0;
    if (drawable->body_bytes < drawable->behind_base + POINT_BYTES)
        return 1;
    const int64_t left = spicemig_i32_at(drawable->body + drawable->behind_base);
    const int64_t top = spicemig_i32_at(drawable->body + drawable->behind_base + 4);
    return is_streamed(packing, top, left, top + drawable->bottom - drawable->top,
                       left + drawable->right - drawable->left);
}

static enum outcome pack_taken(struct packing *packing, const struct taken *taken)
{
    if (!is_plain(packing, taken) || meets_streams(packing, &taken->drawable, taken->surface))
        return STOPPED;
    return spicemig_pack_drawable(packing, &taken->drawable,
                                  taken->kind == SPICEMIG_ONE_IMAGE ? taken->image : NULL, taken->surface);
}

/* Mark the rows of a chunk that a later one of it covers: they do not draw any more. */
static size_t cull(struct spicemig_row *rows, size_t count, const struct taken *taken, uint8_t *dropped)
{
    size_t sum = 0;
    uint32_t found[CHUNK];

    memset(dropped, 0, count);
    for (size_t later = 1; later < count; later++) {
        if (taken[later].target == NULL || !(rows[later].flags & SPICEMIG_ROW_COVERS))
            continue;
        const size_t some = spicemig_covered((const uint8_t *)rows, later, rows + later, 0, found);
        for (size_t each = 0; each < some; each++) {
            memset(rows + found[each], 0, sizeof *rows);
            dropped[found[each]] = 1;
        }
        sum += some;
    }
    return sum;
}

static int read_client(PyObject *client, struct packing *packing)
{
    return PyArg_ParseTuple(client, "pLLLLLy#O!OO:client", &packing->mini, &packing->min_encoded,
                            &packing->max_padding, &packing->separate, &packing->small,
                            &packing->stream_pixels, &packing->streamed, &packing->streamed_bytes,
                            &PyTuple_Type, &packing->choices, &packing->own, &packing->window) &&
           (PyTuple_Size(packing->choices) == FORMATS ||
            (PyErr_SetString(PyExc_ValueError, "client: not a choice for each bitmap format"), 0));
}

/* Add to a number in a list of Python's; 0: an exception. */
static int add_to(PyObject *list, Py_ssize_t place, unsigned long long more)
{
    if (more == 0)
        return 1;
    PyObject *const before = PyList_GetItem(list, place);
    const unsigned long long sum = before == NULL ? 0 : PyLong_AsUnsignedLongLong(before) + more;
    PyObject *const now = PyErr_Occurred() ? NULL : PyLong_FromUnsignedLongLong(sum);

    return now != NULL && PyList_SetItem(list, place, now) == 0;
}

/* Count the images that were packed, by type, in lists of Python's: images, bytes, nanoseconds. */
static int count_sent(const struct packing *packing, PyObject *tally)
{
    PyObject *images, *bytes, *nanoseconds;

    if (!PyArg_ParseTuple(tally, "O!O!O!:tally", &PyList_Type, &images, &PyList_Type, &bytes, &PyList_Type,
                          &nanoseconds))
        return 0;
    for (Py_ssize_t type = 0; type < 256; type++) {
        const struct tally *const sent = packing->sent + type;
        if (!add_to(images, type, sent->images) || !add_to(bytes, type, sent->bytes) ||
            !add_to(nanoseconds, type, sent->nanoseconds))
            return 0;
    }
    return 1;
}

/* The result of a call, or NULL; gives everything back. */
static PyObject *finished(struct packing *packing, int well, Py_ssize_t next, PyObject *tally, size_t dropped)
{
    PyObject *result = NULL;

    if (well && spicemig_finish_part(packing) && count_sent(packing, tally))
        result = Py_BuildValue("nLLOnL", next, packing->messages, packing->total, packing->parts,
                               (Py_ssize_t)dropped, packing->own_pixels);
    Py_XDECREF(packing->parts);
    free(packing->packed.bytes);
    free(packing->lz.bytes);
    free(packing->payload.bytes);
    free(packing->rows.bytes);
    return result;
}

const char spicemig_pack_batch_doc[] =
    "pack_batch(records, index, start, images, surfaces, client, serial, room, bytes, budget, tally)\n--\n\n"
    "Pack drawables of a batch up to the first one that is for Python.";

PyObject *spicemig_edge_pack_batch(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer records, surfaces;
    Py_ssize_t start;
    long long room, bytes;
    PyObject *index, *images, *client, *tally;
    struct packing packing = {0};
    struct taken taken[CHUNK];
    struct spicemig_row rows[CHUNK];
    uint8_t dropped[CHUNK];
    size_t drops = 0;
    enum outcome outcome = DONE;

    if (!PyArg_ParseTuple(args, "y*O!nO!y*O!LLLLO!:pack_batch", &records, &PyList_Type, &index, &start,
                          &PyList_Type, &images, &surfaces, &PyTuple_Type, &client, &packing.serial, &room, &bytes,
                          &packing.budget, &PyTuple_Type, &tally))
        return NULL;
    packing.surfaces = surfaces.buf;
    packing.surface_count = (size_t)surfaces.len / SURFACE_ROW_BYTES;
    packing.parts = PyList_New(0);
    if (packing.parts == NULL || !read_client(client, &packing) || start < 0)
        outcome = FAILED;
    while (outcome == DONE && start < PyList_Size(index)) {
        const Py_ssize_t left = PyList_Size(index) - start;
        const size_t count = left < CHUNK ? (size_t)left : CHUNK;
        for (size_t each = 0; each < count && outcome == DONE; each++)
            if (!take(&packing, &records, index, images, start + (Py_ssize_t)each, taken + each, rows + each))
                outcome = FAILED;
        if (outcome == FAILED)
            break;
        cull(rows, count, taken, dropped);
        for (size_t each = 0; each < count; each++, start++) {
            if (dropped[each]) {
                drops++;
                continue;
            }
            if (taken[each].target == NULL)
                continue;
            if (packing.messages >= room || packing.total >= bytes)
                outcome = STOPPED;
            else
                outcome = pack_taken(&packing, taken + each);
            if (outcome != DONE)
                break;
        }
    }
    PyObject *const result = finished(&packing, outcome != FAILED, start, tally, drops);
    PyBuffer_Release(&records);
    PyBuffer_Release(&surfaces);
    return result;
}

/* Pack an entry of a pipe; it was looked at before. */
static enum outcome pack_entry(struct packing *packing, PyObject *entry)
{
    enum outcome outcome = FAILED;
    long long pinned, snapshot, surface = -1;
    PyObject *bytes = NULL, *images = NULL, *image = NULL;
    Py_buffer records;
    struct spicemig_drawable read;

    if (!spicemig_packing_number(entry, PINNED, &pinned) || !spicemig_packing_number(entry, SNAPSHOT, &snapshot))
        return FAILED;
    if (pinned || snapshot)
        return STOPPED;
    if ((bytes = spicemig_packing_attribute(entry, RECORD)) == NULL ||
        (images = spicemig_packing_attribute(entry, IMAGES)) == NULL ||
        PyObject_GetBuffer(bytes, &records, PyBUF_SIMPLE) < 0)
        goto exit;
    outcome = STOPPED;
    if (!PyList_Check(images) || !spicemig_drawable_read(records.buf, (size_t)records.len, 0, &read))
        goto release;
    const enum spicemig_kind kind = spicemig_drawable_kind(&read);
    if (kind == SPICEMIG_UNUSUAL)
        goto release;
    if (kind == SPICEMIG_ONE_IMAGE) {
        uint32_t pointer, number;
        spicemig_drawable_relocation(&read, 0, &pointer, &number);
        image = PyList_GetItem(images, (Py_ssize_t)number);
        if (image == NULL || !surface_of(image, &surface)) {
            outcome = FAILED;
            goto release;
        }
    }
    if (!meets_streams(packing, &read, surface))
        outcome = spicemig_pack_drawable(packing, &read, image, surface);
release:
    PyBuffer_Release(&records);
exit:
    Py_XDECREF(bytes);
    Py_XDECREF(images);
    return outcome;
}

const char spicemig_pack_entries_doc[] =
    "pack_entries(entries, kind, client, serial, room, bytes, budget, tally)\n--\n\n"
    "Pack entries of just this class, up to the first one that is for Python.";

PyObject *spicemig_edge_pack_entries(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_ssize_t next = 0;
    long long room, bytes;
    PyObject *entries, *kind, *client, *tally;
    struct packing packing = {0};
    enum outcome outcome = DONE;

    if (!PyArg_ParseTuple(args, "O!OO!LLLLO!:pack_entries", &PyList_Type, &entries, &kind, &PyTuple_Type,
                          &client, &packing.serial, &room, &bytes, &packing.budget, &PyTuple_Type, &tally))
        return NULL;
    packing.parts = PyList_New(0);
    if (packing.parts == NULL || !read_client(client, &packing))
        outcome = FAILED;
    while (outcome == DONE && next < PyList_Size(entries) && packing.messages < room &&
           packing.total < bytes) {
        PyObject *const entry = PyList_GetItem(entries, next);
        if (entry == NULL)
            outcome = FAILED;
        else if ((PyObject *)Py_TYPE(entry) != kind)
            outcome = STOPPED;
        else
            outcome = pack_entry(&packing, entry);
        next += outcome == DONE;
    }
    return finished(&packing, outcome != FAILED, next, tally, 0);
}

/* Make an entry of a drawable that was found plain; NULL: an exception. */
static PyObject *entry_of(PyObject *plain, PyObject *make, const struct taken *taken,
                          const struct spicemig_row *row)
{
    const struct spicemig_drawable *const drawable = &taken->drawable;
    const size_t size = (size_t)(drawable->body - drawable->record) + drawable->body_bytes;
    const int opaque = drawable->effect == SPICEMIG_EFFECT_OPAQUE && !drawable->clipped;
    long long weight = (long long)drawable->body_bytes;
    PyObject *entry = NULL, *images = PyList_New(0);
    PyObject *const record = PyByteArray_FromStringAndSize((const char *)drawable->record, (Py_ssize_t)size);

    if (record == NULL || images == NULL)
        goto exit;
    if (taken->kind == SPICEMIG_ONE_IMAGE) {
        /* the table has one row, whose second word is the place of the image */
        memset(PyByteArray_AsString(record) + SPICEMIG_RECORD_HEADER_BYTES + 4, 0, 4);
        PyObject *const data = spicemig_packing_attribute(taken->image, DATA);
        const Py_ssize_t bytes = data == NULL ? -1 : PyObject_Size(data);
        Py_XDECREF(data);
        if (bytes < 0 || PyList_Append(images, taken->image) < 0)
            goto exit;
        weight += bytes;
    }
    entry = PyObject_CallFunction(plain, "OIy#LOOO", make, (unsigned)drawable->surface, (const char *)row,
                                  (Py_ssize_t)sizeof *row, weight, opaque ? Py_True : Py_False, record, images);
exit:
    Py_XDECREF(record);
    Py_XDECREF(images);
    return entry;
}

const char spicemig_entries_of_batch_doc[] =
    "entries_of_batch(records, index, start, images, surfaces, stream_pixels, plain, make)\n--\n\n"
    "Make entries for a pipe of drawables, up to the first one that is for Python.";

PyObject *spicemig_edge_entries_of_batch(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer records, surfaces;
    Py_ssize_t start;
    PyObject *index, *images, *plain, *make, *result = NULL;
    struct packing packing = {0};
    struct taken taken;
    struct spicemig_row row;

    if (!PyArg_ParseTuple(args, "y*O!nO!y*LOO:entries_of_batch", &records, &PyList_Type, &index, &start,
                          &PyList_Type, &images, &surfaces, &packing.stream_pixels, &plain, &make))
        return NULL;
    packing.surfaces = surfaces.buf;
    packing.surface_count = (size_t)surfaces.len / SURFACE_ROW_BYTES;
    PyObject *const entries = PyList_New(0);
    for (start = start < 0 ? 0 : start; entries != NULL && start < PyList_Size(index); start++) {
        if (!take(&packing, &records, index, images, start, &taken, &row))
            goto exit;
        if (taken.target == NULL)
            continue;
        if (!is_plain(&packing, &taken))
            break;
        if (taken.kind == SPICEMIG_ONE_IMAGE && taken.surface < 0) {
            const enum outcome sound = spicemig_image_is_plain(&taken.drawable, taken.image);
            if (sound == FAILED)
                goto exit;
            if (sound == STOPPED)
                break;
        }
        PyObject *const entry = entry_of(plain, make, &taken, &row);
        const int added = entry != NULL && PyList_Append(entries, entry) == 0;
        Py_XDECREF(entry);
        if (!added)
            goto exit;
    }
    if (entries != NULL)
        result = Py_BuildValue("nO", start, entries);
exit:
    Py_XDECREF(entries);
    PyBuffer_Release(&records);
    PyBuffer_Release(&surfaces);
    return result;
}

#define MOST_SURFACES 32 /* that one call can tell of */
const char spicemig_boxes_of_batch_doc[] =
    "boxes_of_batch(records, index, start, images, surfaces, stream_pixels)\n--\n\n"
    "Where drawables draw, up to the first one that may be a frame: by surface, boxes as they are in records.";

PyObject *spicemig_edge_boxes_of_batch(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer records, surfaces;
    Py_ssize_t start;
    PyObject *index, *images, *found = NULL, *result = NULL;
    struct packing packing = {0};
    struct taken taken;
    struct spicemig_row row;
    uint32_t ids[MOST_SURFACES];
    struct room boxes[MOST_SURFACES] = {0};
    size_t count = 0, place = 0;

    if (!PyArg_ParseTuple(args, "y*O!nO!y*L:boxes_of_batch", &records, &PyList_Type, &index, &start,
                          &PyList_Type, &images, &surfaces, &packing.stream_pixels))
        return NULL;
    packing.surfaces = surfaces.buf;
    packing.surface_count = (size_t)surfaces.len / SURFACE_ROW_BYTES;
    for (start = start < 0 ? 0 : start; start < PyList_Size(index); start++) {
        if (!take(&packing, &records, index, images, start, &taken, &row))
            goto exit;
        if (taken.target == NULL)
            continue;
        if (taken.kept)
            break;
        if (place >= count || ids[place] != taken.drawable.surface)
            for (place = 0; place < count && ids[place] != taken.drawable.surface; place++)
                ;
        if (place == count) {
            if (count == MOST_SURFACES)
                break;
            ids[count++] = taken.drawable.surface;
        }
        if (!spicemig_grow(boxes + place, BOX_BYTES))
            goto exit;
        memcpy(boxes[place].bytes + boxes[place].used, taken.drawable.record + 12, BOX_BYTES);
        boxes[place].used += BOX_BYTES;
    }
    found = PyDict_New();
    for (size_t each = 0; each < count && found != NULL; each++) {
        PyObject *const id = PyLong_FromUnsignedLong(ids[each]);
        PyObject *const bytes =
            PyBytes_FromStringAndSize((const char *)boxes[each].bytes, (Py_ssize_t)boxes[each].used);
        if (id == NULL || bytes == NULL || PyDict_SetItem(found, id, bytes) < 0)
            Py_CLEAR(found);
        Py_XDECREF(id);
        Py_XDECREF(bytes);
    }
    if (found != NULL)
        result = Py_BuildValue("nN", start, found);
exit:
    for (size_t each = 0; each < count; each++)
        free(boxes[each].bytes);
    PyBuffer_Release(&records);
    PyBuffer_Release(&surfaces);
    return result;
}
