/**
 * What is asked, and what the packets prove: the deciders of paths, by values. How the verdicts
 * fare with real packets is in paths.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import type { BGPPeer } from '../../src/kube/bgp-peer.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import {
  type Evidence,
  PORT_PAIRS,
  stateOf,
  summary,
  type TargetState,
  withLateAnswer,
  withOutcome,
} from '../../src/paths/evidence.ts'
import { decodeProbe, encodeAnswer, encodeQuestion } from '../../src/paths/packet.ts'
import { probeAddress } from '../../src/paths/probe-address.ts'
import { due, type PathBudget, type Schedule, START, staleAfter } from '../../src/paths/schedule.ts'
import { type PathChoice, type PathTarget, pathChoice, targetKey } from '../../src/paths/targets.ts'
import { pathVerdict } from '../../src/paths/verdict.ts'

const BUDGET: PathBudget = { lanPacketsPerMinute: 60, farPacketsPerMinute: 12 }

/** `lans` LANs of `size` nodes each, named so that their order is their number. */
function cluster(lans: number, size: number): { entries: RouteEntry[]; peers: BGPPeer[] } {
  const entries: RouteEntry[] = []
  const peers: BGPPeer[] = []
  for (let lan = 0; lan < lans; lan++) {
    const name = `lan-${String(lan).padStart(4, '0')}`
    peers.push({ name, spec: { peerIP: `172.16.${lan % 256}.1` } } as BGPPeer)
    for (let index = 0; index < size; index++) {
      const number = lan * size + index
      const node = `node-${String(number).padStart(5, '0')}`
      const podCIDR = `10.${number >> 9}.${(number >> 1) & 255}.${(number & 1) * 128}/25`
      entries.push({ node, addresses: [], podCIDRs: [podCIDR], peers: [name] })
    }
  }
  return { entries, peers }
}

function choiceOf(self: string, lans: number, size: number, controllers: string[] = []): PathChoice {
  const { entries, peers } = cluster(lans, size)
  const onLink = new Set(peers.map(({ spec }) => spec.peerIP))
  return pathChoice({ self, entries, peers, onLink, controllers })
}

/** Everything that a node asks in `seconds`, when all is answered. */
function askedIn(choice: PathChoice, seconds: number, budget = BUDGET): PathTarget[] {
  let schedule: Schedule = START
  let evidence: Evidence = new Map()
  const asked: PathTarget[] = []
  for (let second = 0; second < seconds; second++) {
    const now = second * 1000
    const step = due({ choice, evidence, schedule, budget, now, elapsed: 1000 })
    schedule = step.schedule
    for (const target of step.targets) evidence = withOutcome(evidence, target, { at: now, ports: 0, roundTrip: 1 })
    asked.push(...step.targets)
  }
  return asked
}

describe('the address that answers', () => {
  test('is the first of a podCIDR, and none where pods get all of them', () => {
    expect(probeAddress('10.0.1.128/25')).toBe('10.0.1.128')
    expect(probeAddress('fd10:1::/64')).toBe('fd10:1::')
    expect(probeAddress('10.0.1.4/30')).toBe('10.0.1.4')
    for (const none of ['10.0.1.4/31', '10.0.1.4/32', 'fd10::4/127', 'fd10::4/128'])
      expect(probeAddress(none)).toBeUndefined()
  })
})

describe('packets', () => {
  test('a question says where its answer is awaited, in both families, and an answer is smaller', () => {
    for (const address of ['10.0.1.0', 'fd10:1::']) {
      const question = encodeQuestion('0123456789abcdef', { address, port: 40_000 })
      expect(decodeProbe(question)).toEqual({
        kind: 'question',
        token: '0123456789abcdef',
        replyTo: { address, port: 40_000 },
      })
      expect(encodeAnswer('0123456789abcdef').length).toBeLessThanOrEqual(question.length)
    }
    expect(decodeProbe(encodeAnswer('0123456789abcdef'))).toEqual({ kind: 'answer', token: '0123456789abcdef' })
    expect(encodeQuestion('0123456789abcdef', { address: '10.0.1.0', port: 1 }, 1472).length).toBe(1472)
  })

  test('what is no probe is nothing', () => {
    const question = encodeQuestion('0123456789abcdef', { address: '10.0.1.0', port: 1 })
    for (const bytes of [new Uint8Array(0), new Uint8Array(64), question.subarray(0, 31), question.subarray(0, 15)])
      expect(decodeProbe(bytes)).toBeUndefined()
    const newer = question.slice()
    newer[4] = 2
    expect(decodeProbe(newer)).toBeUndefined()
  })
})

