/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The replies that are a table: a line for each row, fields separated by one space. Rows are
 * counted first, so that a hostile reply costs memory in proportion to its own (bounded) size only;
 * each field is then cut out and checked. */
#include "lockclient/message.h"

#include <string.h>

#include "isrfs/base/keyvalue.h"
#include "isrfs/base/log.h"

#define FIELD_MAX 1100u

static size_t count_lines(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\n';
    return count;
}

/* Takes the next field from the line that ends at END into OUT. False for an empty or long one, one
 * that is not printable, or when there is none. *AT moves behind the space, or to NULL at the end.
 */
static bool next_field(const char **at, const char *end, char out[FIELD_MAX])
{
    const char *p = *at;
    size_t n = 0;
    if (!p)
        return false;
    while (p < end && *p != ' ' && n + 1 < FIELD_MAX && *p > ' ' && *p < 0x7f)
        out[n++] = *p++;
    out[n] = '\0';
    if (n == 0 || (p < end && *p != ' '))
        return false;
    *at = p < end ? p + 1 : NULL;
    return true;
}

static bool next_u64(const char **at, const char *end, uint64_t *ret)
{
    char field[FIELD_MAX];
    if (!next_field(at, end, field) || strlen(field) > 18)
        return false;
    uint64_t value = 0;
    for (const char *p = field; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        value = 10 * value + (uint64_t)(*p - '0');
    }
    *ret = value;
    return true;
}

/* Decoded; NULL for "-". */
static int next_plain(const char **at, const char *end, char **ret)
{
    char field[FIELD_MAX];
    *ret = NULL;
    if (!next_field(at, end, field))
        return -EBADMSG;
    return strcmp(field, "-") == 0 ? 0 : percent_decode(field, ret);
}

/* A copy for showing. */
static char *clean_copy(const char *plain)
{
    size_t room = strlen(plain) + 1;
    char *copy = malloc(room);
    if (copy)
        log_clean(copy, room, plain);
    return copy;
}

/* Decoded and clean; NULL for "-". */
static int next_text(const char **at, const char *end, char **ret)
{
    CLEANUP_FREE char *plain = NULL;
    *ret = NULL;
    int r = next_plain(at, end, &plain);
    if (r < 0 || !plain)
        return r;
    *ret = clean_copy(plain);
    return *ret ? 0 : -ENOMEM;
}

static int parse_parcel(const char *line, const char *end, struct lockclient_parcel *ret)
{
    char name[FIELD_MAX];
    if (!next_field(&line, end, name) || !message_name_valid(name))
        return -EBADMSG;
    memcpy(ret->name, name, strlen(name) + 1);
    if (!next_u64(&line, end, &ret->version) || !next_u64(&line, end, &ret->time))
        return -EBADMSG;
    int r = next_text(&line, end, &ret->holder);
    if (r < 0)
        return r;
    return next_u64(&line, end, &ret->size) && !line ? 0 : -EBADMSG;
}

static int parse_version(const char *line, const char *end, struct lockclient_version *ret)
{
    char consistent[FIELD_MAX];
    if (!next_u64(&line, end, &ret->number) || !next_u64(&line, end, &ret->time) ||
        !next_u64(&line, end, &ret->newbytes) || !next_u64(&line, end, &ret->size) ||
        !next_field(&line, end, consistent))
        return -EBADMSG;
    ret->consistent = strcmp(consistent, "yes") == 0;
    if (!ret->consistent && strcmp(consistent, "no") != 0)
        return -EBADMSG;
    int r = next_text(&line, end, &ret->site);
    r = r < 0 ? r : next_plain(&line, end, &ret->comment_as_given);
    if (r == 0 && ret->comment_as_given) {
        ret->comment = clean_copy(ret->comment_as_given);
        r = ret->comment ? 0 : -ENOMEM;
    }
    return r == 0 && line ? -EBADMSG : r;
}

int message_parse_list(const void *text, size_t size, struct lockclient_list *ret,
                       const char **ret_reason)
{
    *ret = (struct lockclient_list){0};
    *ret_reason = "a line is not: name version time holder size";
    const char *at = text, *end = at + size;
    if (size > 0 && end[-1] != '\n')
        return -EBADMSG;
    struct lockclient_list list = {calloc(count_lines(text, size) + 1, sizeof *list.parcels), 0};
    if (!list.parcels)
        return -ENOMEM;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        int r = parse_parcel(at, stop, &list.parcels[list.count++]);
        if (r < 0) {
            message_list_free(&list);
            return r;
        }
        at = stop + 1;
    }
    *ret = list;
    return 0;
}

int message_parse_history(const void *text, size_t size, struct lockclient_history *ret,
                          const char **ret_reason)
{
    *ret = (struct lockclient_history){0};
    *ret_reason = "a line is not: number time newbytes size consistent site comment";
    const char *at = text, *end = at + size;
    if (size > 0 && end[-1] != '\n')
        return -EBADMSG;
    struct lockclient_history history = {
        calloc(count_lines(text, size) + 1, sizeof *history.versions), 0};
    if (!history.versions)
        return -ENOMEM;
    uint64_t before = 0;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct lockclient_version *version = &history.versions[history.count++];
        int r = parse_version(at, stop, version);
        if (r == 0 && version->number <= before)
            r = -EBADMSG;
        if (r < 0) {
            message_history_free(&history);
            return r;
        }
        before = version->number;
        at = stop + 1;
    }
    *ret = history;
    return 0;
}

static bool parse_gone(const char *line, const char *end, struct lockclient_gone *ret)
{
    char uuid[FIELD_MAX], number[FIELD_MAX];
    const char *rest = line;
    if (!next_field(&rest, end, uuid) || strlen(uuid) != LOCKCLIENT_UUID_SIZE - 1 ||
        strspn(uuid, "0123456789abcdef") != LOCKCLIENT_UUID_SIZE - 1)
        return false;
    memcpy(ret->uuid, uuid, LOCKCLIENT_UUID_SIZE);
    line = rest;
    ret->number = 0;
    if (next_field(&rest, end, number) && strcmp(number, "all") == 0)
        return !rest;
    return next_u64(&line, end, &ret->number) && ret->number > 0 && !line;
}

int message_parse_forgotten(const void *text, size_t size, struct lockclient_forgotten *ret,
                            const char **ret_reason)
{
    *ret = (struct lockclient_forgotten){0};
    *ret_reason = "a line is not: uuid number";
    const char *at = text, *end = at + size;
    if (size > 0 && end[-1] != '\n')
        return -EBADMSG;
    struct lockclient_gone *gone = calloc(count_lines(text, size) + 1, sizeof *gone);
    if (!gone)
        return -ENOMEM;
    size_t count = 0;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!parse_gone(at, stop, &gone[count++])) {
            free(gone);
            return -EBADMSG;
        }
        at = stop + 1;
    }
    *ret = (struct lockclient_forgotten){gone, count};
    return 0;
}

void message_list_free(struct lockclient_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->parcels[i].holder);
    free(list->parcels);
    *list = (struct lockclient_list){0};
}

void message_history_free(struct lockclient_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        free(history->versions[i].site);
        free(history->versions[i].comment);
        free(history->versions[i].comment_as_given);
    }
    free(history->versions);
    *history = (struct lockclient_history){0};
}
