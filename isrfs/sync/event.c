/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The program isr-send-event gets what to send on its standard input, and goes on alone: it logs in
 * to the lock server by itself, so that a check-in is over when it is over, however slow that is.
 */
#include "isrfs/sync/event.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/process.h"

#define PROGRAM    "isr-send-event"
#define TIMEOUT_MS 5000u /* for starting it */

bool event_wanted(const struct site *site)
{
    const char *value = site_setting(site, "EVENTS", "no");
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        log_warning("isr.conf: EVENTS is yes or no");
    return strcmp(value, "yes") == 0;
}

static int start(const struct buffer *text)
{
    CLEANUP_FREE char *program = process_helper(PROGRAM);
    if (!program)
        return -ENOMEM;
    const char *argv[] = {program, NULL};
    struct process p = {.argv = argv,
                        .input = text->data,
                        .input_size = text->size,
                        .output_limit = 1024,
                        .timeout_ms = TIMEOUT_MS};
    struct process_result result = {0};
    int r = process_run(&p, &result);
    process_result_free(&result);
    return r;
}

void event_send(const struct source *source, const char *event, const struct event_number *numbers,
                size_t count)
{
    CLEANUP_FREE char *server = percent_encode(source->server);
    CLEANUP_BUFFER struct buffer text = {0};
    if (!server)
        return;
    int r = buffer_printf(&text, "SERVER:=%s\nUSER:=%s\nEVENT:=%s\nDATA:=", server, source->user,
                          event);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = buffer_printf(&text, "%s%s=%" PRIu64, i ? "," : "", numbers[i].name, numbers[i].value);
    r = r < 0 ? r : buffer_printf(&text, "\n");
    r = r < 0 ? r : start(&text);
    if (r < 0)
        log_debug("the event %s is not sent: %s", event, strerror(-r));
}
