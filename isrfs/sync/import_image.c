/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An image is read through NBD from a qemu-nbd that lives as long as the handle (libnbd starts it
 * on a socket of its own and ends it), so the plain disk is never written anywhere.
 *
 * An image may come from a stranger. Its format is found by its first bytes, never by QEMU's
 * guessing among all it knows. Before it is opened `qemu-img info` says what else it wants to read:
 * backing files, external data files and extents in other folders are refused, since they would
 * carry any file of this user into the parcel. `qemu-img check` must find it whole: QEMU reads what
 * lies beyond the end of a cut file as zeros, and it does not notice that in vdi and flat vmdk
 * files, so these are measured here. */
#include "isrfs/sync/import_image.h"

#include <inttypes.h>
#include <jansson.h>
#include <libnbd.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/process.h"

#define JSON_LIMIT  (1u << 20)
#define STATUS_STEP (1u << 30) /* how far one question about holes goes */
#define VDI_MAGIC   0xbeda107fu
#define VDI_HEADER  512u

struct import_image {
    struct nbd_handle *nbd;
    uint64_t size;
    bool knows_holes;
};

static const char *const format_names[] = {"raw", "qcow2", "vmdk", "vdi"};

static void cleanup_json(json_t **json)
{
    json_decref(*json);
}
#define CLEANUP_JSON CLEANUP(cleanup_json)

/* --- which format --- */

static const struct magic {
    size_t offset;
    const char *bytes;
    enum import_format format; /* IMPORT_PLAIN: not read */
    const char *name;
} magics[] = {
    {0, "QFI\xfb", IMPORT_QCOW2, "qcow2"},
    {0, "KDMV", IMPORT_VMDK, "vmdk"},
    {0, "COWD", IMPORT_VMDK, "vmdk"},
    {0, "# Disk DescriptorFile", IMPORT_VMDK, "vmdk"},
    {64, "\x7f\x10\xda\xbe", IMPORT_VDI, "vdi"},
    {0, "vhdxfile", IMPORT_PLAIN, "vhdx"},
    {0, "conectix", IMPORT_PLAIN, "vhd"},
    {0, "QED", IMPORT_PLAIN, "qed"},
};

int import_image_detect(int fd, enum import_format *ret, const char **ret_unknown)
{
    uint8_t head[512];
    ssize_t n = io_pread(fd, head, sizeof head, 0);
    if (n < 0)
        return (int)n;
    *ret = IMPORT_PLAIN;
    *ret_unknown = NULL;
    for (const struct magic *m = magics; m < magics + sizeof magics / sizeof *magics; m++) {
        size_t length = strlen(m->bytes) + (strcmp(m->name, "qed") == 0); /* its NUL too */
        if (m->offset + length > (size_t)n || memcmp(head + m->offset, m->bytes, length) != 0)
            continue;
        *ret = m->format;
        *ret_unknown = m->format == IMPORT_PLAIN ? m->name : NULL;
        break;
    }
    return 0;
}

/* --- is it whole, and does it stand alone --- */

static int refuse(struct failure *f, enum outcome outcome, const char *path, const char *why)
{
    char name[256], text[200];
    log_clean(name, sizeof name, path);
    log_clean(text, sizeof text, why);
    return failure_set(f, outcome, "%s: %s", name, text);
}

static int damaged(struct failure *f, const char *path, const char *why)
{
    return refuse(f, OUTCOME_DAMAGED, path, why);
}

/* Runs qemu-img VERB on the image. RET is the caller's to release. */
static int run_qemu_img(const char *verb, const char *path, enum import_format format,
                        struct process_result *ret, struct failure *f)
{
    const char *const argv[] = {"qemu-img",      verb, "-f", format_names[format],
                                "--output=json", "--", path, NULL};
    struct process p = {.argv = argv, .output_limit = JSON_LIMIT};
    int r = process_run(&p, ret);
    if (r == -ENOENT)
        return failure_set(f, OUTCOME_FAILED, "%s images need qemu-img (Debian package qemu-utils)",
                           format_names[format]);
    return r < 0 ? failure_set(f, OUTCOME_FAILED, "qemu-img: %s", strerror(-r)) : 0;
}

/* The first line of what qemu-img says, without its name and the path. */
static const char *complaint(struct process_result *result)
{
    if (!result->err.data || result->err.size == 0)
        return "the image is damaged";
    char *text = (char *)result->err.data;
    text[strcspn(text, "\n")] = '\0';
    const char *head = "qemu-img: ";
    return strncmp(text, head, strlen(head)) == 0 ? text + strlen(head) : text;
}

static bool same_folder(const char *a, const char *b)
{
    const char *end_a = strrchr(a, '/'), *end_b = strrchr(b, '/');
    return end_a && end_b && end_a - a == end_b - b && memcmp(a, b, (size_t)(end_a - a)) == 0;
}

/* A vmdk may be a text that names other files. */
static int check_extents(const char *path, const json_t *data, struct failure *f)
{
    size_t i;
    json_t *extent;
    json_array_foreach(json_object_get(data, "extents"), i, extent)
    {
        const char *name = json_string_value(json_object_get(extent, "filename"));
        const char *format = json_string_value(json_object_get(extent, "format"));
        json_int_t size = json_integer_value(json_object_get(extent, "virtual-size"));
        struct stat st;
        if (!name || !same_folder(path, name))
            return damaged(f, path, "it has extents in another folder; they are not followed");
        if (lstat(name, &st) < 0 || !S_ISREG(st.st_mode))
            return damaged(f, path, "one of its extents is missing or not a regular file");
        if (format && strcmp(format, "FLAT") == 0 && st.st_size < size)
            return damaged(f, path, "one of its extents has been cut short");
    }
    return 0;
}

