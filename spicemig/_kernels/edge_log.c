// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_log.c: Python's batches become a log of commands, which is culled and split. */
#include "edge_log.h"

#include <stdlib.h>
#include <string.h>

#include "cull.h"

PyObject *spicemig_attribute(PyObject *object, enum name name)
{
    static const char *const texts[NAMES] = {"images", "records",  "data",  "flags", "format",
                                             "height", "pixels",   "stride", "surface", "top_down",
                                             "width",  "id",       "tiles", "across"};
    static PyObject *names[NAMES];

    if (names[name] == NULL && (names[name] = PyUnicode_InternFromString(texts[name])) == NULL)
        return NULL;
    return PyObject_GetAttr(object, names[name]);
}

int spicemig_number(PyObject *object, enum name name, uint32_t *number)
{
    PyObject *value = spicemig_attribute(object, name);
    int overflow = 0;

    if (value == NULL)
        return -1;
    const long long found = PyLong_AsLongLongAndOverflow(value, &overflow);
    Py_DECREF(value);
    if (found == -1 && PyErr_Occurred())
        return -1;
    *number = overflow || found < 0 || found > UINT32_MAX ? 0 : (uint32_t)found;
    return 0;
}

Py_ssize_t spicemig_commands(const Py_buffer *log, size_t places, size_t *used)
{
    const Py_ssize_t count = log->len / (Py_ssize_t)sizeof(struct spicemig_command);

    if (log->len % (Py_ssize_t)sizeof(struct spicemig_command) != 0 ||
        (uintptr_t)log->buf % _Alignof(struct spicemig_command) != 0) {
        PyErr_SetString(PyExc_ValueError, "commands: these are no whole commands");
        return -1;
    }
    const struct spicemig_command *commands = log->buf;
    size_t last = 0;
    for (Py_ssize_t index = 0; index < count; index++) {
        last = commands[index].place > last ? commands[index].place : last;
        for (unsigned which = 0; which < SPICEMIG_READS; which++)
            if (commands[index].reads[which] != SPICEMIG_NO_PLACE && commands[index].reads[which] > last)
                last = commands[index].reads[which];
    }
    *used = count == 0 ? 0 : last + 1;
    if (*used > places) {
        PyErr_SetString(PyExc_ValueError, "commands: one names no surface");
        return -1;
    }
    return count;
}

/* What take_batch works with. */
struct taking {
    PyObject *images, *surfaces, *place_of;
    struct spicemig_drawn_image *known_images;
    uint8_t *image_states; /* of each: enum state */
    struct spicemig_shown *shown;
    uint8_t *shown_states;
    Py_ssize_t image_count, place_count;
    unsigned long long held_bytes, work;
    uint32_t last_id, last_place; /* the same surface comes again and again */
};

enum state { UNKNOWN = 0, KNOWN, IMPOSSIBLE };

/* The place of the surface with this id, or SPICEMIG_NO_PLACE; -1 with an error. */
static int find_place(struct taking *taking, PyObject *id, uint32_t *place)
{
    PyObject *found = PyDict_GetItemWithError(taking->place_of, id);

    *place = SPICEMIG_NO_PLACE;
    if (found == NULL)
        return PyErr_Occurred() ? -1 : 0;
    const long value = PyLong_AsLong(found);
    if (value == -1 && PyErr_Occurred())
        return -1;
    if (value < 0 || value >= taking->place_count) {
        PyErr_SetString(PyExc_ValueError, "place_of: there is no such place");
        return -1;
    }
    *place = (uint32_t)value;
    if (taking->shown_states[value] == KNOWN)
        return 0;
    PyObject *surface = PyList_GetItem(taking->surfaces, value);
    struct spicemig_shown *shown = &taking->shown[value];
    if (surface == NULL || spicemig_number(surface, NAME_WIDTH, &shown->width) < 0 ||
        spicemig_number(surface, NAME_HEIGHT, &shown->height) < 0 ||
        spicemig_number(surface, NAME_FORMAT, &shown->format) < 0)
        return -1;
    if (shown->width > SPICEMIG_LARGEST_SIDE || shown->height > SPICEMIG_LARGEST_SIDE) {
        PyErr_SetString(PyExc_ValueError, "surfaces: one is too large");
        return -1;
    }
    taking->shown_states[value] = KNOWN;
    return 0;
}