describe('what is asked', () => {
  test('packets of a minute are bounded whatever the size of the cluster', () => {
    for (const [lans, size] of [
      [1, 2],
      [3, 40],
      [1, 1000],
      [50, 100],
    ] as const) {
      const asked = askedIn(choiceOf('node-00000', lans, size), 600)
      expect(asked.filter(({ kind }) => kind !== 'far').length).toBeLessThanOrEqual(10 * BUDGET.lanPacketsPerMinute + 2)
      expect(asked.filter(({ kind }) => kind === 'far').length).toBeLessThanOrEqual(10 * BUDGET.farPacketsPerMinute + 2)
    }
  })

  test('every node is asked by three others of its LAN within a minute, directly and by way of the switch', () => {
    const size = 12
    const askers = new Map<string, Set<string>>()
    for (let number = 0; number < size; number++) {
      const self = `node-${String(number).padStart(5, '0')}`
      for (const target of askedIn(choiceOf(self, 1, size), 60)) {
        const key = `${target.kind} ${target.node}`
        askers.set(key, (askers.get(key) ?? new Set()).add(self))
      }
    }
    for (const kind of ['direct', 'by-switch'])
      for (let number = 0; number < size; number++)
        expect(askers.get(`${kind} node-${String(number).padStart(5, '0')}`)?.size).toBeGreaterThanOrEqual(3)
  })

  test('every podCIDR of the LAN is asked of the switch in time, and every other LAN', () => {
    const choice = choiceOf('node-00007', 5, 50)
    const asked = askedIn(choice, Math.ceil(staleAfter(choice, BUDGET) / 1000))
    const nodes = new Set(asked.filter(({ kind }) => kind === 'by-switch').map(({ node }) => node))
    expect(nodes.size).toBe(49)
    expect(new Set(asked.filter(({ kind }) => kind === 'far').map(({ lan }) => lan)).size).toBe(4)
  })

  test('every kind of path is tried with packets of full size too', () => {
    for (const size of [2, 3, 4, 5, 30]) {
      const asked = askedIn(choiceOf('node-00000', 3, size), 300).filter(target => target.size === 'full')
      expect([...new Set(asked.map(({ kind }) => kind))].sort()).toEqual(['by-switch', 'direct', 'far'])
      expect(
        new Set(asked.filter(({ kind }) => kind === 'direct').map(({ node }) => node)).size,
      ).toBeGreaterThanOrEqual(Math.min(3, size - 1))
    }
  })

  test('a line that all LANs share is tried with full size every fifth packet, and each LAN in its turn', () => {
    for (const lans of [2, 3, 5, 6, 11]) {
      const choice = choiceOf('node-00000', lans, 2)
      const beyond = askedIn(choice, 3600).filter(({ kind }) => kind === 'far')
      const full = beyond.flatMap(({ size }, turn) => (size === 'full' ? [turn] : []))
      const gaps = full.slice(1).map((turn, index) => turn - (full[index] ?? 0))
      expect(Math.max(...gaps)).toBeLessThanOrEqual(lans % 5 === 1 ? 9 : 5)
      const tried = new Set(beyond.filter(({ size }) => size === 'full').map(({ node }) => node))
      expect(tried.size).toBe(2 * (lans - 1))
    }
  })

  test('full size lost on the way to one LAN: the others are tried with it next, and then in their turn again', () => {
    const choice = choiceOf('node-00000', 5, 1)
    const [suspect] = choice.far.flat()
    if (suspect === undefined) throw new Error('no target')
    const lost = { ...suspect, size: 'full' as const }
    let evidence = withOutcome(new Map(), lost, { at: 0, ports: 0, roundTrip: undefined })
    let schedule: Schedule = { ...START, lanCredit: 0, farCredit: 0 }
    const asked: PathTarget[] = []
    for (let now = 5000; now <= 60_000; now += 5000) {
      const step = due({ choice, evidence, schedule, budget: BUDGET, now, elapsed: 5000 })
      schedule = step.schedule
      for (const target of step.targets) {
        const roundTrip = targetKey(target) === targetKey(lost) ? undefined : 1
        evidence = withOutcome(evidence, target, { at: now, ports: 0, roundTrip })
        if (target.node !== lost.node) asked.push(target)
      }
    }
    const sizes = asked.map(({ size }) => size)
    expect(sizes.slice(0, 3)).toEqual(['full', 'full', 'full'])
    expect(new Set(asked.slice(0, 3).map(({ node }) => node)).size).toBe(3)
    expect(sizes.slice(3).filter(size => size === 'full').length).toBeLessThanOrEqual(2)
  })

  test('the VPC has its turn like another LAN, in the families of this node', () => {
    const choice = choiceOf('node-00000', 3, 4, ['192.168.0.10', 'fd00::10'])
    expect(choice.vpc.map(({ address }) => address)).toEqual(['192.168.0.10'])
    const beyond = askedIn(choice, 600).filter(({ kind }) => kind === 'far' || kind === 'vpc')
    expect(beyond.length).toBeLessThanOrEqual(10 * BUDGET.farPacketsPerMinute + 2)
    expect(beyond.filter(({ kind }) => kind === 'vpc').length).toBeGreaterThanOrEqual(beyond.length / 3 - 1)
  })

  test('a budget of 0 asks nothing', () => {
    expect(
      askedIn(choiceOf('node-00000', 2, 5), 600, { lanPacketsPerMinute: 0, farPacketsPerMinute: 0 }).length,
    ).toBeLessThanOrEqual(2)
  })

  test('what was lost once is asked again at once; what fails, only now and then', () => {
    const choice = choiceOf('node-00000', 1, 30)
    const target = choice.direct[20]
    if (target === undefined) throw new Error('no target')
    let evidence = withOutcome(new Map(), target, { at: 0, ports: 0, roundTrip: undefined })
    const none = { lanPacketsPerMinute: 0, farPacketsPerMinute: 0 }
    const quiet: Schedule = { ...START, lanCredit: 0, farCredit: 0 }
    const next = (now: number) => due({ choice, evidence, schedule: quiet, budget: none, now, elapsed: 1000 }).targets
    expect(next(1000)).toEqual([target])
    for (const at of [1000, 2000, 3000, 4000]) {
      expect(next(at)).toEqual([target])
      evidence = withOutcome(evidence, target, { at, ports: 1, roundTrip: undefined })
    }
    expect(next(5000)).toEqual([])
    expect(next(14_000)).toEqual([target])
  })
})

