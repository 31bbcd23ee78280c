/**
 * The file system of the node that a container's process works in: its folders, its programs, its
 * settings of the kernel. To be entered before anything is read.
 */

import { errorText, UserError } from '../lib/errors.ts'
import { changeRoot } from '../lib/libc.ts'

/** Throws `UserError` where there is no such folder, or it may not be entered. */
export function workBelow(folder: string): void {
  try {
    changeRoot(folder)
  } catch (cause) {
    const needs = 'it must be a folder, and the process needs CAP_SYS_CHROOT'
    throw new UserError(`--chroot ${folder}: ${errorText(cause)}; ${needs}`, { exitStatus: 2, cause })
  }
}
