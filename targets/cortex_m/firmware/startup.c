/* From reset to main: memory is made as C expects it. */
#include <stdint.h>
#include <stdio.h>

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];
int main(int argc, char **argv);
void start(void);

/* What a core does at a fault: it ends, and touches no stack. */
__attribute__((naked, noreturn)) static void fault(void)
{
    __asm volatile("movs r0, #0x18\n" /* SYS_EXIT */
                   "ldr r1, =0x20023\n" /* ADP_Stopped_RunTimeErrorUnknown */
                   "bkpt #0xab\n"
                   "b .\n"
                   ".ltorg\n");
}

typedef union {
    uint32_t *stack;
    void (*run)(void);
} vector;

#define FAULT {.run = fault}
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack = stack_top}, {.run = start}, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT,
    FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT,
};

__attribute__((noreturn)) void start(void)
{
    for (uint32_t *to = data_start, *from = data_load; to < data_end;)
        *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;)
        *to++ = 0;
    files_open();
    files_close(main(0, (char **)0));
}
