/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lower-case hexadecimal. */
#ifndef ISRFS_BASE_HEX_H
#define ISRFS_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * SIZE digits and a NUL to OUT. */
void hex_encode(char *out, const void *data, size_t size);

/* Reads exactly 2 * SIZE lower-case digits, after which TEXT must end. 0 or -EINVAL. */
int hex_decode(void *data, size_t size, const char *text);

#endif
