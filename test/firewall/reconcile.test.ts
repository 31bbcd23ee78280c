/**
 * A node whose FORWARD drops, by nft, iptables-nft and legacy iptables, and masquerade: real
 * packets of a pod in network namespaces, which pass, pass not, or bear another address. Whole
 * firewalls of others: ufw.test.ts, test/e2e/firewalld.test.ts.
 */
import { expect } from 'bun:test'
import { legacyCommands, readLegacyForward } from '../../src/firewall/legacy.ts'
import { acceptedTraffic, removeFirewall } from '../../src/firewall/reconcile.ts'
import { FAR, KNOWN, NODE_ADDRESS, OneNode, POD_ADDRESS, POD_ADDRESS_V6, POD_CIDRS } from '../agent/one-node.ts'
import { BY_EVENT_SECONDS, eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const TIMEOUT = 300_000

async function withNode(body: (lan: OneNode) => Promise<void>): Promise<void> {
  const lan = new OneNode()
  try {
    await body(lan)
  } finally {
    await lan.close()
  }
}

testNeeding(
  'root',
  'ip',
  'ping',
  'nft',
  'iptables-nft',
  'ip6tables-nft',
)(
  'iptables-nft with policy DROP: pods are cut off, then let through, then as before',
  () =>
    withNode(async lan => {
      for (const program of ['iptables-nft', 'ip6tables-nft']) {
        lan.run(program, '-P', 'FORWARD', 'DROP')
        lan.run(program, '-N', 'DOCKER-USER')
        lan.run(program, '-A', 'FORWARD', '-j', 'DOCKER-USER')
        lan.run(program, '-A', 'DOCKER-USER', '-m', 'conntrack', '--ctstate', 'INVALID', '-j', 'DROP')
      }
      const before = lan.run('iptables-nft-save')
      expect(lan.pings(lan.pod, FAR)).toBe(false)
      expect(lan.pings(lan.outside, POD_ADDRESS)).toBe(false)
      const firewall = lan.firewall()
      firewall.want(KNOWN)
      await eventually('pods reach the world', () => lan.pings(lan.pod, FAR))
      expect(lan.pings(lan.outside, POD_ADDRESS)).toBe(true)
      await eventually('pods reach the world by IPv6', () => lan.pings(lan.pod, '2001:db8::1'))
      expect(lan.pings(lan.outside, POD_ADDRESS_V6)).toBe(true)
      expect(firewall.problems).toEqual([])
      // iptables can still read and change its table
      expect(lan.run('iptables-nft', '-S', 'FORWARD')).toBe(
        '-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -j TERWAY-EDGE\n',
      )
      expect(lan.run('iptables-nft', '-S', 'TERWAY-EDGE')).toContain(
        '-A TERWAY-EDGE -d 10.0.1.0/24 -i eth0 -o te+ -j ACCEPT\n',
      )
      lan.run('iptables-nft', '-A', 'DOCKER-USER', '-j', 'RETURN')
      lan.run('iptables-nft', '-D', 'DOCKER-USER', '-j', 'RETURN')
      const { removed } = await removeFirewall(lan.netns)
      expect(removed.filter(what => what.startsWith('the rules for pods'))).toHaveLength(2)
      expect(withoutComments(lan.run('iptables-nft-save'))).toBe(withoutComments(before))
      await firewall.close()
      expect(lan.pings(lan.pod, FAR)).toBe(false)
    }),
  TIMEOUT,
)

function withoutComments(saved: string): string {
  return saved.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '')
}

testNeeding(
  'root',
  'ip',
  'ping',
  'nft',
  'iptables-nft',
)(
  'a policy that comes later, rules that somebody flushes, and another program that only drops what is particular',
  () =>
    withNode(async lan => {
      const firewall = lan.firewall()
      firewall.want(KNOWN)
      lan.run('iptables-nft', '-P', 'FORWARD', 'ACCEPT')
      expect(lan.pings(lan.pod, FAR)).toBe(true)
      lan.run('iptables-nft', '-P', 'FORWARD', 'DROP') // as Docker does when it starts
      await eventually('pods reach the world', () => lan.pings(lan.pod, FAR), BY_EVENT_SECONDS)
      lan.run('iptables-nft', '-F')
      await eventually('rules are back', () => lan.pings(lan.pod, FAR), BY_EVENT_SECONDS)
      lan.run('iptables-nft', '-I', 'FORWARD', '-d', FAR, '-j', 'DROP')
      expect(lan.pings(lan.pod, FAR)).toBe(false)
      expect(lan.pings(lan.pod, '172.16.0.254')).toBe(true)
      lan.run('iptables-nft', '-D', 'FORWARD', '-d', FAR, '-j', 'DROP')
      lan.run('iptables-nft', '-P', 'FORWARD', 'ACCEPT')
      await eventually(
        'our rules go where nothing drops',
        () => !lan.run('nft', 'list', 'ruleset').includes('TERWAY'),
        BY_EVENT_SECONDS,
      )
      lan.run('iptables-nft', '-A', 'FORWARD', '-j', 'REJECT')
      await eventually('our jump stands before the rule that rejects', () => lan.pings(lan.pod, FAR), BY_EVENT_SECONDS)
    }),
  TIMEOUT,
)

