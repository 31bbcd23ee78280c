/** A little of what scripts/soak does for an hour, and that it sees what is lost. */
import { afterAll, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { COUNTING_NEEDS } from '../support/packets.ts'
import { testNeeding } from '../support/requires.ts'
import { seeded } from '../support/seeded.ts'
import { drawn, FAULTS, type Fault } from './faults.ts'
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

/** Two that cost nothing, whichever node is drawn. */
const HARMLESS = FAULTS.filter(({ name }) =>
  ['a node process is killed', 'routes of a node are deleted by hand'].includes(name),
)

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())

testNeeding(
  ...COUNTING_NEEDS,
  'ping',
  'bird',
  'bgpd',
  'vtysh',
)(
  'a fault that costs no packet is over soon, and one that costs some is told',
  async () => {
    expect(HARMLESS).toHaveLength(2)
    const result = await soak({
      seed: 3,
      seconds: Number.POSITIVE_INFINITY,
      switches: ['bird', 'frr'],
      ipv6: true,
      directory: join(root, 'lab'),
      ...(existsSync(BUILT) ? { executable: BUILT } : {}),
      faults: () => [SABOTAGE, ...HARMLESS],
      signal: interruption.signal,
      say: () => {},
    })
    expect(result.violations.filter(text => !text.includes('sabotage'))).toEqual([])
    const [told = ''] = result.violations
    expect(told).toMatch(/sabotage: \d+ of \d+ packets lost, vpc > pod-node-4 /)
    expect(result.faults.map(({ name }) => name)).toContain('a node process is killed')
    expect(result.sent).toBeGreaterThan(1000)
    expect(existsSync(join(root, 'lab'))).toBe(false)
  },
  600_000,
)

test('all faults of a deck come before any comes again, and a seed deals the same', () => {
  const names = (seed: number) => {
    const dealt = drawn(seeded(seed))
    return Array.from({ length: 2 * FAULTS.length }, () => dealt.next().value.name)
  }
  const [first, second] = [names(7).slice(0, FAULTS.length), names(7).slice(FAULTS.length)]
  expect(new Set(first).size).toBe(FAULTS.length)
  expect(new Set(second).size).toBe(FAULTS.length)
  expect(names(7)).toEqual([...first, ...second])
  expect(names(8)).not.toEqual(names(7))
})
