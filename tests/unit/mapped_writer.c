/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mapped_writer [--unsynced] FILE SIZE TEXT: a virtual machine's memory, as a VMM has it: maps SIZE
 * bytes of FILE, shared, puts TEXT and a number into each page, has the kernel write them back
 * (unless it is not to), says "written", and keeps the mapping until its standard input ends or has
 * a line; for each line it does it again with that text, and says so again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

static int fill(char *memory, size_t size, const char *text, int is_synced)
{
    for (size_t at = 0; at < size; at += PAGE)
        snprintf(memory + at, PAGE, "%s %zu\n", text, at / PAGE);
    if (is_synced && msync(memory, size, MS_SYNC) < 0)
        return -errno;
    puts("written");
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    int is_synced = argc < 2 || strcmp(argv[1], "--unsynced") != 0;
    argc -= !is_synced;
    argv += !is_synced;
    if (argc != 4)
        return 2;
    size_t size = strtoull(argv[2], NULL, 10);
    int fd = open(argv[1], O_RDWR);
    if (fd < 0) {
        fprintf(stderr, "mapped_writer: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return 1;
    close(fd);
    char line[256];
    int r = fill(memory, size, argv[3], is_synced);
    while (r == 0 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        r = fill(memory, size, line, is_synced);
    }
    if (r < 0)
        fprintf(stderr, "mapped_writer: %s\n", strerror(-r));
    return r < 0;
}
