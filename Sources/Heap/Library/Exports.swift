// The library is `HeapCore`; this module adds the macros, whose plug-in takes long to build.
// `evertree heap` needs the first only.
@_exported import HeapCore
