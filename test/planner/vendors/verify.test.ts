/**
 * `--verify`: what the generator printed is right by its own reader; what is taken out, widened or
 * left over is named.
 */
import { expect, test } from 'bun:test'
import { compareSwitch } from '../../../src/planner/vendors/facts.ts'
import { switchConfigText } from '../../../src/planner/vendors/vendor.ts'
import { VENDORS } from '../../../src/planner/vendors/vendors.ts'
import { INTENTS, intent } from './intents.ts'

const READING = VENDORS.flatMap(vendor => (vendor.read === undefined ? [] : [{ ...vendor, read: vendor.read }]))

function vendor(name: string) {
  const found = READING.find(one => one.name === name)
  if (found === undefined) throw new Error(`no reader for ${name}`)
  return found
}

/** What a vendor has no word for is missing in its own output too, as that output says. */
const WITHOUT_A_WORD: Readonly<Record<string, string>> = {
  'cisco-ios-xe: ipv6 hosts alone': 'RFC 8950',
  'ruijie: ipv6 hosts alone': 'RFC 8950',
  'ruijie: bfd and gtsm': 'takes its routes along',
}

test.each(READING.flatMap(one => Object.keys(INTENTS).map(title => [one.name, title] as const)))(
  '%s: %s: its own output is right',
  (name, title) => {
    const what = INTENTS[title]
    if (what === undefined) throw new Error(title)
    const text = switchConfigText(vendor(name), what)
    const differences = compareSwitch(what, vendor(name).read(text))
    const known = WITHOUT_A_WORD[`${name}: ${title}`]
    if (known === undefined) expect(differences).toEqual([])
    else {
      expect(differences.map(({ what: said }) => said.includes(known))).toEqual([true, true])
      expect(text).toContain('Not possible here:')
    }
  },
)

/** What the comparison says after a change of the text. */
function after(name: string, title: string, change: (text: string) => string): string[] {
  const what = INTENTS[title]
  if (what === undefined) throw new Error(title)
  const text = switchConfigText(vendor(name), what)
  const changed = change(text)
  expect(changed).not.toBe(text)
  return compareSwitch(what, vendor(name).read(changed)).map(
    ({ where, kind, what: said }) => `${kind}: ${where}: ${said}`,
  )
}

test('frr: every word that is taken out is missed', () => {
  const both = (said: string) => [
    `missing: neighbour 172.16.0.11 (node-1): ${said}`,
    `missing: neighbour 172.16.0.12 (node-2): ${said}`,
  ]
  const without = (pattern: RegExp, title = 'bfd and gtsm') => after('frr', title, text => text.replace(pattern, ''))
  expect(without(/^ neighbor \S+ password .*$/m)).toEqual(
    both('it has no password, and the BGPPeer has one: no connection comes up'),
  )
  expect(without(/^ neighbor \S+ ttl-security.*$/m)).toEqual(
    both('GTSM is off: the speaker drops what does not arrive with a TTL near 255'),
  )
  expect(without(/^ neighbor 172.16.0.12.*$/gm)).toEqual([
    'missing: neighbour 172.16.0.12 (node-2): the neighbour is not there: it cannot open a session',
  ])
  expect(without(/^ neighbor \S+ bfd.*$/gm)).toEqual(
    both('BFD is off, and the BGPPeer asks for it: a dead path is noticed by the hold time only'),
  )
  expect(without(/^ neighbor \S+ bfd check-control-plane-failure$/m)).toEqual(
    both('BFD is on in the words that end a session at once: a speaker that dies takes its routes along'),
  )
  expect(without(/^ bgp graceful-restart stalepath-time.*$/m)).toEqual([
    'missing: switch: stale routes go after 360 s, before the restart time of 600 s is over',
  ])
  expect(without(/^ {2}neighbor \S+ activate$/m)).toEqual(both('ipv4 is not activated: its blocks are not taken'))
  expect(without(/^ {2}neighbor \S+ route-map \S+ in$/m)).toEqual(both('ipv4: no filter, every prefix gets in'))
  expect(
    after('frr', 'ipv6 hosts alone', text => text.replace(/^ neighbor \S+ capability extended.*$/m, ''))[0],
  ).toContain('RFC 8950')
})

