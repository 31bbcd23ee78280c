/**
 * `cni/interfaces.json` in the state folder: what the node's process leaves for the plugin of the
 * addresses of elastic network interfaces. Written under the lock of the attachments: when the
 * write has returned, nobody gives out an address that is not in it any more.
 */
import { join } from 'node:path'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import {
  formatInterfacePool,
  INTERFACE_POOL_FILE,
  type InterfacePool,
  parseInterfacePool,
} from '../model/interface-pool.ts'
import { AddressStore } from './address-store.ts'
import { StoreError } from './errors.ts'

/** Undefined when there is none. Throws `StoreError`. */
export function readInterfacePool(stateDir: string): InterfacePool | undefined {
  const file = join(stateDir, INTERFACE_POOL_FILE)
  try {
    const text = readFileIfPresent(file)
    return text === undefined ? undefined : parseInterfacePool(text)
  } catch (error) {
    throw new StoreError(`cannot read ${file}`, { cause: error })
  }
}

/**
 * Writes only what differs. Throws `StoreError`, and whatever keeps the file from being written.
 */
export function writeInterfacePool(stateDir: string, pool: InterfacePool): void {
  const file = join(stateDir, INTERFACE_POOL_FILE)
  const text = formatInterfacePool(pool)
  if (readFileIfPresent(file) === text) return
  new AddressStore(stateDir).update(() => ({ result: writeFileWhole(file, text) }))
}
