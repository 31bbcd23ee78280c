/**
 * The OPEN message: RFC 4271 sections 4.2 and 6.2, capabilities (RFC 5492), 4-octet AS numbers (RFC
 * 6793), AS-wide identifiers (RFC 6286), AS 0 (RFC 7607), extended optional parameters (RFC 9072)
 * and roles (RFC 9234). What else depends on the configuration is in negotiation.ts. Pure.
 */
import { Reader, Writer } from '../../lib/bytes.ts'
import { addressBytes, formatAddress } from '../../lib/ip.ts'
import { decodeCapabilities, encodeCapability, findCapability } from './capabilities.ts'
import { notification } from './errors.ts'
import type { Capability, Decoded, Notification, Open } from './message-types.ts'
import { AS_TRANS, ErrorCode, nameOf, OpenError, OptionalParameterType, Role } from './registry.ts'

const BGP_VERSION = 4
const FIXED_FIELDS = 9

export function encodeOpen(writer: Writer, open: Open): void {
  const capabilities = new Writer()
  for (const capability of open.capabilities) encodeCapability(capabilities, capability)
  writer.u8(open.version).u16(open.asNumber > 0xffff ? AS_TRANS : open.asNumber)
  writer.u16(open.holdTime).put(addressBytes(open.bgpIdentifier))
  const length = capabilities.length
  if (length === 0) {
    writer.u8(0)
  } else if (length <= 253) {
    writer
      .u8(length + 2)
      .u8(OptionalParameterType.capabilities)
      .u8(length)
      .put(capabilities.view())
  } else {
    // RFC 9072 section 2: the parameters' own lengths have two octets as well.
    const { extendedLength, capabilities: type } = OptionalParameterType
    writer
      .u8(255)
      .u8(extendedLength)
      .u16(length + 3)
      .u8(type)
      .u16(length)
      .put(capabilities.view())
  }
}

/**
 * An OPEN or the OPEN Message Error that answers it. `body` has at least the fixed fields: the
 * header check saw to it.
 */
export function decodeOpen(body: Uint8Array): Decoded {
  const reader = new Reader(body)
  const version = reader.u8()
  if (version !== BGP_VERSION) {
    const reason = `RFC 4271 section 6.2: BGP version ${version}`
    return reset(
      reason,
      notification(ErrorCode.OpenMessage, OpenError.UnsupportedVersionNumber, Uint8Array.of(0, BGP_VERSION)),
    )
  }
  const myAs = reader.u16()
  const holdTime = reader.u16()
  const bgpIdentifier = formatAddress(reader.slice(4))
  const capabilities = decodeOptionalParameters(body.subarray(FIXED_FIELDS))
  if ('outcome' in capabilities) return capabilities
  const asNumber = findCapability(capabilities, 'four-octet-as')?.asNumber ?? myAs
  const open: Open = { type: 'OPEN', version, asNumber, holdTime, bgpIdentifier, capabilities }
  return checkFields(open, myAs) ?? { outcome: 'ok', message: open }
}

function checkFields(open: Open, myAs: number): Decoded | undefined {
  const refuse = (reason: string, subcode: number) => reset(reason, notification(ErrorCode.OpenMessage, subcode), open)
  if (open.asNumber === 0 || myAs === 0) return refuse('RFC 7607 section 2: AS 0', OpenError.BadPeerAs)
  if (open.holdTime === 1 || open.holdTime === 2) {
    return refuse(`RFC 4271 section 6.2: a hold time of ${open.holdTime} s`, OpenError.UnacceptableHoldTime)
  }
  if (open.bgpIdentifier === '0.0.0.0')
    return refuse('RFC 6286 section 2.2: BGP Identifier 0', OpenError.BadBgpIdentifier)
  const roles = open.capabilities.filter(capability => capability.kind === 'role')
  if (roles.some(({ role }) => role !== roles[0]?.role)) {
    return refuse('RFC 9234 section 4.2: several different roles', OpenError.RoleMismatch)
  }
  return undefined
}

/**
 * From the length octet on. RFC 9072 section 2: type 255 in the first place marks the extended
 * form, whatever that octet says.
 */
function decodeOptionalParameters(bytes: Uint8Array): Capability[] | Decoded {
  const extended = bytes[0] !== 0 && bytes[1] === OptionalParameterType.extendedLength
  if (extended && bytes.length < 4) return malformed('the extended length of the optional parameters is cut')
  const reader = new Reader(bytes)
  const announced = extended ? extendedLength(reader) : reader.u8()
  if (announced !== reader.left) {
    return malformed(`the optional parameters take ${reader.left} octets, their length says ${announced}`)
  }
  const capabilities: Capability[] = []
  const headerLength = extended ? 3 : 2
  while (reader.left > 0) {
    if (reader.left < headerLength) return malformed('too few octets are left for an optional parameter')
    const type = reader.u8()
    const length = extended ? reader.u16() : reader.u8()
    if (length > reader.left) return malformed(`optional parameter ${type} ends behind the message`)
    const value = reader.slice(length)
    if (type !== OptionalParameterType.capabilities) {
      const reason = `RFC 4271 section 6.2: optional parameter ${type} is not recognized`
      return reset(reason, notification(ErrorCode.OpenMessage, OpenError.UnsupportedOptionalParameter))
    }
    const decoded = decodeCapabilities(value)
    if (typeof decoded === 'string') return malformed(decoded)
    for (const capability of decoded) capabilities.push(capability)
  }
  return capabilities
}

function extendedLength(reader: Reader): number {
  reader.u16() // Non-Ext OP Len and Non-Ext OP Type
  return reader.u16()
}

/** RFC 4271 section 6.2: recognized but malformed is subcode 0. */
function malformed(what: string): Decoded {
  return reset(`RFC 4271 section 6.2: ${what}`, notification(ErrorCode.OpenMessage, OpenError.Unspecific))
}

function reset(reason: string, answer: Notification, open?: Open): Decoded {
  return { outcome: 'session-reset', reason, notification: answer, ...(open === undefined ? {} : { message: open }) }
}

/**
 * The Role Mismatch that answers an external peer's OPEN when this side has a role (RFC 9234
 * section 4.2, table 2); undefined when the roles fit. A peer without a role is accepted, unless in
 * strict mode.
 */
export function checkRole(
  { capabilities }: Open,
  local: { readonly role: number; readonly strict: boolean },
): { readonly reason: string; readonly notification: Notification } | undefined {
  const remote = findCapability(capabilities, 'role')?.role
  if (remote === undefined ? !local.strict : MATCHING_ROLE.get(local.role) === remote) return undefined
  const name = (role: number | undefined) => (role === undefined ? 'none' : (nameOf(Role, role) ?? `${role}`))
  return {
    reason: `RFC 9234 section 4.2: our role is ${name(local.role)}, that of the peer ${name(remote)}`,
    notification: notification(ErrorCode.OpenMessage, OpenError.RoleMismatch),
  }
}

const MATCHING_ROLE: ReadonlyMap<number, number> = new Map([
  [Role.Provider, Role.Customer],
  [Role.Customer, Role.Provider],
  [Role.RS, Role['RS-Client']],
  [Role['RS-Client'], Role.RS],
  [Role.Peer, Role.Peer],
])
