/** Control packets for tests, and chance that repeats. */
import type { ControlPacket } from '../../src/bfd/packet.ts'

export const OUR_DISCRIMINATOR = 0x11111111
export const PEER_DISCRIMINATOR = 0x22222222

/** A packet of a peer that wants 300 ms x 3. */
export function peerPacket(change: Partial<ControlPacket> = {}): ControlPacket {
  return {
    diagnostic: 0,
    state: 'Down',
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMult: 3,
    myDiscriminator: PEER_DISCRIMINATOR,
    yourDiscriminator: OUR_DISCRIMINATOR,
    desiredMinTxInterval: 300_000,
    requiredMinRxInterval: 300_000,
    requiredMinEchoRxInterval: 0,
    ...change,
  }
}