static int find_place_of(struct taking *taking, uint32_t id, uint32_t *place)
{
    if (id == taking->last_id && taking->last_place != SPICEMIG_NO_PLACE) {
        *place = taking->last_place;
        return 0;
    }
    PyObject *key = PyLong_FromUnsignedLong(id);
    if (key == NULL)
        return -1;
    const int result = find_place(taking, key, place);
    Py_DECREF(key);
    taking->last_id = id;
    taking->last_place = *place;
    return result;
}

/* Read the attributes of an image, once. */
static int know_image(struct taking *taking, Py_ssize_t number)
{
    struct spicemig_drawn_image *image = &taking->known_images[number];
    PyObject *object = PyList_GetItem(taking->images, number), *surface, *data = NULL, *value = NULL;
    int result = -1;

    if (taking->image_states[number] != UNKNOWN)
        return 0;
    if (object == NULL || (surface = spicemig_attribute(object, NAME_SURFACE)) == NULL)
        return -1;
    taking->image_states[number] = KNOWN;
    image->place = SPICEMIG_NO_PLACE;
    if (surface != Py_None) {
        result = find_place(taking, surface, &image->place);
        if (image->place == SPICEMIG_NO_PLACE)
            taking->image_states[number] = IMPOSSIBLE;
        Py_DECREF(surface);
        return result;
    }
    Py_DECREF(surface);
    if (spicemig_number(object, NAME_WIDTH, &image->width) < 0 ||
        spicemig_number(object, NAME_HEIGHT, &image->height) < 0 ||
        spicemig_number(object, NAME_FORMAT, &image->format) < 0 ||
        spicemig_number(object, NAME_FLAGS, &image->flags) < 0 ||
        spicemig_number(object, NAME_STRIDE, &image->stride) < 0 ||
        (value = spicemig_attribute(object, NAME_TOP_DOWN)) == NULL ||
        (data = spicemig_attribute(object, NAME_DATA)) == NULL)
        goto exit;
    const int top_down = PyObject_IsTrue(value);
    const Py_ssize_t bytes = PyObject_Size(data);
    if (top_down < 0 || bytes < 0)
        goto exit;
    image->bottom_up = !top_down;
    image->bytes = (uint64_t)bytes;
    taking->held_bytes += (uint64_t)bytes;
    result = 0;
exit:
    Py_XDECREF(value);
    Py_XDECREF(data);
    return result;
}

/* Whether all that a record names exists; -1 with an error. */
static int is_possible(struct taking *taking, const struct spicemig_record *record, uint32_t *place)
{
    if (find_place_of(taking, record->surface, place) < 0)
        return -1;
    int possible = *place != SPICEMIG_NO_PLACE;
    if (record->relocations > SPICEMIG_READS) {
        PyErr_SetString(PyExc_ValueError, "records: a drawable has too many images");
        return -1;
    }
    for (unsigned which = 0; which < record->relocations; which++) {
        const uint32_t number = spicemig_relocation_image(record, which);
        if ((Py_ssize_t)number >= taking->image_count) {
            PyErr_SetString(PyExc_ValueError, "records: a drawable names no image of its batch");
            return -1;
        }
        if (know_image(taking, (Py_ssize_t)number) < 0)
            return -1;
        possible &= taking->image_states[number] != IMPOSSIBLE;
    }
    return possible;
}

