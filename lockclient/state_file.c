/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files grow by a line for each change, so their ends are read without the rest. */
#include "lockclient/state_file.h"

#include <fcntl.h>
#include <string.h>

#include "isrfs/base/io.h"

#define FIRST_PART 1024u /* most lines are shorter */

/* The front of the file, and the size of all of it. Most have nothing behind that, so it is read
 * before anything is asked: a list opens thousands. */
static int read_front(int fd, struct buffer *out, size_t *ret_size)
{
    int r = buffer_resize(out, FIRST_PART);
    ssize_t n = r < 0 ? r : io_pread(fd, out->data, FIRST_PART, 0);
    if (n < 0) /* nor can folders and pipes be read like that */
        return n == -EISDIR || n == -ESPIPE ? -EINVAL : (int)n;
    struct stat st = {.st_size = n};
    if (n == FIRST_PART && fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size > STATE_FILE_MAX)
        return -EFBIG;
    *ret_size = (size_t)st.st_size;
    out->size = (size_t)n;
    return 0;
}

/* The file's last SIZE bytes. */
static int read_end(int fd, size_t file_size, size_t size, struct buffer *out)
{
    int r = buffer_resize(out, size);
    ssize_t n = r < 0 ? r : io_pread(fd, out->data, size, (off_t)(file_size - size));
    if (n < 0)
        return (int)n;
    return (size_t)n == size ? 0 : -EIO;
}

int state_file_last_line(int dirfd, const char *path, struct buffer *out, bool *ret_whole,
                         size_t *ret_size)
{
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    CLEANUP_SECRET_BUFFER struct buffer end = {0};
    size_t size = 0, part = FIRST_PART;
    if (fd < 0)
        return -errno;
    int r = read_front(fd, &end, &size);
    if (r < 0)
        return r;
    if (ret_size)
        *ret_size = size;
    if (ret_whole)
        *ret_whole = true;
    for (; size > 0; part *= 4) {
        part = part < size ? part : size;
        r = end.size == size ? 0 : read_end(fd, size, part, &end);
        if (r < 0)
            return r;
        bool whole = end.data[part - 1] == '\n';
        size_t line = part - whole;
        const uint8_t *before = memrchr(end.data, '\n', line);
        if (!before && part < size)
            continue;
        const uint8_t *begin = before ? before + 1 : end.data;
        if (ret_whole)
            *ret_whole = whole;
        return buffer_append(out, begin, (size_t)(end.data + line - begin));
    }
    return 0;
}
