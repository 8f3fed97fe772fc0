import SwiftCompilerPlugin
import SwiftSyntaxMacros

@main
struct PersistentPlugin: CompilerPlugin {
    let providingMacros: [any Macro.Type] = [PersistentMacro.self, PersistentFieldMacro.self]
}
