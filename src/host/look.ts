/** Looks at a machine for a plan (`seen-machine.ts`): files, links, units. Changes nothing. */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { readENINode } from '../kube/eni-node-source.ts'
import { errorCode } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import { userOf } from './accounts.ts'
import { DHCPCD_CONF } from './keep-off.ts'
import { type SeenCloud, type SeenMachine, type SeenPath, sha256 } from './seen-machine.ts'
import { SERVICE_USER } from './service-user.ts'
import { hasSystemd, isEnabled } from './systemd.ts'

/** Throws when something that is there cannot be read. */
export function lookAt(root: string, paths: readonly string[], units: readonly string[]): SeenMachine {
  const found = paths.flatMap((path): [string, SeenPath][] => {
    const seen = seePath(join(root, path), path === DHCPCD_CONF)
    return seen === undefined ? [] : [[path, seen]]
  })
  const asked = root === '/' && hasSystemd()
  const enabled = asked ? new Set(units.filter(isEnabled)) : undefined
  return { paths: new Map(found), enabled, user: userOf(root, SERVICE_USER) }
}

function seePath(path: string, withText: boolean): SeenPath | undefined {
  try {
    const there = lstatSync(path)
    const owner = { uid: there.uid, gid: there.gid }
    const mode = there.mode & 0o7777
    if (there.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path), owner }
    if (there.isDirectory()) return { kind: 'folder', mode, owner }
    const bytes = readFileSync(path)
    const text = withText ? { text: bytes.toString() } : {}
    return { kind: 'file', sha256: sha256(bytes), mode, owner, ...text }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw new Error(`cannot look at ${path}`, { cause: error })
  }
}

/**
 * This machine as an instance of a cloud: its interfaces are those that have a device, without the
 * ones that the node of `stateDir` knows as pods'. Undefined where it is an image.
 */
export function seeCloud(root: string, stateDir: string): SeenCloud | undefined {
  if (root !== '/') return undefined
  const pods = new Set(podInterfaces(stateDir))
  const links = namesIn('/sys/class/net').filter(name => existsSync(`/sys/class/net/${name}/device`))
  const macs = links.map(name => readFileIfPresent(`/sys/class/net/${name}/address`)?.trim() ?? '')
  return {
    vendor: readFileIfPresent('/sys/class/dmi/id/sys_vendor')?.trim() ?? '',
    own: macs.filter(mac => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) && !pods.has(mac)).sort(),
    systemd: systemdVersion(),
  }
}

function podInterfaces(stateDir: string): readonly string[] {
  try {
    return readENINode(stateDir)?.status.interfaces.map(({ mac }) => mac) ?? []
  } catch {
    return [] // a damaged file: the service says so
  }
}

/** By the name of its library, where distributions put it. */
function systemdVersion(): number | undefined {
  const folders = ['/usr/lib/systemd', '/lib/systemd', ...namesIn('/usr/lib').map(name => `/usr/lib/${name}/systemd`)]
  const versions = folders.flatMap(namesIn).map(name => /^libsystemd-shared-(\d+)/.exec(name)?.[1])
  const version = Number(versions.find(found => found !== undefined))
  return Number.isInteger(version) ? version : undefined
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
