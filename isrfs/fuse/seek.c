/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel asks for holes without first handing over the pages that it gathers (writeback cache),
 * so the parcel may show a hole where data was written a moment ago; a copy made by such answers
 * would miss it. Therefore:
 *
 * - a file that nobody has open for writing has no such pages (writers.h): answered at once;
 * - otherwise the request waits in a queue for this module's thread, which has the kernel drop, and
 *   so write out, its pages of what would be said to be a hole, and looks again. The threads that
 *   serve requests must not do that themselves: the kernel's writes need them. The kernel holds the
 *   file's lock until it has the answer, so nothing but a mapping can write meanwhile; hence no
 *   fsync, which wants that lock;
 * - kernels that write from copies of the pages (before 6.16, FUSE 7.44) may have such writes under
 *   way without a way to wait for them: there only data is reported for a file that is open for
 *   writing, and EINVAL instead of a hole, by which programs take the file for one without holes.
 *
 * A file's pages in a hole hold nothing, so dropping them costs nothing later. */
#include "isrfs/fuse/seek.h"

#define WINDOW_FIRST (1u << 20) /* bytes that are looked at again at once; then more and more */
#define WINDOW_LAST  (256u << 20)

struct request {
    struct request *next;
    fuse_req_t req;
    uint64_t file_id, offset;
    bool data;
};

struct seek {
    struct mount *m;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request *first, **end; /* lock; in the order in which they came */
    bool stop;                    /* lock */
};

static void answer(fuse_req_t req, int r, uint64_t found)
{
    if (r < 0)
        front_reply(req, r);
    else
        fuse_reply_lseek(req, (off_t)found);
}

/* Has the kernel write out what it holds of SIZE bytes at OFFSET (0: to the end). */
static int settle(struct mount *m, uint64_t file_id, uint64_t offset, uint64_t size)
{
    LOCK_SCOPE(&m->flush_lock);
    if (m->ending)
        return -ENOTCONN;
    return fuse_lowlevel_notify_inval_inode(m->session, file_id, (off_t)offset, (off_t)size);
}

/* There is no data from OFFSET up to where the parcel says that data begins, unless the kernel has
 * some: look closer and closer to that end. Everything before AT is settled. */
static int find_data(struct mount *m, uint64_t file_id, uint64_t offset, uint64_t *ret)
{
    uint64_t at = offset;
    for (uint64_t size = WINDOW_FIRST;; size *= 16) {
        int r = parcel_seek(m->config.parcel, file_id, offset, true, ret);
        if ((r < 0 && r != -ENXIO) || (r == 0 && *ret <= at))
            return r;
        bool last = size > WINDOW_LAST;
        uint64_t want = last ? 0 : size; /* 0: to the end */
        if (r == 0 && (last || *ret - at < size))
            want = *ret - at;
        r = settle(m, file_id, at, want);
        if (r < 0)
            return r;
        if (want == 0)
            return parcel_seek(m->config.parcel, file_id, offset, true, ret);
        at += want;
    }
}

/* Where the parcel says that a hole begins there is one, unless the kernel has data for it. */
static int find_hole(struct mount *m, uint64_t file_id, uint64_t offset, uint64_t *ret)
{
    for (uint64_t settled = UINT64_MAX;;) {
        int r = parcel_seek(m->config.parcel, file_id, offset, false, ret);
        if (r < 0 && r != -ENXIO)
            return r;
        uint64_t at = r < 0 ? offset : *ret;
        if (at == settled)
            return r;
        r = settle(m, file_id, at, WINDOW_FIRST);
        if (r < 0)
            return r;
        settled = at;
    }
}

static void serve(struct mount *m, const struct request *request)
{
    uint64_t found = 0;
    struct asker asker;
    askers_begin(m->askers, &asker, request->req, false);
    int r = request->data ? find_data(m, request->file_id, request->offset, &found)
                          : find_hole(m, request->file_id, request->offset, &found);
    askers_end(&asker);
    answer(request->req, r, found);
}

/* All that wait, or NULL when the thread is to end and none does. */
static struct request *take(struct seek *s, bool *ret_stop)
{
    LOCK_SCOPE(&s->lock);
    while (!s->first && !s->stop)
        pthread_cond_wait(&s->changed, &s->lock);
    struct request *taken = s->first;
    s->first = NULL;
    s->end = &s->first;
    *ret_stop = s->stop;
    return taken;
}

static void *run(void *arg)
{
    struct seek *s = arg;
    for (bool stop = false; !stop;) {
        struct request *taken = take(s, &stop);
        while (taken) {
            struct request *done = taken;
            taken = done->next;
            if (stop)
                front_reply(done->req, -ENOTCONN);
            else
                serve(s->m, done);
            free(done);
        }
    }
    return NULL;
}

int seek_new(struct mount *m, struct seek **ret)
{
    struct seek *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->m = m;
    s->end = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    int r = pthread_create(&s->thread, NULL, run, s);
    if (r == 0) {
        *ret = s;
        return 0;
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
    return -r;
}

void seek_free(struct seek *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}

static int put(struct seek *s, const struct request *what)
{
    struct request *request = malloc(sizeof *request);
    if (!request)
        return -ENOMEM;
    *request = *what;
    LOCK_SCOPE(&s->lock);
    *s->end = request;
    s->end = &request->next;
    pthread_cond_signal(&s->changed);
    return 0;
}

void seek_request(struct seek *s, fuse_req_t req, uint64_t file_id, uint64_t offset, bool data)
{
    struct mount *m = s->m;
    bool certain = !writers_has(m->writers, file_id); /* before the parcel is asked */
    uint64_t found = 0;
    struct asker asker;
    askers_begin(m->askers, &asker, req, false);
    int r = parcel_seek(m->config.parcel, file_id, offset, data, &found);
    askers_end(&asker);
    certain |= (r < 0 && r != -ENXIO) || (r == 0 && data && found == offset);
    struct request request = {.req = req, .file_id = file_id, .offset = offset, .data = data};
    if (certain)
        answer(req, r, found);
    else if (!m->kernel_waits)
        front_reply(req, -EINVAL);
    else if (put(s, &request) < 0)
        front_reply(req, -ENOMEM);
}