/**
 * As firewalld lays out its table (zones by interface, a default zone that rejects), and an
 * nftables.conf with policy drop.
 */
const OTHERS = `
table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state established,related accept
    ct state invalid drop
    jump filter_FORWARD_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_ZONES { iifname "eth9" goto filter_FWD_public; goto filter_FWD_public; }
  chain filter_FWD_public { jump filter_FWD_public_allow; reject with icmpx admin-prohibited; }
  chain filter_FWD_public_allow { }
}
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; ct state established accept; }
}`

testNeeding(
  'root',
  'ip',
  'ping',
  'nft',
)(
  'tables of nft itself, as firewalld and nftables.conf make them',
  () =>
    withNode(async lan => {
      const load = () => lan.network.exec(lan.node, ['nft', OTHERS])
      load()
      expect(lan.pings(lan.pod, FAR)).toBe(false)
      expect(lan.pings(lan.pod, '2001:db8::1')).toBe(false)
      const firewall = lan.firewall()
      firewall.want(KNOWN)
      await eventually('IPv4', () => lan.pings(lan.pod, FAR))
      await eventually('IPv6', () => lan.pings(lan.pod, '2001:db8::1'))
      lan.run('nft', 'delete', 'table', 'inet', 'firewalld')
      load() // a reload by its owner
      await eventually('after a reload', () => lan.pings(lan.pod, FAR), BY_EVENT_SECONDS)
      expect(firewall.problems).toEqual([])
      const handles = () => lan.run('nft', '-sa', 'list', 'ruleset').replace(/table ip somebody-else[^}]*}\n/, '')
      const made = handles()
      lan.run('nft', 'add', 'table', 'ip', 'somebody-else') // wakes it
      await Bun.sleep(1500)
      expect(handles()).toBe(made)
      await firewall.close()
      await removeFirewall(lan.netns)
      expect(lan.run('nft', 'list', 'ruleset')).not.toContain('TERWAY')
      expect(lan.pings(lan.pod, FAR)).toBe(false)
    }),
  TIMEOUT,
)

/** As firewalld does from 2.0 on: nobody else may change its table while it runs. */
const OWNED = `add table inet firewalld { flags owner; }
add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy accept; }
add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited
`

testNeeding(
  'root',
  'ip',
  'nft',
  'iptables-nft',
)(
  'a table that its owner guards is a problem that names the remedy, and stops nothing else',
  () =>
    withNode(async lan => {
      lan.network.spawn(lan.node, ['sh', '-c', `(printf '${OWNED}'; sleep 60) | nft -i`])
      await eventually('the table of another', () => lan.run('nft', 'list', 'ruleset').includes('admin-prohibited'))
      lan.run('iptables-nft', '-P', 'FORWARD', 'DROP')
      const firewall = lan.firewall()
      firewall.want(KNOWN)
      await eventually('the problem', () => firewall.problems.length > 0)
      expect(firewall.problems[0]).toContain('the firewall table inet firewalld cannot be changed')
      expect(firewall.problems[0]).toContain('firewall-cmd --permanent --new-policy=terway-edge; ')
      expect(lan.run('iptables-nft', '-S', 'FORWARD')).toContain('-j TERWAY-EDGE')
    }),
  TIMEOUT,
)

