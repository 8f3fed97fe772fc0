// The instructions, registers and shared structures of x86-64 that MachinePC needs. Swift and the assembly both see it.
#ifndef EVERTREE_MACHINE_PC_H
#define EVERTREE_MACHINE_PC_H

// Virtual = physical + this, for all of memory and for the kernel's own image (Docs/boot.md).
#define PC_WINDOW 0x400000000000
#define PC_MAX_CORES 16
#define PC_STACK_BYTES 0x10000
#define PC_FATAL_STACK_BYTES 0x4000

// Byte offsets in struct pc_core for the assembly.
#define PC_CORE_CONTEXT 8
#define PC_CORE_STACK_TOP 16
#define PC_CORE_SCRATCH 24
#define PC_CORE_IN_USER 32

// Segment selectors. `sysret` wants user data right before user code.
#define PC_KERNEL_CODE 0x08
#define PC_KERNEL_DATA 0x10
#define PC_USER_DATA 0x1B
#define PC_USER_CODE 0x23
#define PC_TASK_SEGMENT 0x28

// `vector` of the entry by `syscall`.
#define PC_VECTOR_SYSCALL 256

// Ends a halt in the kernel.
#define PC_VECTOR_WAKE 0xF0

// Where the application processors start (a page below 1 MiB), and the parameters at its end.
#define PC_TRAMPOLINE 0x8000
#define PC_TRAMPOLINE_STACK 0x8FF0
#define PC_TRAMPOLINE_CORE 0x8FF8

// Most bytes of the text table of symbols (kernel.ld reserves them).
#define PC_SYMBOLS_BYTES 0x60000

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

#define PC_FLUSH_LIST 32

#pragma clang assume_nonnull begin

// One processor core. GS points here while the core is in the kernel.
struct pc_core {
    uint64_t self_address;
    uint64_t context;            // registers of the thread that runs here, or 0: idle
    uint64_t stack_top;
    uint64_t scratch;
    uint32_t in_user;            // user code may run; cleared by the entry code after the registers are saved
    uint32_t number;
    uint32_t apic_id;
    uint32_t request;            // PC_REQUEST bits that this core serves while it waits for the lock
    uint64_t translation;        // the loaded CR3
    uint32_t must_flush;         // reload CR3 before user code runs
    uint32_t flush_count;        // pages to invalidate before user code runs
    uint64_t fs_base, gs_base;   // the user bases that are loaded
    uint64_t deadline;           // machine time that the kernel asked for, UINT64_MAX for none
    uint64_t armed;              // machine time at which the timer will fire, UINT64_MAX for none
    uint32_t started;
    uint32_t ticket;             // for the big lock, taken last
    uint32_t waiting;            // halted in the kernel, or about to: wants a wake-up
    uint64_t flush_list[PC_FLUSH_LIST];
    uint64_t gdt[8];
    uint8_t tss[104] __attribute__((aligned(16)));
};
_Static_assert(offsetof(struct pc_core, context) == PC_CORE_CONTEXT, "assembly offset");
_Static_assert(offsetof(struct pc_core, stack_top) == PC_CORE_STACK_TOP, "assembly offset");
_Static_assert(offsetof(struct pc_core, scratch) == PC_CORE_SCRATCH, "assembly offset");
_Static_assert(offsetof(struct pc_core, in_user) == PC_CORE_IN_USER, "assembly offset");

// What the entry code saves for an exception that the kernel does not survive.
struct pc_fatal_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

// Assembly and linker symbols.
extern const char pc_image_start[], pc_text_start[], pc_text_end[], pc_rodata_end[], pc_image_end[], pc_symbols[];
extern const char pc_trampoline_start[], pc_trampoline_end[], pc_syscall_entry[], pc_stubs[];
extern char pc_stacks[], pc_fatal_stacks[];
// Physical address of the boot loader's hvm_start_info, written before Swift runs.
extern const uint64_t pc_start_info;
extern uint64_t pc_idt[512];
// Virtual address of the local APIC's register that ends an interrupt.
extern uint64_t pc_end_of_interrupt;
extern struct pc_core pc_cores[PC_MAX_CORES];
_Noreturn void pc_leave(uint64_t context);

static inline uint64_t pc_address(const char *symbol) { return (uint64_t)(uintptr_t)symbol; }
static inline uint64_t pc_image_start_address(void) { return pc_address(pc_image_start); }
static inline uint64_t pc_text_start_address(void) { return pc_address(pc_text_start); }
static inline uint64_t pc_text_end_address(void) { return pc_address(pc_text_end); }
static inline uint64_t pc_rodata_end_address(void) { return pc_address(pc_rodata_end); }
static inline uint64_t pc_image_end_address(void) { return pc_address(pc_image_end); }
static inline uint64_t pc_symbols_address(void) { return pc_address(pc_symbols); }
static inline uint64_t pc_trampoline_address(void) { return pc_address(pc_trampoline_start); }
static inline uint64_t pc_trampoline_bytes(void) { return (uint64_t)(pc_trampoline_end - pc_trampoline_start); }
static inline uint64_t pc_syscall_entry_address(void) { return pc_address(pc_syscall_entry); }
static inline uint64_t pc_stub_address(uint32_t vector) { return pc_address(pc_stubs) + 16 * (uint64_t)vector; }
static inline uint64_t pc_stack_address(uint32_t core) { return pc_address(pc_stacks) + core * (uint64_t)PC_STACK_BYTES; }
static inline uint64_t pc_fatal_stack_top(uint32_t core) {
    return pc_address(pc_fatal_stacks) + (core + 1) * (uint64_t)PC_FATAL_STACK_BYTES;
}
static inline uint64_t *pc_idt_words(void) { return pc_idt; }
static inline void pc_set_end_of_interrupt(uint64_t address) { pc_end_of_interrupt = address; }
static inline struct pc_core *pc_core(uint32_t number) { return &pc_cores[number]; }
static inline uint64_t *pc_core_gdt(struct pc_core *core) { return core->gdt; }
static inline uint8_t *pc_core_tss(struct pc_core *core) { return core->tss; }
static inline uint64_t *pc_core_flush_list(struct pc_core *core) { return core->flush_list; }

