/** The watch over the real kernel: sees changes of every kind, and says so when it lost some. */
import { systemClock } from '../../src/lib/clock.ts'
import { addAddress } from '../../src/netlink/address.ts'
import { addVeth, setLink } from '../../src/netlink/link.ts'
import { replaceNeighbour } from '../../src/netlink/neighbour.ts'
import { addRoute, deleteRoute } from '../../src/netlink/route.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import { type ChangeKind, Watch } from '../../src/netlink/watch.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const rooted = testNeeding('root', 'ip')

async function withWatch(
  options: { kinds?: ChangeKind[]; receiveBytes?: number },
  body: (kit: { netlink: Rtnetlink; seen: Set<ChangeKind>; losses: () => number }) => Promise<void>,
): Promise<void> {
  const network = new TestNetwork()
  const netns = network.path(network.namespace('w'))
  const netlink = Rtnetlink.open({ netns })
  const seen = new Set<ChangeKind>()
  let losses = 0
  const watch = await Watch.open({
    clock: systemClock,
    netns,
    ...options,
    onChange: kinds => {
      for (const kind of kinds) seen.add(kind)
    },
    onLost: () => losses++,
  })
  try {
    await body({ netlink, seen, losses: () => losses })
  } finally {
    watch.close()
    netlink.close()
    await network.close()
  }
}

rooted('sees links, addresses, routes of both families and neighbours', () =>
  withWatch({ kinds: ['link', 'address', 'route', 'neighbour'] }, async ({ netlink, seen }) => {
    const sees = async (kind: ChangeKind, action: () => void) => {
      await Bun.sleep(20) // what former steps caused has come in
      seen.clear()
      action()
      await eventually(`a change of kind ${kind}`, () => seen.has(kind))
    }
    await sees('link', () => netlink.run(addVeth({ name: 'd0', up: true, peer: { name: 'd1' } })))
    const d0 = netlink.getLink('d0')?.index ?? 0
    await sees('address', () => netlink.run(addAddress({ address: '172.16.0.1', prefixLength: 24, interface: d0 })))
    await sees('address', () =>
      netlink.run(addAddress({ address: 'fd16::1', prefixLength: 64, interface: d0, flags: 2 })),
    )
    for (const destination of ['10.0.1.0/25', 'fd01::/64']) {
      await sees('route', () => netlink.run(addRoute({ destination, protocol: 187, type: 'unreachable' })))
      await sees('route', () => netlink.run(deleteRoute({ destination, protocol: 187 })))
    }
    const entry = { address: '172.16.0.2', interface: d0, hardwareAddress: '02:00:00:00:00:02' }
    await sees('neighbour', () => netlink.run(replaceNeighbour(entry)))
    await sees('link', () => netlink.run(setLink(d0, { up: false })))
  }),
)

rooted('a flood larger than the buffer is reported as a loss, and the watch goes on', () =>
  withWatch({ receiveBytes: 4096 }, async ({ netlink, seen, losses }) => {
    const routes = Array.from({ length: 2000 }, (_, index) => ({
      destination: `10.${index >> 8}.${index & 255}.0/24`,
      protocol: 187,
      type: 'unreachable' as const,
    }))
    netlink.execute(routes.map(addRoute)) // synchronous: nothing is read meanwhile
    await eventually('the loss to be reported', () => losses() > 0)
    await Bun.sleep(50)
    seen.clear()
    netlink.run(addVeth({ name: 'd0', peer: { name: 'd1' } }))
    await eventually('a change after the loss', () => seen.has('link'))
  }),
)
