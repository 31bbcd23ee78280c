/**
 * Reserves and releases addresses without end, saying on stdout what it has done (`+`) and what it
 * is about to undo (`~`, then `-`), until it is killed: the other half of the test of the store.
 */
import { writeSync } from 'node:fs'
import { AddressStore } from '../../src/cni/address-store.ts'
import { release, reserve } from '../../src/cni/reservation.ts'

const [stateDir = '', name = ''] = process.argv.slice(2)
const store = new AddressStore(stateDir)
const held: string[] = []
const say = (line: string) => writeSync(1, `${line}\n`)

for (let round = 0; ; round++) {
  const attempt = `${name}.${round}`
  const record = {
    attempt,
    containerId: attempt,
    interfaceName: 'eth0',
    network: 'pods',
    hostInterface: 'te0',
    namespacePath: '/x',
    bootId: 'b',
  }
  const [reserved] = reserve(
    store,
    [{ source: { kind: 'podCIDRs', podCIDRs: ['10.0.0.0/20', 'fd00:1::/64'] }, requestedAddresses: [], record }],
    () => false,
  )
  if (reserved === undefined || 'kind' in reserved) throw new Error(reserved?.msg)
  say(`+ ${attempt} ${reserved.addresses.join(' ')}`)
  held.push(attempt)
  const oldest = held.length > 4 ? held.shift() : undefined
  if (oldest === undefined) continue
  say(`~ ${oldest}`)
  release(store, [oldest])
  say(`- ${oldest}`)
}