testNeeding(
  'root',
  'ip',
  'ping',
  'nft',
  'iptables-legacy',
  'ip6tables-legacy',
)(
  'legacy iptables: the problem names the commands, and they help',
  () =>
    withNode(async lan => {
      expect(readLegacyForward(lan.netns)).toEqual([])
      lan.run('iptables-legacy', '-P', 'FORWARD', 'DROP')
      lan.run('iptables-legacy', '-A', 'FORWARD', '-p', 'tcp', '-s', '10.0.0.0/8', '-j', 'ACCEPT')
      lan.run('iptables-legacy', '-A', 'FORWARD', '-i', 'te5', '-s', '10.0.0.0/8', '-j', 'ACCEPT')
      lan.run('ip6tables-legacy', '-A', 'FORWARD', '-j', 'REJECT')
      expect(lan.pings(lan.outside, POD_ADDRESS)).toBe(false)
      const firewall = lan.firewall()
      firewall.want(KNOWN)
      const [problem] = await eventually('the problem', () =>
        firewall.problems.length > 0 ? firewall.problems : undefined,
      )
      const forward = readLegacyForward(lan.netns)
      const commands = forward.flatMap(table => legacyCommands(table, POD_CIDRS))
      expect(commands).toHaveLength(4)
      for (const command of commands) {
        expect(problem).toContain(command)
        lan.run(...command.split(' '))
      }
      expect(lan.pings(lan.outside, POD_ADDRESS)).toBe(true)
      expect(lan.pings(lan.outside, POD_ADDRESS_V6)).toBe(true)
      expect(readLegacyForward(lan.netns).flatMap(table => legacyCommands(table, POD_CIDRS))).toEqual([])
    }),
  TIMEOUT,
)

testNeeding(
  'root',
  'ip',
  'nft',
  'curl',
)(
  'masquerade: outside sees the node, whoever knows pods sees the pod; nothing is written twice; all of it goes',
  () =>
    withNode(async lan => {
      const server = `Bun.serve({port: 8080, hostname: '::', fetch: (request, server) => new Response(server.requestIP(request)?.address.replace('::ffff:', ''))})`
      lan.network.spawn(lan.outside, [process.execPath, '-e', server])
      const seenAt = (address: string) => {
        const url = `http://${address.includes(':') ? `[${address}]` : address}:8080/`
        const curl = ['curl', '-sS', '--noproxy', '*', '--max-time', '3', url]
        return lan.network.exec(lan.pod, curl, { mayFail: true }).stdout
      }
      await eventually('the server answers', () => seenAt(FAR) === POD_ADDRESS)
      const firewall = lan.firewall({ masquerade: true, nonMasqueradeCIDRs: ['172.16.0.0/24', '2001:db8::/64'] })
      firewall.want(KNOWN)
      await eventually('outside sees the node', () => seenAt(FAR) === NODE_ADDRESS)
      expect(seenAt('172.16.0.254')).toBe(POD_ADDRESS)
      await eventually('IPv6 with the address of the pod', () => seenAt('2001:db8::1') === POD_ADDRESS_V6)
      await eventually('IPv6 outside sees the node', () => seenAt('fd16::254') === 'fd16::11')

      const handles = () =>
        lan.run('nft', '-a', 'list', 'table', 'ip', 'terway-edge').replace(/packets \d+ bytes \d+/g, '')
      const first = handles()
      firewall.want({ ...KNOWN, nodeAddresses: [...KNOWN.nodeAddresses, '192.0.2.13'] })
      await eventually('the new node keeps addresses', () => handles() !== first)
      const second = handles()
      lan.run('nft', 'add', 'table', 'ip', 'somebody-else') // wakes it
      await Bun.sleep(1500)
      expect(handles()).toBe(second)
      lan.run('nft', 'flush', 'table', 'ip', 'terway-edge')
      await eventually('it is mended', () => seenAt(FAR) === NODE_ADDRESS)

      await firewall.close()
      const left = await removeFirewall(lan.netns)
      expect(left.problems).toEqual([])
      expect(left.removed).toContain('the firewall table ip terway-edge')
      expect(lan.run('nft', 'list', 'tables')).toBe('table ip somebody-else\n')
      expect(seenAt(FAR)).toBe(POD_ADDRESS)
    }),
  TIMEOUT,
)

testNeeding(
  'root',
  'ip',
  'nft',
  'iptables-nft',
)(
  'turned off: what was made before goes, and others keep theirs',
  () =>
    withNode(async lan => {
      lan.run('iptables-nft', '-P', 'FORWARD', 'DROP')
      const on = lan.firewall({ masquerade: true })
      on.want(KNOWN)
      const ruleset = () => lan.run('nft', 'list', 'ruleset')
      await eventually('rules', () => ruleset().includes('TERWAY-EDGE') && ruleset().includes('ip6 terway-edge'))
      await on.close()
      expect(ruleset()).toContain('TERWAY-EDGE') // an upgrade cuts nobody off
      const config = { acceptPodTraffic: false, masquerade: false, podPools: [] }
      expect(acceptedTraffic(KNOWN, config).prefixes).toEqual([])
      lan.firewall(config).want(KNOWN)
      await eventually('they are gone', () => !/TERWAY|table ip6? terway/.test(ruleset()))
      expect(ruleset()).toContain('policy drop')
    }),
  TIMEOUT,
)
