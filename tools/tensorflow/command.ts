// sluice tensorflow: installs the backends that npm alone cannot provide, native TensorFlow and WebGPU.

import type { Command } from 'commander'
import { SluiceError } from '../../services/core/errors.ts'
import { installBackend, type InstallResult } from './install.ts'
import type { InstallKind } from './recipe.ts'
import {
  interruptSignal,
  printJson,
  printLine,
  printProgress,
  repositoryRoot,
} from '../../services/cli/command.ts'

interface Options {
  readonly gpu?: boolean
  readonly webgpu?: boolean
  readonly dir?: string
  readonly force?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice tensorflow install
  $ sluice tensorflow install --gpu --dir /data/tensorflow
  $ sluice tensorflow install --webgpu

Sluice works without it and then scores with compiled nets or wasm. Packages are installed in .sluice/ and used from the next
command on; delete .sluice/tensorflow or .sluice/webgpu to uninstall them.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const tensorflow = program
    .command('tensorflow')
    .summary('install native TensorFlow or WebGPU, for scoring and training')
    .description('Installs the backends that are not npm dependencies.')
  tensorflow
    .command('install')
    .summary('build the addon of TensorFlow, or download WebGPU')
    .description(
      'Builds the addon of @tensorflow/tfjs-node against a current TensorFlow in a folder of its own, checks all\n' +
        'functions that it calls, and lets it compute. Safe to repeat: a complete installation is only tested, and an\n' +
        'interrupted one continues. Needs npm, python3 with pip, a C++ compiler, and 2 GiB of disk (9 GiB with --gpu).',
    )
    .option('--gpu', 'include the libraries of CUDA 12, for an NVIDIA GPU and its driver')
    .option(
      '--webgpu',
      'install WebGPU instead: a GPU through Vulkan, Metal or Direct3D; needs npm only',
    )
    .option('--dir <folder>', 'install into this folder, and link to it from .sluice')
    .option('--force', 'install again even if it is installed')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      const result = await installBackend({
        root: repositoryRoot(),
        kind: kindOf(options),
        folder: options.dir,
        searchPath: process.env['PATH'],
        force: options.force === true,
        onProgress: printProgress,
        signal: interruptSignal(),
      })
      if (options.json === true) printJson(result)
      else for (const line of resultLines(result)) printLine(line)
    })
}

function kindOf({ gpu, webgpu }: Options): InstallKind {
  if (gpu === true && webgpu === true) {
    throw new SluiceError('SLUICE_USAGE', 'Give either --gpu or --webgpu, not both.')
  }
  if (webgpu === true) return 'webgpu'
  return gpu === true ? 'gpu' : 'cpu'
}

/** Reports what was installed and which device computes, with advice when no GPU is used. */
export function resultLines({ kind, folder, wasThere, device, detail }: InstallResult): string[] {
  const backend = kind === 'webgpu' ? 'webgpu' : 'tensorflow'
  const lines = [`${wasThere ? 'Already installed in' : 'Installed in'} ${folder}.`]
  switch (device) {
    case 'gpu':
      lines.push(`It computes on the GPU (${detail}).`)
      break
    case 'cpu':
      lines.push(`It computes on the CPU (${detail}).`)
      break
    case 'none':
      lines.push(`It loads, but cannot compute here: ${detail}.`)
      break
  }
  if (kind !== 'cpu' && device !== 'gpu') {
    lines.push(
      'NO GPU is used. Check that the driver of the GPU is installed and that this process can access it; ' +
        'see docs/backends.md.',
    )
  }
  return [
    ...lines,
    `Compare backends with "sluice bench backends"; score with SLUICE_BACKEND=${backend}.`,
  ]
}
