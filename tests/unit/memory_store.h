/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store in memory, for tests of what lies above stores: a full implementation of get, put, has
 * and remove, which also counts its calls and can damage what it holds. Any thread may call. */
#ifndef ISRFS_TESTS_MEMORY_STORE_H
#define ISRFS_TESTS_MEMORY_STORE_H

#include "isrfs/store/store.h"

/* To be released with store_free. NULL: no memory. */
struct store *memory_store_new(struct codec *codec);

/* How many times get and put were called since the last call of memory_store_forget_counts. */
size_t memory_store_gets(struct store *s);
size_t memory_store_puts(struct store *s);
void memory_store_forget_counts(struct store *s);

/* Inverts one bit of an object that is there; done twice it is whole again. */
void memory_store_flip(struct store *s, const struct object_id *id, size_t bit);

/* From now on whoever gets ID waits, until memory_store_let_go. memory_store_await returns when
 * somebody does. */
void memory_store_hold(struct store *s, const struct object_id *id);
void memory_store_await(struct store *s);
void memory_store_let_go(struct store *s);

/* A put callback for keyring_save; CTX is the store. */
int memory_store_put(void *ctx, const struct object_id *id, const void *object, size_t size);

#endif
