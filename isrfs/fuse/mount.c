/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A mount's life: opened (mounted, requests wait) -> serving (watch.c, seek.c and handover.c
 * run beside libfuse's loop) -> ended (unmounted by somebody, or by a signal) -> closed. Nothing
 * that must happen is left to FUSE's destroy request, which a forced or aborted mount never gets:
 * what was not committed when mount_serve returns is committed by its caller. */
#include "isrfs/fuse/mount.h"

#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/fuse/front.h"
#include "isrfs/fuse/handover.h"
#include "isrfs/fuse/ops.h"
#include "isrfs/fuse/seek.h"
#include "isrfs/fuse/tune.h"
#include "isrfs/fuse/virtual_text.h"
#include "isrfs/fuse/watch.h"

/* Reads that wait for a home that is away keep their threads (untouched but for a stack), and their
 * places among the requests that the kernel sends at once for read-ahead and write-back. Hits and
 * writes must find some beside them. */
#define THREADS     16u /* that are kept */
#define THREADS_MAX (HOME_WATCH_WAITERS_MAX + 64u)
#define BACKGROUND  (HOME_WATCH_WAITERS_MAX + 32u)

/* Splice is off: measured, copying through one buffer a thread is as fast for what is decoded in
 * memory anyway. Locks are not negotiated: the kernel's own then work, also the OFD locks with
 * which QEMU keeps a second QEMU out. Pages are never dropped because a file seems changed: nobody
 * changes it but through this mount. O_TRUNC comes as a SETATTR of its own. */
static void do_init(void *userdata, struct fuse_conn_info *conn)
{
    struct mount *m = userdata;
    m->kernel_waits = conn->proto_minor >= 44;
    conn->want |= conn->capable &
                  (FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
                   FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO);
    conn->want &=
        ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                    FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_AUTO_INVAL_DATA |
                    FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_HANDLE_KILLPRIV);
    conn->max_write = FRONT_REQUEST_MAX;
    conn->max_readahead = FRONT_REQUEST_MAX;
    conn->max_background = BACKGROUND;
    conn->congestion_threshold = BACKGROUND * 3 / 4;
    conn->time_gran = 1;
}

