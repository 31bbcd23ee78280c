/**
 * The entry of a version for tests of upgrades whose services run as root, as the first ones did:
 * its units name no user, it hands nothing over, and it says of no user in `version`.
 */
import { parseConfig } from '../../src/config/load.ts'
import { carryOut } from '../../src/host/carry-out.ts'
import { installableExecutable } from '../../src/host/executable.ts'
import { pathsToSee, planInstall } from '../../src/host/install-plan.ts'
import { CONFIG, UNITS } from '../../src/host/installed-files.ts'
import { lookAt } from '../../src/host/look.ts'
import type { Step } from '../../src/host/steps.ts'
import { unitsFor } from '../../src/host/unit.ts'
import { readFileIfPresent } from '../../src/lib/files.ts'

declare const TERWAY_EDGE_VERSION: string

async function installAsRoot(): Promise<void> {
  const config = parseConfig(readFileIfPresent(CONFIG) ?? '', CONFIG)
  const wanted = {
    ...{ role: 'node' as const, executable: installableExecutable(), config, start: true, root: '/' },
    ...{ configText: undefined, kubeconfigText: undefined },
  }
  const seen = lookAt('/', pathsToSee(wanted), UNITS)
  const own = ({ do: what, ...step }: Step) =>
    !['make user', 'hand over'].includes(what) &&
    !('what' in step && step.what === 'unit') &&
    !('words' in step && step.words[0] === 'stop')
  const units = unitsFor('node', config).map(({ path, text }): Step => {
    const asRoot = text.replace(/^(User|Group|AmbientCapabilities)=.*\n/gm, '')
    return { do: 'write', what: 'unit', path, text: asRoot, mode: 0o644 }
  })
  await carryOut([...units, ...planInstall(wanted, seen).steps.filter(own)], { root: '/', say: () => {} })
}

switch (process.argv[2]) {
  case 'install':
    await installAsRoot()
    break
  case 'version':
    process.stdout.write(`${JSON.stringify({ version: TERWAY_EDGE_VERSION })}\n`)
    break
  default:
    await import('../../src/main.ts')
}
