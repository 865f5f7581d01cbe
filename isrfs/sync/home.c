/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A URL here is a scheme and a path as it is: nothing in it is escaped (where it is sent or stored,
 * the whole is percent-encoded). */
#include "isrfs/sync/home.h"

#include <string.h>
#include <strings.h>

#include "isrfs/base/log.h"
#include "isrfs/store/remote.h"

#define FILE_URL      "FILE://"
#define CALL_MS       30000u
#define CALL_MS_MAX   3600000u
#define WAIT_MS       30000u
#define BARRIER_CALLS 10u /* times as long as another call */

const char *home_folder(const char *url, struct failure *failure)
{
    size_t scheme = strlen(FILE_URL);
    char name[256];
    log_clean(name, sizeof name, url);
    if (strncasecmp(url, FILE_URL, scheme) == 0 && url[scheme] == '/')
        return url + scheme;
    const char *mark = strstr(name, "://");
    if (mark && strncasecmp(url, FILE_URL, scheme) != 0)
        failure_set(failure, OUTCOME_FAILED,
                    "%s: stores of the type %.*s are not supported yet; FILE is", name,
                    (int)(mark - name), name);
    else
        failure_set(failure, OUTCOME_FAILED, "%s: not of the form FILE:///path", name);
    return NULL;
}

int home_read_wait(const char *text, unsigned *ret_ms)
{
    if (strcmp(text, "forever") == 0) {
        *ret_ms = UINT_MAX;
        return 0;
    }
    char *end;
    unsigned long seconds = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : ULONG_MAX;
    if (seconds > 86400 || *end)
        return -EINVAL;
    *ret_ms = (unsigned)seconds * 1000;
    return 0;
}

int home_limits(const struct site *s, struct home_limits *ret, struct failure *failure)
{
    *ret = (struct home_limits){.call_ms = CALL_MS, .wait_ms = WAIT_MS};
    const char *call = site_setting(s, "HOME_TIMEOUT", NULL);
    const char *wait = site_setting(s, "HOME_WAIT", NULL);
    int r = call ? home_read_wait(call, &ret->call_ms) : 0;
    if (r < 0 || ret->call_ms == 0 || ret->call_ms > CALL_MS_MAX) {
        failure_set(failure, OUTCOME_USAGE, "HOME_TIMEOUT in isr.conf must be 1 to 3600 seconds");
        return -EINVAL;
    }
    if (wait && home_read_wait(wait, &ret->wait_ms) < 0) {
        failure_set(failure, OUTCOME_USAGE,
                    "HOME_WAIT in isr.conf must be 0 to 86400 seconds, or forever");
        return -EINVAL;
    }
    return 0;
}

static int open_remote(const struct folder_config *config, const struct home_limits *limits,
                       const enum folder_fanout *create, bool later, struct store **ret)
{
    return remote_open(&(struct remote_config){.path = config->path,
                                               .uuid = config->uuid,
                                               .read_only = config->read_only,
                                               .create = create,
                                               .later = later,
                                               .codec = config->codec,
                                               .counters = config->counters,
                                               .limit_ms = limits->call_ms,
                                               .barrier_limit_ms = limits->call_ms * BARRIER_CALLS},
                       ret);
}

int home_open(const struct folder_config *config, const struct home_limits *limits,
              const enum folder_fanout *create, struct store **ret,
              char ret_uuid[STORE_UUID_HEX + 1])
{
    int r;
    if (remote_is_needed(config->path)) {
        r = open_remote(config, limits, create, false, ret);
        if (r == 0 && ret_uuid)
            memcpy(ret_uuid, remote_uuid(*ret), STORE_UUID_HEX + 1);
        return r;
    }
    struct folder_config made = *config;
    char uuid[STORE_UUID_HEX + 1];
    if (create) {
        r = folder_create(config->path, *create, uuid);
        if (r < 0 && r != -EEXIST)
            return r;
        made.uuid = uuid;
    }
    r = folder_open(&made, ret);
    if (r == 0 && ret_uuid)
        memcpy(ret_uuid, folder_uuid(*ret), STORE_UUID_HEX + 1);
    return r;
}

int home_open_later(const struct folder_config *config, const struct home_limits *limits,
                    struct store **ret)
{
    return open_remote(config, limits, NULL, true, ret);
}

void home_interrupt(struct store *home)
{
    if (remote_is(home))
        remote_interrupt(home);
}

/* Absolute, without asking a file system that may hang. */
static int resolve(const char *path, char **ret)
{
    CLEANUP_FREE char *whole = NULL;
    if (*path != '/') {
        CLEANUP_FREE char *here = getcwd(NULL, 0);
        if (!here || asprintf(&whole, "%s/%s", here, path) < 0) {
            whole = NULL;
            return here ? -ENOMEM : -errno;
        }
        path = whole;
    }
    return remote_is_needed(path) ? remote_resolve(path, ret) : site_resolve(path, ret);
}

int home_url(const char *text, char **ret_url, struct failure *failure)
{
    const char *path = strstr(text, "://") ? home_folder(text, failure) : text;
    if (!path)
        return -EINVAL;
    CLEANUP_FREE char *resolved = NULL;
    int r = resolve(path, &resolved);
    if (r < 0) {
        char name[256];
        failure_set(failure, r == -ENOENT ? OUTCOME_UNREACHABLE : OUTCOME_FAILED,
                    "a store cannot be at %s: %s", log_clean(name, sizeof name, path),
                    strerror(-r));
        return r;
    }
    if (asprintf(ret_url, FILE_URL "%s", resolved) < 0) {
        *ret_url = NULL;
        failure_set(failure, OUTCOME_FAILED, "out of memory");
        return -ENOMEM;
    }
    return 0;
}
