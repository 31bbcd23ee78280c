/** The executable that runs, as something to install. */
import { readFileSync } from 'node:fs'
import { UserError } from '../lib/errors.ts'
import { sha256 } from './seen-machine.ts'

/** Throws `UserError` when this runs from source: there is no executable then. */
export function installableExecutable(): { readonly from: string; readonly sha256: string } {
  if (Bun.embeddedFiles.length === 0 && !import.meta.url.includes('$bunfs')) {
    throw new UserError(
      'this is the source, not the executable: build it with scripts/build and run dist/terway-edge install',
      { exitStatus: 2 },
    )
  }
  return { from: process.execPath, sha256: sha256(readFileSync(process.execPath)) }
}
