/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr-send-event: sends one event (isrfs/sync/event.h), which it reads from standard input, to a
 * lock server. Whoever starts it waits only until it has read that: the rest is done by a child
 * without a terminal, so that nobody is ever asked for a passphrase here. What cannot be sent is
 * lost: nothing depends on it. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "isrfs/base/io.h"
#include "isrfs/sync/server.h"

#define INPUT_MAX 8192u
#define SECONDS   120u

/* Leaves whoever has started this, and the terminal. */
static int leave(void)
{
    pid_t child = fork();
    if (child != 0)
        _exit(child < 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || setsid() < 0 || chdir("/") < 0)
        return -errno;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(null, fd) < 0)
            return -errno;
    alarm(SECONDS);
    return 0;
}

static int send_event(const struct keyvalue *kv)
{
    CLEANUP_SITE struct site *site = NULL;
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_LOCKCLIENT struct lockclient *client = NULL;
    const char *server = keyvalue_get(kv, "SERVER"), *user = keyvalue_get(kv, "USER"),
               *event = keyvalue_get(kv, "EVENT"), *data = keyvalue_get(kv, "DATA");
    struct failure failure = {0};
    if (!server || !user || !event || !data)
        return -EBADMSG;
    int r = percent_decode(server, &source.server);
    source.user = r < 0 ? NULL : strdup(user);
    if (!source.user)
        return r < 0 ? r : -ENOMEM;
    r = site_open(&site);
    r = r < 0 ? r : server_open(site, &source, false, &client, &failure);
    return r < 0 ? r : lockclient_put_event(client, event, data, NULL);
}

int main(int argc, char **argv)
{
    static const char *const keys[] = {"SERVER", "USER", "EVENT", "DATA", NULL};
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    (void)argv;
    if (argc != 1) {
        fputs("usage: isr-send-event <EVENT (isr starts it)\n", stderr);
        return 2;
    }
    int r = io_read_stream(STDIN_FILENO, INPUT_MAX + 1, &text);
    r = r < 0 ? r : text.size > INPUT_MAX ? -EFBIG : 0;
    r = r < 0 ? r : keyvalue_parse(text.data, text.size, keys, &kv, NULL);
    r = r < 0 ? r : leave();
    r = r < 0 ? r : send_event(kv);
    return r < 0;
}
