/**
 * Packets that go astray although every route of ours is there: by rules, other tables, more
 * specific routes and addresses on bridges. Against the real kernel: each fault is named, and not
 * named any more when it is gone.
 */
import { describe, expect, test } from 'bun:test'
import type { DesiredRoute } from '../../src/agent/desired-routes.ts'
import type { Agent } from '../../src/agent/reconcile.ts'
import { astrayProblems, wayQuestions } from '../../src/agent/ways.ts'
import { bgpPeer, PlainView } from '../support/cluster.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { ENTRIES, PEERS, TwoLans } from './two-lans.ts'

function via(destination: string, gateway: string): DesiredRoute {
  return { destination, type: 'unicast', nextHops: [{ gateway, interface: 2 }], to: { node: 'n' } }
}

const NOBODY = { routes: [], rules: [] }

describe('what is asked', () => {
  test('each route in its turn, whatever their number', () => {
    const routes = Array.from({ length: 1000 }, (_, index) => via(`10.${index >> 8}.${index & 255}.0/24`, '172.16.0.1'))
    const asked = new Set<string>()
    for (let turn = 0; turn < 8; turn++) {
      const questions = wayQuestions({ routes, others: NOBODY, turn, suspects: [] })
      expect(questions).toHaveLength(128)
      for (const { address } of questions) asked.add(address)
    }
    expect(asked.size).toBe(1000)
  })

  test('a suspect at every turn, against the most specific route wanted', () => {
    const routes = [via('10.0.0.0/8', '172.16.0.254'), via('10.0.1.0/24', '172.16.0.11')]
    const [first, ...others] = wayQuestions({ routes, others: NOBODY, turn: 1, suspects: ['10.0.1.7'] })
    expect(first?.address).toBe('10.0.1.7')
    expect(first?.wanted.destination).toBe('10.0.1.0/24')
    expect(others).toHaveLength(2)
  })

  test('one line for one culprit', () => {
    const found = ['10.0.1.0', '10.0.2.0', '10.0.3.0'].map(address => {
      return { address, destination: `${address}/24`, text: 'are dropped by X', remedy: 'remove X' }
    })
    expect(astrayProblems(found)).toEqual(['packets to 10.0.1.0/24 and 2 more destinations are dropped by X: remove X'])
  })
})

/** How each is made and taken away in node a1, and how it is named. */
const FAULTS: readonly { make: string[]; unmake: string[]; named: RegExp }[] = [
  {
    make: ['route add 10.0.2.128/25 via 172.16.0.254'],
    unmake: ['route del 10.0.2.128/25'],
    named:
      /^packets to 10\.0\.2\.0\/24 go another way by the route 10\.0\.2\.128\/25 via 172\.16\.0\.254, made by hand/,
  },
  {
    make: ['route add blackhole 10.0.3.0/26 proto static'],
    unmake: ['route del blackhole 10.0.3.0/26'],
    named:
      /^packets to 10\.0\.3\.0\/24 are dropped by blackhole 10\.0\.3\.0\/26, a static one: remove it \(ip route del/,
  },
  {
    make: ['route add blackhole 10.0.0.0/8 table 77', 'rule add to 10.0.0.0/8 table 77 priority 100'],
    unmake: ['rule del priority 100', 'route del blackhole 10.0.0.0/8 table 77'],
    named:
      /and \d more destinations? are dropped by blackhole 10\.0\.0\.0\/8 of table 77, .*ip rule 100: from all to 10\.0\.0\.0\/8 lookup 77/,
  },
  {
    make: ['route add default via 172.16.0.12 table 78', 'rule add from 10.0.1.0/24 table 78 priority 101'],
    unmake: ['rule del priority 101', 'route del default table 78'],
    named:
      /go another way by the route 0\.0\.0\.0\/0 via 172\.16\.0\.12 of table 78, .*ip rule 101: from 10\.0\.1\.0\/24 lookup 78/,
  },
  {
    make: ['rule add blackhole to 10.0.4.0/24 priority 102'],
    unmake: ['rule del priority 102'],
    named:
      /^packets to 10\.0\.4\.0\/24 are dropped by \(ip rule 102: from all to 10\.0\.4\.0\/24\): remove the rule \(ip rule del priority 102\)$/,
  },
  {
    make: ['link add docker0 type bridge', 'addr add 10.0.2.1/25 dev docker0', 'link set docker0 up'],
    unmake: ['link del docker0'],
    named:
      /^packets to 10\.0\.2\.0\/24 go another way by .*10\.0\.2\.\S+ on docker0, made by the kernel for an address of docker0: give docker0/,
  },
  {
    make: ['-6 route add fd10:2::/80 via fd16::fe'],
    unmake: ['-6 route del fd10:2::/80'],
    named: /^packets to fd10:2::\/64 go another way by the route fd10:2::\/80 via fd16::fe/,
  },
  {
    make: ['rule add iif te00000000005 table 79 priority 103', 'route add prohibit default table 79'],
    unmake: ['rule del priority 103', 'route del prohibit default table 79'],
    named: /are refused as prohibited by prohibit 0\.0\.0\.0\/0 of table 79, .*iif te00000000005 lookup 79/,
  },
  {
    make: ['addr add 10.0.3.77/32 dev lo'],
    unmake: ['addr del 10.0.3.77/32 dev lo'],
    named: /^packets to 10\.0\.3\.0\/24 go another way by local 10\.0\.3\.77\/32 on lo, made by the kernel/,
  },
  {
    make: ['route add local 10.0.3.0/25 dev lo table local'],
    // as the remedy says
    unmake: ['route del 10.0.3.0/25 table local'],
    named: /go another way by local 10\.0\.3\.0\/25 on lo, .*: remove it \(ip route del 10\.0\.3\.0\/25 table local\)$/,
  },
]

async function withoutProblems(agent: Agent): Promise<void> {
  await eventually('no problems', () => {
    if (agent.ready && agent.problems.length === 0) return true
    throw new Error(agent.problems.join('; '))
  })
}

testNeeding('root', 'ip')(
  'each fault is named, and gone afterwards',
  async () => {
    const lans = new TwoLans()
    try {
      const { agent } = lans.start('a1')
      await withoutProblems(agent)
      lans.addPod('a1')
      await withoutProblems(agent)
      for (const { make, unmake, named } of FAULTS) {
        for (const words of make) lans.network.ip(lans.node('a1'), words)
        await eventually(`${make.join(', ')} is named`, () => {
          if (agent.problems.some(problem => named.test(problem))) return true
          throw new Error(agent.problems.join('; '))
        })
        expect(agent.view().some(({ problem }) => problem !== undefined)).toBe(true)
        for (const words of unmake) lans.network.ip(lans.node('a1'), words)
        await withoutProblems(agent)
      }
    } finally {
      await lans.close()
    }
  },
  300_000,
)

testNeeding('root', 'ip')(
  'a gateway that is on-link and belongs to nobody is named, and gone when somebody has it',
  async () => {
    const lans = new TwoLans()
    try {
      const peers = [bgpPeer('lan-0', { peerIP: '172.16.0.254', gateway: '172.16.0.253' })]
      const { agent } = lans.start('a1', new PlainView(ENTRIES, [...peers, ...PEERS.slice(1)]))
      const named = () =>
        agent.problems.some(text => text.startsWith('nobody answers at the gateway 172.16.0.253 on eth0'))
      await eventually('it is named', named)
      lans.network.ip(lans.node('a2'), 'addr add 172.16.0.253/24 dev eth0')
      await eventually('it is over', () => !named())
    } finally {
      await lans.close()
    }
  },
  300_000,
)
