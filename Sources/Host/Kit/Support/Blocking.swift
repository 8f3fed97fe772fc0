import Dispatch
import Synchronization

/// Waits for asynchronous work from ordinary code.
///
/// The commands are synchronous on purpose: the thread that starts the machine must live as long as
/// the machine (prctl(2), PR_SET_PDEATHSIG is about threads), and the console loop waits in poll(2)
/// anyway.
enum Blocking {
    static func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws
        -> Value
    {
        let result = Box<Result<Value, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            let outcome: Result<Value, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            result.value.withLock { $0 = outcome }
            done.signal()
        }
        done.wait()
        guard let outcome = result.value.withLock({ $0 }) else {
            throw HostError.startFailed("no result")
        }
        return try outcome.get()
    }

    private final class Box<Value: Sendable>: Sendable {
        let value: Mutex<Value>
        init(_ value: Value) { self.value = Mutex(value) }
    }
}
