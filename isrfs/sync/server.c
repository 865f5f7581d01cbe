/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of a folder lock server lie with the installed programs; ISR_LIBEXEC names another
 * place for them (a build tree). */
#include "isrfs/sync/server.h"

#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/log.h"
#include "isrfs/base/process.h"

bool server_is_folder(const struct source *source)
{
    return source->server[0] == '/';
}

static int check_folder(const struct source *source, struct failure *failure)
{
    struct stat st;
    char name[256];
    log_clean(name, sizeof name, source->server);
    if (stat(source->server, &st) < 0)
        return failure_set(failure, OUTCOME_UNREACHABLE,
                           "there is no lock server at %s (isr import makes one): %s", name,
                           strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return failure_set(failure, OUTCOME_UNREACHABLE, "%s is no folder, so no lock server",
                           name);
    return 0;
}

/* ISR_SSH and isr.conf. SSH_TIMEOUT, in seconds, bounds both connecting and each command. */
static int ssh_settings(const struct site *site, struct lockclient_ssh *ret,
                        struct failure *failure)
{
    const char *command = getenv("ISR_SSH");
    *ret = (struct lockclient_ssh){
        .command = command && *command ? command : site_setting(site, "SSH_COMMAND", NULL),
        .folder = site_setting(site, "SSH_DIR", NULL),
    };
    const char *timeout = site_setting(site, "SSH_TIMEOUT", NULL);
    if (!timeout)
        return 0;
    char *end;
    unsigned long seconds = strtoul(timeout, &end, 10);
    if (timeout[0] < '1' || timeout[0] > '9' || *end || seconds > 3600)
        return failure_set(failure, OUTCOME_USAGE, "SSH_TIMEOUT must be 1 to 3600 seconds");
    ret->connect_ms = ret->command_ms = (unsigned)seconds * 1000;
    return 0;
}

int server_open(const struct site *site, const struct source *source, bool create,
                struct lockclient **ret, struct failure *failure)
{
    int r = !create && server_is_folder(source) ? check_folder(source, failure) : 0;
    if (r < 0)
        return r;
    CLEANUP_FREE char *scripts = process_helper("lockserver");
    if (!scripts)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    struct lockclient_ssh ssh;
    r = ssh_settings(site, &ssh, failure);
    if (r < 0)
        return r;
    /* Others are told the user at the lock server, and so of our name only host:/path. */
    const char *at = strchr(site->name, '@');
    struct lockclient_config config = {.server = source->server,
                                       .scripts = scripts,
                                       .user = source->user,
                                       .site = at ? at + 1 : site->name,
                                       .ssh = &ssh};
    struct lockclient_error error = {0};
    r = lockclient_open(&config, ret, &error);
    return r < 0 ? server_failure(failure, source, r, &error) : 0;
}

int server_failure(struct failure *f, const struct source *source, int error,
                   const struct lockclient_error *e)
{
    static const enum outcome outcomes[] = {OUTCOME_FAILED,     OUTCOME_FAILED,  OUTCOME_USAGE,
                                            OUTCOME_LOCKED,     OUTCOME_UNKNOWN, OUTCOME_DAMAGED,
                                            OUTCOME_UNREACHABLE};
    bool known = e->status > 0 && (size_t)e->status < sizeof outcomes / sizeof *outcomes;
    char version[32] = "";
    if (source->version)
        snprintf(version, sizeof version, "@%llu", (unsigned long long)source->version);
    failure_set(f, known ? outcomes[e->status] : OUTCOME_FAILED, "%s%s%s%s",
                source->parcel ? source->parcel : "", version, source->parcel ? ": " : "", e->text);
    return error;
}
