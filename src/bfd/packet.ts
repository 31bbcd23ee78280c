/**
 * The BFD Control packet (RFC 5880 section 4.1): bytes to a value and back. A packet that section
 * 6.8.6 has us discard comes back as the reason; which session a good one belongs to is
 * select-session.ts.
 *
 * No authentication (bfd.AuthType is zero): a packet that carries it is discarded. No Echo
 * function: zero is sent for it. Pure.
 */
import { assertNever } from '../lib/assert.ts'
import { BFD_STATES, BFD_VERSION, type BfdState, type Diagnostic } from './registry.ts'

/** Field names as in section 4.1; intervals in microseconds. */
export interface ControlPacket {
  readonly diagnostic: Diagnostic
  readonly state: BfdState
  readonly poll: boolean
  readonly final: boolean
  readonly controlPlaneIndependent: boolean
  readonly demand: boolean
  readonly detectMult: number
  readonly myDiscriminator: number
  readonly yourDiscriminator: number
  readonly desiredMinTxInterval: number
  readonly requiredMinRxInterval: number
  readonly requiredMinEchoRxInterval: number
}

/** The rules of section 6.8.6, in its order. */
export type Discard =
  | 'truncated'
  | 'version'
  | 'length-too-short'
  | 'length-beyond-payload'
  | 'detect-mult-zero'
  | 'multipoint'
  | 'my-discriminator-zero'
  | 'your-discriminator-zero'
  | 'authentication'

export type DecodedPacket = { readonly packet: ControlPacket } | { readonly discard: Discard }

const PACKET_LENGTH = 24
const LENGTH_WITH_AUTHENTICATION = 26

const FLAG = {
  poll: 0x20,
  final: 0x10,
  independent: 0x08,
  authentication: 0x04,
  demand: 0x02,
  multipoint: 0x01,
} as const

/** The packet in the payload of a UDP datagram; octets behind its Length are not looked at. */
export function decodePacket(bytes: Uint8Array): DecodedPacket {
  if (bytes.length < PACKET_LENGTH) return { discard: 'truncated' }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const first = view.getUint8(0)
  const second = view.getUint8(1)
  const length = view.getUint8(3)
  const has = (flag: number) => (second & flag) !== 0
  if (first >> 5 !== BFD_VERSION) return { discard: 'version' }
  const least = has(FLAG.authentication) ? LENGTH_WITH_AUTHENTICATION : PACKET_LENGTH
  if (length < least) return { discard: 'length-too-short' }
  if (length > bytes.length) return { discard: 'length-beyond-payload' }
  const packet: ControlPacket = {
    diagnostic: first & 0x1f,
    state: stateOf(second >> 6),
    poll: has(FLAG.poll),
    final: has(FLAG.final),
    controlPlaneIndependent: has(FLAG.independent),
    demand: has(FLAG.demand),
    detectMult: view.getUint8(2),
    myDiscriminator: view.getUint32(4),
    yourDiscriminator: view.getUint32(8),
    desiredMinTxInterval: view.getUint32(12),
    requiredMinRxInterval: view.getUint32(16),
    requiredMinEchoRxInterval: view.getUint32(20),
  }
  if (packet.detectMult === 0) return { discard: 'detect-mult-zero' }
  if (has(FLAG.multipoint)) return { discard: 'multipoint' }
  if (packet.myDiscriminator === 0) return { discard: 'my-discriminator-zero' }
  if (packet.yourDiscriminator === 0 && (packet.state === 'Init' || packet.state === 'Up')) {
    return { discard: 'your-discriminator-zero' }
  }
  if (has(FLAG.authentication)) return { discard: 'authentication' }
  return { packet }
}

/** The 24 octets of a packet. */
export function encodePacket(packet: ControlPacket): Uint8Array {
  const bytes = new Uint8Array(PACKET_LENGTH)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, (BFD_VERSION << 5) | packet.diagnostic)
  view.setUint8(
    1,
    (BFD_STATES.indexOf(packet.state) << 6) |
      (packet.poll ? FLAG.poll : 0) |
      (packet.final ? FLAG.final : 0) |
      (packet.controlPlaneIndependent ? FLAG.independent : 0) |
      (packet.demand ? FLAG.demand : 0),
  )
  view.setUint8(2, packet.detectMult)
  view.setUint8(3, PACKET_LENGTH)
  view.setUint32(4, packet.myDiscriminator)
  view.setUint32(8, packet.yourDiscriminator)
  view.setUint32(12, packet.desiredMinTxInterval)
  view.setUint32(16, packet.requiredMinRxInterval)
  view.setUint32(20, packet.requiredMinEchoRxInterval)
  return bytes
}

/** Words for a discarded packet, with the field to look at. */
export function discardText(discard: Discard): string {
  switch (discard) {
    case 'truncated':
      return 'shorter than a control packet'
    case 'version':
      return `not BFD version ${BFD_VERSION}`
    case 'length-too-short':
      return 'Length is less than the fields present'
    case 'length-beyond-payload':
      return 'Length is more than the datagram holds'
    case 'detect-mult-zero':
      return 'Detect Mult is zero'
    case 'multipoint':
      return 'the Multipoint bit is set'
    case 'my-discriminator-zero':
      return 'My Discriminator is zero'
    case 'your-discriminator-zero':
      return 'Your Discriminator is zero in state Init or Up'
    case 'authentication':
      return 'it is authenticated, and no authentication is configured'
    default:
      return assertNever(discard)
  }
}

function stateOf(number: number): BfdState {
  return BFD_STATES[number & 3] ?? 'AdminDown'
}
