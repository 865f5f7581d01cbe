/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel asks for holes without first handing over the pages that it gathers (writeback cache),
 * so the parcel may show a hole where data was written a moment ago; a copy made by such answers
 * would miss it. Therefore:
 *
 * - a file that nobody has open for writing has no such pages (writers.h): answered at once;
 * - otherwise the request waits in a queue for this module's thread, which has the kernel hand
 *   everything over (syncfs of the mount) and answers then. The threads that serve requests must
 *   not do that themselves: the kernel's writes need them. The kernel holds the file's lock until
 *   it has the answer, so nobody changes the file's size or writes to it meanwhile;
 * - where that cannot be done, EINVAL: programs then take the file for one without holes.
 *
 * Opening the mount to syncfs it makes it busy for a moment, which it is anyway: the asking program
 * has the file open. */
#include "isrfs/fuse/seek.h"

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

static void answer(struct mount *m, fuse_req_t req, uint64_t file_id, uint64_t offset, bool data)
{
    uint64_t found;
    int r = parcel_seek(m->config.parcel, file_id, offset, data, &found);
    if (r < 0)
        front_reply(req, r);
    else
        fuse_reply_lseek(req, (off_t)found);
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
        int r = stop ? -ENOTCONN : taken ? mount_flush(s->m) : 0;
        while (taken) {
            struct request *done = taken;
            taken = done->next;
            if (r < 0)
                front_reply(done->req, stop ? r : -EINVAL);
            else
                answer(s->m, done->req, done->file_id, done->offset, done->data);
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

void seek_request(struct seek *s, fuse_req_t req, uint64_t file_id, uint64_t offset, bool data)
{
    if (!writers_has(s->m->writers, file_id)) {
        answer(s->m, req, file_id, offset, data);
        return;
    }
    struct request *request = malloc(sizeof *request);
    if (!request) {
        front_reply(req, -ENOMEM);
        return;
    }
    *request = (struct request){.req = req, .file_id = file_id, .offset = offset, .data = data};
    LOCK_SCOPE(&s->lock);
    *s->end = request;
    s->end = &request->next;
    pthread_cond_signal(&s->changed);
}
