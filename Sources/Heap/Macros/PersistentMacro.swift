import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

/// `@Persistent`: checks the fields of a structure or enumeration, and writes its layout and its
/// editor.
public struct PersistentMacro {}

extension PersistentMacro: ExtensionMacro {
    public static func expansion(
        of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax,
        providingExtensionsOf type: some TypeSyntaxProtocol, conformingTo protocols: [TypeSyntax],
        in context: some MacroExpansionContext
    ) throws -> [ExtensionDeclSyntax] {
        let stableName = stableName(node) ?? type.trimmedDescription
        if let structure = declaration.as(StructDeclSyntax.self) {
            guard structure.genericParameterClause == nil else {
                context.refuse(structure.name, .generic)
                return []
            }
            guard let fields = StoredField.all(in: structure, context) else { return [] }
            return [try structExtension(type, fields, stableName, accessLevel(structure.modifiers))]
        }
        if let enumeration = declaration.as(EnumDeclSyntax.self) {
            guard checkPayloads(enumeration, context) else { return [] }
            return [
                try enumExtension(type, enumeration, stableName, accessLevel(enumeration.modifiers))
            ]
        }
        if let classDeclaration = declaration.as(ClassDeclSyntax.self) {
            return try classExtension(type, classDeclaration, stableName, context)
        }
        context.refuse(node, .wrongDeclaration)
        return []
    }

    /// The name given in the attribute: `@Persistent("Account")`.
    private static func stableName(_ node: AttributeSyntax) -> String? {
        let literal = node.arguments?.as(LabeledExprListSyntax.self)?.first?.expression
            .as(StringLiteralExprSyntax.self)?.representedLiteralValue
        return literal?.isEmpty == true ? nil : literal
    }

    static func accessLevel(_ modifiers: DeclModifierListSyntax) -> String {
        for modifier in modifiers where ["public", "package"].contains(modifier.name.text) {
            return modifier.name.text + " "
        }
        return ""
    }

    private static func structExtension(
        _ type: some TypeSyntaxProtocol, _ fields: [StoredField], _ stableName: String,
        _ access: String
    ) throws -> ExtensionDeclSyntax {
        let name = type.trimmedDescription
        let parts = fields.map {
            "TypeLayout.Part(\"\($0.name)\", \($0.type).self, at: Offsets.\($0.name))"
        }.joined(separator: ",\n")
        let (offsets, _) = offsetMembers(fields, after: "0")
        let members = fields.map { $0.editorMember(access) }.joined(separator: "\n")
        return try ExtensionDeclSyntax(
            """
            extension \(raw: name): PersistentObject, Persistable, BitwiseCopyable {
                \(raw: access)static let persistentLayout = TypeLayout(structure: \(raw: name).self, name: "\(raw: stableName)", [
                    \(raw: parts)
                ])
                private enum Offsets {
                    \(raw: offsets.joined(separator: "\n"))
                }
                \(raw: access)struct Editor: PersistentEditor {
                    private let place: FieldAccess
                    \(raw: access)init(_ place: FieldAccess) { self.place = place }
                    \(raw: members)
                }
            }
            """)
    }

    /// Where each field lies, as the compiler will place it; and where the last one ends.
    static func offsetMembers(_ fields: [StoredField], after start: String) -> (
        members: [String], end: String
    ) {
        var end = start
        var members: [String] = []
        for field in fields {
            members.append(
                """
                @inline(__always) static var \(field.name): Int {
                    persistentFieldOffset(after: \(end), alignment: MemoryLayout<\(field.type)>.alignment)
                }
                """)
            end = "\(field.name) &+ MemoryLayout<\(field.type)>.size"
        }
        return (members, end)
    }

    /// The compiler decides how a payload lies, so every aligned word may hold a reference.
    private static func enumExtension(
        _ type: some TypeSyntaxProtocol, _ enumeration: EnumDeclSyntax, _ stableName: String,
        _ access: String
    ) throws -> ExtensionDeclSyntax {
        let name = type.trimmedDescription
        let cases = enumeration.memberBlock.members.compactMap {
            $0.decl.as(EnumCaseDeclSyntax.self)
        }
        .flatMap(\.elements).map(\.trimmedDescription).joined(separator: "|")
        .replacingQuotes()
        return try ExtensionDeclSyntax(
            """
            extension \(raw: name): Persistable, BitwiseCopyable {
                \(raw: access)static let persistentLayout = TypeLayout(enumeration: \(raw: name).self, name: "\(raw: stableName)", cases: "\(raw: cases)")
            }
            """)
    }