const NOW = 100_000
const STALE = 90_000
/** Between two probes of one target. */
const APART = 2000

/**
 * A target whose last probes went so: `+` answered, `-` lost, `k` the kernel there said that nobody
 * listens; port pairs take turns from 0.
 */
function seen(target: Partial<PathTarget> & Pick<PathTarget, 'node'>, outcomes: string, ports?: number[]): Evidence {
  const full: PathTarget = {
    kind: 'direct',
    size: 'small',
    family: 'ipv4',
    podCIDR: `10.0.${target.node.length}.0/25`,
    address: `10.0.${target.node.length}.0`,
    lan: 'lan-a',
    ...target,
  }
  return [...outcomes].reduce<Evidence>(
    (evidence, mark, index) =>
      withOutcome(evidence, full, {
        at: NOW - (outcomes.length - index) * APART,
        ports: ports?.[index] ?? index % PORT_PAIRS,
        roundTrip: mark === '+' ? 1 : undefined,
        ...(mark === 'k' && { refused: true }),
      }),
    new Map(),
  )
}

function verdictOf(parts: readonly Evidence[], self: TargetState = 'good') {
  const evidence = new Map(parts.flatMap(part => [...part]))
  return pathVerdict({ evidence, self, now: NOW, staleMilliseconds: STALE })
}

