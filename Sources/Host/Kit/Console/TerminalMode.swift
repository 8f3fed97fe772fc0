import Glibc

/// Puts a terminal into raw mode for as long as the value lives: the guest's own terminal does
/// echo, lines, signals and the carriage returns of its output.
public struct TerminalMode: ~Copyable {
    private let descriptor: Int32
    private let before: termios

    /// Nil when the descriptor is no terminal.
    public init?(raw descriptor: Int32) {
        var settings = termios()
        guard isatty(descriptor) == 1, tcgetattr(descriptor, &settings) == 0 else { return nil }
        self.descriptor = descriptor
        before = settings
        settings.c_iflag &= ~tcflag_t(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON)
        settings.c_oflag &= ~tcflag_t(OPOST)
        settings.c_lflag &= ~tcflag_t(ECHO | ECHONL | ICANON | IEXTEN | ISIG)
        tcsetattr(descriptor, TCSADRAIN, &settings)
    }

    deinit {
        var settings = before
        tcsetattr(descriptor, TCSADRAIN, &settings)
    }
}
