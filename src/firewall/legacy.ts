/**
 * The FORWARD chain of legacy iptables (the ip_tables kernel module), which nft can neither see nor
 * change: read from the kernel with the getsockopt(2) calls that iptables-legacy itself uses
 * (linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h), to say whether it drops pods'
 * packets and which command lets them through. Never changes it: that takes a program that may not
 * be installed.
 */
import { readFileSync } from 'node:fs'
import { AF } from '../lib/address-family.ts'
import { errorCode } from '../lib/errors.ts'
import { covers, type Family, familyOf, formatPrefix } from '../lib/ip.ts'
import { close, getSocketOption, inNetworkNamespace, SOCK, socket } from '../lib/libc.ts'

/** What of FORWARD matters here. */
export interface LegacyForward {
  readonly family: Family
  /** Its policy, or a rule for every packet, drops. */
  readonly drops: boolean
  /** `saddr 10.0.0.0/25`: what rules before that accept without another condition. */
  readonly accepts: readonly string[]
}

/** Sizes and offsets of struct ipt_entry and ip6t_entry on 64-bit machines. */
const LAYOUT = {
  ipv4: { level: 0, addressBytes: 4, protocol: 80, invert: 83, targetOffset: 88, entryBytes: 112 },
  ipv6: { level: 41, addressBytes: 16, protocol: 128, invert: 132, targetOffset: 140, entryBytes: 168 },
} as const
/** IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES; the same numbers for IPv6. */
const GET_INFO = 64
const GET_ENTRIES = 65
/** struct ipt_getinfo: name[32], valid_hooks, hook_entry[5], underflow[5], num_entries, size. */
const INFO = { bytes: 84, forwardEntry: 44, forwardUnderflow: 64, size: 80 } as const
/** struct ipt_get_entries: name[32], size, then the entries, aligned to 8. */
const ENTRIES_AT = 40
/** xt_standard_target: a header of 32 bytes, then the verdict: -NF_DROP - 1, -NF_ACCEPT - 1. */
const TARGET = { name: 2, nameBytes: 29, verdict: 32 } as const
const VERDICT = { drop: -1, accept: -2 } as const

/**
 * The FORWARD chains of the families whose legacy `filter` table exists; asking does not make one.
 */
export function readLegacyForward(netns?: string): LegacyForward[] {
  const read = () =>
    (['ipv4', 'ipv6'] as const).flatMap(family => {
      const names = family === 'ipv4' ? 'ip_tables_names' : 'ip6_tables_names'
      return hasFilterTable(`/proc/thread-self/net/${names}`) ? [readFamily(family)] : []
    })
  return netns === undefined ? read() : inNetworkNamespace(netns, read)
}

/** The commands that let packets from and to `podCIDRs` pass; none where they do already. */
export function legacyCommands({ family, drops, accepts }: LegacyForward, podCIDRs: readonly string[]): string[] {
  if (!drops) return []
  const program = family === 'ipv4' ? 'iptables-legacy' : 'ip6tables-legacy'
  return podCIDRs
    .filter(podCIDR => familyOf(podCIDR) === family)
    .flatMap(podCIDR => (['saddr', 'daddr'] as const).map(field => ({ field, podCIDR })))
    .filter(({ field, podCIDR }) => !accepts.some(text => accepted(text, field, podCIDR)))
    .map(({ field, podCIDR }) => `${program} -I FORWARD ${field === 'saddr' ? '-s' : '-d'} ${podCIDR} -j ACCEPT`)
}

function accepted(text: string, field: string, podCIDR: string): boolean {
  const [own, prefix = ''] = text.split(' ')
  return own === field && covers(prefix, podCIDR)
}

function hasFilterTable(file: string): boolean {
  try {
    return readFileSync(file, 'latin1').split('\n').includes('filter')
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EPERM') return false
    throw error
  }
}

function readFamily(family: Family): LegacyForward {
  const { level } = LAYOUT[family]
  const fd = socket(family === 'ipv4' ? AF.INET : AF.INET6, SOCK.DGRAM, 0)
  try {
    const info = new Uint8Array(INFO.bytes)
    info.set(Buffer.from('filter'))
    getSocketOption(fd, level, GET_INFO, info)
    const size = new DataView(info.buffer).getUint32(INFO.size, true)
    const table = new Uint8Array(ENTRIES_AT + size)
    table.set(Buffer.from('filter'))
    new DataView(table.buffer).setUint32(32, size, true)
    getSocketOption(fd, level, GET_ENTRIES, table)
    return decodeForward(family, info, table.subarray(ENTRIES_AT))
  } finally {
    close(fd)
  }
}

/** The FORWARD chain in the kernel's answers. */
function decodeForward(family: Family, info: Uint8Array, entries: Uint8Array): LegacyForward {
  const layout = LAYOUT[family]
  const infoView = new DataView(info.buffer, info.byteOffset, info.byteLength)
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  const policyAt = infoView.getUint32(INFO.forwardUnderflow, true)
  const accepts: string[] = []
  for (let at = infoView.getUint32(INFO.forwardEntry, true); at <= policyAt && at < entries.length; ) {
    const target = at + view.getUint16(at + layout.targetOffset, true)
    const next = view.getUint16(at + layout.targetOffset + 2, true)
    const fate = fateOf(entries, view, target)
    const matches = matchesOf(family, entries.subarray(at, target))
    if (matches?.length === 0 && fate !== undefined) return { family, drops: fate === 'drop', accepts }
    if (matches?.length === 1 && fate === 'accept') accepts.push(...matches)
    if (next === 0) break
    at += next
  }
  return { family, drops: false, accepts }
}

/** What an entry does with its packets for good; undefined: they may go on. */
function fateOf(entries: Uint8Array, view: DataView, target: number): 'accept' | 'drop' | undefined {
  const bytes = entries.subarray(target + TARGET.name, target + TARGET.name + TARGET.nameBytes)
  const name = Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '')
  if (name === 'REJECT') return 'drop'
  if (name !== '') return undefined
  const verdict = view.getInt32(target + TARGET.verdict, true)
  return verdict === VERDICT.drop ? 'drop' : verdict === VERDICT.accept ? 'accept' : undefined
}

/**
 * The address matches of an entry, none for every packet; undefined when it has other conditions.
 * `entry` ends where its target begins.
 */
function matchesOf(family: Family, entry: Uint8Array): string[] | undefined {
  const { addressBytes: size, protocol, invert, entryBytes } = LAYOUT[family]
  const interfaceNames = entry.subarray(4 * size, 4 * size + 64)
  const protocolBytes = entry.subarray(protocol, protocol + 2)
  const others = [...interfaceNames, ...protocolBytes, entry[invert] ?? 0]
  if (entry.length !== entryBytes || others.some(byte => byte !== 0)) return undefined
  return (['saddr', 'daddr'] as const).flatMap((field, index) => {
    const address = entry.subarray(index * size, (index + 1) * size)
    const mask = entry.subarray((2 + index) * size, (3 + index) * size)
    const length = [...mask].reduce((bits, byte) => bits + byte.toString(2).replaceAll('0', '').length, 0)
    return length === 0 ? [] : [`${field} ${formatPrefix({ bytes: address, length })}`]
  })
}