const placesOf = (parts: readonly Evidence[]) => verdictOf(parts).findings.map(({ place }) => place)
const bySwitch = (node: string) => ({ node, kind: 'by-switch' as const, via: '172.16.0.1' })
const far = (node: string, lan: string) => ({ node, kind: 'far' as const, lan })

describe('evidence', () => {
  test('one lost packet is no news, three in a row over five seconds are; what is old is unknown', () => {
    const stateNow = (outcomes: string, now = NOW) =>
      stateOf([...seen({ node: 'b' }, outcomes).values()][0], { now, staleMilliseconds: STALE })
    expect(stateNow('++-')).toBe('good')
    expect(stateNow('++--')).toBe('good')
    expect(stateNow('++---')).toBe('failing')
    expect(stateNow('---')).toBe('unanswered')
    expect(stateNow('--')).toBe('unknown')
    expect(stateNow('++---+')).toBe('good')
    expect(stateNow('+++', NOW + STALE)).toBe('unknown')
    expect(stateNow('++---', NOW - APART)).toBe('good')
  })

  test('a process that is away is no broken path: the kernel there answers for it', () => {
    const history = [...seen({ node: 'b' }, '+---k').values()][0]
    expect(stateOf(history, { now: NOW, staleMilliseconds: STALE })).toBe('good')
    expect(summary(history === undefined ? [] : [history])).toMatchObject({ sent: 5, lost: 3 })
  })

  test('one pair of ports that never comes back is one member of several next hops', () => {
    const now = (outcomes: string) =>
      stateOf([...seen({ node: 'b' }, outcomes).values()][0], { now: NOW, staleMilliseconds: STALE })
    expect(now('+++-+++-+++-+++-+')).toBe('partly')
    expect(now('+++-+++-+++-+++')).toBe('good')
    expect(now('+++-+++-+++-+++++')).toBe('good')
    // where the others lose many too, chance picked the one
    expect(now('+-+-+++--++-+-+-+')).toBe('good')
    // what was lost in an outage says nothing of one pair
    expect(now('++++------------++')).toBe('good')
  })
})

