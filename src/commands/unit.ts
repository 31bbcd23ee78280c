/**
 * The systemd unit as it is installed: config/terway-edge.service, and where the configuration names other folders than the unit knows, these
 * too, for everything else is read-only to the service. Pure.
 */
import shipped from '../../config/terway-edge.service' with { type: 'text' }
import type { Config } from '../config.ts'
import { STATE_DIRECTORY } from './installed-files.ts'

/** What the shipped unit lets the service write: a line of its own, and its StateDirectory. */
const WRITABLE = 'ReadWritePaths=-/etc/cni/net.d'
const CONF_DIR = '/etc/cni/net.d'

/** The folders that the service writes and the shipped unit does not name. */
export function foldersToOpen({ state, cni }: Pick<Config, 'state' | 'cni'>): string[] {
  return [...new Set([state, cni.confDir])].filter(folder => folder !== STATE_DIRECTORY && folder !== CONF_DIR)
}

/** The text of the unit for a configuration. */
export function unitFor(config: Pick<Config, 'state' | 'cni'>): string {
  const folders = foldersToOpen(config)
  if (folders.length === 0) return shipped
  return shipped.replace(`${WRITABLE}\n`, `${[WRITABLE, ...folders.map(quoted)].join(' ')}\n`)
}

/** A path as systemd.syntax(7) and the specifiers of systemd.unit(5) want it; `-`: it may be missing. */
function quoted(path: string): string {
  return `"-${path.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%')}"`
}
