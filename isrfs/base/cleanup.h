/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scope-bound release of resources: what a function holds is released on every way out. */
#ifndef ISRFS_BASE_CLEANUP_H
#define ISRFS_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* free() when the scope ends; errno is kept. */
#define CLEANUP_FREE CLEANUP(cleanup_free)
/* close() when the scope ends, unless negative; errno is kept. */
#define CLEANUP_CLOSE CLEANUP(cleanup_close)
/* closedir() / fclose() when the scope ends, unless NULL; errno is kept. */
#define CLEANUP_CLOSEDIR CLEANUP(cleanup_closedir)
#define CLEANUP_FCLOSE   CLEANUP(cleanup_fclose)

static inline void cleanup_free(void *p)
{
    int saved = errno;
    free(*(void **)p);
    errno = saved;
}

static inline void cleanup_close(const int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

static inline void cleanup_closedir(DIR **dir)
{
    int saved = errno;
    if (*dir)
        closedir(*dir);
    errno = saved;
}

static inline void cleanup_fclose(FILE **file)
{
    int saved = errno;
    if (*file)
        fclose(*file);
    errno = saved;
}

static inline void cleanup_unlock(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

/* Hands the pointer (or descriptor) on and leaves NULL (-1) behind for the cleanup. */
#define steal_ptr(p) ((__typeof__(p))steal_ptr_(&(p)))

static inline void *steal_ptr_(void *p)
{
    void *value = *(void **)p;
    *(void **)p = NULL;
    return value;
}

static inline int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

#define CLEANUP_CAT_(a, b) a##b
#define CLEANUP_CAT(a, b)  CLEANUP_CAT_(a, b)

/* Holds MUTEX from here to the end of the enclosing block. */
#define LOCK_SCOPE(mutex)                                                                          \
    CLEANUP(cleanup_unlock)                                                                        \
    pthread_mutex_t *CLEANUP_CAT(locked_, __LINE__) __attribute__((unused)) = lock_(mutex)

static inline pthread_mutex_t *lock_(pthread_mutex_t *mutex)
{
    pthread_mutex_lock(mutex);
    return mutex;
}

#endif
