/** The addresses of this machine's interfaces, asked of the kernel: what a BGP session may be bound to. */
import { Rtnetlink } from '../netlink/rtnetlink.ts'

/** Addresses of interfaces that are up, in the kernel's order (the primary one of an interface first). */
export function localAddresses(): { interface: string; address: string }[] {
  const netlink = Rtnetlink.open()
  try {
    const names = new Map(
      netlink
        .dumpLinks()
        .filter(({ up }) => up)
        .map(({ index, name }) => [index, name]),
    )
    return netlink.dumpAddresses().flatMap(({ address, interface: index }) => {
      const name = names.get(index)
      return name === undefined ? [] : [{ interface: name, address }]
    })
  } finally {
    netlink.close()
  }
}
