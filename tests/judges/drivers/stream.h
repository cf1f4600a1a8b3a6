/* What the drivers in C for TCP share: where they listen, and the line about a message (tests/judges/drivers/stream.py). */

#ifndef STREAM_H
#define STREAM_H

#include <stdio.h>

#define STREAM_ADDRESS "127.0.0.1"
#define STREAM_PORT "5070"

static inline void stream_hexadecimal(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        printf("%02x", (unsigned char)text[i]);
    putchar('|');
}

/* `method` is the status code of a response. */
static inline void stream_message(const char *method, size_t method_length, const char *call, size_t call_length,
                                  size_t body)
{
    fputs("|judge|", stdout);
    stream_hexadecimal(method, method_length);
    stream_hexadecimal(call, call_length);
    printf("body|%zu|\n", body);
    fflush(stdout);
}

#endif