static int start(struct taking *taking)
{
    taking->image_count = PyList_Size(taking->images);
    taking->place_count = PyList_Size(taking->surfaces);
    taking->last_place = SPICEMIG_NO_PLACE;
    taking->known_images = calloc((size_t)taking->image_count + 1, sizeof *taking->known_images);
    taking->image_states = calloc((size_t)taking->image_count + 1, 1);
    taking->shown = calloc((size_t)taking->place_count + 1, sizeof *taking->shown);
    taking->shown_states = calloc((size_t)taking->place_count + 1, 1);
    if (taking->known_images == NULL || taking->image_states == NULL || taking->shown == NULL ||
        taking->shown_states == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    return 1;
}

static void finish(struct taking *taking)
{
    free(taking->known_images);
    free(taking->image_states);
    free(taking->shown);
    free(taking->shown_states);
}

const char spicemig_take_batch_doc[] =
    "take_batch(records, index, images, surfaces, place_of, number)\n--\n\n"
    "Make commands of the records of a batch, and write into them what effect they have.";

PyObject *spicemig_edge_take_batch(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer records;
    PyObject *index, *possible = NULL, *result = NULL;
    struct taking taking = {0};
    struct spicemig_command *commands = NULL;
    size_t made = 0;
    unsigned batch;

    if (!PyArg_ParseTuple(args, "w*O!O!O!O!I:take_batch", &records, &PyList_Type, &index, &PyList_Type,
                          &taking.images, &PyList_Type, &taking.surfaces, &PyDict_Type, &taking.place_of,
                          &batch))
        return NULL;
    const Py_ssize_t count = PyList_Size(index);
    taking.held_bytes = (unsigned long long)records.len;
    commands = malloc(((size_t)count + 1) * sizeof *commands);
    if (commands == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    if (!start(&taking))
        goto exit;
    for (Py_ssize_t each = 0; each < count; each++) {
        struct spicemig_record record;
        uint32_t place;
        PyObject *item = PyList_GetItem(index, each);
        const Py_ssize_t offset = item == NULL ? -1 : PyLong_AsSsize_t(item);
        if (offset == -1 && PyErr_Occurred())
            goto exit;
        if (offset < 0 || (uint64_t)offset > UINT32_MAX ||
            !spicemig_record_at(records.buf, (size_t)records.len, (size_t)offset, &record)) {
            PyErr_SetString(PyExc_ValueError, "index: there is no record");
            goto exit;
        }
        const int is = is_possible(&taking, &record, &place);
        if (is < 0)
            goto exit;
        if (!is && possible == NULL && (possible = PyList_GetSlice(index, 0, each)) == NULL)
            goto exit;
        if (!is)
            continue;
        if (possible != NULL && PyList_Append(possible, item) < 0)
            goto exit;
        struct spicemig_command *command = &commands[made];
        if (!spicemig_command_of(&record, place, taking.known_images, taking.shown, command) &&
            record.effect == SPICEMIG_EFFECT_OPAQUE)
            ((uint8_t *)records.buf)[offset + SPICEMIG_RECORD_EFFECT_OFFSET] = SPICEMIG_EFFECT_BLEND;
        command->batch = batch;
        command->offset = (uint32_t)offset;
        if (!spicemig_box_is_empty(command->box)) {
            taking.work += spicemig_work_of(command);
            made++;
        }
    }
    for (Py_ssize_t each = 0; each < taking.image_count; each++)
        if (know_image(&taking, each) < 0)
            goto exit;
    result = Py_BuildValue("(y#OKK)", (const char *)commands, (Py_ssize_t)(made * sizeof *commands),
                           possible == NULL ? Py_None : possible, taking.held_bytes, taking.work);
exit:
    finish(&taking);
    free(commands);
    Py_XDECREF(possible);
    PyBuffer_Release(&records);
    return result;
}

/* The commands that have their byte set, as bytes. */
static PyObject *chosen(const struct spicemig_command *commands, Py_ssize_t count, const uint8_t *set, int value)
{
    struct spicemig_command *some = malloc(((size_t)count + 1) * sizeof *some);
    size_t taken = 0;

    if (some == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t index = 0; index < count; index++)
        if (set[index] == value)
            some[taken++] = commands[index];
    PyObject *result = PyBytes_FromStringAndSize((const char *)some, (Py_ssize_t)(taken * sizeof *some));
    free(some);
    return result;
}

const char spicemig_cull_log_doc[] =
    "cull_log(commands, dead)\n--\n\n"
    "The commands that somebody needs, a byte for each place that says whether it is used, and the work.";

PyObject *spicemig_edge_cull_log(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer log, dead;
    struct spicemig_hidden *hidden = NULL;
    uint8_t *keep = NULL;
    unsigned long long work = 0;
    PyObject *kept = NULL, *used = NULL, *result = NULL;

    if (!PyArg_ParseTuple(args, "y*y*:cull_log", &log, &dead))
        return NULL;
    const struct spicemig_command *commands = log.buf;
    size_t places;
    const Py_ssize_t count = spicemig_commands(&log, (size_t)dead.len, &places);
    if (count < 0)
        goto exit;
    hidden = calloc(places + 1, sizeof *hidden);
    keep = calloc((size_t)count + 1, 1);
    used = PyByteArray_FromStringAndSize(NULL, dead.len);
    if (hidden == NULL || keep == NULL || used == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    spicemig_cull(commands, (size_t)count, hidden, dead.buf, places, keep);
    uint8_t *flags = (uint8_t *)PyByteArray_AsString(used);
    memset(flags, 0, (size_t)dead.len);
    for (Py_ssize_t index = 0; index < count; index++) {
        if (!keep[index])
            continue;
        work += spicemig_work_of(&commands[index]);
        flags[commands[index].place] = 1;
        for (unsigned which = 0; which < SPICEMIG_READS; which++)
            if (commands[index].reads[which] != SPICEMIG_NO_PLACE)
                flags[commands[index].reads[which]] = 1;
    }
    kept = chosen(commands, count, keep, 1);
    if (kept != NULL)
        result = Py_BuildValue("(OOK)", kept, used, work);
exit:
    free(hidden);
    free(keep);
    Py_XDECREF(kept);
    Py_XDECREF(used);
    PyBuffer_Release(&log);
    PyBuffer_Release(&dead);
    return result;
}

const char spicemig_split_log_doc[] =
    "split_log(commands, places, place)\n--\n\n"
    "The commands that have to do with a surface, and those that do not.";

PyObject *spicemig_edge_split_log(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer log;
    Py_ssize_t places, place;
    uint32_t *group = NULL;
    uint8_t *mine = NULL;
    PyObject *first = NULL, *second = NULL, *result = NULL;

    if (!PyArg_ParseTuple(args, "y*nn:split_log", &log, &places, &place))
        return NULL;
    if (place < 0 || place >= places || (unsigned long long)places >= SPICEMIG_NO_PLACE) {
        PyErr_SetString(PyExc_ValueError, "place: there is no such place");
        goto exit;
    }
    size_t used;
    const Py_ssize_t count = spicemig_commands(&log, (size_t)places, &used);
    if (count < 0)
        goto exit;
    used = (size_t)place >= used ? (size_t)place + 1 : used;
    group = malloc((used + 1) * sizeof *group);
    mine = calloc((size_t)count + 1, 1);
    if (group == NULL || mine == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    spicemig_split(log.buf, (size_t)count, group, used, (uint32_t)place, mine);
    first = chosen(log.buf, count, mine, 1);
    second = first == NULL ? NULL : chosen(log.buf, count, mine, 0);
    if (second != NULL)
        result = Py_BuildValue("(OO)", first, second);
exit:
    free(group);
    free(mine);
    Py_XDECREF(first);
    Py_XDECREF(second);
    PyBuffer_Release(&log);
    return result;
}

const char spicemig_renumber_log_doc[] =
    "renumber_log(commands, batches)\n--\n\n"
    "Number the batches that commands name from 0 on; returns the numbers that they had.";

PyObject *spicemig_edge_renumber_log(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer log;
    Py_ssize_t batches;
    uint32_t *numbers = NULL, next = 0;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*n:renumber_log", &log, &batches))
        return NULL;
    size_t used;
    const Py_ssize_t count = spicemig_commands(&log, SPICEMIG_NO_PLACE, &used);
    if (count < 0)
        goto exit;
    numbers = batches < 0 ? NULL : malloc(((size_t)batches + 1) * sizeof *numbers);
    if (numbers == NULL) {
        PyErr_NoMemory();
        goto exit;
    }
    memset(numbers, 0xff, ((size_t)batches + 1) * sizeof *numbers);
    struct spicemig_command *commands = log.buf;
    result = PyList_New(0);
    for (Py_ssize_t index = 0; index < count && result != NULL; index++) {
        const uint32_t batch = commands[index].batch;
        if ((unsigned long long)batch >= (unsigned long long)batches) {
            PyErr_SetString(PyExc_ValueError, "commands: one is of no batch");
            Py_CLEAR(result);
            break;
        }
        if (numbers[batch] == UINT32_MAX) {
            numbers[batch] = next++;
            PyObject *old = PyLong_FromUnsignedLong(batch);
            if (old == NULL || PyList_Append(result, old) < 0)
                Py_CLEAR(result);
            Py_XDECREF(old);
        }
        commands[index].batch = numbers[batch];
    }
exit:
    free(numbers);
    PyBuffer_Release(&log);
    return result;
}

/* Mark the tiles that a box touches; 0 if there are not so many. */
static int mark(const Py_buffer *tiles, uint32_t across, struct spicemig_box box)
{
    const size_t first = (size_t)box.left / SPICEMIG_TILE, last = (size_t)(box.right - 1) / SPICEMIG_TILE;
    const size_t top = (size_t)box.top / SPICEMIG_TILE, bottom = (size_t)(box.bottom - 1) / SPICEMIG_TILE;

    if (last >= across || bottom * across + last >= (size_t)tiles->len)
        return 0;
    for (size_t row = top; row <= bottom; row++)
        memset((uint8_t *)tiles->buf + row * across + first, 1, last - first + 1);
    return 1;
}

const char spicemig_mark_tiles_doc[] =
    "mark_tiles(commands, surfaces, dirty)\n--\n\nMark the tiles that commands draw on; dirty has those of ids.";

PyObject *spicemig_edge_mark_tiles(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer log, tiles = {0};
    PyObject *surfaces, *dirty, *result = NULL;
    uint32_t place = SPICEMIG_NO_PLACE, across = 0;

    if (!PyArg_ParseTuple(args, "y*O!O!:mark_tiles", &log, &PyList_Type, &surfaces, &PyDict_Type, &dirty))
        return NULL;
    const struct spicemig_command *commands = log.buf;
    size_t used;
    const Py_ssize_t count = spicemig_commands(&log, (size_t)PyList_Size(surfaces), &used);
    for (Py_ssize_t index = 0; index < count; index++) {
        const struct spicemig_command *command = &commands[index];
        if (command->place != place) {
            if (tiles.obj != NULL)
                PyBuffer_Release(&tiles);
            place = command->place;
            PyObject *surface = PyList_GetItem(surfaces, (Py_ssize_t)place);
            PyObject *id = surface == NULL ? NULL : spicemig_attribute(surface, NAME_ID);
            PyObject *found = id == NULL ? NULL : PyDict_GetItemWithError(dirty, id);
            Py_XDECREF(id);
            if (found == NULL && PyErr_Occurred())
                goto exit;
            if (found != NULL) {
                PyObject *bytes = spicemig_attribute(found, NAME_TILES);
                const int fault = bytes == NULL || spicemig_number(found, NAME_ACROSS, &across) < 0 ||
                                  PyObject_GetBuffer(bytes, &tiles, PyBUF_WRITABLE) < 0;
                Py_XDECREF(bytes);
                if (fault)
                    goto exit;
            }
        }
        if (tiles.obj != NULL &&
            (command->box.left < 0 || command->box.top < 0 || spicemig_box_is_empty(command->box) ||
             !mark(&tiles, across, command->box))) {
            PyErr_SetString(PyExc_ValueError, "commands: one leaves its surface");
            goto exit;
        }
    }
    if (count >= 0)
        result = Py_NewRef(Py_None);
exit:
    if (tiles.obj != NULL)
        PyBuffer_Release(&tiles);
    PyBuffer_Release(&log);
    return result;
}
