/* As much of stdio.h as serve.c and ann_serve.c call, over semihosting: the emulator reads and writes. */
#ifndef SNN_STDIO_H
#define SNN_STDIO_H

#include <stddef.h>

typedef struct {
    int handle;
} FILE;

extern FILE files[2];
#define stdin (&files[0])
#define stdout (&files[1])

FILE *fopen(const char *name, const char *mode); /* never called: there are no arguments */
size_t fread(void *to, size_t size, size_t count, FILE *file);
size_t fwrite(const void *from, size_t size, size_t count, FILE *file);
int fflush(FILE *file); /* the end of a sample: it says what the sample took */
int fclose(FILE *file);

/* Opens both files and says that the firmware is in memory. */
void files_open(void);

/* Ends the emulator; with exit code 0 where the code is 0. */
__attribute__((noreturn)) void files_close(int code);

#endif
