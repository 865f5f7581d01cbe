/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parcel is opened with salvage, which changes nothing on disk, and says what it does without.
 * What only a commit needs (the bases of chunks that were written in part) is found by a commit
 * that is given up before its root is written. */
#include "isrfs/sync/damage.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"

typedef void say_fn(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct told {
    const char *parcel;
    say_fn *say;
    uint64_t bytes;
};

/* What is given up on request is no error. */
static say_fn *say_of(const struct checkout *c)
{
    return c->salvage ? log_warning : log_error;
}

static int tell_loss(void *ctx, const struct parcel_loss *loss)
{
    struct told *told = ctx;
    char name[512], id[32];
    snprintf(id, sizeof id, "file %" PRIu64, loss->file_id);
    told->say("%s: %s: bytes %" PRIu64 " to %" PRIu64 " are lost%s: %s", told->parcel,
              loss->path ? log_clean(name, sizeof name, loss->path) : id, loss->offset,
              loss->offset + loss->size - 1, loss->path ? "" : " and so is its name",
              loss->zeros ? "zeros are left there" : "what was there before is left");
    told->bytes += loss->size;
    return 0;
}

static void tell_records(const struct checkout *c, const struct log_damage *d)
{
    char when[64] = "an unknown time", which[96];
    time_t t = (time_t)d->written;
    struct tm tm;
    if (t && localtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    if (d->records == 0)
        snprintf(which, sizeof which, "all of segment %" PRIu64, d->segment);
    else
        snprintf(which, sizeof which,
                 "%" PRIu64 " record%s from number %" PRIu64 " of segment %" PRIu64, d->records,
                 d->records == 1 ? "" : "s", d->record, d->segment);
    say_of(c)("%s: the site log is damaged: %s, last written at %s, cannot be read",
              c->source.parcel, which, when);
}

/* Records that are missing after the newest root. */
static uint64_t missing_changes(struct checkout *c)
{
    const struct log_damage *all;
    size_t count = site_log_damage(c->log, &all);
    uint64_t missing = 0;
    for (size_t i = 0; i < count; i++)
        if (all[i].newer)
            missing += all[i].records ? all[i].records : 1;
    return missing;
}

int damage_tell(struct checkout *c, struct parcel *p, uint64_t *ret_bytes, uint64_t *ret_unknown)
{
    struct told told = {.parcel = c->source.parcel, .say = say_of(c)};
    const struct log_damage *all;
    size_t count = site_log_damage(c->log, &all);
    uint64_t operations, known, missing = missing_changes(c);
    parcel_lost(p, &operations, &known);
    uint64_t unknown = missing > known ? missing - known : 0;
    *ret_unknown = unknown > operations ? unknown : operations;
    for (size_t i = 0; i < count; i++)
        tell_records(c, &all[i]);
    int r = parcel_each_loss(p, tell_loss, &told);
    *ret_bytes = told.bytes;
    if (r == 0 && *ret_unknown > 0)
        say_of(c)("%s: what %" PRIu64 " of the records held is not known: names, sizes or blocks "
                  "of files that were written then may be as they were before",
                  c->source.parcel, *ret_unknown);
    return r;
}

int damage_tell_given_up(struct checkout *c, struct parcel *p)
{
    uint64_t bytes, unknown;
    int r = damage_tell(c, p, &bytes, &unknown);
    c->loss_told = r == 0;
    return r;
}

static int refuse(struct checkout *c, uint64_t bytes, uint64_t unknown, struct failure *failure)
{
    return failure_set(failure, OUTCOME_DAMAGED,
                       "%s: %" PRIu64 " bytes are damaged or missing%s, as said above; nothing was "
                       "touched, all else is kept: isr ci --accept-loss %s checks in the rest",
                       c->source.parcel, bytes, unknown ? ", and changes that have no name" : "",
                       c->source.parcel);
}

static int open_salvaged(struct checkout *c, struct parcel **ret, struct failure *failure)
{
    bool salvage = c->salvage, opened = c->parcel_opened;
    c->salvage = true;
    int r = checkout_parcel(c, 0, ret, failure);
    c->salvage = salvage;
    c->parcel_opened = opened;
    return r;
}

int damage_check(struct checkout *c, struct failure *failure)
{
    struct parcel *p = NULL;
    uint64_t bytes = 0, unknown = 0;
    if (c->flags & CHECKOUT_ACCEPT_LOSS || !c->log)
        return 0;
    int r = open_salvaged(c, &p, failure);
    if (r < 0)
        return r;
    r = damage_tell(c, p, &bytes, &unknown);
    parcel_close(p);
    if (r < 0)
        return failure_set(failure, outcome_of(r), "%s: %s", c->source.parcel, strerror(-r));
    if (bytes > 0 || unknown > 0)
        return refuse(c, bytes, unknown, failure);
    log_warning("%s: nothing that is still needed is hurt", c->source.parcel);
    return 0;
}

int damage_explain(struct checkout *c, int error, struct failure *failure)
{
    struct parcel *p = NULL;
    struct site_root root = {0};
    uint64_t bytes = 0, unknown = 0;
    if (error != -EIO && error != -EBADMSG && error != -ENOENT)
        return 0;
    struct failure ignored = {0};
    if (open_salvaged(c, &p, &ignored) < 0)
        return 0;
    parcel_freeze(p);
    int r = parcel_flush(p, true, &root);
    parcel_thaw(p);
    secret_wipe(&root, sizeof root);
    r = r < 0 ? r : damage_tell(c, p, &bytes, &unknown);
    parcel_close(p);
    return r == 0 && bytes > 0 ? refuse(c, bytes, unknown, failure) : 0;
}
