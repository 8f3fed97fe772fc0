import ABI

/// Arguments of Linux calls, decoded from the input: mostly such as make sense, now and then any
/// number, and the numbers at which checks go wrong.
enum LinuxArguments {
    static func decode(_ letter: UInt8, _ input: inout Input) -> UInt64 {
        let choice = UInt64(input.byte())
        if choice >= 232 { return anything(choice, &input) }
        switch letter {
        case UInt8(ascii: "f"): return choice < 200 ? choice % 16 : pick(descriptors, choice)
        case UInt8(ascii: "d"): return choice < 208 ? 0 : choice % 13
        case UInt8(ascii: "e"): return choice < 208 ? 1 + choice % 2 : 12
        case UInt8(ascii: "r"):
            return pick([0x5401, 0x5402, 0x5403, 0x5404, 0x540B, 0x5410, 0x5414, 0x541B], choice)
        case UInt8(ascii: "p"): return LinuxProgram.names + choice % 64 * 64
        case UInt8(ascii: "s"): return LinuxProgram.structures + choice % 64 * 64
        case UInt8(ascii: "b"): return LinuxProgram.buffers + choice % 32 * 256
        case UInt8(ascii: "n"): return pick(sizes, choice)
        case UInt8(ascii: "m"): return page(choice)
        case UInt8(ascii: "l"): return choice % 8 * pageSize + (choice > 200 ? 1 : 0)
        case UInt8(ascii: "g"): return choice % 66
        case UInt8(ascii: "t"): return processes(choice)
        case UInt8(ascii: "x"): return 1 << (choice % 24) | (choice > 128 ? 1 << (choice % 7) : 0)
        case UInt8(ascii: "o"): return pick(openFlags, choice)
        case UInt8(ascii: "c"): return pick(cloneFlags, choice)
        case UInt8(ascii: "u"): return pick([0, 1000, 1001, UInt64(UInt32.max)], choice)
        case UInt8(ascii: "w"): return LinuxProgram.shared + choice % 8 * 4
        case UInt8(ascii: "k"): return choice % 16 | choice & 16 << 3
        case UInt8(ascii: "j"): return choice < 216 ? 8 : choice
        case UInt8(ascii: "q"): return 0x1001 + choice % 4
        case UInt8(ascii: "v"):
            return choice < 32 ? 0 : LinuxProgram.pointers + choice % 16 * 256 + choice % 4 * 8
        case UInt8(ascii: "y"): return 0x5401 + choice % 0x54
        case UInt8(ascii: "z"): return UInt64.max
        case UInt8(ascii: "a"): return choice
        default: return choice % 64
        }
    }

    private static func pick(_ values: [UInt64], _ choice: UInt64) -> UInt64 {
        values[Int(choice) % values.count]
    }

    private static let descriptors: [UInt64] = [
        UInt64(bitPattern: -1), UInt64(bitPattern: -100), 1023, 1024, 65535, 0x7FFF_FFFF, 16, 17,
    ]
    private static let sizes: [UInt64] = [
        0, 1, 2, 7, 8, 12, 16, 24, 32, 64, 88, 100, 255, 256, 1000, 4095, 4096, 4097, 5000, 8192,
        16384, 65535, 65536, 65537, 1 << 20, 1 << 24, 0x7FFF_F000, 1 << 31, 1 << 32, 1 << 36,
        (1 << 36) + 1, 0x7FFF_FFFF_FFFF_FFFF, UInt64(bitPattern: -1), UInt64(bitPattern: -4096),
    ]
    private static let openFlags: [UInt64] = [
        0, 1, 2, 0o102, 0o302, 0o1102, 0o2001, 0o2102, 0o4000, 0o4001, 0o4002, 0o200000, 0o400000,
        0o2000000, 0o2004000, 0o10000000, 0o20200002, 0o1000000, 3, 0o100, 0o20200001, 0o2000002,
    ]
    private static let cloneFlags: [UInt64] = [
        17, 0, 0x3D_0F00, 0x3D_0F00, 0x1_0F00, 0x411, 0x611, 0x100, 0x4111, 0x4011, 0x111, 0x900,
        0x8011, 0x120_0011, 0x30_0011, 0x10900, 0xD00, 0x200_0011,
    ]

    private static func processes(_ choice: UInt64) -> UInt64 {
        switch choice {
        case 0..<160: choice % 16
        case 160..<180: UInt64(bitPattern: -1)
        case 180..<210: 0 &- choice % 8
        default: choice
        }
    }

    private static func page(_ choice: UInt64) -> UInt64 {
        switch choice {
        case 0..<32: 0
        case 32..<72: LinuxProgram.structures + choice % 16 * pageSize
        case 72..<112: LinuxProgram.shared + choice % 8 * pageSize
        case 112..<152: 0x1000_0000 + choice % 20 * pageSize
        case 152..<184: 0x3FFF_E000_0000 - choice % 32 * pageSize
        case 184..<200: 0x3FFF_F000_0000 - choice % 16 * pageSize
        case 200..<208: LinuxProgram.text + choice % 4 * pageSize
        case 208..<216: UserAddress.lowest.value - pageSize + choice % 4 * pageSize
        default: UserAddress.limit.value - choice % 4 * pageSize
        }
    }

    /// Hostile numbers and addresses.
    private static func anything(_ choice: UInt64, _ input: inout Input) -> UInt64 {
        switch choice {
        case 232..<236: return 0
        case 236..<240: return 1 << UInt64(input.byte() % 64)
        case 240..<243: return (1 << UInt64(input.byte() % 64)) - 1
        // The ends of pages behind which nothing is mapped.
        case 243..<247:
            let ends = [0x40_2000, LinuxProgram.buffers + 8192, LinuxProgram.shared + 16384]
            return ends[Int(choice) % 3] - UInt64(input.byte() % 80)
        case 247: return LinuxProgram.shared + input.half() % 16384
        case 248: return LinuxProgram.structures + input.half() % 16384
        case 249: return 0xFFFF_8000_0000_0000 | input.half() << 12
        case 250: return AddressesOfServer.one(&input)
        case 251: return UserAddress.limit.value - UInt64(input.byte())
        case 252: return UInt64(bitPattern: -Int64(input.byte()))
        case 253: return input.half()
        case 254: return input.half() << 16
        default: return input.word()
        }
    }
}

/// Where the server's own memory is: no guest may get at it.
enum AddressesOfServer {
    static func one(_ input: inout Input) -> UInt64 {
        let choice = input.byte()
        return [0x20_0000_0000, 0x21_0000_0000, 0x22_0000_0000, 0x30_0000_0000][Int(choice % 4)]
            + UInt64(choice) * 64
    }
}
