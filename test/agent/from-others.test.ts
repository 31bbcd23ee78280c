/**
 * What flannel host-gw and kube-router leave on a node (a bridge with the node's block, routes to
 * other nodes): all of it is named and none of it touched, and the commands of docs/migration.md
 * take away that and nothing else, upon which the node has all its routes.
 */
import { expect } from 'bun:test'
import { readFileSync } from 'node:fs'
import { commands } from '../docs/markdown.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { TwoLans } from './two-lans.ts'

/** As they stand in the guide, but for the block of the cluster. */
const GUIDE = commands(readFileSync('docs/migration.md', 'utf8'))
  .filter(line => /^sudo ip (link delete|route flush)/.test(line))
  .map(line => line.replace(/^sudo /, '').replace('10.244.0.0/16', '10.0.0.0/16'))

/** Names no protocol, which makes it boot (3), as with routes that are added by hand. */
const FLANNEL = { bridge: 'cni0', protocol: 'boot', number: 3 }
/** 0x11 of its sources. */
const KUBE_ROUTER = { bridge: 'kube-bridge', protocol: '17', number: 17 }

const A1_ROUTES = [
  'unreachable 10.0.1.0/24',
  '10.0.2.0/24 via 172.16.0.12',
  '10.0.3.0/24 via 172.16.0.254',
  '10.0.4.0/24 via 172.16.0.254',
  'unreachable fd10:1::/64',
  'fd10:2::/64 via fd16::12',
  'fd10:3::/64 via fd16::fe',
  'fd10:4::/64 via fd16::fe',
]

/** Namespaces take their time on a busy machine. */
const TIMEOUT_MILLISECONDS = 300_000
const needing = testNeeding('root', 'ip')

for (const { bridge, protocol, number } of [FLANNEL, KUBE_ROUTER]) {
  needing(
    `${bridge} and routes of protocol ${protocol} are named, and gone after the steps of the guide`,
    async () => {
      const cleaning = [`ip link delete ${bridge}`, `ip route flush root 10.0.0.0/16 proto ${protocol}`]
      for (const line of cleaning) expect(GUIDE).toContain(line)
      const lans = new TwoLans()
      try {
        const node = lans.node('a1')
        const ip = (words: string) => lans.network.ip(node, words)
        ip(`link add ${bridge} type bridge`)
        ip(`addr add 10.0.1.1/24 dev ${bridge}`)
        ip(`link set ${bridge} up`)
        ip(`route add 10.0.2.0/24 via 172.16.0.12 dev eth0 proto ${protocol}`)
        ip(`route add 10.0.3.0/24 via 172.16.0.254 dev eth0 proto ${protocol}`)
        const others = ['10.99.0.0/24 via 172.16.0.12', '203.0.113.0/24 via 172.16.0.254']
        for (const route of others) ip(`route add ${route} proto ${protocol}`)
        const { agent } = lans.start('a1')
        const expected = ['10.0.1.0/24 (2)', `10.0.2.0/24 (${number})`, `10.0.3.0/24 (${number})`]
        await eventually('all of it to be named', () => {
          const named = agent.problems.flatMap(text => {
            const match = /^(\S+): another program \(rtnetlink protocol (\d+)\)/.exec(text)
            return match === null ? [] : [`${match[1]} (${match[2]})`]
          })
          if (named.sort().join() === expected.join()) return true
          throw new Error(agent.problems.join('; '))
        })
        const foreign = () => ip(`route show proto ${protocol}`)
        expect(foreign()).toContain('10.0.2.0/24 via 172.16.0.12')

        for (const line of cleaning) lans.network.exec(node, line.split(' '))
        await lans.routesBecome('a1', A1_ROUTES)
        await eventually('nothing to be named any more', () => agent.ready && agent.problems.length === 0)
        expect(foreign()).not.toContain('10.0.')
        for (const route of others) expect(foreign()).toContain(route)
        expect(ip('-br link show type bridge')).toBe('')
      } finally {
        await lans.close()
      }
    },
    TIMEOUT_MILLISECONDS,
  )
}
