/* What the drivers in C share: messages on stdin, each behind its length (4 bytes, big-endian), and for each one line of
 * JSON on stdout with what the stack sees. tests/support/stacks.py has the fields. Bytes of a message are escaped as the
 * code points of Latin-1. */

#ifndef JUDGE_H
#define JUDGE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define JUDGE_LONGEST 65535

/* The next message, followed by a NUL that does not count; its length, or -1 at the end of the input. */
static inline int judge_next(char *message)
{
    unsigned char size[4];

    if (fread(size, 1, sizeof(size), stdin) != sizeof(size))
        return -1;
    uint32_t length = (uint32_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
    if (length > JUDGE_LONGEST || fread(message, 1, length, stdin) != length)
        return -1;
    message[length] = '\0';
    return (int)length;
}

static inline void judge_text(const char *text, size_t length)
{
    if (!text) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\')
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

/* A message that the stack does not deliver, and why. */
static inline void judge_refused(const char *why)
{
    printf("{\"refused\":\"%s\"}\n", why);
    fflush(stdout);
}

static int judge_marks;

/* Begins the answer about a request. `call`: the stack takes it for an INVITE. */
static inline void judge_request(const char *method, size_t length, int call)
{
    judge_marks = 0;
    fputs("{\"method\":", stdout);
    judge_text(method, length);
    printf(",\"call\":%s", call ? "true" : "false");
}

static inline void judge_field(const char *name, const char *text, size_t length)
{
    printf(",\"%s\":", name);
    judge_text(text, length);
}

/* A parameter or header field that a reader of this stack would find: place, name, value. Call these last. */
static inline void judge_mark(const char *place, const char *name, size_t name_length, const char *value, size_t length)
{
    fputs(judge_marks++ ? ",[" : ",\"marks\":[[", stdout);
    judge_text(place, strlen(place));
    putchar(',');
    judge_text(name ? name : "", name ? name_length : 0);
    putchar(',');
    judge_text(value ? value : "", value ? length : 0);
    putchar(']');
}

static inline void judge_end(void)
{
    fputs(judge_marks ? "]}\n" : "}\n", stdout);
    fflush(stdout);
}

/* Header fields with addresses in which a mark may stand, apart from From, To and Contact. */
static const char *const judge_addresses[] = {
    "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion", "History-Info", NULL};

#endif
