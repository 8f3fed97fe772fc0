import Glibc
import PersistentHeap

// heap-bench WORKLOAD VARIANT FILE COUNT: one workload, one fresh file, one process.
// Variants: redo, undo (CLWB and fences), redo-noflush (process crash only), volatile.
// Prints lines "metric TAB count TAB nanoseconds".
let arguments = CommandLine.arguments
guard arguments.count == 5, let count = Int(arguments[4]) else {
    print(
        "usage: heap-bench sps|list|map|chain|tree|fannkuch|chase|native|open|bulk|grow redo|undo|redo-noflush|volatile FILE COUNT"
    )
    exit(2)
}
let (workload, variant, path) = (arguments[1], arguments[2], arguments[3])

do {
    if variant == "volatile" {
        switch workload {
        case "sps": VolatileBenchmarks.swaps(count)
        case "list": VolatileBenchmarks.list(count)
        case "map", "chain": VolatileBenchmarks.map(count)
        case "tree": VolatileBenchmarks.treesOfObjects(count)
        case "fannkuch": VolatileBenchmarks.fannkuch(count)
        case "chase":
            VolatileBenchmarks.chase(256, "l1", count)
            VolatileBenchmarks.chase(1 << 20, "mem", count / 5)
        case "native": NativeBenchmark.volatile(count)
        default: print("no volatile variant of \(workload)")
        }
    } else if workload == "open" {
        try openTimes(path, gigabytesTimesFour: count)
    } else if workload == "native" {
        try NativeBenchmark.persistent(path, count)
    } else if workload == "grow" {
        let mode: LogMode = variant == "undo" ? .undo : .redo
        try grow(path, mode, variant == "redo-noflush" ? .processCrash : .fileSync, count)
    } else if workload == "bulk" {
        try bulk(path, variant == "undo" ? .undo : .redo, count)
    } else {
        let domain: PersistenceDomain = variant == "redo-noflush" ? .processCrash : .cacheLineFlush
        let mode: LogMode = variant == "undo" ? .undo : .redo
        let heap = try freshHeap(path, domain)
        switch workload {
        case "sps": try swaps(heap, mode, count)
        case "list": try list(heap, mode, count)
        case "map": try map(heap, mode, count)
        case "chain": try chains(heap, mode, count)
        case "tree": try trees(heap, mode, count)
        case "fannkuch": try fannkuch(heap, mode, count)
        case "chase":
            try chase(heap, 256, "l1", count)
            try chase(heap, 1 << 20, "mem", count / 5)
        default: print("no workload \(workload)")
        }
        heap.close()
        unlink(path)
    }
} catch {
    print("failed: \(error)")
    exit(1)
}
