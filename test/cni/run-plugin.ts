/**
 * The plugin as a process of its own, started by the tests in the namespace of a node: what
 * `terway-edge cni` does.
 */
import { cniCommand } from '../../src/cni/command.ts'

process.exit(await cniCommand(process.argv.slice(2)))