static void log_fuse(enum fuse_log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_fuse(enum fuse_log_level level, const char *format, va_list args)
{
    char line[512];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    if (level <= FUSE_LOG_ERR)
        log_error("%s", line);
    else
        log_debug("%s", line);
}

static int add_options(const struct mount *m, struct fuse_args *args)
{
    const struct mount_config *config = &m->config;
    CLEANUP_FREE char *name = NULL;
    CLEANUP_FREE char *options = NULL;
    if (asprintf(&name, "fsname=%s", config->source) < 0)
        name = NULL;
    int r = name ? fuse_opt_add_opt_escaped(&options, name) : -1;
    r = r < 0 ? r : fuse_opt_add_opt(&options, "subtype=isrfs,default_permissions,nosuid,nodev");
    if (r == 0 && config->allow_other)
        r = fuse_opt_add_opt(&options, "allow_other");
    if (r == 0 && parcel_is_read_only(config->parcel))
        r = fuse_opt_add_opt(&options, "ro");
    if (r == 0 && config->options && *config->options)
        r = fuse_opt_add_opt(&options, config->options);
    r = r < 0 ? r : fuse_opt_add_arg(args, "isrfs");
    r = r < 0 ? r : fuse_opt_add_arg(args, "-o");
    return r < 0 ? -ENOMEM : fuse_opt_add_arg(args, options) < 0 ? -ENOMEM : 0;
}

static int open_session(struct mount *m)
{
    struct fuse_lowlevel_ops ops = {.init = do_init};
    ops_name_install(&ops);
    ops_attr_install(&ops);
    ops_file_install(&ops);
    ops_folder_install(&ops);
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    int r = add_options(m, &args);
    if (r == 0) {
        fuse_set_log_func(log_fuse);
        m->session = fuse_session_new(&args, &ops, sizeof ops, m);
        r = m->session ? 0 : -EINVAL;
    }
    fuse_opt_free_args(&args);
    return r;
}

static int copy_config(struct mount *m, const struct mount_config *config)
{
    m->config = *config;
    m->config.source = strdup(config->source);
    m->config.mountpoint = strdup(config->mountpoint);
    m->config.options = config->options ? strdup(config->options) : NULL;
    if (!m->config.source || !m->config.mountpoint || (config->options && !m->config.options))
        return -ENOMEM;
    m->uid = getuid();
    m->gid = getgid();
    return 0;
}

static int prepare(struct mount *m, const struct mount_config *config)
{
    int r = copy_config(m, config);
    if (r < 0)
        return r;
    m->writers = writers_new();
    if (!m->writers)
        return -ENOMEM;
    r = pthread_key_create(&m->buffer_key, front_buffer_free);
    m->have_buffer_key = r == 0;
    return r != 0 ? -r : open_session(m);
}

int mount_open(const struct mount_config *config, struct mount **ret, struct failure *failure)
{
    struct mount *m = calloc(1, sizeof *m);
    if (!m)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    pthread_mutex_init(&m->flush_lock, NULL);
    int r = prepare(m, config);
    if (r == 0 && fuse_session_mount(m->session, m->config.mountpoint) != 0)
        r = -EIO; /* libfuse or fusermount3 has said why */
    if (r < 0) {
        mount_close(m);
        return failure_set(failure, OUTCOME_FAILED, "cannot mount on %s: %s", config->mountpoint,
                           r == -EIO ? "see the line above" : strerror(-r));
    }
    m->mounted = true;
    r = front_find_device(m);
    if (r < 0) {
        mount_close(m);
        return failure_set(failure, OUTCOME_FAILED, "cannot mount on %s: %s", config->mountpoint,
                           strerror(-r));
    }
    tune_mount(m->device);
    *ret = m;
    return 0;
}

static int serve(struct mount *m)
{
    struct fuse_loop_config *loop = fuse_loop_cfg_create();
    if (!loop)
        return -ENOMEM;
    fuse_loop_cfg_set_clone_fd(loop, 1);
    fuse_loop_cfg_set_max_threads(loop, THREADS_MAX);
    fuse_loop_cfg_set_idle_threads(loop, THREADS);
    int r = fuse_session_loop_mt(m->session, loop);
    fuse_loop_cfg_destroy(loop);
    return r < 0 ? r : 0;
}

static void wake_who_waits(void *ctx)
{
    struct mount *m = ctx;
    if (m->config.checkout->watch)
        home_watch_ask(m->config.checkout->watch);
}

static int begin_asking(struct mount *m)
{
    int r = askers_new(wake_who_waits, m, &m->askers);
    if (r == 0)
        parcel_set_given_up(m->config.parcel, askers_given_up, m->askers);
    return r;
}

static void end_asking(struct mount *m)
{
    parcel_set_given_up(m->config.parcel, NULL, NULL);
    askers_free(m->askers);
    m->askers = NULL;
}

int mount_serve(struct mount *m)
{
    struct watch *watch = NULL;
    int r = begin_asking(m);
    r = r < 0 ? r : seek_new(m, &m->seek);
    r = r < 0 || !m->config.committer ? r : handover_new(m, &m->handover);
    r = r < 0 ? r : watch_new(m, &watch);
    r = r < 0 ? r : serve(m);
    if (r < 0) {
        /* Whoever waits for an answer gets none: the connection ends. */
        fuse_session_unmount(m->session);
        m->detached = true;
    }
    watch_free(watch);
    pthread_mutex_lock(&m->flush_lock);
    m->ending = true;
    pthread_mutex_unlock(&m->flush_lock);
    handover_free(m->handover);
    m->handover = NULL;
    seek_free(m->seek);
    m->seek = NULL;
    end_asking(m);
    return r;
}

bool mount_was_busy(const struct mount *m)
{
    return atomic_load(&m->busy);
}

bool mount_in_use(const struct mount *m)
{
    return writers_any(m->writers);
}

int mount_flush(struct mount *m)
{
    CLEANUP_CLOSE int root = front_open_root(m);
    if (root < 0)
        return root;
    LOCK_SCOPE(&m->flush_lock);
    return front_flush(m, root);
}

int mount_status(struct mount *m, struct buffer *out)
{
    return virtual_text_status(m, out);
}

void mount_close(struct mount *m)
{
    if (!m)
        return;
    /* libfuse unmounts by path: not when somebody else's mount may be there by now. */
    if (m->mounted && !m->detached)
        fuse_session_unmount(m->session);
    if (m->session)
        fuse_session_destroy(m->session);
    if (m->have_buffer_key)
        pthread_key_delete(m->buffer_key);
    writers_free(m->writers);
    pthread_mutex_destroy(&m->flush_lock);
    free((char *)m->config.source);
    free((char *)m->config.mountpoint);
    free((char *)m->config.options);
    free(m);
}
