/**
 * The systemd units as they are installed: those of config/, and where the configuration names
 * other folders than they know, these too, for everything else is read-only to the services, and
 * some of it hidden from them. Pure.
 */

import { isAbsolute, resolve } from 'node:path'
import nodeUnit from '../../config/terway-edge.service' with { type: 'text' }
import cniUnit from '../../config/terway-edge-cni.service' with { type: 'text' }
import controllerUnit from '../../config/terway-edge-controller.service' with { type: 'text' }
import type { Config } from '../config/schema.ts'
import type { Problem } from '../lib/errors.ts'
import { CNI_UNIT, CONTROLLER_UNIT, NODE_UNIT, type Role, STATE_DIRECTORY } from './installed-files.ts'

export interface Unit {
  /** Where it is installed. */
  readonly path: string
  readonly text: string
}

/** What both shipped units let their service write, beside their StateDirectory. */
const WRITABLE = 'ReadWritePaths=/proc/sys/net'
const CONF_DIR = '/etc/cni/net.d'

/**
 * Where the services have an empty folder, or one of their own, in the place of the machine's
 * (ProtectHome and PrivateTmp).
 */
const HIDDEN: readonly string[] = ['/home', '/root', '/run/user', '/tmp', '/var/tmp']

type Folders = Pick<Config, 'state' | 'cni'>

/** What the shipped units keep from their services (InaccessiblePaths of systemd.exec(5)). */
const INACCESSIBLE: readonly string[] = [...nodeUnit.matchAll(/^InaccessiblePaths=(.*)$/gm)].flatMap(([, paths = '']) =>
  paths.split(' ').map(path => path.replace(/^-/, '')),
)

/** The paths of a configuration that the services cannot work with, as the units are. */
export function hiddenPaths(config: Folders & Pick<Config, 'kubeconfig'>): Problem[] {
  const { state, cni, kubeconfig } = config
  const paths = { state, 'cni.confDir': cni.confDir, 'cni.binDir': cni.binDir, ...(kubeconfig && { kubeconfig }) }
  return Object.entries(paths).flatMap(([path, named]): Problem[] => {
    if (!isAbsolute(named)) return [{ path, message: `${named} is nowhere for a service: begin it with /` }]
    const hidden = hiddenFolder(named)
    return hidden === undefined
      ? []
      : [{ path, message: `the services see nothing of ${hidden}: name a place outside of it` }]
  })
}

/** Whether the services see nothing at an absolute path. */
export function isHidden(path: string): boolean {
  return hiddenFolder(path) !== undefined
}

function hiddenFolder(path: string): string | undefined {
  return HIDDEN.find(folder => `${resolve(path)}/`.startsWith(`${folder}/`))
}

/** The folders that the services write and the shipped units do not name. */
export function foldersToOpen(config: Folders): string[] {
  return [...new Set([...stateToOpen(config), ...confDirToOpen(config)])]
}

/** The units of a role for a configuration. */
export function unitsFor(role: Role, config: Named): readonly Unit[] {
  if (role === 'controller') return [{ path: CONTROLLER_UNIT, text: controllerUnit }]
  const named = namedPaths(config)
  return [
    { path: NODE_UNIT, text: showing(opening(nodeUnit, foldersToOpen(config)), named) },
    { path: CNI_UNIT, text: showing(opening(cniUnit, stateToOpen(config)), named) },
  ]
}

/** What a configuration names of the machine's files. */
type Named = Folders & Pick<Config, 'kubeconfig' | 'status'>

function namedPaths({ state, cni, kubeconfig, status }: Named): string[] {
  const { tls } = status
  const files = [kubeconfig, status.tokenFile, tls?.certificate, tls?.key, tls?.clientCA]
  return [state, cni.confDir, cni.binDir, ...files].filter(path => path !== undefined).map(path => resolve(path))
}

/** The unit without what would hide one of the paths. */
function showing(unit: string, named: readonly string[]): string {
  const hides = (path: string) => named.some(one => one === path || one.startsWith(`${path}/`))
  const opened = INACCESSIBLE.filter(hides)
  return unit.replaceAll(/^InaccessiblePaths=(.*)$/gm, (line, paths: string) => {
    const kept = paths.split(' ').filter(path => !opened.includes(path.replace(/^-/, '')))
    return kept.length === 0 ? `# ${line}` : `InaccessiblePaths=${kept.join(' ')}`
  })
}

function stateToOpen({ state }: Folders): string[] {
  return state === STATE_DIRECTORY ? [] : [state]
}

function confDirToOpen({ cni }: Folders): string[] {
  return cni.confDir === CONF_DIR ? [] : [cni.confDir]
}

function opening(unit: string, folders: readonly string[]): string {
  return unit.replace(`${WRITABLE}\n`, `${[WRITABLE, ...folders.map(quoted)].join(' ')}\n`)
}

/**
 * A path as systemd.syntax(7) and the specifiers of systemd.unit(5) want it; `-`: it may be
 * missing.
 */
function quoted(path: string): string {
  return `"-${path.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%')}"`
}
