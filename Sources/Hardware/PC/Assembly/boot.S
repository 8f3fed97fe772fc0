// From the boot loader to Swift: PVH entry in 32-bit mode (Xen public/arch-x86/hvm/start_info.h), first page
// tables, long mode. The first tables map the first 4 GiB twice: at 0 and at the kernel's window.
#include "machine_pc.h"

    .section .note.pvh, "a", @note
    .balign 4
    .long 4                         // name size
    .long 8                         // description size
    .long 18                        // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pc_boot32

    .section .boot.text, "ax", @progbits
    .code32
    .globl pc_boot32
// In: ebx = physical address of the hvm_start_info; flat segments, no paging.
pc_boot32:
    cli
    cld
    mov $boot_stack_top, %esp
    mov %ebx, %ebp
    call fill_boot_tables
    call enable_long_mode
    lgdt boot_gdt_pointer
    ljmp $PC_KERNEL_CODE, $boot64

// Four page directories of 512 entries of 2 MiB, one pointer table, one PML4 with entries 0 and 128.
fill_boot_tables:
    mov $boot_directories, %edi
    mov $0x83, %eax                 // present, writable, 2 MiB
    mov $2048, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    mov $boot_directories + 3, %eax
    mov %eax, boot_pointers
    add $0x1000, %eax
    mov %eax, boot_pointers + 8
    add $0x1000, %eax
    mov %eax, boot_pointers + 16
    add $0x1000, %eax
    mov %eax, boot_pointers + 24
    movl $boot_pointers + 3, boot_pml4
    movl $boot_pointers + 3, boot_pml4 + 128 * 8
    ret

// PAE, NXE and LME, then paging (Intel SDM vol. 3A, 9.8.5).
enable_long_mode:
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0xC0000080, %ecx
    rdmsr
    or $0x900, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80010001, %eax
    mov %eax, %cr0
    ret

    .code64
boot64:
    mov $PC_KERNEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %ebp, %edi
    movabs $pc_boot_high, %rax
    jmp *%rax

    .section .text
// On the first core's own stack, in the window.
pc_boot_high:
    lea pc_stacks + PC_STACK_BYTES(%rip), %rsp
    xor %ebp, %ebp
    mov %rdi, pc_start_info(%rip)
    call main
    ud2

// An application processor, in long mode on the boot tables. In: rsp = its stack, rdi = its number.
    .globl pc_secondary_high
pc_secondary_high:
    xor %ebp, %ebp
    call pc_secondary_main
    ud2

    .section .boot.data, "aw", @progbits
    .balign 8
    .globl boot_gdt_pointer
boot_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF        // 64-bit code
    .quad 0x00CF93000000FFFF        // data
boot_gdt_pointer:
    .word 23
    .quad boot_gdt

    .section .boot.bss, "aw", @nobits
    .balign 4096
boot_directories:
    .skip 0x4000
boot_pointers:
    .skip 0x1000
    .globl boot_pml4
boot_pml4:
    .skip 0x1000
boot_stack:
    .skip 0x400
boot_stack_top:

// The application processors' first page, copied to PC_TRAMPOLINE: real mode to long mode in one step.
    .section .rodata
    .balign 16
    .globl pc_trampoline_start, pc_trampoline_end
    .code16
pc_trampoline_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0xC0000080, %ecx
    rdmsr
    or $0x900, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80010001, %eax
    and $0x9FFFFFFF, %eax           // caches on
    mov %eax, %cr0
    lgdtl PC_TRAMPOLINE + (trampoline_gdt_pointer - pc_trampoline_start)
    ljmpl $PC_KERNEL_CODE, $PC_TRAMPOLINE + (trampoline64 - pc_trampoline_start)
    .balign 8
trampoline_gdt_pointer:
    .word 23
    .long boot_gdt
    .code64
trampoline64:
    mov $PC_KERNEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov PC_TRAMPOLINE_STACK, %rsp
    mov PC_TRAMPOLINE_CORE, %rdi
    movabs $pc_secondary_high, %rax
    jmp *%rax
pc_trampoline_end:

    .section .note.GNU-stack, "", @progbits
