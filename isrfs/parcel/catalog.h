/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The catalog: the table of a parcel's files, and the roots of their keyrings, as an object (DESIGN
 * 3, 4). Body: count u32, count x root id in the clear (one for each regular file, in the table's
 * order), then the packed JSON, encrypted. One thread at a time. */
#ifndef ISRFS_PARCEL_CATALOG_H
#define ISRFS_PARCEL_CATALOG_H

#include <time.h>

#include "isrfs/codec/codec.h"
#include "isrfs/store/store.h"

#define CATALOG_NAME_MAX   255u
#define CATALOG_PATH_MAX   4096u
#define CATALOG_FILES_MAX  50000u
#define CATALOG_ROOT       1u /* file id of the root folder, which is not listed */
#define CHUNK_SIZE_DEFAULT (128u << 10)
#define CHUNK_SIZE_MIN     (16u << 10)
#define CHUNK_SIZE_MAX     (4u << 20)

struct catalog_entry {
    uint64_t file_id; /* persistent, unique, > CATALOG_ROOT, < 2^53 */
    char *path;       /* relative, parts joined by '/'; owned by the catalog */
    bool is_folder;
    bool is_volatile;
    unsigned mode; /* permission bits, & 0777 */
    struct timespec mtime;
    /* regular files only: */
    uint64_t size;       /* bytes, < 2^63 */
    uint32_t chunk_size; /* a power of two, CHUNK_SIZE_MIN to CHUNK_SIZE_MAX */
    unsigned height;     /* of the keyring; 0 only with a hole for a root */
    struct object_ref root;
};

struct catalog {
    struct catalog_entry *entries; /* owned; every folder stands before what is in it */
    size_t count;
    uint64_t next_file_id; /* above every id ever used in this parcel; at most 2^53 */
    /* private: */
    size_t room;
    void *by_path; /* so that paths are not to be changed in place */
};

/* An empty catalog, or NULL. Memory is wiped on release. */
struct catalog *catalog_new(void);
void catalog_free(struct catalog *c);

/* Appends a copy of ENTRY (its path too). 0 or -ENOMEM. Pointers to entries end. Checks nothing:
 * catalog_encode does. */
int catalog_add(struct catalog *c, const struct catalog_entry *entry);

/* The entry with that path, or NULL. */
const struct catalog_entry *catalog_find(const struct catalog *c, const char *path);

/* One part of a path: UTF-8, 1 to 255 bytes, no '/', no NUL, not "." or "..". */
bool catalog_name_valid(const char *name);

/* Is a file that is made with this name a machine's memory, which its VMM maps: "mem.img" or a name
 * that ends in ".vmem"? It stays what it was made as (is_volatile), whatever it is called later. */
bool catalog_name_is_volatile(const char *name);

/* Makes the object; see codec_seal. -EFBIG when there are too many files, -EINVAL (logged) for a
 * table that catalog_decode would refuse. */
int catalog_encode(struct codec *codec, const struct object_secret *secret, const struct catalog *c,
                   struct buffer *out, struct object_ref *ret);

/* Reads one from bytes that nobody vouches for: checks the id, opens it, and takes nothing that
 * breaks a rule above (paths, folders missing or not folders, doubled paths or ids, ".isrfs" at the
 * root, unknown fields, wrong types, ranges): -EBADMSG with one logged line that says what.
 * -ENOMEM. */
int catalog_decode(struct codec *codec, const struct object_ref *ref, const void *object,
                   size_t size, struct catalog **ret);

/* Fetches the object that REF names from STORE and reads it. Errors as store_get and
 * catalog_decode. May block. */
int catalog_load(struct store *store, struct codec *codec, const struct object_ref *ref,
                 struct catalog **ret);

static inline void cleanup_catalog(struct catalog **c)
{
    catalog_free(*c);
}
#define CLEANUP_CATALOG CLEANUP(cleanup_catalog)

/* Has jansson wipe what it frees (keys stand in the JSON). Once in a process, before any thread and
 * any other use of jansson. */
void catalog_init_json(void);

#endif
