/**
 * Real routers as peers for interop tests: one interface (router-types.ts), one file per
 * implementation. Each runs inside a network namespace with files and control sockets of its own,
 * so that any number run beside each other.
 */
import type { TestNetwork } from '../support/namespaces.ts'
import { Bird } from './router-bird.ts'
import { ExaBgp } from './router-exabgp.ts'
import { Frr } from './router-frr.ts'
import { GoBgp } from './router-gobgp.ts'
import { OPENBGPD, OpenBgpd } from './router-openbgpd.ts'
import type { Router, RouterConfig } from './router-types.ts'

export type RouterKind = 'bird' | 'frr' | 'gobgp' | 'openbgpd' | 'exabgp'

/** What each kind needs, for `testNeeding`. */
export const ROUTER_NEEDS: Readonly<Record<RouterKind, readonly string[]>> = {
  bird: ['root', 'bird', 'birdc'],
  frr: ['root', 'zebra', 'vtysh'],
  gobgp: ['root', 'gobgpd', 'gobgp'],
  openbgpd: ['root', OPENBGPD, 'bgpctl'],
  exabgp: ['root', 'exabgp'],
}

const ROUTERS = { bird: Bird, frr: Frr, gobgp: GoBgp, openbgpd: OpenBgpd, exabgp: ExaBgp } as const

export function createRouter(kind: RouterKind, network: TestNetwork, namespace: string, config: RouterConfig): Router {
  return new ROUTERS[kind](network, namespace, config)
}
