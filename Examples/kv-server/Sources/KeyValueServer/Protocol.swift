import NIOCore

/// One command: its words.
struct Command: Sendable {
    var words: [ByteBuffer]
    var name: String { words.first.map { String(buffer: $0).uppercased() } ?? "" }
}

/// Takes commands apart: arrays of bulk strings, or one line of words ("inline").
/// Protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/
struct CommandDecoder: ByteToMessageDecoder {
    typealias InboundOut = Command
    static let longestBulk = 512 << 20

    enum Problem: Error { case malformed }

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let first = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return .needMoreData }
        var copy = buffer
        let command = first == UInt8(ascii: "*") ? try readArray(&copy) : readInline(&copy)
        guard let command else { return .needMoreData }
        buffer = copy
        if !command.words.isEmpty { context.fireChannelRead(wrapInboundOut(command)) }
        return .continue
    }

    private func readLine(_ buffer: inout ByteBuffer) -> ByteBuffer? {
        guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        var line = buffer.readSlice(length: end - buffer.readerIndex + 1)
        let length = line?.readableBytes ?? 0
        let trims = length >= 2 && line?.getInteger(at: (line?.readerIndex ?? 0) + length - 2, as: UInt8.self) == 13
        return line?.readSlice(length: length - (trims ? 2 : 1))
    }

    private func readNumber(_ buffer: inout ByteBuffer, after mark: UInt8) throws -> Int? {
        guard var line = readLine(&buffer) else { return nil }
        guard line.readInteger(as: UInt8.self) == mark, let number = Int(String(buffer: line)) else {
            throw Problem.malformed
        }
        return number
    }

    private func readArray(_ buffer: inout ByteBuffer) throws -> Command? {
        guard let count = try readNumber(&buffer, after: UInt8(ascii: "*")) else { return nil }
        guard count <= 1 << 20 else { throw Problem.malformed }
        var words: [ByteBuffer] = []
        for _ in 0..<max(0, count) {
            guard let length = try readNumber(&buffer, after: UInt8(ascii: "$")) else { return nil }
            guard length >= 0, length <= Self.longestBulk else { throw Problem.malformed }
            guard buffer.readableBytes >= length + 2, let word = buffer.readSlice(length: length) else { return nil }
            buffer.moveReaderIndex(forwardBy: 2)
            words.append(word)
        }
        return Command(words: words)
    }

    private func readInline(_ buffer: inout ByteBuffer) -> Command? {
        guard let line = readLine(&buffer) else { return nil }
        return Command(words: String(buffer: line).split(separator: " ").map { ByteBuffer(string: String($0)) })
    }
}

/// What a command answers.
enum Reply {
    case ok, pong, null
    case integer(Int)
    case bulk(UnsafeRawBufferPointer)
    case text(String)
    case array([String])
    case error(String)
}

extension ByteBuffer {
    mutating func write(_ reply: Reply) {
        switch reply {
        case .ok: writeStaticString("+OK\r\n")
        case .pong: writeStaticString("+PONG\r\n")
        case .null: writeStaticString("$-1\r\n")
        case .integer(let value): writeString(":\(value)\r\n")
        case .error(let message): writeString("-\(message)\r\n")
        case .text(let text): writeBulk(text)
        case .bulk(let bytes):
            writeString("$\(bytes.count)\r\n")
            writeBytes(bytes)
            writeStaticString("\r\n")
        case .array(let texts):
            writeString("*\(texts.count)\r\n")
            texts.forEach { writeBulk($0) }
        }
    }

    private mutating func writeBulk(_ text: String) {
        writeString("$\(text.utf8.count)\r\n")
        writeString(text)
        writeStaticString("\r\n")
    }
}
