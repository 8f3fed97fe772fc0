// A guest that answers one question: does this accelerator run an ordinary 64-bit guest?
//
// It is the start of a 64 KiB firmware image, seen at 0xF0000 (and below 4 GiB, where the processor
// starts). It goes from real mode to long mode with paging and NX, makes a thousand system calls
// from ring 3, and then writes 21 to the debug-exit port, which ends QEMU with status 43. Anything
// it cannot do is a triple fault or a hang.
#define AT(label) (0xF0000 + label - evertree_probe_start)
    .section .rodata.evertree_probe, "a"
    .globl evertree_probe_start, evertree_probe_end
    .balign 16
evertree_probe_start:
    .code16
    cli
    ljmpw $0xF000, $(low - evertree_probe_start)    // out of the alias below 4 GiB
low:
    lgdtl %cs:(gdtr - evertree_probe_start)
    movl $0x2007, 0x1000            // PML4, PDPT, and one 2 MiB page that a user may write
    movl $0x3007, 0x2000
    movl $0x0087, 0x3000
    movl $0x6A0, %eax               // CR4: PAE, PGE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx          // EFER: NXE, LME, SCE
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $0x80010033, %eax          // CR0: PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    ljmpl $0x08, $AT(long_mode)

    .code64
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl $0x8000, %esp
    movl $0xC0000081, %ecx          // STAR: kernel 0x08, user from 0x10
    xorl %eax, %eax
    movl $0x00100008, %edx
    wrmsr
    incl %ecx                       // LSTAR
    movl $AT(kernel_entry), %eax
    xorl %edx, %edx
    wrmsr
    movl $AT(user), %ecx
    movl $0x2, %r11d
    movl $1000, %ebx
    sysretq
user:
    movl %ebx, 0x9000
    rdtsc
    syscall
    jmp user
kernel_entry:
    decl %ebx
    jz done
    sysretq
done:
    movl $21, %eax
    outb %al, $0xF4
1:  hlt
    jmp 1b

    .balign 8
gdt:
    .quad 0
    .quad 0x00AF9A000000FFFF        // kernel code
    .quad 0x00CF92000000FFFF        // kernel data
    .quad 0x00CFF2000000FFFF        // user data
    .quad 0x00AFFA000000FFFF        // user code
gdtr:
    .word gdtr - gdt - 1
    .long AT(gdt)
evertree_probe_end:
    .section .note.GNU-stack, "", @progbits
