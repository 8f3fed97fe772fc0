import ABI
import Store

/// How large a store must be for a run to start in it.
struct StoreSize {
    /// The boot bundle: the kernel copies it, and loads the server from it.
    var bundleBytes: UInt64
    /// Names in the image, each an entry of a directory and mostly an inode in the server's memory.
    var names: UInt64

    /// What the server needs for itself before the first program runs, and that program's first
    /// pages.
    private static let base: UInt64 = 8 << 20
    /// An inode, its name and its contents, in the server's heap.
    private static let bytesPerName: UInt64 = 1024

    /// Frames beside the image. A page that is written needs a second frame.
    private var dataFrames: UInt64 {
        let bytes = 2 * bundleBytes + names * StoreSize.bytesPerName + StoreSize.base
        return 2 * ImageWriter.pages(bytes)
    }

    /// Whole pieces of 2 MiB.
    func bytes(imagePages: UInt64) -> UInt64 {
        let unit: UInt64 = (2 << 20) / pageSize
        var frames = (imagePages + dataFrames + unit - 1) / unit * unit
        // The fixed areas grow with the size.
        while let count = UInt32(exactly: frames),
            UInt64(StoreLayout(frameCount: count).firstDataFrame) + imagePages + dataFrames > frames
        { frames += unit }
        return frames * pageSize
    }
}
