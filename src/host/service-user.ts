/**
 * The user that the services of a node run as, and what of the machine's files must be handed over
 * for that: the state folder is his; the folder of CNI configurations and the files with secrets
 * that the configuration names are root's, and of his group. `install` hands over, `uninstall` and
 * going back to a version that ran as root give back. Pure.
 */
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import { ROOT, type SeenMachine, type SeenPath } from './seen-machine.ts'
import type { Step } from './steps.ts'

export const SERVICE_USER = 'terway-edge'

/**
 * Of sysusers.d(5): a system user without a password, a shell or a home, and a group of his name.
 */
export const SERVICE_USER_LINE = `u ${SERVICE_USER} - "Pod network of this edge node" / -\n`

/** He makes files there, and of those of others he removes none. */
const SHARED_FOLDER_MODE = 0o1775
const FOLDER_MODE = 0o755

type Named = Pick<Config, 'state' | 'cni' | 'status' | 'kubeconfig'>

/** What the agent writes in the folder of CNI configurations. */
export function conflistPath({ cni }: Pick<Config, 'cni'>): string {
  return join(cni.confDir, '10-terway-edge.conflist')
}

/** The paths whose owners matter. */
export function pathsToHandOver(config: Named): string[] {
  return [config.state, config.cni.confDir, conflistPath(config), ...secretFiles(config)]
}

/** Files that the configuration names and that may be root's alone. */
export function secretFiles({ kubeconfig, status }: Pick<Config, 'kubeconfig' | 'status'>): string[] {
  const { tokenFile, tls } = status
  return [kubeconfig, tokenFile, tls?.certificate, tls?.key, tls?.clientCA].filter(path => path !== undefined)
}

/** All but the state folder, which a running service writes: that one is `stateStep`. */
export function handOverSteps(config: Named, seen: SeenMachine, written: ReadonlySet<string>): Step[] {
  const { confDir } = config.cni
  const at = (path: string) => seen.paths.get(path)
  const folder = at(confDir)
  const shared = folder?.kind === 'folder' && isOfGroup(folder, seen) && (folder.mode ?? 0) === SHARED_FOLDER_MODE
  const conflist = at(conflistPath(config))
  const secrets = secretFiles(config).filter(path => written.has(path) || !isReadable(at(path), seen))
  return [
    ...secrets.map((path): Step => ({ do: 'hand over', path, to: 'group', mode: 'read' })),
    ...(shared ? [] : [{ do: 'hand over', path: confDir, to: 'group', mode: SHARED_FOLDER_MODE } as const]),
    ...(conflist?.kind === 'file' && !isOwned(conflist, seen)
      ? [{ do: 'hand over', path: conflistPath(config), to: 'user' } as const]
      : []),
  ]
}

/** Empty where the state folder is his already, or systemd makes it; `made`: this plan makes it. */
export function stateSteps({ state }: Pick<Config, 'state'>, seen: SeenMachine, made: boolean): Step[] {
  const there = seen.paths.get(state)
  if (made || (there !== undefined && !isOwned(there, seen))) return [{ do: 'hand over', path: state, to: 'user' }]
  return []
}

/** What a version needs that runs as root, but without the right to pass over owners. */
export function giveBackSteps(config: Named, seen: SeenMachine): Step[] {
  return [
    ...giveBackShared(config, seen),
    ...[...secretFiles(config)].filter(path => isGiven(seen.paths.get(path), seen)).map(asRoots),
    ...(isGiven(seen.paths.get(config.state), seen) ? [asRoots(config.state)] : []),
  ]
}

function asRoots(path: string): Step {
  return { do: 'hand over', path, to: 'root' }
}

/** What is not of this project alone, and stays when that goes. */
export function giveBackShared({ cni }: Pick<Config, 'cni'>, seen: SeenMachine): Step[] {
  const folder = seen.paths.get(cni.confDir)
  if (folder?.kind !== 'folder' || !isGiven(folder, seen)) return []
  return [{ do: 'hand over', path: cni.confDir, to: 'root', mode: FOLDER_MODE }]
}

function isOwned(there: SeenPath, { user }: SeenMachine): boolean {
  return user !== undefined && ownerOf(there).uid === user.uid
}

function isOfGroup(there: SeenPath, { user }: SeenMachine): boolean {
  return user !== undefined && ownerOf(there).gid === user.gid
}

function isGiven(there: SeenPath | undefined, seen: SeenMachine): boolean {
  return there !== undefined && (isOwned(there, seen) || isOfGroup(there, seen))
}

/** What is no file is somebody's arrangement, and left. */
function isReadable(there: SeenPath | undefined, seen: SeenMachine): boolean {
  if (there?.kind !== 'file') return true
  if (isOwned(there, seen)) return (there.mode & 0o400) !== 0
  return (there.mode & 0o004) !== 0 || (isOfGroup(there, seen) && (there.mode & 0o040) !== 0)
}

function ownerOf(there: SeenPath): { readonly uid: number; readonly gid: number } {
  return there.owner ?? ROOT
}
