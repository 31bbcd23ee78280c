/**
 * The kernel's settings that routing pods needs: forwarding, and a reverse path filter that takes
 * packets coming back another way. Written only where they differ, each with its former value in
 * the state folder, so that leaving can put it back.
 *
 * Names are paths below /proc/sys (an interface's name may hold dots). /proc/sys/net shows the
 * namespace of the thread that reads.
 */
import { join } from 'node:path'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { errorCode, errorText } from '../lib/errors.ts'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import { familyOf } from '../lib/ip.ts'
import { inNetworkNamespace } from '../lib/libc.ts'
import { POD_INTERFACE_PATTERN } from '../model/pod-interfaces.ts'
import type { Link, NextHop } from '../netlink/types.ts'

/** A setting and its value, as the kernel prints it. */
export interface Setting {
  readonly name: string
  readonly value: string
}

export interface SysctlNeeds {
  /** Names of the interfaces that lead to other nodes. */
  readonly uplinks: readonly string[]
  /**
   * Names of the other interfaces that are neither loopback nor pods': what is set for all of them
   * must not cost them anything. Absent: none.
   */
  readonly others?: readonly string[]
  /** Whether IPv6 pods are routed here. */
  readonly ipv6: boolean
}

/**
 * What these routes need: the interfaces they lead over and the uplink, and IPv6 where any of them
 * is of that family.
 */
export function sysctlNeeds(
  routing: {
    readonly podCIDRs: readonly string[]
    readonly routes: readonly { readonly destination: string; readonly nextHops: readonly NextHop[] }[]
  },
  links: readonly Link[],
  uplink: Link | undefined,
): SysctlNeeds {
  const indexes = new Set(routing.routes.flatMap(({ nextHops }) => nextHops.map(hop => hop.interface)))
  const all = [...routing.podCIDRs, ...routing.routes.map(({ destination }) => destination)]
  const isUplink = (link: Link) => link === uplink || indexes.has(link.index)
  const isOther = (link: Link) => !isUplink(link) && !link.loopback && !POD_INTERFACE_PATTERN.test(link.name)
  return {
    uplinks: links.filter(isUplink).map(({ name }) => name),
    others: links.filter(isOther).map(({ name }) => name),
    ipv6: all.some(text => familyOf(text) === 'ipv6'),
  }
}

const IPV4_FORWARD = 'net/ipv4/ip_forward'
const IPV6_FORWARD = 'net/ipv6/conf/all/forwarding'
const RP_FILTER_ALL = 'net/ipv4/conf/all/rp_filter'
/** What interfaces begin with that come later. */
const DEFAULT = 'default'
const RP_FILTER = { strict: '1', loose: '2' } as const

/** The settings whose values `decideSettings` wants to know. */
export function settingsToRead({ uplinks, others = [], ipv6 }: SysctlNeeds): string[] {
  const ipv4Names = uplinks.flatMap(name => [`net/ipv4/conf/${name}/rp_filter`, `net/ipv4/conf/${name}/forwarding`])
  const ipv6Names = [
    ...uplinks.map(name => `net/ipv6/conf/${name}/forwarding`),
    ...[...uplinks, ...others, DEFAULT].map(acceptRA),
  ]
  return [IPV4_FORWARD, RP_FILTER_ALL, ...ipv4Names, ...(ipv6 ? [IPV6_FORWARD, ...ipv6Names] : [])]
}

function acceptRA(name: string): string {
  return `net/ipv6/conf/${name}/accept_ra`
}

/**
 * What to write, in order; nothing where all is well. An interface whose router advertisements
 * count (accept_ra 1) would ignore them once it forwards, so that comes first; and on all of them
 * where we are the one who has them forward (`isOurs`), for there is one switch. Pure.
 */
export function decideSettings(
  needs: SysctlNeeds,
  current: ReadonlyMap<string, string>,
  isOurs = current.get(IPV6_FORWARD) === '0',
): Setting[] {
  const settings: Setting[] = []
  const want = (name: string, value: string) => {
    const now = current.get(name)
    if (now !== undefined && now !== value) settings.push({ name, value })
  }
  want(IPV4_FORWARD, '1')
  for (const uplink of needs.uplinks) {
    // ip_forward, when it changes, sets this too
    if (current.get(IPV4_FORWARD) === '1') want(`net/ipv4/conf/${uplink}/forwarding`, '1')
    const name = `net/ipv4/conf/${uplink}/rp_filter`
    if (effective(current.get(RP_FILTER_ALL), current.get(name)) === RP_FILTER.strict) want(name, RP_FILTER.loose)
  }
  if (!needs.ipv6) return settings
  for (const name of [...needs.uplinks, ...(isOurs ? [...(needs.others ?? []), DEFAULT] : [])].map(acceptRA)) {
    if (current.get(name) === '1') want(name, '2')
  }
  want(IPV6_FORWARD, '1')
  for (const uplink of needs.uplinks) {
    if (current.get(IPV6_FORWARD) === '1') want(`net/ipv6/conf/${uplink}/forwarding`, '1')
  }
  return settings
}

/**
 * The kernel takes the larger of `all` and the interface's own (ip-sysctl, rp_filter). On an
 * interface that has no IPv4 address the loose filter, too, drops what would be answered over
 * another interface; that is left to the operator, since 0 would have to be set for `all` as well.
 */
function effective(all = '0', own = '0'): string {
  return Number(all) > Number(own) ? all : own
}

/** What was written, by name: the former value and ours. */
type SysctlRecord = Readonly<Record<string, { readonly former: string; readonly set: string }>>

