/** A minute of what scripts/soak does for an hour, and that it sees what is lost. */
import { afterAll, expect } from 'bun:test'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { COUNTING_NEEDS } from '../support/packets.ts'
import { testNeeding } from '../support/requires.ts'
import { drawn, type Fault } from './faults.ts'
import { soak } from './run.ts'

const BUILT = resolve('dist/terway-edge')
const root = mkdtempSync(join(tmpdir(), 'te-soak-'))
chmodSync(root, 0o755) // FRR's daemons run as a user of their own
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** It says that it costs nothing, and cuts the way to the VPC for a moment. */
const SABOTAGE: Fault = {
  name: 'sabotage',
  mayCost: () => false,
  happen: async site => {
    const { border, vpc } = site.plan
    site.ip(border.name, `route add blackhole ${vpc.address6}`)
    await Bun.sleep(500)
    site.ip(border.name, `route del blackhole ${vpc.address6}`)
  },
}

testNeeding(
  ...COUNTING_NEEDS,
  'ping',
  'bird',
  'bgpd',
  'vtysh',
)(
  'faults of a drawn minute cost no packet and are over soon; a fault that costs some is told',
  async () => {
    const result = await soak({
      seed: 3,
      seconds: 45,
      switches: ['bird', 'frr'],
      ipv6: true,
      directory: join(root, 'lab'),
      ...(existsSync(BUILT) ? { executable: BUILT } : {}),
      *faults(chance) {
        yield SABOTAGE
        yield* drawn(chance)
      },
      say: () => {},
    })
    expect(result.violations.filter(text => !text.includes('sabotage'))).toEqual([])
    const [told = ''] = result.violations
    expect(told).toMatch(/sabotage: \d+ of \d+ packets lost, vpc > pod-node-4 /)
    expect(result.faults.length).toBeGreaterThan(1)
    expect(result.sent).toBeGreaterThan(1000)
    expect(existsSync(join(root, 'lab'))).toBe(false)
  },
  600_000,
)
