/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the remote store: the names of what was put and is not yet durable, so that it is
 * known what is lost with a child process. Not locked. */
#ifndef ISRFS_STORE_REMOTE_PUTS_H
#define ISRFS_STORE_REMOTE_PUTS_H

#include "isrfs/store/remote_protocol.h"

struct remote_puts;

struct remote_puts *remote_puts_new(void); /* NULL: out of memory */
void remote_puts_free(struct remote_puts *p);

/* Before what REQUEST names is put: 0, or the error of what was lost, when that is so much that
 * only lost ones may be put. *RET_ANEW: it was lost, and is to be written however good it looks. */
int remote_puts_begin(const struct remote_puts *p, const struct remote_request *request,
                      bool *ret_anew);
/* It has been put. 0 or -ENOMEM: then the put must fail. */
int remote_puts_add(struct remote_puts *p, const struct remote_request *request);
/* It has been removed. */
void remote_puts_forget(struct remote_puts *p, const struct remote_request *request);

/* So many are not durable that a barrier is due, for the sake of memory. */
bool remote_puts_full(const struct remote_puts *p);

/* A barrier begins: 0 and what to call the puts so far, or an error if any of them is lost. */
int remote_puts_begin_barrier(struct remote_puts *p, uint64_t *ret_epoch);
/* The puts up to EPOCH are durable, unless they are lost: then an error. */
int remote_puts_settle(struct remote_puts *p, uint64_t epoch);
/* The puts up to EPOCH are lost: barriers give ERROR until each has been put again. */
void remote_puts_lose(struct remote_puts *p, uint64_t epoch, int error);
bool remote_puts_any_lost(const struct remote_puts *p);
/* Barriers do not fail any more for what is lost; it is still written anew when it is put. */
void remote_puts_forgive(struct remote_puts *p);
#define REMOTE_PUTS_ALL UINT64_MAX

#endif
