import CFuzz
import Foundation

// fuzz TARGET [libFuzzer options] [corpus folders]
var arguments = CommandLine.arguments
guard arguments.count > 1, let target = Session.targets[arguments[1]] else {
    let names = Session.targets.keys.sorted().joined(separator: " | ")
    FileHandle.standardError.write(Data("usage: \(arguments[0]) \(names) [libFuzzer options] [folders]\n".utf8))
    exit(2)
}
arguments.remove(at: 1)
Session.current = try target()
atexit { Session.report() }
var count = Int32(arguments.count)
var pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = .allocate(capacity: arguments.count + 1)
for (index, argument) in arguments.enumerated() { pointers?[index] = strdup(argument) }
pointers?[arguments.count] = nil
exit(LLVMFuzzerRunDriver(&count, &pointers) { data, size in Session.run(data, size) })
