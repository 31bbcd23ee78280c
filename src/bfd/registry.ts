/**
 * The numbers of BFD: RFC 5880 sections 4.1 and 6.8.1, RFC 5881 section 4, and IANA's "BFD
 * Diagnostic Codes". Numbers only; what they do is in packet.ts and machine.ts. Pure.
 */

/** RFC 5880 section 4.1, Vers. */
export const BFD_VERSION = 1

/** RFC 5881 section 4: where control packets go, and where they come from. */
export const BFD_PORT = 3784
export const SOURCE_PORTS = { first: 49152, last: 65535 } as const

/** RFC 5881 section 5: the TTL or hop limit of everything sent, and the only one accepted. */
export const BFD_TTL = 255

/**
 * RFC 5880 section 6.8.3: the least Desired Min TX Interval while a session is not Up, in
 * microseconds.
 */
export const SLOW_INTERVAL_MICROSECONDS = 1_000_000

/** RFC 5880 section 4.1, Sta; an index is the number on the wire. */
export const BFD_STATES = ['AdminDown', 'Down', 'Init', 'Up'] as const
export type BfdState = (typeof BFD_STATES)[number]

/** RFC 5880 section 4.1, Diag. */
export const Diagnostic = {
  NoDiagnostic: 0,
  ControlDetectionTimeExpired: 1,
  EchoFunctionFailed: 2,
  NeighborSignaledSessionDown: 3,
  ForwardingPlaneReset: 4,
  PathDown: 5,
  ConcatenatedPathDown: 6,
  AdministrativelyDown: 7,
  ReverseConcatenatedPathDown: 8,
} as const
/** 0 to 31: peers may send codes that nobody registered. */
export type Diagnostic = number

const DIAGNOSTIC_NAMES: readonly string[] = [
  'No Diagnostic',
  'Control Detection Time Expired',
  'Echo Function Failed',
  'Neighbor Signaled Session Down',
  'Forwarding Plane Reset',
  'Path Down',
  'Concatenated Path Down',
  'Administratively Down',
  'Reverse Concatenated Path Down',
]

/** The registered name of a diagnostic code; others stay numbers. */
export function diagnosticName(code: Diagnostic): string {
  return DIAGNOSTIC_NAMES[code] ?? `diagnostic ${code}`
}
