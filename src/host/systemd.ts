/** Asks systemd of this machine, and tells it: systemctl(1). */
import { existsSync } from 'node:fs'
import { UserError } from '../lib/errors.ts'
import { unitName } from './installed-files.ts'

/**
 * Whether systemd runs this machine (sd_booted(3)): the program alone may be in a container too.
 */
export function hasSystemd(): boolean {
  return Bun.which('systemctl') !== null && existsSync('/run/systemd/system')
}

/** Whether systemd starts a unit at boot (systemctl(1), is-enabled). */
export function isEnabled(unit: string): boolean {
  return call('is-enabled', unitName(unit)).exitCode === 0
}

/** Throws with systemd's own words. */
export function systemctl(...words: readonly string[]): void {
  const { exitCode, stderr } = call(...words)
  if (exitCode === 0) return
  const why = stderr.toString().trim() || `exit status ${exitCode}`
  throw new UserError(`systemctl ${words.join(' ')}: ${why}`)
}

function call(...words: readonly string[]) {
  return Bun.spawnSync(['systemctl', ...words], { stdout: 'ignore', stderr: 'pipe' })
}
