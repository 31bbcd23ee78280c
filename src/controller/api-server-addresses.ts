/**
 * The addresses of the API server as far as the controller knows them: what its own kubeconfig
 * names, resolved, and the endpoints of the Service `kubernetes`, which is where kube-apiservers
 * say who they are. No podCIDR may cover one. Asked for again each minute; what was known stays
 * while nobody answers.
 */
import { lookup } from 'node:dns/promises'
import type { KubeApi } from '../kube/api.ts'
import { ENDPOINTS, type Endpoints } from '../kube/resources.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { canonicalAddress } from '../lib/ip.ts'

const AGAIN_MILLISECONDS = 60_000

export class ApiServerAddresses {
  readonly #options: { readonly api: KubeApi; readonly clock: Clock; readonly onChange: () => void }
  #resolved: readonly string[] = []
  #endpoints: readonly string[] = []
  #closed = false
  #cancel: Cancel | undefined

  constructor(options: { api: KubeApi; clock: Clock; onChange: () => void }) {
    this.#options = options
    this.#resolved = addressOf(hostOf(options.api.server))
  }

  /** Canonical, sorted. */
  get known(): readonly string[] {
    return [...new Set([...this.#resolved, ...this.#endpoints])].sort()
  }

  /** Asks in the background, and again each minute, from the first call on. */
  follow(): void {
    if (this.#closed || this.#cancel !== undefined) return
    this.#cancel = this.#options.clock.after(AGAIN_MILLISECONDS, () => {
      this.#cancel = undefined
      this.follow()
    })
    void this.#ask()
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  async #ask(): Promise<void> {
    const { api, onChange } = this.#options
    const before = this.known.join()
    const host = hostOf(api.server)
    const resolve = async () => {
      if (addressOf(host).length > 0) return
      const found = await lookup(host, { all: true })
      this.#resolved = found.flatMap(({ address }) => addressOf(address))
    }
    const look = async () => {
      const endpoints = await api.get<Endpoints>(ENDPOINTS, 'kubernetes', 'default')
      const addresses = (endpoints?.subsets ?? []).flatMap(subset => subset.addresses ?? [])
      if (endpoints !== undefined) this.#endpoints = addresses.flatMap(({ ip }) => addressOf(ip))
    }
    // no name server, no rights: what is known stays
    await Promise.allSettled([resolve(), look()])
    if (!this.#closed && this.known.join() !== before) onChange()
  }
}

/** The host of a URL; an IPv6 address without its brackets. */
function hostOf(server: string): string {
  return (URL.parse(server)?.hostname ?? '').replace(/^\[|\]$/g, '')
}

function addressOf(text: string): readonly string[] {
  const address = canonicalAddress(text)
  // a lab's server on loopback is no place that a pod CIDR could cover
  return address === undefined || address.startsWith('127.') || address === '::1' ? [] : [address]
}
