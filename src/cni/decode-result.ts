/**
 * The result of an earlier plugin or an earlier ADD (`prevResult`), untrusted, into a typed value:
 * any of the versions' spellings, for they differ only in keys that may be absent. What is wrong is
 * added to the caller's list of problems. Pure.
 */
import type { Problem } from '../lib/errors.ts'
import { parseAddressWithLength } from '../lib/ip.ts'
import { isObject, type JsonObject, stringList } from '../lib/json.ts'
import type { Dns, Result, ResultInterface, ResultIp, ResultRoute } from './protocol.ts'

export function decodeResult(given: unknown, path: string, problems: Problem[]): Result | undefined {
  if (!isObject(given)) {
    problems.push({ path, message: 'must be the result of an ADD' })
    return undefined
  }
  const at = (key: string) => (path === '' ? key : `${path}.${key}`)
  const list = <T>(key: string, decode: (entry: JsonObject) => T | undefined): T[] => {
    const entries = given[key] ?? []
    if (!Array.isArray(entries)) {
      problems.push({ path: at(key), message: 'must be a list' })
      return []
    }
    return entries.flatMap((entry: unknown, index) => {
      const decoded = isObject(entry) ? decode(entry) : undefined
      if (decoded === undefined) problems.push({ path: `${at(key)}[${index}]`, message: 'is not of the specification' })
      return decoded === undefined ? [] : [decoded]
    })
  }
  const dns = decodeDns(given.dns, at('dns'), problems)
  return {
    interfaces: list('interfaces', decodeInterface),
    ips: list('ips', decodeIp),
    routes: list('routes', decodeRoute),
    ...(dns !== undefined && { dns }),
  }
}

function decodeInterface(entry: JsonObject): ResultInterface | undefined {
  const { name, mac, mtu, sandbox, socketPath, pciID } = entry
  if (typeof name !== 'string' || name === '') return undefined
  return {
    name,
    ...(typeof mac === 'string' && mac !== '' && { mac }),
    ...(typeof mtu === 'number' && { mtu }),
    ...(typeof sandbox === 'string' && sandbox !== '' && { sandbox }),
    ...(typeof socketPath === 'string' && { socketPath }),
    ...(typeof pciID === 'string' && { pciID }),
  }
}

function decodeIp(entry: JsonObject): ResultIp | undefined {
  const { address, gateway } = entry
  const index = entry.interface
  if (typeof address !== 'string' || parseAddressWithLength(address) === undefined) return undefined
  return {
    address,
    ...(typeof gateway === 'string' && gateway !== '' && { gateway }),
    ...(typeof index === 'number' && Number.isInteger(index) && index >= 0 && { interface: index }),
  }
}

function decodeRoute(entry: JsonObject): ResultRoute | undefined {
  const { dst, gw, mtu, advmss, priority, table, scope } = entry
  if (typeof dst !== 'string' || parseAddressWithLength(dst) === undefined) return undefined
  return {
    dst,
    ...(typeof gw === 'string' && gw !== '' && { gw }),
    ...(typeof mtu === 'number' && { mtu }),
    ...(typeof advmss === 'number' && { advmss }),
    ...(typeof priority === 'number' && { priority }),
    ...(typeof table === 'number' && { table }),
    ...(typeof scope === 'number' && { scope }),
  }
}

function decodeDns(given: unknown, path: string, problems: Problem[]): Dns | undefined {
  if (given === undefined || given === null) return undefined
  if (!isObject(given)) {
    problems.push({ path, message: 'must be an object with nameservers, domain, search and options' })
    return undefined
  }
  const nameservers = stringList(given.nameservers)
  const search = stringList(given.search)
  const options = stringList(given.options)
  return {
    ...(nameservers !== undefined && { nameservers }),
    ...(typeof given.domain === 'string' && given.domain !== '' && { domain: given.domain }),
    ...(search !== undefined && { search }),
    ...(options !== undefined && { options }),
  }
}