export interface SysctlPlace {
  /** Where the former values are kept. */
  readonly stateDir: string
  /** Path of the network namespace; absent: this one. */
  readonly netns?: string
  /** Absent: the machine's. */
  readonly disk?: Disk
}

/** What would be written now, each with what it is now: nothing where all is well. */
export function wrongSettings(needs: SysctlNeeds, place: Omit<SysctlPlace, 'stateDir'>): (Setting & { now: string })[] {
  const current = readSettings(place, settingsToRead(needs))
  return decideSettings(needs, current).map(setting => ({ ...setting, now: current.get(setting.name) ?? '' }))
}

/**
 * What was written and is recorded, with the value before and the one now (undefined: there is no
 * such setting any more).
 */
export function changedSettings(
  place: SysctlPlace,
): { readonly name: string; readonly former: string; readonly set: string; readonly now: string | undefined }[] {
  const records = Object.entries(readRecord(place))
  const current = readSettings(
    place,
    records.map(([name]) => name),
  )
  return records.map(([name, { former, set }]) => ({ name, former, set, now: current.get(name) }))
}

/** Makes the settings so. Returns what was written and, as problems, what could not be. */
export function applySettings(
  needs: SysctlNeeds,
  place: SysctlPlace,
): { readonly written: readonly Setting[]; readonly problems: readonly string[] } {
  const current = readSettings(place, settingsToRead(needs))
  const settings = decideSettings(needs, current, current.get(IPV6_FORWARD) === '0' || madeItForward(place))
  if (settings.length === 0) return { written: [], problems: [] }
  const problems = recordIfWritable(place, settings, current)
  const written = settings.filter(setting => {
    const problem = writeSetting(place, setting)
    if (problem !== undefined) problems.push(problem)
    return problem === undefined
  })
  return { written, problems }
}

/** A record that cannot be read says nothing: pods need the settings all the same. */
function madeItForward(place: SysctlPlace): boolean {
  try {
    return readRecord(place)[IPV6_FORWARD]?.former === '0'
  } catch {
    return false
  }
}

/**
 * Puts former values back, where nobody else has changed ours meanwhile. Returns what was restored.
 */
export function restoreSettings(place: SysctlPlace): readonly Setting[] {
  const records = Object.entries(readRecord(place)).reverse()
  const current = readSettings(
    place,
    records.map(([name]) => name),
  )
  const restored = records
    .filter(([name, { former, set }]) => current.get(name) === set && former !== set)
    .map(([name, { former }]) => ({ name, value: former }))
    .filter(setting => writeSetting(place, setting) === undefined)
  removeFile(recordFile(place.stateDir), place.disk)
  return restored
}

function inside<T>(place: Pick<SysctlPlace, 'netns'>, action: () => T): T {
  return place.netns === undefined ? action() : inNetworkNamespace(place.netns, action)
}

/** Settings that this kernel does not have (no IPv6, no such interface any more) are left out. */
function readSettings(place: Omit<SysctlPlace, 'stateDir'>, names: readonly string[]): Map<string, string> {
  const { disk = systemDisk } = place
  const values = new Map<string, string>()
  inside(place, () => {
    for (const name of names) {
      try {
        values.set(name, disk.read(`/proc/sys/${name}`).trim())
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error
      }
    }
  })
  return values
}

/** Undefined, or what was wrong. */
function writeSetting(place: SysctlPlace, { name, value }: Setting): string | undefined {
  try {
    inside(place, () => putSetting(place.disk ?? systemDisk, `/proc/sys/${name}`, value))
    return undefined
  } catch (error) {
    return `sysctl ${name.replaceAll('/', '.')} cannot be set to ${value}: ${errorText(error)}`
  }
}

function putSetting(disk: Disk, path: string, value: string): void {
  const file = disk.open(path, 'w')
  try {
    disk.write(file, Buffer.from(value), 0)
  } finally {
    disk.close(file)
  }
}

/**
 * Pods need the settings, whatever is wrong with the disk or the file. Returns what is lost by
 * that.
 */
function recordIfWritable(
  place: SysctlPlace,
  settings: readonly Setting[],
  current: ReadonlyMap<string, string>,
): string[] {
  try {
    record(place, settings, current)
    return []
  } catch (error) {
    return [`the former values of settings cannot be kept, uninstall will not put them back: ${errorText(error)}`]
  }
}

/** The first former value counts: a later one may be ours. */
function record(place: SysctlPlace, settings: readonly Setting[], current: ReadonlyMap<string, string>): void {
  const { stateDir, disk } = place
  const before = readRecord(place)
  const now = settings.map(({ name, value }) => {
    return [name, { former: before[name]?.former ?? current.get(name) ?? value, set: value }] as const
  })
  const text = `${JSON.stringify({ ...before, ...Object.fromEntries(now) }, undefined, 2)}\n`
  if (readFileIfPresent(recordFile(stateDir), disk) === text) return
  writeFileWhole(recordFile(stateDir), text, { ...(disk !== undefined && { disk }) })
}

function readRecord({ stateDir, disk }: SysctlPlace): SysctlRecord {
  const entries = Object.entries(parsed(readFileIfPresent(recordFile(stateDir), disk) ?? '{}'))
  return Object.fromEntries(entries.filter((entry): entry is [string, SysctlRecord[string]] => isRecord(entry[1])))
}

/** A damaged file is as none: what it said is lost either way. */
function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function isRecord(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('former' in value) || !('set' in value)) return false
  return typeof value.former === 'string' && typeof value.set === 'string'
}

function recordFile(stateDir: string): string {
  return join(stateDir, 'sysctls.json')
}
