/**
 * Gives files to another owner: one, or a folder with all that is in it (chown(2), chmod(2)).
 * Follows no link.
 */
import { chmodSync, lchownSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../lib/errors.ts'
import { userOf } from './accounts.ts'
import { type Owner, ROOT } from './seen-machine.ts'
import { SERVICE_USER } from './service-user.ts'
import type { Step } from './steps.ts'

type HandOver = Pick<Extract<Step, { do: 'hand over' }>, 'to' | 'mode'>

/** Nothing happens where nothing is. `root` is the folder that stands for `/`. */
export function handOver(path: string, { to, mode }: HandOver, root: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  const user = to === 'root' ? ROOT : userOf(root, SERVICE_USER)
  if (user === undefined) throw new UserError(`${path} cannot be handed over: there is no user ${SERVICE_USER}`)
  if (to === 'user' || mode === undefined) {
    giveAll(path, user)
    return
  }
  const { uid, mode: before } = lstatSync(path)
  lchownSync(path, to === 'root' ? ROOT.uid : uid, user.gid)
  chmodSync(path, mode === 'read' ? (before & 0o777) | 0o040 : mode)
}

function giveAll(path: string, { uid, gid }: Owner): void {
  lchownSync(path, uid, gid)
  if (!lstatSync(path).isDirectory()) return
  for (const name of readdirSync(path)) giveAll(join(path, name), { uid, gid })
}
