/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isrfs SOURCE DIR: checks a parcel out, mounts it, and checks it in when it is unmounted. The
 * caller gets the verdict when the file system can be used; the rest happens in the background. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/cmd/isrfs_background.h"
#include "isrfs/cmd/isrfs_options.h"
#include "isrfs/cmd/isrfs_session.h"
#include "isrfs/parcel/catalog.h"

/* Standard streams that are closed must not be taken by files that are opened, and what the caller
 * has open beside them (a lock, one end of a pipe) must not live as long as the daemon. */
static int clean_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return -errno;
    close_range(STDERR_FILENO + 1, ~0u, 0);
    return 0;
}

/* The signals that end the mount are waited for by one thread; they must be blocked in all. A shell
 * may have had SIGINT ignored for what it runs in the background; SIGHUP stays so under nohup. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

static int run(const struct isrfs_options *options)
{
    struct isrfs_background *background = NULL;
    struct failure verdict = {0};
    int r = options->foreground ? 0 : isrfs_background_start(&background, &verdict);
    if (r < 0) {
        log_error("cannot go to the background: %s", strerror(-r));
        return OUTCOME_FAILED;
    }
    if (r > 0)
        return isrfs_background_say(&verdict);
    block_signals();
    return (int)isrfs_session(options, background);
}

int main(int argc, char **argv)
{
    umask(077);
    if (clean_descriptors() < 0)
        return OUTCOME_FAILED;
    secret_protect_process();
    catalog_init_json();
    struct isrfs_options options;
    int r = isrfs_options_parse(argc, argv, &options);
    int status = r < 0 ? OUTCOME_USAGE : r > 0 ? OUTCOME_DONE : run(&options);
    isrfs_options_free(&options);
    return status;
}
