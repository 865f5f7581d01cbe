/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stores read one after another, nearest first; the place where the order stands in one line. Reads
 * only: who writes knows where to. An object that is damaged in one store counts as missing there
 * and is looked for further on. */
#ifndef ISRFS_STORE_STACK_H
#define ISRFS_STORE_STACK_H

#include "isrfs/store/store.h"

/* A store that reads from STORES in that order. They are not owned and must outlive it. NULL: no
 * memory. store_get: -ENOENT only if every store answered and none has it; -EBADMSG if none has it
 * but one had a damaged one; -EHOSTDOWN if it may be in a store that is offline; else the first
 * other error. */
struct store *stack_new(struct codec *codec, struct counters *counters, struct store *const *stores,
                        size_t count);

#endif
