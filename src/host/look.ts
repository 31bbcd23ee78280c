/** Looks at a machine for a plan (`seen-machine.ts`): files, links, units. Changes nothing. */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../lib/errors.ts'
import { userOf } from './accounts.ts'
import { DHCPCD_CONF } from './keep-off.ts'
import { type SeenMachine, type SeenPath, sha256 } from './seen-machine.ts'
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