static inline uint32_t *pc_core_in_user(struct pc_core *core) { return &core->in_user; }
static inline uint32_t *pc_core_request(struct pc_core *core) { return &core->request; }
static inline uint32_t *pc_core_waiting(struct pc_core *core) { return &core->waiting; }
static inline uint64_t pc_frame_pointer(void) { return (uint64_t)(uintptr_t)__builtin_frame_address(0); }

static inline uint32_t *pc_core_started(struct pc_core *core) { return &core->started; }

// The core that executes this.
static inline struct pc_core *pc_this_core(void) {
    struct pc_core *core;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(core));
    return core;
}

// Atomic words that two cores share.
static inline uint32_t pc_load_acquire(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void pc_pause(void) { __asm__ volatile("pause" ::: "memory"); }
static inline void pc_store_release(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static inline uint32_t pc_fetch_add(uint32_t *word, uint32_t n) { return __atomic_fetch_add(word, n, __ATOMIC_SEQ_CST); }

// Port input and output.
static inline void pc_out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static inline uint8_t pc_in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline uint32_t pc_in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

// Device registers.
static inline uint32_t pc_mmio_read(uint64_t address) { return *(volatile uint32_t *)address; }
static inline void pc_mmio_write(uint64_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

// Control registers, MSRs, time stamps (Intel SDM vol. 2).
static inline uint64_t pc_read_msr(uint32_t number) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}
static inline void pc_write_msr(uint32_t number, uint64_t value) {
    __asm__ volatile("wrmsr" ::"c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}
static inline uint64_t pc_read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}
static inline uint64_t pc_read_cr2(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}
static inline uint64_t pc_read_cr3(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
static inline void pc_write_cr0(uint64_t value) { __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory"); }
static inline void pc_write_cr3(uint64_t value) { __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory"); }
static inline void pc_write_cr4(uint64_t value) { __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory"); }
static inline void pc_write_cr8(uint64_t value) { __asm__ volatile("mov %0, %%cr8" ::"r"(value) : "memory"); }
// Interrupts are on from the instruction after `sti`, so none can come between the two.
static inline void pc_halt_until_interrupt(void) { __asm__ volatile("sti; hlt; cli" ::: "memory"); }
static inline void pc_invalidate_page(uint64_t address) { __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory"); }
static inline uint32_t pc_cpuid_ebx(uint32_t leaf) {
    uint32_t eax = leaf, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx;
}

// Floating-point state of a thread (Intel SDM vol. 2A, FXSAVE64, FXRSTOR64). 16-byte aligned.
static inline void pc_save_fpu(uint64_t area) { __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory"); }
static inline void pc_load_fpu(uint64_t area) { __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory"); }

// Loads the descriptor tables of a core, its segments and its task register.
static inline void pc_load_tables(uint64_t gdt, uint16_t gdt_limit, uint64_t idt, uint16_t idt_limit) {
    struct __attribute__((packed)) { uint16_t limit; uint64_t base; } g = {gdt_limit, gdt}, i = {idt_limit, idt};
    __asm__ volatile("lgdt %0\n lidt %1\n"
                     "pushq %2\n lea 1f(%%rip), %%rax\n pushq %%rax\n lretq\n"
                     "1: mov %w3, %%ss\n xor %%eax, %%eax\n"
                     "mov %%eax, %%ds\n mov %%eax, %%es\n mov %%eax, %%fs\n mov %%eax, %%gs\n ltr %w4"
                     ::"m"(g), "m"(i), "i"(PC_KERNEL_CODE), "r"(PC_KERNEL_DATA), "r"(PC_TASK_SEGMENT) : "rax", "memory");
}

// Copies and fills of 8-byte words; `rep movsb` would be ten times slower under QEMU's TCG.
static inline void pc_copy_words(uint64_t to, uint64_t from, uint64_t count) {
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count)::"memory");
}
// Stores a word and returns what was there before, in one step (Intel SDM vol. 2D, XCHG).
static inline uint64_t pc_exchange(uint64_t *place, uint64_t value) {
    __asm__ volatile("xchgq %0, %1" : "+r"(value), "+m"(*place)::"memory");
    return value;
}
static inline void pc_zero_words(uint64_t to, uint64_t count) {
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0) : "memory");
}

_Noreturn static inline void pc_stop_core(void) {
    for (;;) __asm__ volatile("cli; hlt");
}

#pragma clang assume_nonnull end
#endif
#endif
