// Tables and stacks whose place the processor or the assembly must know.
#include "machine_pc.h"

struct pc_core pc_cores[PC_MAX_CORES] __attribute__((aligned(64)));
const uint64_t pc_start_info __attribute__((section(".data"))) = 0;
uint64_t pc_end_of_interrupt;
uint64_t pc_idt[512] __attribute__((aligned(4096)));
// The first page of each stack is unmapped, so that an overflow is a double fault.
char pc_stacks[PC_MAX_CORES * PC_STACK_BYTES] __attribute__((aligned(4096)));
char pc_fatal_stacks[PC_MAX_CORES * PC_FATAL_STACK_BYTES] __attribute__((aligned(4096)));
