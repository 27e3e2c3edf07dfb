// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/edge_glz.c: Python's arguments for glz.h; one of the files that know Python. */
#include "edge.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "glz.h"

#define WINDOW "spicemig.glz_window"
#define DECODER "spicemig.glz_decoder_window"
#define MOST_COUNT ((size_t)1 << 28) /* units of a decoded image */
#define LARGE_PAGE ((size_t)2 << 20)

/* An encoder's window; busy while a thread without the GIL uses it. */
struct holder {
    struct spicemig_glz_window *window;
    void *memory;
    size_t bytes;
    int busy;
};

static int in_use(int busy)
{
    if (busy)
        PyErr_SetString(PyExc_RuntimeError, "window: another thread uses it");
    return busy;
}

/* Memory that is there only as far as it is used; in large pages, as each page's first use costs. */
static void *new_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= 2 * LARGE_PAGE)
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

/*
 * The memory of the window that went last, for the next one of its size: to get
 * new memory from the system takes half as long as to fill it with images. The
 * system may take what is in it, and does when it needs memory.
 */
static struct {
    void *memory;
    size_t bytes;
} spare;

static void give_up(void *memory, size_t bytes)
{
#ifdef MADV_FREE
    if (spare.memory == NULL && madvise(memory, bytes, MADV_FREE) == 0) {
        spare.memory = memory;
        spare.bytes = bytes;
        return;
    }
#endif
    munmap(memory, bytes);
}

/* Memory for a window, in which anything may be. */
static void *memory_for(size_t bytes)
{
    void *memory = spare.memory;

    if (memory == NULL)
        return new_memory(bytes);
    spare.memory = NULL;
    if (spare.bytes == bytes)
        return memory;
    munmap(memory, spare.bytes);
    return new_memory(bytes);
}

static void window_gone(PyObject *capsule)
{
    struct holder *holder = PyCapsule_GetPointer(capsule, WINDOW);

    give_up(holder->memory, holder->bytes);
    free(holder);
}

const char spicemig_glz_window_doc[] =
    "glz_window(size, next_id)\n--\n\nAn empty window of so many units for the encoder.";

PyObject *spicemig_edge_glz_window(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long size, next_id;

    if (!PyArg_ParseTuple(args, "LL:glz_window", &size, &next_id))
        return NULL;
    if (size < 1 || size > (long long)SPICEMIG_GLZ_MOST_UNITS) {
        PyErr_Format(PyExc_ValueError, "size: not 1 to %zu units", SPICEMIG_GLZ_MOST_UNITS);
        return NULL;
    }
    if (next_id < 0) {
        PyErr_SetString(PyExc_ValueError, "next_id: less than 0");
        return NULL;
    }
    struct holder *holder = calloc(1, sizeof *holder);
    if (holder == NULL)
        return PyErr_NoMemory();
    holder->bytes = spicemig_glz_window_bytes((size_t)size);
    holder->memory = memory_for(holder->bytes);
    if (holder->memory == NULL) {
        free(holder);
        return PyErr_NoMemory();
    }
    holder->window = spicemig_glz_begin(holder->memory, (size_t)size);
    holder->window->oldest = holder->window->next = (uint64_t)next_id;
    PyObject *capsule = PyCapsule_New(holder, WINDOW, window_gone);
    if (capsule == NULL) {
        give_up(holder->memory, holder->bytes);
        free(holder);
    }
    return capsule;
}

struct spicemig_glz_window *spicemig_edge_glz_claim(PyObject *capsule)
{
    struct holder *holder = PyCapsule_GetPointer(capsule, WINDOW);

    if (holder == NULL || in_use(holder->busy))
        return NULL;
    holder->busy = 1;
    return holder->window;
}

void spicemig_edge_glz_release(PyObject *capsule)
{
    struct holder *holder = PyCapsule_GetPointer(capsule, WINDOW);

    holder->busy = 0;
}

const char spicemig_glz_state_doc[] =
    "glz_state(window)\n--\n\n"
    "The id of the next image, that of the oldest, and how many units the window holds.";

