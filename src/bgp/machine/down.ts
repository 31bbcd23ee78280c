/**
 * What follows from the way a connection ended, beside how long to rest (idle-hold.ts). Pure.
 */
import { hardResetReason } from '../codec/errors.ts'
import { Cease, ErrorCode, OpenError } from '../codec/registry.ts'
import type { Down } from './fsm-types.ts'

/** A received Hard Reset is judged by what it carries (RFC 8538 sections 3.1 and 5.2). */
export function withoutHardReset(reason: Down): Down {
  if (reason.kind !== 'notification-received') return reason
  return { ...reason, notification: hardResetReason(reason.notification) ?? reason.notification }
}

/**
 * Whether people should hear of a connection's end before it was established: not of a collision
 * that either side resolved.
 */
export function isFailure(reason: Down): boolean {
  if (reason.kind !== 'notification-received') return reason.kind !== 'stopped' && reason.kind !== 'collision'
  const { code, subcode } = reason.notification
  return code !== ErrorCode.Cease || subcode !== Cease.ConnectionCollisionResolution
}

/**
 * RFC 5492 section 3: a peer that knows no capabilities answers Unsupported Optional Parameter;
 * then without them.
 */
export function refusesCapabilities(reason: Down): boolean {
  if (reason.kind !== 'notification-received') return false
  const { code, subcode } = reason.notification
  return code === ErrorCode.OpenMessage && subcode === OpenError.UnsupportedOptionalParameter
}
