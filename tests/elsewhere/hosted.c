/* On an operating system. */
#include <stdio.h>

void check(void);
void say(const char *text) { fputs(text, stdout); }
int main(void) { check(); return 0; }
