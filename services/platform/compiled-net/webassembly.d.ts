// The used part of the WebAssembly types: Node.js does not declare them, and those of browsers declare far too much.

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
