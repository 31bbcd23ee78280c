/**
 * The outputs of `switch-config` loaded into the real FRR, BIRD, GoBGP and OpenBGPD: every line is
 * taken, the sessions of all speakers come up, only blocks of nodes get in, a restart keeps them,
 * and the limit of prefixes holds.
 */
import { expect } from 'bun:test'
import type { Announcement } from '../../../src/bgp/speaker-types.ts'
import type { SwitchIntent } from '../../../src/planner/vendors/intent.ts'
import { eventually } from '../../support/namespaces.ts'
import { testNeeding } from '../../support/requires.ts'
import { INTENTS, intent } from './intents.ts'
import { DAEMON_NEEDS, type DaemonName, SwitchLan } from './switch-daemon.ts'

const OWNER = '172.16.0.21'
const BLOCKS = ['10.0.0.0/25', '10.200.3.128/25']

/**
 * The blocks of two nodes, and what a switch must not take: a default route, a longer and a shorter
 * mask, a foreign range.
 */
const WANTED: readonly Announcement[] = BLOCKS.map(prefix => ({ prefix, nextHop: OWNER }))
const UNWANTED: readonly Announcement[] = [
  '0.0.0.0/0',
  '10.1.0.0/24',
  '10.1.1.0/26',
  '10.1.1.1/32',
  '192.168.7.0/25',
  '11.0.0.0/25',
].map(prefix => ({ prefix, nextHop: OWNER }))

/** What a daemon has no words for (its `missing` says so): the sessions could not come up. */
const CANNOT: Readonly<Partial<Record<DaemonName, Readonly<Record<string, string>>>>> = {
  openbgpd: { 'ipv6 hosts alone': 'OpenBGPD 7.7 does not know RFC 8950' },
}

function of(name: keyof typeof INTENTS): SwitchIntent {
  const found = INTENTS[name]
  if (found === undefined) throw new Error(`no intent ${name}`)
  return found
}

async function withLan(name: DaemonName, what: SwitchIntent, run: (lan: SwitchLan) => Promise<void>): Promise<void> {
  const lan = new SwitchLan(name, what)
  try {
    await lan.start()
    await run(lan)
  } finally {
    await lan.close()
  }
}

for (const name of ['frr', 'bird', 'gobgp', 'openbgpd'] as const) {
  const test = testNeeding(...DAEMON_NEEDS[name])
  const nextHops = Object.fromEntries(BLOCKS.map(prefix => [prefix, OWNER]))

  test(
    `${name}: the document's BGPPeer, with its password: both sessions, only blocks of nodes; a restart keeps them, and a wrong password gets nowhere`,
    () =>
      withLan(name, of('the document'), async lan => {
        const speakers = lan.startSpeakers([...WANTED, ...UNWANTED])
        await lan.established(speakers)
        await lan.routesBecome(nextHops)
        expect(lan.differences()).toEqual([])
        await Promise.all(speakers.map(speaker => speaker.close({ mode: 'restart' })))
        await Bun.sleep(1500) // so long nobody is there
        expect(lan.routes()).toEqual(nextHops)
        const strangers = lan.startSpeakers(WANTED, 'not the password')
        await eventually('a wrong password is suspected', () =>
          strangers.every(one => one.sessions()[0]?.lastError?.kind === 'timed-out'),
        )
        expect(lan.routes()).toEqual(nextHops)
      }),
    300_000,
  )

  test(
    `${name}: a limit of prefixes: more than that ends the session, and it says so`,
    () =>
      withLan(name, intent({}, { maximumPrefixes: 10 }), async lan => {
        const speakers = lan.startSpeakers(WANTED)
        await lan.established(speakers)
        const many = Array.from({ length: 20 }, (_, index) => ({ prefix: `10.3.${index}.0/25`, nextHop: OWNER }))
        for (const speaker of speakers) speaker.setAnnouncements('peer', many)
        await eventually('both are told', () =>
          speakers.every(one => one.sessions()[0]?.lastError?.kind === 'notification-received'),
        )
      }),
    300_000,
  )

  for (const [title, what] of Object.entries(INTENTS)) {
    if (title === 'the document') continue
    const cannot = CANNOT[name]?.[title]
    if (cannot !== undefined) continue
    test(`${name}: ${title}: every line is taken, the sessions come up`, () => loads(name, what), 300_000)
  }
}

for (const name of ['frr', 'gobgp'] as const) {
  testNeeding(...DAEMON_NEEDS[name])(
    `${name}: what takes all of it back leaves nothing behind`,
    () =>
      withLan(name, name === 'frr' ? of('bfd and gtsm') : of('the document'), async lan => {
        const speakers = lan.startSpeakers(WANTED)
        await lan.established(speakers)
        expect(lan.show()).toContain('172.16.0.11')
        lan.takeBack()
        expect(lan.show()).not.toMatch(/172\.16\.0\.1[12]|TERWAY-EDGE/)
      }),
    300_000,
  )
}

/** The words for BFD, and what they are without the part that matters. */
const STRICT: Readonly<Record<'bird' | 'frr', (text: string) => string>> = {
  bird: text => text.replace('bfd graceful;', 'bfd on;'),
  frr: text => text.replace(/^ neighbor \S+ bfd check-control-plane-failure$/m, ''),
}

for (const name of ['bird'] as const) {
  const test = testNeeding(...DAEMON_NEEDS[name], 'nft')
  const what = intent({ bfd: { enabled: true } }, { speakers: [{ node: 'node-1', address: '172.16.0.11' }] })
  const nextHops = Object.fromEntries(BLOCKS.map(prefix => [prefix, OWNER]))
  /** The routes on the switch after its only speaker died without a word. */
  const routesAfterDeath = async (edit?: (text: string) => string) => {
    const lan = new SwitchLan(name, what)
    try {
      await lan.start(edit)
      const speakers = lan.startSpeakers(WANTED)
      await lan.established(speakers)
      await lan.routesBecome(nextHops)
      for (const speaker of speakers) await lan.startBfd(speaker)
      await lan.powerFailure()
      // in the strict words the routes go with the session, which may take a while on a busy
      // machine
      if (edit !== undefined) await lan.routesBecome({})
      else await Bun.sleep(1500)
      return lan.routes()
    } finally {
      await lan.close()
    }
  }

  test(`${name}: BFD: the only speaker dies without a word: the routes stay; in the other words they go`, async () => {
    expect(await routesAfterDeath()).toEqual(nextHops)
    expect(await routesAfterDeath(STRICT[name])).toEqual({})
  }, 300_000)
}

async function loads(name: DaemonName, what: SwitchIntent): Promise<void> {
  await withLan(name, what, async lan => {
    const announcements: Announcement[] = what.families.flatMap(family =>
      family === 'ipv6'
        ? [{ prefix: 'fd00:10::80/121', nextHop: 'fd00:16::21' }]
        : [{ prefix: '10.0.0.0/25', nextHop: what.extendedNextHop ? 'fd00:16::21' : OWNER }],
    )
    const speakers = lan.startSpeakers(announcements)
    await lan.established(speakers)
    await lan.routesBecome(Object.fromEntries(announcements.map(({ prefix, nextHop }) => [prefix, nextHop])))
  })
}
