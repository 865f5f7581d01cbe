/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The terminal gives each key as it is typed, ^C among them: so no signal can come between and
 * leave it without its echo, and other threads' signals are left alone. */
#include "lockclient/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"

#define LIMIT_MS 120000

enum { INTERRUPT = 3, END = 4, BACKSPACE = 8, KILL_LINE = 21, DELETE = 127 };

static int open_terminal(void)
{
    return open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

bool terminal_available(void)
{
    CLEANUP_CLOSE int fd = open_terminal();
    return fd >= 0;
}

static int show(int fd, bool echo, const char *text, size_t size)
{
    return echo ? io_write(fd, text, size) : 0;
}

static int read_line(int fd, bool echo, char *out, size_t room)
{
    size_t size = 0;
    for (;;) {
        struct pollfd wait = {fd, POLLIN, 0};
        int n = poll(&wait, 1, LIMIT_MS);
        if (n == 0)
            return -ETIMEDOUT;
        char key;
        ssize_t got = n < 0 ? n : read(fd, &key, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0 || key == INTERRUPT || (key == END && size == 0))
            return -ECANCELED;
        if (key == '\n' || key == '\r') {
            out[size] = '\0';
            return 0;
        }
        if ((key == BACKSPACE || key == DELETE) && size > 0) {
            size--;
            show(fd, echo, "\b \b", 3);
        } else if (key == KILL_LINE) {
            for (; size > 0; size--)
                show(fd, echo, "\b \b", 3);
        } else if ((unsigned char)key >= ' ' && key != DELETE) {
            if (size + 1 >= room)
                return -E2BIG;
            out[size++] = key;
            show(fd, echo, &key, 1);
        }
    }
}

int terminal_ask(const char *text, bool echo, char *out, size_t room)
{
    CLEANUP_CLOSE int fd = open_terminal();
    if (fd < 0)
        return -ENXIO;
    struct termios before, now;
    if (tcgetattr(fd, &before) < 0)
        return -ENXIO;
    now = before;
    now.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    if (tcsetattr(fd, TCSAFLUSH, &now) < 0)
        return -errno;
    int r = io_write(fd, text, strlen(text));
    r = r < 0 ? r : read_line(fd, echo, out, room);
    tcsetattr(fd, TCSAFLUSH, &before);
    show(fd, true, "\n", 1);
    return r;
}
