/// The guest's files as they are in the store's image (Docs/decisions/0008-image-in-the-store.md):
/// written by the command when it makes a store, read by the Linux server at its first start.
///
/// Page 0 is the header: words magic, format, byte offset of the table, bytes of the table, records.
/// Then come the files' bytes, each file from a page of its own on, zeros behind its end. The table
/// is a list of records, each a name of an inode: a fixed part, the name, the target of a symbolic
/// link, zeros up to a multiple of 8. Record 0 is the root directory; a parent comes before its
/// children. All numbers are little-endian.
public enum Image {
    /// "EVEIMAGE"
    public static let magic: UInt64 = 0x4547_414D_4945_5645
    public static let format: UInt64 = 1
    public static let headerWords = 5

    /// Byte offsets of the fixed part of a record.
    public enum Field {
        /// u32: type and permissions (inode(7)).
        public static let mode = 0
        /// u32 each.
        public static let owner = 4
        public static let group = 8
        /// u32: number of the directory's record; the root's own.
        public static let parent = 12
        /// i64: seconds of the last modification since 1970; u32: its nanoseconds.
        public static let modifiedSeconds = 16
        public static let modifiedNanoseconds = 24
        /// u32: 0, or one more than the number of an earlier record: this is another name of that
        /// one's inode.
        public static let link = 28
        /// u64: number of a device (makedev(3)).
        public static let device = 32
        /// u64: bytes of a regular file.
        public static let size = 40
        /// u32: page of the image at which they begin.
        public static let firstPage = 48
        /// u16 each: bytes of the name and of the target.
        public static let nameLength = 52
        public static let targetLength = 54
    }
    /// Bytes of the fixed part.
    public static let recordBytes = 56
}
