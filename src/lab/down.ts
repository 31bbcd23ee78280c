/**
 * `lab down`: removes everything that a lab made, whatever state it is in. May be called again and
 * again.
 *
 * Does not touch what the record does not name and the mark in the environment does not show: a
 * namespace of the same name that somebody else made, a process that only has the same pid, objects
 * without the lab's label.
 */
import { resolve } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { openCluster, removeObjects } from './cluster.ts'
import { exclusively, removeFolder } from './folders.ts'
import { endProcesses } from './processes.ts'
import { type LabRecord, readRecord } from './record.ts'
import { removeNamespaces, requireRoot } from './topology.ts'

export interface Removed {
  /** Whether there was a lab. */
  readonly found: boolean
  /** What could not be removed. */
  readonly messages: readonly string[]
}

/** Takes the lab in `directory` down, unless another command is at work on it. */
export async function removeLab(directory: string, clock: Clock): Promise<Removed> {
  requireRoot()
  const folder = resolve(directory)
  return exclusively(folder, () => down(folder, clock))
}

/** `removeLab` for who holds the lab already. */
export async function down(directory: string, clock: Clock): Promise<Removed> {
  const record = readRecord(directory)
  return { found: record !== undefined, messages: await takeDown(directory, record, clock) }
}

/** Takes down what `record` says, and processes that bear the mark of the folder. */
export async function takeDown(
  directory: string,
  record: LabRecord | undefined,
  clock: Clock,
): Promise<readonly string[]> {
  await endProcesses(directory, record?.processes ?? [], clock)
  const messages = record === undefined ? [] : await cleanCluster(record, clock)
  await removeNamespaces(record?.namespaces ?? [])
  removeFolder(directory)
  return messages
}

/** A real cluster stays when the lab goes: what the lab put there is removed. */
async function cleanCluster(record: LabRecord, clock: Clock): Promise<readonly string[]> {
  if (!record.realCluster || record.objects.length === 0) return []
  try {
    const api = openCluster(record.kubeconfig, clock)
    try {
      await removeObjects(api, record.objects)
    } finally {
      api.close()
    }
    return []
  } catch (error) {
    const names = record.objects.map(({ kind, name }) => `${kind}/${name}`).join(', ')
    return [
      `the cluster of ${record.kubeconfig} could not be cleaned (${errorText(error)}); it may still have ${names}`,
    ]
  }
}
