// The first instructions of a ring-3 server and of its further threads.
// In: rdi = length of the boot bundle, rsi = 1 on the first start. The stack is the program's own, in .bss: it
// costs nothing until it is touched.

    .set THREAD_EXIT, 4             // NativeCall.threadExit

    .section .text._start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    mov %rdi, evertree_bundle_length(%rip)
    mov %rsi, evertree_first_start(%rip)
    lea evertree_stack_top(%rip), %rsp
    xor %ebp, %ebp
    xor %edi, %edi
    xor %esi, %esi
    call main
    mov $THREAD_EXIT, %eax
    syscall
    ud2
    .size _start, . - _start

    .globl evertree_thread_start
    .type evertree_thread_start, @function
// In: rdi = address of a struct evertree_thread, rsp = 16-byte aligned stack.
evertree_thread_start:
    xor %ebp, %ebp
    mov %rdi, %rax
    mov 8(%rax), %rdi
    call *(%rax)
    mov $THREAD_EXIT, %eax
    syscall
    ud2
    .size evertree_thread_start, . - evertree_thread_start

    .section .bss.evertree, "aw", @nobits
    .globl evertree_bundle_length, evertree_first_start
    .balign 8
evertree_bundle_length:
    .skip 8
evertree_first_start:
    .skip 8
    .balign 4096
    .skip 0x40000
evertree_stack_top:

    .section .note.GNU-stack, "", @progbits
