/**
 * The routes of ours in a node's kernel, seen from outside of the process that keeps them: how many
 * there are, and when each comes.
 */
import { systemClock } from '../../../src/lib/clock.ts'
import { deleteRoute } from '../../../src/netlink/route.ts'
import { Rtnetlink } from '../../../src/netlink/rtnetlink.ts'
import type { Route } from '../../../src/netlink/types.ts'
import { Watch } from '../../../src/netlink/watch.ts'

const PROTOCOL = 187
/** A route that has not come by then is not counted. */
const PATIENCE_MILLISECONDS = 30_000

export class KernelRoutes {
  readonly #netlink: Rtnetlink
  readonly #watch: Watch
  #onChange: () => void = () => {}

  static async open(namespace: string): Promise<KernelRoutes> {
    const netns = `/run/netns/${namespace}`
    let told: KernelRoutes | undefined
    const watch = await Watch.open({
      clock: systemClock,
      netns,
      kinds: ['route'],
      onChange: () => told?.changed(),
      onLost: () => told?.changed(),
    })
    told = new KernelRoutes(Rtnetlink.open({ netns }), watch)
    return told
  }

  private constructor(netlink: Rtnetlink, watch: Watch) {
    this.#netlink = netlink
    this.#watch = watch
  }

  changed(): void {
    this.#onChange()
  }

  close(): void {
    this.#watch.close()
    this.#netlink.close()
  }

  /** Resolves with the count of routes when it has not changed for two seconds. */
  async settled(): Promise<number> {
    for (let before = -1; ; ) {
      const count = this.#own().length
      if (count > 0 && count === before) return count
      before = count
      await Bun.sleep(2000)
    }
  }

  untilCount(count: number): Promise<number> {
    return this.#until(() => this.#own().length >= count)
  }

  /** Milliseconds from the begin of `cause` until there is one route more. */
  async untilRoute(cause: () => Promise<void>): Promise<number> {
    const before = this.#own().length
    const began = performance.now()
    const until = this.#until(() => this.#own().length > before)
    await cause()
    return (await until) - began
  }

  /** Deletes routes to single nodes, one by one; milliseconds until each is back. */
  async repairs(rounds: number): Promise<number[]> {
    const routes = this.#own().filter(({ type }) => type === 'unicast')
    const milliseconds: number[] = []
    for (let round = 0; round < rounds; round++) {
      const route = routes[round % routes.length]
      if (route === undefined) break
      const { destination, protocol, table, type, priority } = route
      this.#netlink.run(deleteRoute({ destination, protocol, table, type, priority }))
      const began = performance.now()
      const back = await this.#until(() => this.#own().length >= routes.length + 1, destination)
      milliseconds.push(back - began)
      await Bun.sleep(50 + Math.random() * 100)
    }
    return milliseconds
  }

  flush(): void {
    for (const { destination, protocol, table, type, priority } of this.#own())
      this.#netlink.run(deleteRoute({ destination, protocol, table, type, priority }))
  }

  #own(): Route[] {
    return this.#netlink.dumpRoutes({ family: 'ipv4', protocol: PROTOCOL, table: 254 })
  }

  /**
   * Looks at each event of the kernel, so that nothing is added by polling. Resolves with when it
   * was.
   */
  #until(condition: () => boolean, what = 'routes'): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#onChange = () => {}
        reject(new Error(`${what}: not within ${PATIENCE_MILLISECONDS} ms`))
      }, PATIENCE_MILLISECONDS)
      const look = () => {
        const now = performance.now()
        if (!condition()) return
        this.#onChange = () => {}
        clearTimeout(timer)
        resolve(now)
      }
      this.#onChange = look
      look()
    })
  }
}