PyObject *spicemig_edge_glz_state(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule;

    if (!PyArg_ParseTuple(args, "O:glz_state", &capsule))
        return NULL;
    const struct spicemig_glz_window *window = spicemig_edge_glz_claim(capsule);
    if (window == NULL)
        return NULL;
    PyObject *state = Py_BuildValue("KKn", (unsigned long long)window->next, (unsigned long long)window->oldest,
                                    (Py_ssize_t)window->taken);
    spicemig_edge_glz_release(capsule);
    return state;
}

const char spicemig_glz_forget_doc[] =
    "glz_forget(window, id)\n--\n\nDrop the images before this id.";

PyObject *spicemig_edge_glz_forget(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule;
    unsigned long long id;

    if (!PyArg_ParseTuple(args, "OK:glz_forget", &capsule, &id))
        return NULL;
    struct spicemig_glz_window *window = spicemig_edge_glz_claim(capsule);
    if (window == NULL)
        return NULL;
    spicemig_glz_forget(window, id);
    spicemig_edge_glz_release(capsule);
    Py_RETURN_NONE;
}

/* The units of an image whose rows a buffer holds, if it fits into the window; 0, with an exception, if not. */
static size_t fits(const struct spicemig_glz_window *window, const Py_buffer *src, unsigned type, unsigned width,
                   unsigned height)
{
    const size_t unit = spicemig_glz_unit_bytes(type), row = spicemig_glz_row_bytes(type, width);

    if (unit == 0) {
        PyErr_Format(PyExc_ValueError, "type: GLZ has no type %u", type);
        return 0;
    }
    if (width < 1 || width > 0xffff || height < 1 || height > 0xffff || (size_t)src->len != row * height) {
        PyErr_SetString(PyExc_ValueError, "src: not as many bytes as an image of this size and type has");
        return 0;
    }
    if (row / unit * height > window->size) {
        PyErr_SetString(PyExc_ValueError, "src: larger than the window");
        return 0;
    }
    return row / unit * height;
}

const char spicemig_glz_encode_doc[] =
    "glz_encode(window, src, type, width, height, top_down)\n--\n\n"
    "The stream of an image, which gets the next id and is in the window from now on.";

PyObject *spicemig_edge_glz_encode(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule, *result = NULL;
    Py_buffer src;
    unsigned type, width, height;
    int top_down;

    if (!PyArg_ParseTuple(args, "Oy*IIIp:glz_encode", &capsule, &src, &type, &width, &height, &top_down))
        return NULL;
    struct spicemig_glz_window *window = spicemig_edge_glz_claim(capsule);
    if (window != NULL) {
        const size_t count = fits(window, &src, type, width, height);
        uint8_t *out = count ? malloc(spicemig_glz_room(type, count)) : NULL;
        if (out != NULL) {
            PyThreadState *state = released(1, (long long)count);
            const size_t bytes = spicemig_glz_encode(window, src.buf, type, width, height, top_down, out);
            taken_back(state);
            result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)bytes);
            free(out);
        } else if (count) {
            PyErr_NoMemory();
        }
        spicemig_edge_glz_release(capsule);
    }
    PyBuffer_Release(&src);
    return result;
}

const char spicemig_glz_put_doc[] =
    "glz_put(window, src, type, width, height, id)\n--\n\nTake in an image that the client has already.";

PyObject *spicemig_edge_glz_put(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule, *result = NULL;
    Py_buffer src;
    unsigned type, width, height;
    long long id;

    if (!PyArg_ParseTuple(args, "Oy*IIIL:glz_put", &capsule, &src, &type, &width, &height, &id))
        return NULL;
    struct spicemig_glz_window *window = spicemig_edge_glz_claim(capsule);
    if (window != NULL) {
        if (id < 0 || (window->oldest != window->next && (uint64_t)id != window->next)) {
            PyErr_SetString(PyExc_ValueError, "id: not that of the next image");
        } else {
            const size_t count = fits(window, &src, type, width, height);
            if (count) {
                if (window->oldest == window->next)
                    window->oldest = window->next = (uint64_t)id;
                PyThreadState *state = released(1, (long long)count);
                spicemig_glz_put(window, src.buf, type, width, height);
                taken_back(state);
                result = Py_NewRef(Py_None);
            }
        }
        spicemig_edge_glz_release(capsule);
    }
    PyBuffer_Release(&src);
    return result;
}

