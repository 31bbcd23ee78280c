/**
 * The real ufw on a node: its rules in the node's network namespace, its files in a copy that only
 * its own mount namespace sees.
 */
import { expect } from 'bun:test'
import { removeFirewall } from '../../src/firewall/reconcile.ts'
import { FAR, KNOWN, OneNode, POD_ADDRESS, POD_ADDRESS_V6 } from '../agent/one-node.ts'
import { eventually, run } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const TIMEOUT = 300_000

/** Runs ufw on copies of its files in `folder`, which last from call to call. */
const PRIVATE_UFW = `
set -e
for file in /etc/ufw /etc/default/ufw; do mount --bind "$0/$(echo $file | tr / _)" $file; done
mount -t tmpfs tmpfs /run
exec ufw "$@"`

class UfwNode extends OneNode {
  constructor() {
    super()
    for (const file of ['/etc/ufw', '/etc/default/ufw']) {
      run(['cp', '-a', file, `${this.folder}/${file.replaceAll('/', '_')}`])
    }
  }

  /** Listens for TCP at both ends: ufw lets pings through whatever it denies. */
  async listen(): Promise<void> {
    const server = "Bun.listen({ hostname: '::', port: 7000, socket: { data() {} } }); console.log('up')"
    for (const namespace of [this.pod, this.outside]) {
      await this.network.spawn(namespace, [process.execPath, '-e', server]).stdout.getReader().read()
    }
  }

  connects(from: string, to: string): boolean {
    const command = ['timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${to}/7000`]
    return this.network.exec(from, command, { mayFail: true }).status === 0
  }

  ufw(...words: string[]): string {
    return this.run('unshare', '-m', 'sh', '-c', PRIVATE_UFW, this.folder, ...words)
  }
}

testNeeding(
  'root',
  'ip',
  'bash',
  'nft',
  'iptables-nft',
  'unshare',
  'ufw',
)(
  'ufw that denies what is forwarded: pods are cut off, then let through, also after a reload, then as before',
  async () => {
    const lan = new UfwNode()
    try {
      await lan.listen()
      expect(lan.connects(lan.pod, FAR)).toBe(true)
      expect(lan.connects(lan.outside, POD_ADDRESS_V6)).toBe(true)
      lan.ufw('default', 'deny', 'routed')
      lan.ufw('default', 'allow', 'incoming')
      expect(lan.ufw('--force', 'enable')).toContain('Firewall is active')
      expect(lan.ufw('status', 'verbose')).toContain('deny (routed)')
      const rules = () => lan.run('iptables-save') + lan.run('ip6tables-save')
      expect(rules()).toContain(':FORWARD DROP')
      expect(lan.connects(lan.pod, FAR)).toBe(false)
      expect(lan.connects(lan.outside, POD_ADDRESS)).toBe(false)
      expect(lan.connects(lan.outside, POD_ADDRESS_V6)).toBe(false)

      const firewall = lan.firewall()
      firewall.want(KNOWN)
      const passes = () =>
        lan.connects(lan.pod, FAR) &&
        lan.connects(lan.outside, POD_ADDRESS) &&
        lan.connects(lan.pod, '2001:db8::1') &&
        lan.connects(lan.outside, POD_ADDRESS_V6)
      await eventually('pods pass', passes)
      expect(firewall.problems).toEqual([])
      lan.ufw('reload')
      await eventually('pods pass after a reload', passes)
      lan.ufw('route', 'deny', 'from', 'any', 'to', FAR)
      lan.ufw('status', 'numbered')
      await eventually('pods pass after a rule of ufw', () => lan.connects(lan.pod, '172.16.0.254'))
      expect(firewall.problems).toEqual([])

      await firewall.close()
      await removeFirewall(lan.netns)
      expect(rules()).not.toContain('TERWAY')
      expect(lan.connects(lan.pod, '172.16.0.254')).toBe(false)
      expect(lan.ufw('status')).toContain('Status: active')
      lan.ufw('disable')
      expect(lan.connects(lan.pod, '172.16.0.254')).toBe(true)
    } finally {
      await lan.close()
    }
  },
  TIMEOUT,
)
