/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store interface: get, put and has, by id; and the few named records that a parcel's home
 * keeps (versions, holds). All stores - a folder, the site log, a stack of others, one that fails
 * on purpose - implement struct store_ops; callers use the store_* functions below, which check
 * what every implementation promises.
 *
 * Every call may block on a disk or a network; any number of threads may call at once. */
#ifndef ISRFS_STORE_STORE_H
#define ISRFS_STORE_STORE_H

#include <stdbool.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/counters.h"
#include "isrfs/codec/codec.h"

struct store;

/* A method that a store cannot do is NULL: its caller gets -EROFS (put, barrier, records) or
 * -ENOTSUP. */
struct store_ops {
    int (*get)(struct store *s, const struct object_id *id, struct buffer *out);
    int (*put)(struct store *s, const struct object_id *id, const void *object, size_t size);
    int (*has)(struct store *s, const struct object_id *id);
    int (*barrier)(struct store *s);
    void (*put_again)(struct store *s);
    int (*remove)(struct store *s, const struct object_id *id);
    int (*put_record)(struct store *s, const char *name, const void *data, size_t size);
    int (*get_record)(struct store *s, const char *name, struct buffer *out);
    int (*remove_record)(struct store *s, const char *name);
    int (*each_record)(struct store *s, const char *folder, int (*fn)(void *ctx, const char *name),
                       void *ctx);
    void (*free)(struct store *s);
};

/* The head of every store. */
struct store {
    const struct store_ops *ops;
    const char *name; /* for messages (through log_clean); lives as long as the store */
    struct codec *codec;
    struct counters *counters; /* may be NULL */
    /* `get` gives only what store_get of another store has given: it is not checked and counted a
     * second time (a stack). */
    bool checked;
};

#define STORE_RECORD_MAX      65536
#define STORE_RECORD_NAME_MAX 250u

/* Fetches an object and checks that its bytes are what ID names: OUT (overwritten) then holds it.
 * -ENOENT: not here. -EBADMSG: here but damaged (logged, counted). -EHOSTDOWN: the store is
 * offline. Other errors: as the system gave them. */
int store_get(struct store *s, const struct object_id *id, struct buffer *out);

/* Keeps an object, whose bytes the caller has from codec_* or store_get. It may be lost in a crash
 * until a barrier that begins after this call returns has succeeded. What lies there under that
 * name is read and, if its bytes are not what ID names, replaced. 0, -EROFS, -ENOSPC, -EHOSTDOWN,
 * ... */
int store_put(struct store *s, const struct object_id *id, const void *object, size_t size);

/* Is there something under that name? 1, 0 or negative errno. It may be torn or planted: never
 * proof. */
int store_has(struct store *s, const struct object_id *id);

/* Makes all that was put so far (objects and records) durable, and visible to other sites. After an
 * error every put since the last good barrier is unknown and has to be put again: until then
 * barriers fail, whoever asks (but see store_put_again). */
int store_barrier(struct store *s);

/* For who alone puts into a store, from here to the next good barrier: puts all again of what was
 * lost with an earlier barrier that is still needed. Barriers do not fail for the rest any more. */
void store_put_again(struct store *s);

/* Removes an object, if it is there. 0 or negative errno. */
int store_remove(struct store *s, const struct object_id *id);

/* Named records of at most STORE_RECORD_MAX bytes: NAME is "versions/<uuid>/<name>" or
 * "holds/<uuid>/<name>" of [a-z0-9-]. put replaces whole and is durable after the next barrier;
 * get: OUT is overwritten, -ENOENT, -EBADMSG for what cannot be a record; remove: none there is no
 * error; each: calls FN with each name in "versions", "holds" or one of the folders in them until
 * it returns other than 0, and returns that; a missing folder has no names. -EINVAL for a bad name.
 */
int store_put_record(struct store *s, const char *name, const void *data, size_t size);
int store_get_record(struct store *s, const char *name, struct buffer *out);
int store_remove_record(struct store *s, const char *name);
int store_each_record(struct store *s, const char *folder, int (*fn)(void *ctx, const char *name),
                      void *ctx);

/* Is this a part of a record's name: at least one of [a-z0-9-]? Other names in those folders
 * (temporary files, what a network file system leaves) are no records. */
bool store_record_part_valid(const char *part, size_t length);

/* Releases the store. NULL is allowed. */
void store_free(struct store *s);

static inline void cleanup_store(struct store **s)
{
    store_free(*s);
}
#define CLEANUP_STORE CLEANUP(cleanup_store)

#endif
