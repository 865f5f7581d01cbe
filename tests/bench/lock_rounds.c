/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lock_rounds SERVER USER PARCEL SSH-FOLDER SECONDS: lists, acquires and releases over one
 * connection for so long, and prints the milliseconds of one list, acquire, release, the rounds
 * a second, how many there were, and the milliseconds of CPU that one cost here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "lockclient/lockclient.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double used(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

struct bench {
    struct lockclient *client;
    const char *parcel;
    struct lockclient_error error;
    double list, acquire, release;
    unsigned rounds;
};

static int one_round(struct bench *b)
{
    struct lockclient_list list = {0};
    struct lockclient_parcel_cfg cfg;
    struct lockclient_lock *lock = NULL;
    char nonce[LOCKCLIENT_NONCE_SIZE];
    int r = b->rounds ? 0 : lockclient_parcel_cfg(b->client, b->parcel, &cfg, &b->error);
    r = r < 0 ? r : lockclient_make_nonce(1, 1, nonce);
    double start = now();
    r = r < 0 ? r : lockclient_list(b->client, &list, &b->error);
    double listed = now();
    r = r < 0 ? r : lockclient_acquire(b->client, b->parcel, nonce, &lock, NULL, &b->error);
    double acquired = now();
    r = r < 0 ? r : lockclient_release(b->client, b->parcel, nonce, &b->error);
    b->list += listed - start;
    b->acquire += acquired - listed;
    b->release += now() - acquired;
    b->rounds++;
    lockclient_list_free(&list);
    lockclient_lock_free(lock);
    return r;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: lock_rounds SERVER USER PARCEL SSH-FOLDER SECONDS\n");
        return 2;
    }
    struct lockclient_ssh ssh = {.folder = argv[4]};
    struct lockclient_config config = {
        .server = argv[1], .scripts = "/", .user = argv[2], .site = "bench:/", .ssh = &ssh};
    struct bench b = {.parcel = argv[3]};
    struct lockclient_user *user = NULL;
    int r = lockclient_open(&config, &b.client, &b.error);
    r = r < 0 ? r : lockclient_user(b.client, &user, &b.error); /* connects */
    lockclient_user_free(user);
    double cpu = used(), end = now() + strtod(argv[5], NULL);
    while (r == 0 && now() < end)
        r = one_round(&b);
    cpu = used() - cpu;
    lockclient_free(b.client);
    if (r < 0) {
        fprintf(stderr, "lock_rounds: %s\n", b.error.text);
        return 1;
    }
    double count = b.rounds;
    printf("%.1f %.1f %.1f %.1f %u %.1f\n", 1000 * b.list / count, 1000 * b.acquire / count,
           1000 * b.release / count, count / (b.list + b.acquire + b.release), b.rounds,
           1000 * cpu / count);
    return 0;
}
