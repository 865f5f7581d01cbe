/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for a home that is away. What needs an object from there fails at once with -EHOSTDOWN,
 * deep down, where locks are held by some and others wait for its result; here, where nothing is
 * held, it is tried again when the home is back, or given up when the time is over. So a commit,
 * which is nobody's to wait for, goes on with what is at hand, and hits and writes go on beside.
 *
 * A change is tried again from its beginning: what it has done already it does once more, with the
 * same outcome. */
#include "isrfs/base/clock.h"
#include "isrfs/parcel/parcel_internal.h"

static bool is_volatile(struct parcel *p, uint64_t file_id)
{
    CLEANUP_FILE struct file *f = NULL;
    return file_get_regular(p, file_id, &f) == 0 && f->is_volatile;
}

/* One call, to be repeated. The time of the first try counts too. */
struct wait {
    struct parcel *parcel;
    uint64_t file_id;
    int64_t begun;
    struct home_watch_patience patience;
};

static struct wait wait_for(struct parcel *p, uint64_t file_id)
{
    return (struct wait){.parcel = p, .file_id = file_id, .begun = clock_ms()};
}

/* Is it to be tried again after *R? If it was given up, that becomes -EINTR. */
static bool again(struct wait *w, ssize_t *r)
{
    struct parcel *p = w->parcel;
    if (*r != -EHOSTDOWN || !p->config.watch)
        return false;
    if (w->patience.tries == 0) {
        unsigned limit = p->config.home_wait_ms;
        bool for_ever = limit == PARCEL_WAIT_FOR_EVER || is_volatile(p, w->file_id);
        w->patience.deadline = for_ever ? INT64_MAX : w->begun + (int64_t)limit;
        w->patience.given_up = p->given_up;
        w->patience.ctx = p->given_up_ctx;
    }
    int waited = home_watch_wait(p->config.watch, &w->patience);
    if (waited == -EINTR)
        *r = -EINTR;
    return waited == 0;
}

void parcel_set_given_up(struct parcel *p, bool (*given_up)(void *ctx), void *ctx)
{
    p->given_up = given_up;
    p->given_up_ctx = ctx;
}

ssize_t parcel_read(struct parcel *p, uint64_t file_id, void *data, size_t size, uint64_t offset)
{
    struct wait w = wait_for(p, file_id);
    ssize_t n;
    do {
        n = parcel_read_now(p, file_id, data, size, offset);
    } while (again(&w, &n));
    return n;
}

ssize_t parcel_read_view(struct parcel *p, uint64_t file_id, void *room, size_t size,
                         uint64_t offset, struct parcel_view *ret)
{
    struct wait w = wait_for(p, file_id);
    ssize_t n;
    do {
        n = parcel_read_view_now(p, file_id, room, size, offset, ret);
    } while (again(&w, &n));
    return n;
}

ssize_t parcel_write(struct parcel *p, uint64_t file_id, const void *data, size_t size,
                     uint64_t offset)
{
    struct wait w = wait_for(p, file_id);
    ssize_t n;
    do {
        n = parcel_write_now(p, file_id, data, size, offset);
    } while (again(&w, &n));
    return n;
}

int parcel_zero(struct parcel *p, uint64_t file_id, uint64_t offset, uint64_t size, bool keep_size)
{
    struct wait w = wait_for(p, file_id);
    ssize_t r;
    do {
        r = parcel_zero_now(p, file_id, offset, size, keep_size);
    } while (again(&w, &r));
    return (int)r;
}

int parcel_truncate(struct parcel *p, uint64_t file_id, uint64_t size)
{
    struct wait w = wait_for(p, file_id);
    ssize_t r;
    do {
        r = parcel_truncate_now(p, file_id, size);
    } while (again(&w, &r));
    return (int)r;
}

int parcel_seek(struct parcel *p, uint64_t file_id, uint64_t offset, bool data, uint64_t *ret)
{
    struct wait w = wait_for(p, file_id);
    ssize_t r;
    do {
        r = parcel_seek_now(p, file_id, offset, data, ret);
    } while (again(&w, &r));
    return (int)r;
}