test('frr: another AS, wider prefixes, smaller limits, neighbours of yesterday', () => {
  const of = (change: (text: string) => string) => after('frr', 'the document', change)
  expect(of(text => text.replace('router bgp 65001', 'router bgp 65009'))[0]).toBe(
    'missing: switch: its AS is 65009, and the BGPPeer says 65001',
  )
  expect(of(text => text.replace('remote-as 65010', 'remote-as 65011'))[0]).toContain(
    'its AS is 65011, and the BGPPeer says 65010',
  )
  expect(of(text => text.replace('ge 25 le 25', 'le 32'))).toEqual([
    'differs: neighbour 172.16.0.11 (node-1): ipv4: more gets in than blocks of nodes: 10.0.0.0/8 from /8 to /32',
    'differs: neighbour 172.16.0.12 (node-2): ipv4: more gets in than blocks of nodes: 10.0.0.0/8 from /8 to /32',
  ])
  expect(of(text => text.replace('ge 25 le 25', 'ge 24 le 24')).join()).toContain(
    'blocks of /25 of 10.0.0.0/8 do not get in',
  )
  expect(of(text => text.replace('maximum-prefix 100', 'maximum-prefix 20'))[0]).toContain(
    'the limit of prefixes is 20, planned are 100',
  )
  expect(
    of(text =>
      text.replace(
        ' neighbor 172.16.0.12 description',
        ' neighbor 172.16.0.13 remote-as 65010\n neighbor 172.16.0.12 description',
      ),
    ),
  ).toEqual(["differs: neighbour 172.16.0.13: it has the nodes' AS 65010 and is no speaker of the BGPPeer"])
})

test('bird: "bfd on", "import all", a wide set, a template without a password', () => {
  expect(after('bird', 'bfd and gtsm', text => text.replace('bfd graceful;', 'bfd on;'))[0]).toContain(
    'a speaker that dies takes its routes along',
  )
  expect(after('bird', 'the document', text => text.replace(/import filter \w+;/, 'import all;'))[0]).toContain(
    'every prefix gets in',
  )
  expect(after('bird', 'the document', text => text.replace('{25,25}', '+')).join()).toContain(
    'more gets in than blocks of nodes: 10.0.0.0/8 from /8 to /32',
  )
  expect(after('bird', 'the document', text => text.replace(/password ".*";/, ''))[0]).toContain('it has no password')
  expect(
    after('bird', 'the document', text => text.replace('graceful restart aware', 'graceful restart off'))[0],
  ).toContain('graceful restart is off')
  expect(after('bird', 'both families', text => text.replace(/^ {2}ipv6 \{[\s\S]*?^ {2}\};/m, ''))[0]).toContain(
    'ipv6 is not activated',
  )
})

test("bird: the documented example of one's own, written otherwise, is understood", () => {
  const text = `
    protocol bgp node1 { local 172.16.0.1 as 65001; neighbor 172.16.0.11 as 65010; password "x"; graceful restart on;
      ipv4 { import filter { if net ~ [10.0.0.0/8{25,25}] then accept; reject; }; import limit 100 action block; export none; }; }
    /* protocol bgp node2 { neighbor 172.16.0.12 as 65010; } */`
  expect(
    compareSwitch(intent({ authPassword: { secretKeyRef: { name: 'a', key: 'b' } } }), vendor('bird').read(text)),
  ).toEqual([
    {
      where: 'neighbour 172.16.0.12 (node-2)',
      kind: 'missing',
      what: 'the neighbour is not there: it cannot open a session',
    },
  ])
})

test('an empty text: everything is missing, nothing is right by accident', () => {
  for (const { read } of READING) expect(compareSwitch(intent(), read('')).length).toBeGreaterThan(2)
})
