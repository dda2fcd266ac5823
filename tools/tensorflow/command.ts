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

Everything works without it: Sluice then scores with wasm. What is installed lies in .sluice/ and is used by the
next command; delete .sluice/tensorflow or .sluice/webgpu to be without it again.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const tensorflow = program
    .command('tensorflow')
    .summary('install native TensorFlow or WebGPU, for scoring and training')
    .description('Brings the backends that are not among the npm dependencies.')
  tensorflow
    .command('install')
    .summary('build the addon of TensorFlow, or fetch WebGPU')
    .description(
      'Builds the addon of @tensorflow/tfjs-node against a current TensorFlow in a folder of its own, checks all\n' +
        'functions that it calls, and lets it compute. Safe to repeat: what is there is only tried, and what was\n' +
        'interrupted goes on. Needs npm, python3 with pip, a C++ compiler, and 2 GiB of disk (9 GiB with --gpu).',
    )
    .option('--gpu', 'with the libraries of CUDA 12, for an NVIDIA GPU and its driver')
    .option('--webgpu', 'WebGPU instead: a GPU through Vulkan, Metal or Direct3D; needs npm only')
    .option('--dir <folder>', 'put it there, and a link to it into .sluice')
    .option('--force', 'again, although it is there')
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
    throw new SluiceError('SLUICE_USAGE', 'Give --gpu or --webgpu: they are two ways to a GPU.')
  }
  if (webgpu === true) return 'webgpu'
  return gpu === true ? 'gpu' : 'cpu'
}

/** Reports what was installed and which device computes, with advice when no GPU is used. */
export function resultLines({ kind, folder, wasThere, device, detail }: InstallResult): string[] {
  const backend = kind === 'webgpu' ? 'webgpu' : 'tensorflow'
  const lines = [`${wasThere ? 'Was installed in' : 'Installed in'} ${folder}.`]
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
      'NO GPU is used. Check that the driver of the GPU is installed and that this process may see it; ' +
        'docs/backends.md tells how to look.',
    )
  }
  return [...lines, `"sluice bench backends" compares; SLUICE_BACKEND=${backend} scores with it.`]
}
