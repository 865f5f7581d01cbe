/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_gets FOLDER: what the child process of a remote store costs. Makes a store in FOLDER, which
 * must be empty or missing, with 1,024 objects of 64 KiB, and has 8 threads get and check them, in
 * turn through the folder store itself and through a child; the best of five rounds of each. The
 * program ISR_LIBEXEC/isrfs-store-child is used. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/io.h"
#include "isrfs/store/remote.h"

#define OBJECTS     1024u
#define OBJECT_SIZE 65536u
#define THREADS     8u
#define GETS        16384u
#define ROUNDS      5

struct bench {
    struct codec *codec;
    struct store *store;
    struct object_id ids[OBJECTS];
    atomic_uint next;
    atomic_bool failed;
};

static int fill(struct bench *b, struct store *s)
{
    static uint8_t object[OBJECT_SIZE];
    for (uint32_t i = 0; i < OBJECTS; i++) {
        put_u32(object, i);
        int r = codec_digest(b->codec, object, sizeof object, &b->ids[i]);
        r = r < 0 ? r : store_put(s, &b->ids[i], object, sizeof object);
        if (r < 0)
            return r;
    }
    return store_barrier(s);
}

static void *get_some(void *arg)
{
    struct bench *b = arg;
    CLEANUP_BUFFER struct buffer out = {0};
    for (unsigned i; (i = atomic_fetch_add(&b->next, 1)) < GETS;)
        if (store_get(b->store, &b->ids[i * 7919u % OBJECTS], &out) < 0)
            b->failed = true;
    return NULL;
}

/* Bytes a second, 0 on failure. */
static double measure(struct bench *b, struct store *s)
{
    struct timespec begin, end;
    pthread_t threads[THREADS];
    b->store = s;
    atomic_store(&b->next, 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, get_some, b) != 0)
            return 0;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    return b->failed ? 0 : (double)GETS * OBJECT_SIZE / seconds;
}

int main(int argc, char **argv)
{
    static struct bench b;
    char uuid[STORE_UUID_HEX + 1];
    CLEANUP_STORE struct store *direct = NULL;
    CLEANUP_STORE struct store *child = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: store_gets FOLDER\n");
        return 2;
    }
    b.codec = codec_new(&(struct codec_settings){CODEC_STORED, 0, CODEC_PAD_NONE});
    struct folder_config folder = {.path = argv[1], .codec = b.codec};
    struct remote_config remote = {.path = argv[1], .codec = b.codec};
    int r = b.codec ? folder_create(argv[1], FOLDER_FANOUT_2, uuid) : -errno;
    r = r < 0 ? r : folder_open(&folder, &direct);
    r = r < 0 ? r : remote_open(&remote, &child);
    r = r < 0 ? r : fill(&b, direct);
    double best[2] = {0, 0};
    for (int i = 0; i < ROUNDS && r == 0; i++)
        for (int way = 0; way < 2; way++) {
            double speed = measure(&b, way == 0 ? direct : child);
            best[way] = speed > best[way] ? speed : best[way];
        }
    if (r < 0 || b.failed) {
        fprintf(stderr, "store_gets: %s\n", r < 0 ? strerror(-r) : "an object could not be read");
        return 1;
    }
    printf("folder %.0f MB/s, through a child %.0f MB/s: %.2f\n", best[0] / 1e6, best[1] / 1e6,
           best[1] / best[0]);
    return 0;
}