const char spicemig_glz_image_doc[] =
    "glz_image(window, first)\n--\n\n"
    "Id, type, width, height and units of the window's first image of at least this id; None if there is none.";

PyObject *spicemig_edge_glz_image(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule, *result = NULL;
    unsigned long long first;

    if (!PyArg_ParseTuple(args, "OK:glz_image", &capsule, &first))
        return NULL;
    const struct spicemig_glz_window *window = spicemig_edge_glz_claim(capsule);
    if (window == NULL)
        return NULL;
    const struct spicemig_glz_image *image =
        spicemig_glz_find(window, first < window->oldest ? window->oldest : first);
    if (image == NULL) {
        result = Py_NewRef(Py_None);
    } else {
        PyObject *units = PyBytes_FromStringAndSize(
            NULL, (Py_ssize_t)(image->count * spicemig_glz_unit_bytes(image->type)));
        if (units != NULL) {
            spicemig_glz_get(window, image, (uint8_t *)PyBytes_AsString(units));
            result = Py_BuildValue("KIIIN", (unsigned long long)image->id, (unsigned)image->type,
                                   (unsigned)image->width, (unsigned)image->height, units);
        }
    }
    spicemig_edge_glz_release(capsule);
    return result;
}

const char spicemig_glz_probe_doc[] =
    "glz_probe(window, src, type)\n--\n\n"
    "How many of some places of an image are found in the window, and how many were looked up.";

PyObject *spicemig_edge_glz_probe(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule, *result = NULL;
    Py_buffer src;
    unsigned type;

    if (!PyArg_ParseTuple(args, "Oy*I:glz_probe", &capsule, &src, &type))
        return NULL;
    const struct spicemig_glz_window *window = spicemig_edge_glz_claim(capsule);
    if (window != NULL) {
        const size_t unit = spicemig_glz_unit_bytes(type);
        if (unit == 0 || src.len == 0 || (size_t)src.len % unit != 0) {
            PyErr_SetString(PyExc_ValueError, "src: not whole units of a type that GLZ has");
        } else {
            size_t tried;
            const size_t found = spicemig_glz_probe(window, src.buf, type, (size_t)src.len / unit, &tried);
            result = Py_BuildValue("nn", (Py_ssize_t)found, (Py_ssize_t)tried);
        }
        spicemig_edge_glz_release(capsule);
    }
    PyBuffer_Release(&src);
    return result;
}

/* An image of a decoder's window; its units are those of a bytes object. */
struct decoded {
    uint64_t id;
    PyObject *units; /* NULL: nothing is here */
    const uint8_t *data;
    size_t count;
    unsigned type;
};

/* A table of images by id: each is at its home or behind it, without a gap; at most half of it is used. */
struct decoder {
    struct decoded *images;
    size_t slots; /* a power of two, or 0 */
    size_t used;
    int busy;
};

static size_t home_of(const struct decoder *decoder, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 32) & (decoder->slots - 1);
}

/* Where an image is, or would be. There are slots. */
static struct decoded *slot_of(const struct decoder *decoder, uint64_t id)
{
    size_t at = home_of(decoder, id);

    while (decoder->images[at].units != NULL && decoder->images[at].id != id)
        at = (at + 1) & (decoder->slots - 1);
    return decoder->images + at;
}

static struct spicemig_glz_source looked_up(const void *images, uint64_t id, unsigned type)
{
    const struct decoder *decoder = images;

    if (decoder->slots) {
        const struct decoded *found = slot_of(decoder, id);
        if (found->units != NULL && found->type == type)
            return (struct spicemig_glz_source){found->data, found->count};
    }
    return (struct spicemig_glz_source){NULL, 0};
}

static int grown(struct decoder *decoder)
{
    struct decoder larger = {.slots = decoder->slots ? 2 * decoder->slots : 64, .used = decoder->used};

    if (2 * (decoder->used + 1) <= decoder->slots)
        return 1;
    larger.images = calloc(larger.slots, sizeof *larger.images);
    if (larger.images == NULL)
        return 0;
    for (size_t at = 0; at < decoder->slots; at++)
        if (decoder->images[at].units != NULL)
            *slot_of(&larger, decoder->images[at].id) = decoder->images[at];
    free(decoder->images);
    *decoder = larger;
    return 1;
}

