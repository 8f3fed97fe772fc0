// Into the kernel and out of it. Protocol (Sources/Machine/Machine.swift): save the registers into the running
// thread's context, say "out of user mode", call pc_enter, which takes the big lock, handles the event, says "in user mode",
// releases the lock, and returns the context to load: 0 = idle.
//
// The kernel never returns to an interrupted place of its own: an interrupt in the idle loop starts again at the top of the
// stack. The one exception is the wake-up of a core that waits for another. Any other interruption of kernel code is fatal.
#include "machine_pc.h"

    .set RAX, 0
    .set RBX, 8
    .set RCX, 16
    .set RDX, 24
    .set RSI, 32
    .set RDI, 40
    .set RBP, 48
    .set RSP, 56
    .set R8, 64
    .set R9, 72
    .set R10, 80
    .set R11, 88
    .set R12, 96
    .set R13, 104
    .set R14, 112
    .set R15, 120
    .set RIP, 128
    .set RFLAGS, 136

// Saves all but rax, rcx, r11 and the four words of the interrupt frame.
    .macro save_common base
    mov %rbx, RBX(\base)
    mov %rdx, RDX(\base)
    mov %rsi, RSI(\base)
    mov %rdi, RDI(\base)
    mov %rbp, RBP(\base)
    mov %r8, R8(\base)
    mov %r9, R9(\base)
    mov %r10, R10(\base)
    mov %r12, R12(\base)
    mov %r13, R13(\base)
    mov %r14, R14(\base)
    mov %r15, R15(\base)
    .endm

    .section .text
    .globl pc_syscall_entry
    .type pc_syscall_entry, @function
// `syscall`: rcx = next rip, r11 = rflags. Interrupts are off (IA32_FMASK).
pc_syscall_entry:
    swapgs
    mov %rsp, %gs:PC_CORE_SCRATCH
    mov %gs:PC_CORE_CONTEXT, %rsp
    save_common %rsp
    mov %rax, RAX(%rsp)
    mov %rcx, RCX(%rsp)
    sub $2, %rcx                    // at the instruction, until the lock is held (Machine.swift)
    mov %rcx, RIP(%rsp)
    mov %r11, R11(%rsp)
    mov %r11, RFLAGS(%rsp)
    mov %gs:PC_CORE_SCRATCH, %rax
    mov %rax, RSP(%rsp)
    mov %gs:PC_CORE_STACK_TOP, %rsp
    movl $0, %gs:PC_CORE_IN_USER
    mov $PC_VECTOR_SYSCALL, %edi
    xor %esi, %esi
    xor %edx, %edx
    xor %ebp, %ebp
    call pc_enter
    mov %rax, %rdi
    // falls through
    .size pc_syscall_entry, . - pc_syscall_entry

    .globl pc_leave
    .type pc_leave, @function
// In: rdi = context to load, or 0. Does not return.
pc_leave:
    test %rdi, %rdi
    jz idle
    mov %rdi, %rsp                  // no interrupt can push here: they are off, and the fatal ones have stacks
    mov RBX(%rsp), %rbx
    mov RDX(%rsp), %rdx
    mov RSI(%rsp), %rsi
    mov RDI(%rsp), %rdi
    mov RBP(%rsp), %rbp
    mov R8(%rsp), %r8
    mov R9(%rsp), %r9
    mov R10(%rsp), %r10
    mov R12(%rsp), %r12
    mov R13(%rsp), %r13
    mov R14(%rsp), %r14
    mov R15(%rsp), %r15
    mov RIP(%rsp), %rcx
    mov RFLAGS(%rsp), %r11
    mov RAX(%rsp), %rax
    cmp RCX(%rsp), %rcx             // `sysret` loses rcx and r11: only for a thread that came by `syscall`
    jne leave_by_iret
    cmp R11(%rsp), %r11
    jne leave_by_iret
    mov RSP(%rsp), %rsp
    swapgs
    sysretq

leave_by_iret:
    mov %rsp, %rcx
    mov %gs:PC_CORE_STACK_TOP, %rsp
    pushq $PC_USER_DATA
    pushq RSP(%rcx)
    pushq %r11
    pushq $PC_USER_CODE
    pushq RIP(%rcx)
    mov R11(%rcx), %r11
    mov RCX(%rcx), %rcx
    swapgs
    iretq

idle:
    mov %gs:PC_CORE_STACK_TOP, %rsp
    sti
1:  hlt
    jmp 1b
    .size pc_leave, . - pc_leave

// One stub of 16 bytes a vector. The processor pushes an error code for 8, 10–14, 17, 21, 29 and 30.
    .globl pc_stubs
    .balign 16
pc_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    pushq $vector
    .if (vector == 2) || (vector == 8) || (vector == 18)
    jmp fatal
    .elseif vector == PC_VECTOR_WAKE
    jmp wake_up
    .else
    jmp interrupt_entry
    .endif
    .set vector, vector + 1
    .endr

// A wake-up has done its work by arriving. It comes to a core that halts in the kernel, or late, to one that went on.
wake_up:
    add $16, %rsp
    push %rax
    mov pc_end_of_interrupt(%rip), %rax
    movl $0, (%rax)
    pop %rax
    iretq

// On the stack: vector, error code, rip, cs, rflags, rsp, ss.
interrupt_entry:
    testb $3, 24(%rsp)
    jz interrupted_kernel
    swapgs
    cld
    clac
    mov %rax, %gs:PC_CORE_SCRATCH
    mov %gs:PC_CORE_CONTEXT, %rax
    save_common %rax
    mov %rcx, RCX(%rax)
    mov %r11, R11(%rax)
    mov %gs:PC_CORE_SCRATCH, %rcx
    mov %rcx, RAX(%rax)
    mov 16(%rsp), %rcx
    mov %rcx, RIP(%rax)
    mov 32(%rsp), %rcx
    mov %rcx, RFLAGS(%rax)
    mov 40(%rsp), %rcx
    mov %rcx, RSP(%rax)
    pop %rdi
    pop %rsi
    mov %cr2, %rdx
enter_from_top:
    mov %gs:PC_CORE_STACK_TOP, %rsp
    movl $0, %gs:PC_CORE_IN_USER
    xor %ebp, %ebp
    call pc_enter
    mov %rax, %rdi
    jmp pc_leave

// Interrupts are on in the idle loop only.
interrupted_kernel:
    cmpq $32, (%rsp)
    jb fatal
    pop %rdi
    xor %esi, %esi
    xor %edx, %edx
    jmp enter_from_top

fatal:
    cld
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    and $-16, %rsp
    call pc_fatal_exception
    ud2

    .section .note.GNU-stack, "", @progbits
