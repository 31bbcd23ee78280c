/** The plugin as a process that asks nobody: what `terway-edge cni` does while no server runs. */
import { answer } from '../../src/cni/plugin.ts'

const { exitStatus, output } = answer(process.env, await Bun.stdin.text())
if (output !== undefined) await Bun.write(Bun.stdout, JSON.stringify(output))
process.exit(exitStatus)
