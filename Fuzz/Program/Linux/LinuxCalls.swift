/// What the arguments of each Linux call are, so that many calls get far: a letter each
/// (`LinuxArguments`). Any argument may still be anything.
struct LinuxCallShape {
    let number: UInt64
    let arguments: [UInt8]

    /// Number and letters of every call that the server has.
    static let all = parse(table)
    /// Those that have to do with the console.
    static let console = parse(consoleTable)

    private static func parse(_ table: String) -> [LinuxCallShape] {
        table.split(whereSeparator: { $0 == " " || $0 == "\n" }).compactMap { entry in
            let parts = entry.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let number = UInt64(parts[0]) else { return nil }
            return LinuxCallShape(number: number, arguments: Array(parts[1].utf8))
        }
    }

    /// Letters: `f` descriptor, `p` path, `s` structure, `b` buffer, `n` size, `i` small number,
    /// `m` page address, `l` length of pages, `g` signal, `t` process, `x` flags, `o` flags of
    /// open(2), `c` flags of clone(2), `u` user, `w` futex word, `k` operation of futex(2), `j` size
    /// of a signal set, `v` pointer list, `q` request of arch_prctl(2), `y` of ioctl(2), `z` no
    /// descriptor, `a` anything.
    private static let table = """
        0:fbn 1:fbn 2:poi 3:f 8:fni 17:fbnn 18:fbnn 19:fsi 20:fsi 295:fsin 296:fsin 40:ffsn 73:fi
        74:f 75:f 76:pn 77:fn 85:pi 162: 187:fnn 221:fnni 257:fpoi 285:finn 306:f
        4:pb 5:fb 6:pb 262:fpbx 332:fpxxb 137:pb 138:fb 21:pi 269:fpi 439:fpix 90:px 91:fx 268:fpx
        92:puu 93:fuu 94:puu 260:fpuux 280:fpsx 132:ps 235:ps 261:fps 95:x
        79:bn 80:p 81:f 161:p 82:pp 264:fpfp 316:fpfpi 83:px 258:fpx 84:p 87:p 263:fpx 86:pp
        265:fpfpx 88:pp 266:pfp 89:pbn 267:fpbn 133:pxi 259:fpxi 217:fbn
        32:f 33:ff 292:ffo 72:fis 72:fii 16:fys 436:ffi 436:ffi
        22:b 293:bo 284:i 290:ix 283:io 286:fiss 287:fb 319:pi 41:iii 53:iiib
        7:sii 271:sissi 23:issss 270:isssss 213:i 291:o 233:fifs 232:fsii 281:fsiisi
        9:mliizn 9:mliifn 10:mli 11:ml 12:m 25:mllim 26:mli 27:mlb 28:mli 149:ml 150:ml 151:i 152:
        324:i
        56:cbwwm 56:cbwwm 435:sn 57: 58: 59:pvv 322:fpvvx 60:i 231:i 61:tbib 247:itbib
        202:wkiswi 202:wkiiwi 202:wkiiwa 218:w 273:sn 274:tbb 157:iab 158:qm
        39: 186: 110: 102: 104: 107: 108: 105:u 106:u 113:uu 114:uu 117:uuu 119:uuu 118:bbb 120:bbb
        115:ib 116:is 122:u 123:u 109:tt 111: 121:t 124:t 112: 125:bb 126:bb
        13:gsbj 14:isbj 15: 34: 62:tg 127:bj 128:sbsj 129:tgs 130:sj 131:sb 200:tg 234:ttg
        35:sb 36:ib 37:i 38:isb 96:bb 98:ib 100:b 201:b 219: 227:is 228:ib 229:ib 230:iisb
        63:b 99:b 170:pi 318:bni 97:ib 160:is 302:tisb 24: 204:inb 309:bbb 140:it 141:iti 203:inb
        144:tib 145:t 143:tb 146:i 147:i 334:aaaa 999:aaaaaa 511:aa
        """
    /// `d`: a descriptor of the console; `e`: one to write to; `r`: a request of ioctl_tty(2).
    private static let consoleTable = """
        0:dbn 0:dbn 0:dbn 1:ebn 1:ebn 1:ebn 20:esi 16:drs 16:drs 16:drs 16:drs 16:dys 7:sii 7:sii
        271:sissi 23:issss 232:fsii 233:fifs 72:dio 2:po 3:f 57: 60:i 231:i 112: 109:tt 62:tg
        13:gsbj 14:isbj 15: 34: 35:sb 37:i 61:tbib 24: 285:finn 40:efsn 8:dni 5:db 17:dbnn
        """
}
