/**
 * Writes what `switch-config` prints into a folder, a file for each vendor and each case that its
 * tests have: for `scripts/newer-daemons`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { switchConfigText } from '../src/planner/vendors/vendor.ts'
import { VENDORS } from '../src/planner/vendors/vendors.ts'
import { INTENTS } from '../test/planner/vendors/intents.ts'

const [folder = '.'] = process.argv.slice(2)
for (const vendor of VENDORS) {
  for (const [index, intent] of Object.values(INTENTS).entries()) {
    // bird.conf needs one where the machine has no IPv4 address
    const head = vendor.name === 'bird' ? 'router id 192.0.2.1;\n' : ''
    writeFileSync(join(folder, `${vendor.name}.${index}`), `${head}${switchConfigText(vendor, intent)}`, {
      mode: 0o600,
    })
  }
}
