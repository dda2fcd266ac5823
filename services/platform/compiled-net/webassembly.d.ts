// The part of WebAssembly that is used here: the types of Node.js do not name it, and those of browsers name far too much.

declare namespace WebAssembly {
  class Memory {
    constructor(limits: { initial: number; maximum: number })
    readonly buffer: ArrayBuffer
  }
  class Module {
    private readonly isModule: true
  }
  class CompileError extends Error {}
  function compile(bytes: Uint8Array): Promise<Module>
  function instantiate(
    module: Module,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ): Promise<{ readonly exports: unknown }>
}
