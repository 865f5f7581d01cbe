/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The calls of people rather than of check-outs: breaking a lock, and what is done with whole
 * versions. */
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/keyvalue.h"
#include "lockclient/call.h"

int lockclient_held(struct lockclient *lc, const char *parcel, struct lockclient_held *ret,
                    struct lockclient_error *error)
{
    struct call call = {.command = "isr_check_lock", .parcel = parcel};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_held(reply.out.data, reply.out.size, ret, &reason);
    return call_check_reply(&call, r, reason, error);
}

int lockclient_break(struct lockclient *lc, const char *parcel, const struct lockclient_break *b,
                     struct lockclient_broken *ret, struct lockclient_error *error)
{
    CLEANUP_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_break(b, &input, &reason);
    if (r < 0)
        return call_bad_argument(r, reason, error);
    struct call call = {.command = "isr_break_lock",
                        .parcel = parcel,
                        .word = b->stolen ? "stolen" : NULL,
                        .input = &input};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    r = message_parse_broken(reply.out.data, reply.out.size, ret, &reason);
    return call_check_reply(&call, r, reason, error);
}

int lockclient_rollback(struct lockclient *lc, const char *parcel, const char *nonce,
                        const struct lockclient_rollback *b, struct lockclient_error *error)
{
    CLEANUP_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_rollback(b, lc->site, &input, &reason);
    if (r < 0)
        return call_bad_argument(r, reason, error);
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, b->version);
    struct call call = {.command = "isr_rollback",
                        .parcel = parcel,
                        .nonce = nonce,
                        .word = number,
                        .word2 = b->release ? "release" : NULL,
                        .input = &input};
    return call_for_version(lc, &call, b->base + 1, error);
}

int lockclient_clone(struct lockclient *lc, const char *parcel, const struct lockclient_clone *c,
                     struct lockclient_error *error)
{
    if (!message_name_valid(c->name))
        return call_fail(error, 2, -EINVAL, "'%s' is not a parcel name", c->name);
    CLEANUP_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_clone(c, lc->site, &input, &reason);
    if (r < 0)
        return call_bad_argument(r, reason, error);
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, c->version);
    struct call call = {.command = "isr_clone_parcel",
                        .parcel = parcel,
                        .word = number,
                        .word2 = c->name,
                        .input = &input};
    return call_for_version(lc, &call, 1, error);
}

int lockclient_remove(struct lockclient *lc, const char *parcel, const char *uuid,
                      struct lockclient_error *error)
{
    CLEANUP_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_uuid(uuid, NULL, &input, &reason);
    if (r < 0)
        return call_bad_argument(r, reason, error);
    struct call call = {.command = "isr_remove_parcel", .parcel = parcel, .input = &input};
    return call_for_done(lc, &call, "REMOVED", error);
}

int lockclient_prune(struct lockclient *lc, const char *parcel, const char *uuid,
                     const uint64_t *numbers, size_t count, struct lockclient_error *error)
{
    size_t done = 0;
    do {
        char list[KEYVALUE_VALUE_MAX] = ""; /* as many as one line takes */
        size_t length = 0;
        while (done < count && length + 24 < sizeof list)
            length += (size_t)snprintf(list + length, sizeof list - length, "%s%" PRIu64,
                                       length ? "," : "", numbers[done++]);
        CLEANUP_BUFFER struct buffer input = {0};
        const char *reason = NULL;
        int r = message_build_uuid(uuid, list, &input, &reason);
        if (r < 0)
            return call_bad_argument(r, reason, error);
        struct call call = {.command = "isr_prune_versions", .parcel = parcel, .input = &input};
        r = call_for_done(lc, &call, "PRUNED", error);
        if (r < 0)
            return r;
    } while (done < count);
    return 0;
}

int lockclient_forgotten(struct lockclient *lc, struct lockclient_forgotten *ret,
                         struct lockclient_error *error)
{
    struct call call = {.command = "isr_list_forgotten", .limit = CALL_TABLE_LIMIT};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_forgotten(reply.out.data, reply.out.size, ret, &reason);
    return call_check_reply(&call, r, reason, error);
}

void lockclient_forgotten_free(struct lockclient_forgotten *forgotten)
{
    if (!forgotten)
        return;
    free(forgotten->gone);
    *forgotten = (struct lockclient_forgotten){0};
}

int lockclient_put_event(struct lockclient *lc, const char *event, const char *data,
                         struct lockclient_error *error)
{
    CLEANUP_BUFFER struct buffer input = {0};
    if (strlen(data) > KEYVALUE_VALUE_MAX || strchr(event, '\n') || strchr(data, '\n'))
        return call_bad_argument(-EINVAL, "DATA", error);
    int r = buffer_printf(&input, "EVENT:=%s\n", event);
    if (r == 0 && *data)
        r = buffer_printf(&input, "DATA:=%s\n", data);
    if (r < 0)
        return call_no_memory(error);
    struct call call = {.command = "isr_put_event", .input = &input};
    return call_for_done(lc, &call, "RECORDED", error);
}