describe('verdicts', () => {
  test('all good: nothing to say, and the switch is proved', () => {
    const verdict = verdictOf([seen({ node: 'b' }, '+++'), seen(bySwitch('b'), '+++'), seen(far('xx', 'lan-b'), '++')])
    expect(verdict.findings).toEqual([])
    expect(verdict.switches).toMatchObject([{ bgpPeer: 'lan-a', status: 'True', verified: ['10.0.1.0/25'] }])
  })

  test('a route that the switch lacks is named by its podCIDR', () => {
    const direct = [seen({ node: 'b' }, '+++'), seen({ node: 'cc' }, '+++')]
    const { findings, switches } = verdictOf([...direct, seen(bySwitch('b'), '+++'), seen(bySwitch('cc'), '+---')])
    expect(switches).toMatchObject([{ status: 'False', missing: ['10.0.2.0/25'], verified: ['10.0.1.0/25'] }])
    expect(findings.map(({ place }) => place)).toEqual(['switch'])
  })

  test('a switch that never let anything through is accused, unless another LAN reaches this node', () => {
    const parts = [seen({ node: 'b' }, '+++'), seen(bySwitch('b'), '---')]
    expect(verdictOf(parts).switches).toMatchObject([
      { status: 'False', message: expect.stringContaining('asked for 10.0.1.0/25:') },
    ])
    expect(verdictOf([...parts, seen(far('xx', 'lan-b'), '+++')]).switches).toMatchObject([{ status: 'Unknown' }])
  })

  test('a neighbour that nothing reaches is no witness against the switch', () => {
    const { findings, switches } = verdictOf([
      seen({ node: 'b' }, '+---'),
      seen({ node: 'cc' }, '+++'),
      seen(bySwitch('b'), '+---'),
      seen(bySwitch('cc'), '+++'),
    ])
    expect(switches).toMatchObject([{ status: 'True', missing: [] }])
    expect(findings).toMatchObject([{ place: 'neighbour', podCIDRs: ['10.0.1.0/25'] }])
  })

  test('no neighbour answers: it is this node; a neighbour that never did is said nothing of', () => {
    expect(placesOf([seen({ node: 'b' }, '+---'), seen({ node: 'cc' }, '+---')])).toEqual(['this node'])
    expect(placesOf([seen({ node: 'b' }, '---'), seen({ node: 'cc' }, '+++')])).toEqual([])
  })

  test('one far LAN, all far LANs, one far node', () => {
    const near = seen({ node: 'b' }, '+++')
    expect(placesOf([near, seen(far('xx', 'lan-b'), '+---'), seen(far('yyy', 'lan-c'), '+++')])).toEqual(['far LAN'])
    expect(placesOf([near, seen(far('xx', 'lan-b'), '+---'), seen(far('yyy', 'lan-c'), '+---')])).toEqual(['line'])
    expect(placesOf([near, seen(far('xx', 'lan-b'), '+---'), seen(far('yyy', 'lan-b'), '+++')])).toEqual(['far node'])
  })

  test('the VPC, once it answered; not while another controller takes over, nor where the line is down', () => {
    /** It answered, or never did, and has been silent for so many seconds. */
    const vpc = (answered: boolean, silentSeconds: number) => {
      const [one] = seen({ node: 'controller', kind: 'vpc', lan: 'VPC', address: '192.168.0.10' }, '+').values()
      if (one === undefined) throw new Error('no history')
      const outcome = (secondsAgo: number, roundTrip?: number) => ({ at: NOW - secondsAgo * 1000, ports: 0, roundTrip })
      const losses = [silentSeconds, silentSeconds / 2, 1].map(ago => outcome(ago))
      const before = answered ? [outcome(silentSeconds + 10, 1)] : []
      const outcomes = silentSeconds === 0 ? [outcome(1, 1)] : [...before, ...losses]
      return new Map([['vpc', { ...one, outcomes, answeredAt: answered ? 0 : undefined }]])
    }
    const near = [seen({ node: 'b' }, '+++'), seen(far('xx', 'lan-b'), '+++')]
    const gone = vpc(true, 61)
    expect(placesOf([...near, gone])).toEqual(['VPC'])
    expect(placesOf([...near, vpc(true, 40)])).toEqual([])
    expect(placesOf([...near, vpc(false, 61)])).toEqual([])
    const dead = ['lan-b', 'lan-c'].map(lan => seen(far(lan, lan), '+---'))
    expect(placesOf([...dead, gone])).toEqual(['line'])
    expect(verdictOf([...dead, vpc(true, 0)]).findings[0]?.message).toContain('while the VPC does')
  })

  test('the controller speaks of LANs and of its own routes', () => {
    const ofVpc = (parts: readonly Evidence[]) => {
      const evidence = new Map(parts.flatMap(part => [...part]))
      return pathVerdict({ evidence, self: 'good', inVpc: true, now: NOW, staleMilliseconds: STALE }).findings
    }
    const [one] = ofVpc([seen(far('xx', 'lan-b'), '+---'), seen(far('yyy', 'lan-c'), '+++')])
    expect(one?.message).toContain("the VPC's routes to its pod CIDRs")
    const [all] = ofVpc([seen(far('xx', 'lan-b'), '+---'), seen(far('yyy', 'lan-c'), '+---')])
    expect(all?.message).toStartWith('no LAN answers any more (lan-b, lan-c)')
  })

  test('in a LAN of one node who is far away proves the switch, in the families that come back', () => {
    const { peers, entries } = cluster(2, 1)
    const [own] = entries
    if (own === undefined) throw new Error('no entry')
    const both = [{ ...own, podCIDRs: [...own.podCIDRs, 'fd10:1::/64'] }, ...entries.slice(1)]
    const { alone } = pathChoice({ self: own.node, entries: both, peers, onLink: new Set(), controllers: [] })
    expect(alone).toEqual([{ bgpPeer: 'lan-0000', via: '172.16.0.1', podCIDRs: ['10.0.0.0/25', 'fd10:1::/64'] }])
    expect(choiceOf('node-00000', 1, 2).alone).toEqual([])
    const of = (outcomes: string) =>
      pathVerdict({
        evidence: seen(far('xx', 'lan-b'), outcomes),
        self: 'good',
        alone,
        now: NOW,
        staleMilliseconds: STALE,
      })
    expect(of('+++').switches).toMatchObject([{ status: 'True', verified: ['10.0.0.0/25'] }])
    expect(of('+---').switches).toMatchObject([{ status: 'Unknown' }])
  })

  test('many losses among answers are a bad line; a few, one outage, or a node that was restarted are none', () => {
    const lossy = '++-+-++-+-+-++-+-+'
    expect(placesOf([seen(far('xx', 'lan-b'), lossy)])).toEqual(['loss'])
    expect(placesOf([seen(far('xx', 'lan-b'), '+-++-+++-+'), seen(far('yyy', 'lan-b'), '++-+-+-+++')])).toEqual([
      'loss',
    ])
    // and not one pair of ports, where chance took all of its packets
    expect(placesOf([seen(far('xx', 'lan-b'), '+-+-++--++--+-+-+')])).toEqual(['loss'])
    // over again: ten answers in a row
    expect(placesOf([seen(far('xx', 'lan-b'), `-+-+-+-+-+-+${'+'.repeat(10)}`)])).toEqual([])
    expect(placesOf([seen(far('xx', 'lan-b'), '+++-++++++-++++++-+++++')])).toEqual([])
    expect(placesOf([seen(far('xx', 'lan-b'), '+++----------------+++')])).toEqual([])
    expect(placesOf([seen(far('xx', 'lan-b'), '++kk+kk+k+k+k+k+k+')])).toEqual([])
    // what it is on one way says nothing of the next
    const { findings } = verdictOf([seen(far('xx', 'lan-b'), lossy), seen(far('yyy', 'lan-c'), '++++++')])
    expect(findings).toMatchObject([{ place: 'loss', lan: 'lan-b', podCIDRs: ['10.0.2.0/25'] }])
  })

  test('an answer that is late is no loss', () => {
    const [lost] = seen({ node: 'b' }, '+---').values()
    const [first, last] = [lost?.outcomes.at(1), lost?.outcomes.at(-1)]
    if (lost === undefined || first === undefined || last === undefined) throw new Error('no history')
    const of = (evidence: Evidence) => stateOf([...evidence.values()][0], { now: NOW, staleMilliseconds: STALE })
    const evidence = new Map([[targetKey(lost.target), lost]])
    expect(of(evidence)).toBe('failing')
    expect(of(withLateAnswer(evidence, lost.target, { ...last, roundTrip: 1500 }))).toBe('good')
    expect(of(withLateAnswer(evidence, lost.target, { ...first, roundTrip: 9000 }))).not.toBe('failing')
    expect(withLateAnswer(evidence, lost.target, { ...last, at: last.at - 1, roundTrip: 1 })).toBe(evidence)
  })

  test('full size lost where small arrives is a matter of size; where small is lost too it is not', () => {
    const full = { node: 'b', size: 'full' as const }
    expect(placesOf([seen({ node: 'b' }, '+++'), seen(full, '---')])).toEqual(['packet size'])
    expect(placesOf([seen({ node: 'b' }, '+---'), seen(full, '---')])).toEqual(['neighbour'])
  })

  test('where a process is away, a kernel that says so to one path and not to the next blames none', () => {
    const away = seen({ node: 'b' }, '+kkk')
    expect(placesOf([away, seen({ node: 'b', size: 'full' }, '+---')])).toEqual([])
    const { findings, switches } = verdictOf([away, seen(bySwitch('b'), '+---')])
    expect(findings).toEqual([])
    expect(switches).toMatchObject([{ missing: [] }])
  })

  test('a prober that does not hear itself accuses nobody', () => {
    const parts = [seen({ node: 'b' }, '+---'), seen(bySwitch('b'), '+---')]
    const verdict = verdictOf(parts, 'unanswered')
    expect(verdict.findings.map(({ place }) => place)).toEqual(['prober'])
    expect(verdict.switches).toMatchObject([{ status: 'Unknown' }])
  })

  test('one key for one path', () => {
    const { direct, bySwitch: switched } = choiceOf('node-00000', 1, 3)
    expect(new Set([...direct, ...switched].map(targetKey)).size).toBe(direct.length + switched.length)
  })
})
