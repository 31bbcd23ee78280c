/**
 * CNI answers as the caller's version spells them: results (section 5 of CNI 1.1.0; 0.3.1 and 0.4.0
 * give each address its `version`, MTU and route details came with 1.1.0), errors and the answer to
 * VERSION.
 *
 * Pure; who prints it is `plugin.ts`.
 */
import { familyOf } from '../lib/ip.ts'
import {
  CNI_VERSIONS,
  type CniVersion,
  type Failure,
  type Result,
  type ResultInterface,
  type ResultIp,
  type ResultRoute,
} from './protocol.ts'

export function encodeResult(result: Result, version: CniVersion): object {
  return {
    cniVersion: version,
    interfaces: result.interfaces.map(entry => encodeInterface(entry, version)),
    ips: result.ips.map(entry => encodeIp(entry, version)),
    routes: result.routes.map(entry => encodeRoute(entry, version)),
    dns: result.dns ?? {},
  }
}

export function encodeFailure(failure: Failure, version: CniVersion): object {
  const { code, msg, details } = failure
  return { cniVersion: version, code, msg, ...(details !== undefined && { details }) }
}

/** The answer to VERSION repeats the version of the question. */
export function encodeVersions(asked: string): object {
  return { cniVersion: asked, supportedVersions: CNI_VERSIONS }
}

function encodeInterface(entry: ResultInterface, version: CniVersion): object {
  const { name, mac, sandbox } = entry
  const basic = { name, ...(mac !== undefined && { mac }), ...(sandbox !== undefined && { sandbox }) }
  if (version !== '1.1.0') return basic
  const { mtu, socketPath, pciID } = entry
  return {
    ...basic,
    ...(mtu !== undefined && { mtu }),
    ...(socketPath !== undefined && { socketPath }),
    ...(pciID !== undefined && { pciID }),
  }
}

function encodeIp(entry: ResultIp, version: CniVersion): object {
  if (version === '1.0.0' || version === '1.1.0') return entry
  return { version: familyOf(entry.address) === 'ipv4' ? '4' : '6', ...entry }
}

function encodeRoute(entry: ResultRoute, version: CniVersion): object {
  if (version === '1.1.0') return entry
  return { dst: entry.dst, ...(entry.gw !== undefined && { gw: entry.gw }) }
}
