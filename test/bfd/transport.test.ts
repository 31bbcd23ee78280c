/** The sockets of BFD, in a network namespace of their own: where packets come from. */
import { expect } from 'bun:test'
import { createUdpTransport } from '../../src/bfd/transport.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

testNeeding('root')(
  'the source port is of the range, one of its own for each session, and stays for its life',
  async () => {
    const network = new TestNetwork()
    try {
      const [node, peer] = [network.namespace('node'), network.namespace('peer')]
      network.connect(
        { namespace: node, interface: 'eth0', addresses: ['10.9.0.1/24'] },
        { namespace: peer, interface: 'eth0', addresses: ['10.9.0.254/24', '10.9.0.253/24'] },
      )
      const from: string[] = []
      const opening = inNetworkNamespace(network.path(peer), () =>
        Bun.udpSocket({
          hostname: '0.0.0.0',
          port: 3784,
          socket: { data: (_, bytes, port) => void from.push(`${bytes[0]} ${port}`) },
        }),
      )
      const socket = await opening
      const transport = createUdpTransport({
        // both would choose the last of the range
        clock: { ...systemClock, random: () => 0.999999 },
        networkNamespace: network.path(node),
        received: () => {},
        problem: () => {},
      })
      const to = (peerAddress: string) => transport.sender({ peerAddress, interface: 'eth0' })
      const [first, second] = [to('10.9.0.254'), to('10.9.0.253')]
      expect(first.send(Uint8Array.of(1))).toBeUndefined()
      expect(second.send(Uint8Array.of(2))).toBeUndefined()
      first.move(undefined)
      expect(first.send(Uint8Array.of(3))).toContain('on no link')
      first.move('eth0')
      expect(first.send(Uint8Array.of(4))).toBeUndefined()
      first.move('eth7')
      expect(first.send(Uint8Array.of(5))).toContain('ENODEV')
      await eventually('all arrive', () => from.length === 3)
      const port = (of: number) => Number(from.find(text => text.startsWith(`${of} `))?.split(' ')[1])
      expect([port(1), port(2), port(4)]).toEqual([65535, 49152, 65535])
      first.close()
      second.close()
      transport.close()
      socket.close()
    } finally {
      await network.close()
    }
  },
)
