import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

/// `@Persistent` on a class: the layout of its instances; every stored property gets
/// `@PersistentField`.
extension PersistentMacro: MemberAttributeMacro {
    public static func expansion(
        of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax,
        providingAttributesFor member: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [AttributeSyntax] {
        guard declaration.is(ClassDeclSyntax.self),
            let variable = member.as(VariableDeclSyntax.self),
            variable.bindingSpecifier.tokenKind == .keyword(.var),
            !variable.modifiers.contains(where: { $0.name.text == "static" }),
            variable.bindings.count == 1, variable.bindings.allSatisfy({ $0.accessorBlock == nil })
        else { return [] }
        return ["@PersistentField"]
    }

    static func classExtension(
        _ type: some TypeSyntaxProtocol, _ declaration: ClassDeclSyntax, _ stableName: String,
        _ context: some MacroExpansionContext
    ) throws -> [ExtensionDeclSyntax] {
        guard isAllowed(declaration, context),
            let fields = StoredField.all(in: declaration, context)
        else { return [] }
        let access = accessLevel(declaration.modifiers)
        let (offsets, end) = offsetMembers(fields, after: "16")
        let parts = fields.map {
            "ClassLayout.Part(\"\($0.name)\", (\($0.type)).self, at: PersistentOffsets.\($0.name), "
                + "stored: \"\($0.isConstant ? "" : "_")\($0.name)\")"
        }.joined(separator: ",\n")
        return [
            try ExtensionDeclSyntax(
                """
                extension \(raw: type.trimmedDescription): PersistentClass {
                    \(raw: access)static var persistentName: String { "\(raw: stableName)" }
                    \(raw: access)static let persistentClassLayout = ClassLayout(
                        name: "\(raw: stableName)", size: PersistentOffsets.end, [
                        \(raw: parts)
                    ])
                    enum PersistentOffsets {
                        \(raw: offsets.joined(separator: "\n"))
                        @inline(__always) static var end: Int { \(raw: end) }
                    }
                }
                """)
        ]
    }

    private static func isAllowed(
        _ declaration: ClassDeclSyntax, _ context: some MacroExpansionContext
    ) -> Bool {
        guard declaration.modifiers.contains(where: { $0.name.text == "final" }) else {
            context.refuse(declaration.name, .notFinal)
            return false
        }
        guard declaration.genericParameterClause == nil else {
            context.refuse(declaration.name, .generic)
            return false
        }
        for member in declaration.memberBlock.members {
            if let end = member.decl.as(DeinitializerDeclSyntax.self) {
                context.refuse(end, .deinitializer)
                return false
            }
        }
        return true
    }
}

/// `@PersistentField`: storage under another name, and accessors that log.
public struct PersistentFieldMacro: AccessorMacro, PeerMacro {
    public static func expansion(
        of node: AttributeSyntax, providingAccessorsOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [AccessorDeclSyntax] {
        guard let name = field(declaration)?.name else { return [] }
        return [
            """
            @storageRestrictions(initializes: _\(raw: name))
            init(initialValue) { _\(raw: name) = initialValue }
            """,
            "get { _\(raw: name) }",
            """
            set {
                if persistentWillStore(self, PersistentOffsets.\(raw: name), newValue) { _\(raw: name) = newValue }
            }
            """,
        ]
    }

    public static func expansion(
        of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        guard let (name, type, initial) = field(declaration) else { return [] }
        return ["private var _\(raw: name): \(raw: type)\(raw: initial)"]
    }

    private static func field(
        _ declaration: some DeclSyntaxProtocol
    ) -> (name: String, type: String, initial: String)? {
        guard let binding = declaration.as(VariableDeclSyntax.self)?.bindings.first,
            let name = binding.pattern.as(IdentifierPatternSyntax.self)?.identifier.text,
            let type = binding.typeAnnotation?.type
        else { return nil }
        return (
            name, type.trimmedDescription,
            binding.initializer.map { " = \($0.value.trimmedDescription)" } ?? ""
        )
    }
}