static int check_info(const char *path, enum import_format format, struct failure *f)
{
    CLEANUP_PROCESS_RESULT struct process_result result = {0};
    int r = run_qemu_img("info", path, format, &result, f);
    if (r < 0)
        return r;
    if (result.status != 0)
        return damaged(f, path, complaint(&result));
    CLEANUP_JSON json_t *info = json_loadb((const char *)result.out.data, result.out.size, 0, NULL);
    if (!json_is_object(info))
        return damaged(f, path, "qemu-img info gave no answer");
    const json_t *data = json_object_get(json_object_get(info, "format-specific"), "data");
    const char *why = NULL;
    if (json_object_get(info, "backing-filename") || json_object_get(info, "full-backing-filename"))
        why = "it is only the difference to a backing file";
    else if (json_object_get(data, "data-file"))
        why = "it keeps its data in another file";
    else if (json_is_true(json_object_get(info, "encrypted")))
        why = "it is encrypted";
    if (why) {
        char text[128];
        snprintf(text, sizeof text, "%s; convert it first (qemu-img convert)", why);
        return refuse(f, OUTCOME_FAILED, path, text);
    }
    return check_extents(path, data, f);
}

/* A vdi's blocks lie one after another behind its header. */
static int check_vdi(const char *path, int fd, struct failure *f)
{
    uint8_t head[VDI_HEADER];
    struct stat st;
    if (io_pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head || fstat(fd, &st) < 0 ||
        get_u32(head + 64) != VDI_MAGIC)
        return damaged(f, path, "its header cannot be read");
    uint64_t start = get_u32(head + 0x158), block = get_u32(head + 0x178);
    uint64_t allocated = get_u32(head + 0x184);
    if ((uint64_t)st.st_size < start + block * allocated)
        return damaged(f, path, "it has been cut short");
    return 0;
}

static int check(const char *path, int fd, enum import_format format, struct failure *f)
{
    int r = check_info(path, format, f);
    if (r < 0)
        return r;
    if (format == IMPORT_VDI) {
        r = check_vdi(path, fd, f);
        if (r < 0)
            return r;
    }
    CLEANUP_PROCESS_RESULT struct process_result result = {0};
    r = run_qemu_img("check", path, format, &result, f);
    if (r < 0)
        return r;
    /* 3: space that nothing uses; 63: nothing to check in this form of the format. */
    if (result.status != 0 && result.status != 3 && result.status != 63)
        return damaged(f, path,
                       result.status == 2 ? "the image is damaged (qemu-img check)"
                                          : complaint(&result));
    return 0;
}

/* --- reading --- */

int import_image_open(const char *path, int fd, enum import_format format,
                      struct import_image **ret, struct failure *failure)
{
    int r = check(path, fd, format, failure);
    if (r < 0)
        return r;
    struct import_image *image = calloc(1, sizeof *image);
    if (!image)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    /* The shell only keeps qemu-nbd's own words from the terminal. */
    char *argv[] = {(char *)"/bin/sh",
                    (char *)"-c",
                    (char *)"exec qemu-nbd -r -f \"$1\" -- \"$2\" 2>/dev/null",
                    (char *)"sh",
                    (char *)format_names[format],
                    (char *)path,
                    NULL};
    image->nbd = nbd_create();
    if (!image->nbd || nbd_add_meta_context(image->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
        nbd_connect_systemd_socket_activation(image->nbd, argv) < 0) {
        import_image_close(image);
        return refuse(failure, OUTCOME_FAILED, path,
                      "qemu-nbd (Debian package qemu-utils) does not open it");
    }
    int64_t size = nbd_get_size(image->nbd);
    image->size = size < 0 ? 0 : (uint64_t)size;
    image->knows_holes = nbd_can_meta_context(image->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    *ret = image;
    return 0;
}

void import_image_close(struct import_image *image)
{
    if (!image)
        return;
    nbd_close(image->nbd);
    free(image);
}

uint64_t import_image_size(const struct import_image *image)
{
    return image->size;
}

struct extents {
    uint64_t at;         /* where the next extent begins */
    uint64_t start, end; /* of the first stretch with data, once found */
    bool found;
};

/* Collects extents in their order up to the end of the first stretch with data. */
static int note_extents(void *user_data, const char *context, uint64_t offset, uint32_t *entries,
                        size_t count, int *error)
{
    struct extents *e = user_data;
    (void)error;
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    e->at = offset;
    for (size_t i = 0; i + 1 < count; i += 2) {
        bool data = !(entries[i + 1] & LIBNBD_STATE_ZERO);
        if (data && !e->found) {
            e->found = true;
            e->start = e->at;
        }
        e->at += entries[i];
        if (data)
            e->end = e->at;
        else if (e->found)
            break;
    }
    return 0;
}

int import_image_next(struct import_image *image, uint64_t offset, uint64_t *ret_start,
                      uint64_t *ret_end)
{
    *ret_start = offset;
    *ret_end = image->size;
    if (!image->knows_holes)
        return 0;
    while (offset < image->size) {
        uint64_t left = image->size - offset;
        struct extents e = {.at = offset};
        nbd_extent_callback callback = {.callback = note_extents, .user_data = &e};
        if (nbd_block_status(image->nbd, left < STATUS_STEP ? left : STATUS_STEP, offset, callback,
                             0) < 0 ||
            (!e.found && e.at <= offset))
            return -EIO;
        if (e.found) {
            *ret_start = e.start;
            *ret_end = e.end < image->size ? e.end : image->size;
            return 0;
        }
        offset = e.at;
    }
    *ret_start = image->size;
    return 0;
}

int import_image_read(struct import_image *image, void *data, size_t size, uint64_t offset)
{
    return nbd_pread(image->nbd, data, size, offset, 0) < 0 ? -EIO : 0;
}