    private static func checkPayloads(
        _ enumeration: EnumDeclSyntax, _ context: some MacroExpansionContext
    ) -> Bool {
        var isGood = true
        for element in enumeration.memberBlock.members.compactMap({
            $0.decl.as(EnumCaseDeclSyntax.self)
        })
        .flatMap(\.elements) {
            for parameter in element.parameterClause?.parameters ?? [] {
                if let problem = FieldProblem(parameter.type) {
                    context.refuse(parameter.type, .field(problem))
                    isGood = false
                }
            }
        }
        return isGood
    }
}

extension String {
    func replacingQuotes() -> String { split(separator: "\"").joined(separator: "'") }
}

/// One stored property.
struct StoredField {
    let name: String
    let type: String
    let isConstant: Bool

    /// All stored properties; nil after telling what is wrong with one.
    static func all(in structure: some DeclGroupSyntax, _ context: some MacroExpansionContext)
        -> [StoredField]?
    {
        var fields: [StoredField] = []
        var isGood = true
        for variable in structure.memberBlock.members.compactMap({
            $0.decl.as(VariableDeclSyntax.self)
        }) {
            if variable.modifiers.contains(where: { $0.name.text == "static" }) { continue }
            if let problem = unsupported(variable, inClass: structure.is(ClassDeclSyntax.self)) {
                context.refuse(variable, problem)
                isGood = false
                continue
            }
            for binding in variable.bindings where binding.accessorBlock == nil {
                guard let name = binding.pattern.as(IdentifierPatternSyntax.self)?.identifier.text,
                    let type = binding.typeAnnotation?.type
                else {
                    context.refuse(binding, .needsType)
                    isGood = false
                    continue
                }
                if let problem = FieldProblem(type) {
                    context.refuse(type, .field(problem))
                    isGood = false
                }
                fields.append(
                    StoredField(
                        name: name, type: type.trimmedDescription,
                        isConstant: variable.bindingSpecifier.tokenKind == .keyword(.let)))
            }
        }
        return isGood ? fields : nil
    }

    /// Forms of stored properties that no layout describes.
    private static func unsupported(_ variable: VariableDeclSyntax, inClass: Bool)
        -> PersistentDiagnostic?
    {
        for accessors in variable.bindings.compactMap(\.accessorBlock) {
            guard case .accessors(let list) = accessors.accessors else { continue }
            if list.contains(where: { ["willSet", "didSet"].contains($0.accessorSpecifier.text) }) {
                return .observed
            }
        }
        if variable.modifiers.contains(where: {
            ["weak", "unowned", "lazy"].contains($0.name.text)
        }) {
            return .uncounted
        }
        guard inClass else { return nil }
        if variable.bindings.count > 1 { return .onePerLine }
        var type = variable.bindings.first?.typeAnnotation?.type
        if let optional = type?.as(OptionalTypeSyntax.self) { type = optional.wrappedType }
        let name = type?.as(IdentifierTypeSyntax.self)?.name.text ?? ""
        let valueTier = ["PRef", "PString", "PArray", "PDictionary", "PSortedDictionary"]
        return valueTier.contains(name) ? .valueTier(name) : nil
    }

    /// The property of the editor: plain fields are read and set; containers give their own
    /// editors.
    func editorMember(_ access: String) -> String {
        for (prefix, editor) in [
            ("PArray<", "PArrayEditor<"), ("PDictionary<", "PDictionaryEditor<"),
            ("PSortedDictionary<", "PSortedDictionaryEditor<"),
        ]
        where type.hasPrefix(prefix) {
            let elements = type.dropFirst(prefix.count)
            return
                "\(access)var \(name): \(editor)\(elements) { \(editor)\(elements)(place.part(Offsets.\(name))) }"
        }
        let setter =
            isConstant ? "" : "\n    nonmutating set { place.set(Offsets.\(name), newValue) }"
        return """
            \(access)var \(name): \(type) {
                get { place.get(Offsets.\(name)) }\(setter)
            }
            """
    }
}
