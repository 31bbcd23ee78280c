/**
 * Which links are of pods: what happens to those alone changes no route between nodes, and starts
 * and ends with every pod. Who watches the kernel for such routes need not look at all of them for
 * it (the wiring of pods is kept by cni/keep-wiring.ts). Pure but for what it remembers.
 */
import { POD_INTERFACE_PATTERN } from '../model/pod-interfaces.ts'
import { RT_TABLE } from '../netlink/constants.ts'
import type { Link, Route } from '../netlink/types.ts'
import type { NamedChange } from '../netlink/watch.ts'

export class PodLinks {
  /** Whether a link is of a pod, by its index. */
  #links = new Map<number, boolean>()

  /** Takes in all the links that there are. */
  see(links: readonly Link[]): void {
    this.#links = new Map(links.map(link => [link.index, isPodLink(link)]))
  }

  /** Whether a change is of pods' links and of nothing else. Takes in links that come and go. */
  isOfPod(change: NamedChange): boolean {
    switch (change.kind) {
      case 'link': {
        const { link, isGone } = change
        if (isGone) this.#links.delete(link.index)
        else this.#links.set(link.index, isPodLink(link))
        return isPodLink(link)
      }
      case 'route':
        return this.#isRouteOfPod(change.route)
      case 'address':
        return this.#links.get(change.interface) === true
      case 'netconf':
        // settings of a link are told before the link itself, which is told then; all links have
        // an index below 0
        return change.interface > 0 && this.#links.get(change.interface) !== false
    }
  }

  /** In the table `local` each link has entries for its own addresses. */
  #isRouteOfPod({ nextHops, table, destination }: Route): boolean {
    if (table === RT_TABLE.LOCAL && destination.startsWith('fe80:')) return true
    return nextHops.length > 0 && nextHops.every(hop => this.#links.get(hop.interface ?? 0) === true)
  }
}

function isPodLink({ name, kind }: Link): boolean {
  return kind === 'veth' && POD_INTERFACE_PATTERN.test(name)
}
