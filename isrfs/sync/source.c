/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading of what names a parcel. A text is cut at its last colon into server and parcel, and the
 * parcel at its '@' into name and version; each part then has a pattern of its own. A folder is
 * resolved, so that one lock server has one name at this site however it was written. */
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/sync/site.h"
#include "lockclient/lockclient.h"

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static int refuse(const char *what, const char *text)
{
    char name[128];
    log_error("'%s' %s", log_clean(name, sizeof name, text), what);
    return -EINVAL;
}

static int set_folder(const char *path, struct source *s)
{
    int r = site_resolve(path, &s->server);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? refuse("is not a folder that can hold a lock server", path) : 0;
}

static bool port_valid(const char *port)
{
    size_t digits = strspn(port, DIGITS);
    return digits > 0 && digits <= 5 && port[digits] == '\0' && port[0] != '0' &&
           strtoul(port, NULL, 10) <= 65535;
}

/* host or [v6 address], perhaps with :port. */
static bool host_valid(const char *host)
{
    size_t length;
    if (*host == '[') {
        length = 1 + strspn(host + 1, DIGITS "abcdefABCDEF:.");
        if (length < 3 || host[length] != ']')
            return false;
        length++;
    } else {
        length = strspn(host, LETTERS DIGITS ".-");
        if (length == 0 || *host == '-')
            return false;
    }
    return host[length] == '\0' || (host[length] == ':' && port_valid(host + length + 1));
}

/* [user@]host[:port], after ssh:// if that was there. */
static int set_ssh(const char *text, struct source *s)
{
    const char *at = strchr(text, '@');
    const char *host = at ? at + 1 : text;
    if (!host_valid(host))
        return refuse("is not a lock server: give a folder or ssh://[user@]host[:port]", text);
    if (at) {
        s->user = strndup(text, (size_t)(at - text));
        if (!s->user)
            return -ENOMEM;
        if (!lockclient_name_valid(s->user))
            return refuse("is not a user name", s->user);
    }
    if (asprintf(&s->server, "ssh://%s", text) < 0) {
        s->server = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* A lock server as options and settings give it: a folder is anything without ://. */
static int set_server(const char *text, struct source *s)
{
    if (strncmp(text, "ssh://", 6) == 0)
        return set_ssh(text + 6, s);
    if (strstr(text, "://"))
        return refuse("is not a lock server: give a folder or ssh://[user@]host[:port]", text);
    return set_folder(text, s);
}

static int default_server(const struct site *site, struct source *s)
{
    const char *text = getenv("ISR_LOCKSRV");
    if (!text || !*text)
        text = site_setting(site, "LOCKSRV", NULL);
    if (text)
        return set_server(text, s);
    if (asprintf(&s->server, "%s/locksrv", site->home) < 0) {
        s->server = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int set_parcel(const char *text, struct source *s)
{
    const char *at = strchr(text, '@');
    s->parcel = at ? strndup(text, (size_t)(at - text)) : strdup(text);
    if (!s->parcel)
        return -ENOMEM;
    if (!lockclient_name_valid(s->parcel))
        return refuse("is not a parcel name (letters, digits and ._- after a letter or digit)",
                      s->parcel);
    if (!at)
        return 0;
    size_t digits = strspn(at + 1, DIGITS);
    if (digits == 0 || digits > 15 || at[1] == '0' || at[1 + digits] != '\0')
        return refuse("does not end in @ and a version number", text);
    s->version = strtoull(at + 1, NULL, 10);
    return 0;
}

/* The URL's user is whose account at the machine is used; it is also the user at the lock server,
 * unless something else says who that is (an account that many share). */
static int set_user(const struct site *site, const char *user, struct source *s)
{
    const char *said = getenv("ISR_USER");
    if (!user)
        user = said && *said ? said : site_setting(site, "USER", s->user ? NULL : site->user);
    if (user) {
        free(s->user);
        s->user = strdup(user);
    }
    if (!s->user)
        return -ENOMEM;
    return lockclient_name_valid(s->user) ? 0 : refuse("is not a user name", s->user);
}

static int parse(const struct site *site, const char *text, const char *locksrv, const char *user,
                 struct source *s)
{
    const char *colon = strrchr(text, ':');
    CLEANUP_FREE char *server = colon ? strndup(text, (size_t)(colon - text)) : NULL;
    int r = 0;
    if (colon && !server)
        return -ENOMEM;
    if (server && locksrv)
        return refuse("names a lock server, and --locksrv another", text);
    if (server && *server == '/')
        r = set_folder(server, s);
    else if (server)
        r = set_ssh(strncmp(server, "ssh://", 6) == 0 ? server + 6 : server, s);
    else if (locksrv)
        r = set_server(locksrv, s);
    else
        r = default_server(site, s);
    r = r < 0 ? r : set_parcel(colon ? colon + 1 : text, s);
    return r < 0 ? r : set_user(site, user, s);
}

int source_parse(const struct site *s, const char *text, const char *locksrv, const char *user,
                 struct source *ret)
{
    *ret = (struct source){0};
    int r = parse(s, text, locksrv, user, ret);
    if (r == -ENOMEM)
        log_error("out of memory");
    if (r < 0)
        source_free(ret);
    return r;
}

int source_parse_server(const struct site *s, const char *locksrv, const char *user,
                        struct source *ret)
{
    *ret = (struct source){0};
    int r = locksrv ? set_server(locksrv, ret) : default_server(s, ret);
    r = r < 0 ? r : set_user(s, user, ret);
    if (r == -ENOMEM)
        log_error("out of memory");
    if (r < 0)
        source_free(ret);
    return r;
}

void source_free(struct source *source)
{
    free(source->server);
    free(source->user);
    free(source->parcel);
    *source = (struct source){0};
}

char *source_text(const struct source *source)
{
    char *text = NULL;
    int n = source->version ? asprintf(&text, "%s:%s@%llu", source->server, source->parcel,
                                       (unsigned long long)source->version)
                            : asprintf(&text, "%s:%s", source->server, source->parcel);
    return n < 0 ? NULL : text;
}
