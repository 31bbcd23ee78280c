/**
 * The addresses of this machine's interfaces, asked of the kernel: what a BGP session may be bound
 * to.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { askOnLink } from '../netlink/on-link.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { Watch } from '../netlink/watch.ts'

/**
 * Addresses of interfaces that are up, in the kernel's order (the primary one of an interface
 * first).
 */
export function localAddresses(): {
  interface: string
  address: string
  prefixLength: number
  carrier: boolean
}[] {
  const netlink = Rtnetlink.open()
  try {
    const links = new Map(
      netlink
        .dumpLinks()
        .filter(({ up }) => up)
        .map(link => [link.index, link]),
    )
    return netlink.dumpAddresses().flatMap(({ address, prefixLength, interface: index }) => {
      const link = links.get(index)
      return link === undefined ? [] : [{ interface: link.name, address, prefixLength, carrier: link.carrier }]
    })
  } finally {
    netlink.close()
  }
}

/**
 * The name of the interface on which packets to `address` go to itself, without a gateway between;
 * undefined: on none that is up.
 */
export function linkTo(address: string): string | undefined {
  const netlink = Rtnetlink.open()
  try {
    const links = netlink.dumpLinks().filter(({ up }) => up)
    const index = askOnLink(netlink, [address], links).get(address)
    return links.find(link => link.index === index)?.name
  } finally {
    netlink.close()
  }
}

/** A pod that starts changes links and addresses several times. */
const SETTLE_MILLISECONDS = 500

/** Calls `onChange` when links or addresses have changed. Returns how to stop that. */
export async function watchLocalAddresses(options: {
  readonly clock: Clock
  readonly log: Log
  readonly onChange: () => void
}): Promise<() => Promise<void>> {
  const { clock, log, onChange } = options
  const loop = new Loop({
    clock,
    run: onChange,
    onError: error => log.error({ detail: errorText(error) }, 'changed addresses could not be looked at'),
    settleMilliseconds: SETTLE_MILLISECONDS,
  })
  const wake = () => loop.wake()
  const watch = await Watch.open({ clock, kinds: ['link', 'address'], onChange: wake, onLost: wake })
  return () => {
    watch.close()
    return loop.close()
  }
}
