import ABI
import CServerRuntime

/// Native system calls, as a ring-3 server makes them. Returns what the kernel left in `rax`:
/// 0 or more, or a negated `NativeError`.
public enum Native {
    @inlinable public static func call(_ call: NativeCall) -> Int64 {
        evertree_call0(call.rawValue)
    }

    @inlinable public static func call(_ call: NativeCall, _ a: UInt64) -> Int64 {
        evertree_call1(call.rawValue, a)
    }

    @inlinable public static func call(_ call: NativeCall, _ a: UInt64, _ b: UInt64) -> Int64 {
        evertree_call2(call.rawValue, a, b)
    }

    @inlinable public static func call(_ call: NativeCall, _ a: UInt64, _ b: UInt64, _ c: UInt64)
        -> Int64
    {
        evertree_call3(call.rawValue, a, b, c)
    }

    @inlinable public static func call(
        _ call: NativeCall, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64
    ) -> Int64 {
        evertree_call4(call.rawValue, a, b, c, d)
    }

    @inlinable public static func call(
        _ call: NativeCall, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ e: UInt64
    ) -> Int64 {
        evertree_call5(call.rawValue, a, b, c, d, e)
    }

    @inlinable public static func call(
        _ call: NativeCall, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ e: UInt64,
        _ f: UInt64
    ) -> Int64 {
        evertree_call6(call.rawValue, a, b, c, d, e, f)
    }
}
