import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxMacros

/// Why a type cannot be in persistent memory, as far as its spelling shows. What spelling does not
/// show (a class, a structure that is not persistent) the compiler refuses, since it does not
/// conform to `Persistable`.
enum FieldProblem {
    case replaceable(type: String, by: String)
    case closure, existential, pointer, tuple

    init?(_ type: TypeSyntax) {
        if let optional = type.as(OptionalTypeSyntax.self) {
            guard let inner = FieldProblem(optional.wrappedType) else { return nil }
            self = inner
        } else if type.is(FunctionTypeSyntax.self) {
            self = .closure
        } else if let attributed = type.as(AttributedTypeSyntax.self) {
            guard let inner = FieldProblem(attributed.baseType) else { return nil }
            self = inner
        } else if type.is(SomeOrAnyTypeSyntax.self) {
            self = .existential
        } else if type.is(ArrayTypeSyntax.self) {
            self = .replaceable(type: type.trimmedDescription, by: "PArray")
        } else if type.is(DictionaryTypeSyntax.self) {
            self = .replaceable(type: type.trimmedDescription, by: "PDictionary")
        } else if let tuple = type.as(TupleTypeSyntax.self) {
            guard let only = tuple.elements.first, tuple.elements.count == 1 else {
                self = .tuple
                return
            }
            guard let inner = FieldProblem(only.type) else { return nil }
            self = inner
        } else {
            self.init(named: type.as(IdentifierTypeSyntax.self)?.name.text ?? "")
        }
    }

    private init?(named name: String) {
        switch name {
        case "String", "Substring", "Character": self = .replaceable(type: name, by: "PString")
        case "Array", "ContiguousArray", "Set", "Data":
            self = .replaceable(type: name, by: "PArray")
        case "Dictionary": self = .replaceable(type: name, by: "PDictionary")
        case "Any", "AnyObject", "AnyHashable", "Error": self = .existential
        default:
            guard name.hasPrefix("Unsafe") || name == "OpaquePointer" || name == "Unmanaged" else {
                return nil
            }
            self = .pointer
        }
    }

    var message: String {
        switch self {
        case .replaceable(let type, let by):
            "\(type) lives in volatile memory and cannot be a field of a persistent type; use \(by)"
        case .closure:
            "a closure points into this program and is gone after a restart; store data, and choose the code by it"
        case .existential:
            "a value of unknown type cannot be found again after a restart; use a concrete @Persistent type or an enum"
        case .pointer:
            "a pointer means nothing after a restart; use PRef to refer to a persistent object"
        case .tuple: "a tuple cannot be a field of a persistent type; use a @Persistent struct"
        }
    }
}

/// What the macro says when it refuses.
enum PersistentDiagnostic: DiagnosticMessage {
    case wrongDeclaration, needsType, generic, notFinal, deinitializer, observed, onePerLine,
        uncounted
    case valueTier(String)
    case field(FieldProblem)

    var message: String {
        switch self {
        case .wrongDeclaration: "@Persistent goes on a struct, an enum or a final class"
        case .notFinal:
            "a persistent class is final: a subclass's fields would be unknown to the heap"
        case .deinitializer:
            "a persistent class has no deinit: its objects in a heap end unseen, when nothing reaches them"
        case .observed:
            "willSet and didSet would not run for every change; change other fields in a method instead"
        case .onePerLine: "declare each field of a persistent class in a line of its own"
        case .uncounted: "weak, unowned and lazy fields need volatile memory; use an optional field"
        case .valueTier(let name):
            "\(name) belongs to @Persistent structs; refer to another @Persistent final class, or use a struct"
        case .needsType:
            "a field of a persistent type needs its type written out, because the layout is made from it"
        case .generic: "a generic type has no single layout; make a @Persistent struct for each use"
        case .field(let problem): problem.message
        }
    }

    var diagnosticID: MessageID { MessageID(domain: "Persistent", id: "\(self)") }
    var severity: DiagnosticSeverity { .error }
}

extension MacroExpansionContext {
    func refuse(_ node: some SyntaxProtocol, _ message: PersistentDiagnostic) {
        diagnose(Diagnostic(node: Syntax(node), message: message))
    }
}
