/**
 * Every line for VyOS and SR Linux, and every one that takes it back, goes along what their own
 * models have.
 */
import { expect, test } from 'bun:test'
import { nokiaSrlinux } from '../../../src/planner/vendors/nokia-srlinux.ts'
import { vyos } from '../../../src/planner/vendors/vyos.ts'
import { INTENTS } from './intents.ts'
import { refusal, type Schema, SRLINUX, VYOS } from './schemas.ts'

const MODELS = [
  { vendor: vyos, schema: VYOS, set: /^set (?!\/)/, remove: /^delete / },
  { vendor: nokiaSrlinux, schema: SRLINUX, set: /^set \/ /, remove: /^delete \/ / },
]

const cases = MODELS.flatMap(model =>
  Object.entries(INTENTS).map(([title, intent]) => [`${model.vendor.name}: ${title}`, model, intent] as const),
)

test.each(cases)('%s', (_, { vendor, schema, set, remove }, intent) => {
  const lines = vendor.configure(intent).filter(line => set.test(line))
  expect(lines.length).toBeGreaterThan(10)
  expect(lines.map(line => refusal(schema, line.replace(set, ''))).filter(Boolean)).toEqual([])
  for (const line of vendor.undo(intent).filter(text => remove.test(text))) {
    const path = line.replace(remove, '')
    expect(leads(schema, path), path).toBe(true)
    // what is taken back was made
    expect(
      lines.some(made => made.replace(set, '').startsWith(`${path} `)),
      path,
    ).toBe(true)
  }
})

/** Whether such words stand in the model, whatever follows them. */
function leads(schema: Schema, path: string): boolean {
  return refusal(schema, path)?.startsWith('something is missing') ?? true
}

test('the judge judges: words at the wrong place, values out of range, too many and too few words', () => {
  const group = 'network-instance default protocols bgp group G'
  expect(refusal(SRLINUX, `${group} afi-safi ipv4-unicast prefix-limit max-received-routes 1`)).toContain(
    'prefix-limit',
  )
  expect(refusal(SRLINUX, `${group} graceful-restart stale-routes-time 4000`)).toContain('1 to 3600')
  expect(refusal(SRLINUX, 'system authentication keychain K key 0 algorithm md5')).toContain('no 0')
  expect(refusal(VYOS, 'protocols bgp peer-group G timers holdtime 90')).toContain('no timers')
  expect(refusal(VYOS, 'protocols bgp peer-group G passive yes')).toContain('nothing may follow')
  expect(refusal(VYOS, 'protocols bgp peer-group G')).toContain('missing')
})
