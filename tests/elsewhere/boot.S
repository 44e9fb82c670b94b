/* The first sector of a disk: loads the rest to 0x10000, switches long mode and AVX-512
   on, calls check, and tells Bochs to end. */
.code16
.globl start
start:
  cli
  xorw %ax,%ax
  movw %ax,%ds
  movw %ax,%es
  movw %ax,%ss
  movw $0x7c00,%sp
  movw $packet,%si
  movb $0x42,%ah
  int $0x13
  jc fail
  inb $0x92,%al
  orb $2,%al
  outb %al,$0x92
  /* page tables at 0x1000: 1 GiB, each to itself, in pages of 2 MiB */
  movl $0x1000,%edi
  movl %edi,%cr3
  xorl %eax,%eax
  movl $3072,%ecx
  rep stosl
  movl $0x2003,0x1000
  movl $0x3003,0x2000
  movl $0x3000,%edi
  movl $0x83,%eax
  movl $512,%ecx
1: movl %eax,(%edi)
  addl $8,%edi
  addl $0x200000,%eax
  loopl 1b
  movl $0x40620,%eax        /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
  movl %eax,%cr4
  movl $0xC0000080,%ecx
  rdmsr
  orl $0x100,%eax
  wrmsr
  lgdtl descriptor
  movl $0x80000013,%eax     /* paging, protection, numeric errors, monitor */
  movl %eax,%cr0
  ljmpl $8,$long_mode
fail:
  hlt
  jmp fail
.align 8
gdt: .quad 0, 0x00209A0000000000, 0x0000920000000000
descriptor: .word 23
  .long gdt
packet: .byte 16,0
  .word 127, 0, 0x1000            /* sectors, to 0x1000:0 */
  .quad 1                           /* from the second on */
.code64
long_mode:
  movw $16,%ax
  movw %ax,%ds
  movw %ax,%es
  movw %ax,%ss
  movq $0x90000,%rsp
  xorl %ecx,%ecx
  xorl %edx,%edx
  movl $0xE7,%eax           /* x87, SSE, AVX, AVX-512 */
  xsetbv
  call check
  movw $0x8900,%dx
  movq $word,%rsi
  movl $8,%ecx
  rep outsb
1: hlt
  jmp 1b
word: .ascii "Shutdown"
.org 510
.word 0xaa55
