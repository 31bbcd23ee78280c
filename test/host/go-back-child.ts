/** Goes back to the version kept below a folder, as `rollback` does; killed by who starts it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig } from '../../src/config/load.ts'
import { carryOut } from '../../src/host/carry-out.ts'
import { pathsToSee, planInstall, type WantedInstall } from '../../src/host/install-plan.ts'
import { PREVIOUS_EXECUTABLE, UNITS } from '../../src/host/installed-files.ts'
import { lookAt } from '../../src/host/look.ts'
import { sha256 } from '../../src/host/seen-machine.ts'

const root = process.argv[2] ?? ''
const from = join(root, PREVIOUS_EXECUTABLE)
const wanted: WantedInstall = {
  role: 'node',
  executable: { from, sha256: sha256(readFileSync(from)) },
  config: parseConfig('kubeconfig: /etc/terway-edge/kubeconfig', 'test'),
  configText: undefined,
  kubeconfigText: undefined,
  start: false,
  root,
}
await carryOut(planInstall(wanted, lookAt(root, pathsToSee(wanted), UNITS)).steps, { root, say: () => {} })