/* Empty a slot, and close the gap. */
static void emptied(struct decoder *decoder, struct decoded *image)
{
    const size_t mask = decoder->slots - 1;
    size_t gap = (size_t)(image - decoder->images);

    Py_DECREF(image->units);
    for (size_t at = (gap + 1) & mask; decoder->images[at].units != NULL; at = (at + 1) & mask) {
        const size_t from_home = (at - home_of(decoder, decoder->images[at].id)) & mask;
        if (from_home >= ((at - gap) & mask)) {
            decoder->images[gap] = decoder->images[at];
            gap = at;
        }
    }
    decoder->images[gap].units = NULL;
    decoder->used--;
}

static void decoder_gone(PyObject *capsule)
{
    struct decoder *decoder = PyCapsule_GetPointer(capsule, DECODER);

    for (size_t at = 0; at < decoder->slots; at++)
        Py_XDECREF(decoder->images[at].units);
    free(decoder->images);
    free(decoder);
}

const char spicemig_glz_decoder_window_doc[] = "glz_decoder_window()\n--\n\nAn empty window for the decoder.";

PyObject *spicemig_edge_glz_decoder_window(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    struct decoder *decoder = calloc(1, sizeof *decoder);

    if (decoder == NULL)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(decoder, DECODER, decoder_gone);
    if (capsule == NULL)
        free(decoder);
    return capsule;
}

const char spicemig_glz_drop_doc[] = "glz_drop(window, id)\n--\n\nForget an image.";

PyObject *spicemig_edge_glz_drop(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule;
    unsigned long long id;

    if (!PyArg_ParseTuple(args, "OK:glz_drop", &capsule, &id))
        return NULL;
    struct decoder *decoder = PyCapsule_GetPointer(capsule, DECODER);
    if (decoder == NULL || in_use(decoder->busy))
        return NULL;
    if (decoder->slots) {
        struct decoded *image = slot_of(decoder, id);
        if (image->units != NULL)
            emptied(decoder, image);
    }
    return Py_NewRef(Py_None);
}

const char spicemig_glz_decode_doc[] =
    "glz_decode(window, id, type, count, data)\n--\n\n"
    "The units of an image, which the window keeps; None if the tokens do not make up just that.";

PyObject *spicemig_edge_glz_decode(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule, *result = NULL;
    Py_buffer data;
    unsigned long long id;
    unsigned type;
    long long count;

    if (!PyArg_ParseTuple(args, "OKILy*:glz_decode", &capsule, &id, &type, &count, &data))
        return NULL;
    struct decoder *decoder = PyCapsule_GetPointer(capsule, DECODER);
    if (decoder == NULL || in_use(decoder->busy))
        goto exit;
    const size_t unit = spicemig_glz_unit_bytes(type);
    if (unit == 0) {
        PyErr_Format(PyExc_ValueError, "type: GLZ has no type %u", type);
        goto exit;
    }
    if (count < 1 || count > (long long)MOST_COUNT) {
        PyErr_Format(PyExc_ValueError, "count: not 1 to %zu units", MOST_COUNT);
        goto exit;
    }
    if (!grown(decoder)) {
        PyErr_NoMemory();
        goto exit;
    }
    result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((size_t)count * unit));
    if (result == NULL)
        goto exit;
    uint8_t *units = (uint8_t *)PyBytes_AsString(result);
    decoder->busy = 1;
    PyThreadState *state = released(1, count);
    const int whole =
        spicemig_glz_decode(units, type, (size_t)count, id, data.buf, (size_t)data.len, looked_up, decoder);
    taken_back(state);
    decoder->busy = 0;
    if (!whole) {
        Py_DECREF(result);
        result = Py_NewRef(Py_None);
    } else {
        struct decoded *image = slot_of(decoder, id);
        if (image->units != NULL)
            Py_DECREF(image->units);
        else
            decoder->used++;
        *image = (struct decoded){id, Py_NewRef(result), units, (size_t)count, type};
    }
exit:
    PyBuffer_Release(&data);
    return result;
}
