/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A URL here is a scheme and a path as it is: nothing in it is escaped (where it is sent or stored,
 * the whole is percent-encoded). */
#include "isrfs/sync/home.h"

#include <string.h>
#include <strings.h>

#include "isrfs/base/log.h"

#define FILE_URL "FILE://"

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

int home_url(const char *text, char **ret_url, struct failure *failure)
{
    const char *path = strstr(text, "://") ? home_folder(text, failure) : text;
    if (!path)
        return -EINVAL;
    CLEANUP_FREE char *resolved = NULL;
    int r = site_resolve(path, &resolved);
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
