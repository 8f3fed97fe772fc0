import CFuzz
import Foundation

// fuzz TARGET [--until=N] [--trace] [libFuzzer options] [corpus folders]
var arguments = CommandLine.arguments
guard arguments.count > 1, let target = Session.targets[arguments[1]] else {
    let names = Session.targets.keys.sorted().joined(separator: " | ")
    FileHandle.standardError.write(
        Data(
            "usage: \(arguments[0]) \(names) [--until=N] [--trace] [libFuzzer options] [folders]\n"
                .utf8))
    exit(2)
}
arguments.remove(at: 1)
if let option = arguments.firstIndex(of: "--trace") {
    arguments.remove(at: option)
    Session.traces = true
}
if let option = arguments.firstIndex(where: { $0.hasPrefix("--until=") }) {
    guard let goal = UInt64(arguments.remove(at: option).dropFirst("--until=".count)) else {
        FileHandle.standardError.write(Data("--until needs a number\n".utf8))
        exit(2)
    }
    Session.goal = goal
}
Session.current = try target()
atexit { Session.report() }
var count = Int32(arguments.count)
var pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = .allocate(
    capacity: arguments.count + 1)
for (index, argument) in arguments.enumerated() { pointers?[index] = strdup(argument) }
pointers?[arguments.count] = nil
exit(LLVMFuzzerRunDriver(&count, &pointers) { data, size in Session.run(data, size) })
