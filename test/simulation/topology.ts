/**
 * Who is where on the simulated site: LANs with a subnet each, their gateways, and nodes. Fixed by
 * the shape.
 */
import type { Shape } from './script.ts'

export interface NodePlace {
  readonly name: string
  readonly lan: number
  readonly address: string
}

export const GATEWAY_HOSTS = [254, 253] as const
export const PROTOCOL = 187

export function nodesOf(shape: Shape): readonly NodePlace[] {
  return shape.lans.flatMap((count, lan) =>
    Array.from({ length: count }, (_, index) => ({
      name: `n${lan}-${index}`,
      lan,
      address: `172.16.${lan}.${10 + index}`,
    })),
  )
}

export function gatewayOf(lan: number, which: number): string {
  return `172.16.${lan}.${GATEWAY_HOSTS[which] ?? 254}`
}

export function peerName(lan: number, which: number): string {
  return `lan-${lan}-${which}`
}

/** BGPPeers of a LAN: one for each gateway. */
export function peerNumbers(shape: Shape): readonly number[] {
  return shape.twoGateways ? [0, 1] : [0]
}
