/**
 * What a lab has made, written before or as it makes it, so that `lab down` finds everything after
 * a kill -9 and touches nothing else: namespaces with the inode that tells ours from one of the
 * same name, processes with their start time, objects in a real cluster.
 */
import { join } from 'node:path'
import { UserError } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import type { LabOptions } from './plan.ts'

export interface NamespaceRecord {
  readonly name: string
  /** Of /run/netns/NAME, once it is made. */
  readonly inode?: number
}

export interface ProcessRecord {
  readonly name: string
  readonly pid: number
  /** Field 22 of /proc/PID/stat: with the pid it names one process for ever. */
  readonly startTime: string
  readonly logFile: string
}

export interface PageRecord {
  readonly name: string
  readonly url: string
}

export interface PodRecord {
  readonly node: string
  /** One of each family. */
  readonly addresses: readonly string[]
}

/** An object that the lab made in its cluster. */
export interface ObjectRecord {
  readonly kind: string
  readonly name: string
  readonly namespace?: string
}

export interface LabRecord {
  readonly phase: 'building' | 'up'
  readonly options: LabOptions
  readonly namespaces: readonly NamespaceRecord[]
  readonly processes: readonly ProcessRecord[]
  readonly pages: readonly PageRecord[]
  readonly pods: readonly PodRecord[]
  /** The kubeconfig that works from the host. */
  readonly kubeconfig: string
  /** Not the lab's own API server: what the lab made in it is to be removed. */
  readonly realCluster: boolean
  readonly objects: readonly ObjectRecord[]
}

function recordFile(directory: string): string {
  return join(directory, 'lab.json')
}

/** The record of the lab in `directory`, or undefined when there is none. */
export function readRecord(directory: string): LabRecord | undefined {
  const text = readFileIfPresent(recordFile(directory))
  if (text === undefined) return undefined
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || !('phase' in value) || !('namespaces' in value)) {
    throw new UserError(`${recordFile(directory)} is not the record of a lab`)
  }
  return value as LabRecord // written by `LabBook` alone, whole, with mode 0600
}

/** A record that is written at each change. */
export class LabBook {
  #record: LabRecord

  constructor(record: LabRecord) {
    this.#record = record
    this.#write()
  }
  get record(): LabRecord {
    return this.#record
  }
  update(change: (record: LabRecord) => Partial<LabRecord>): void {
    this.#record = { ...this.#record, ...change(this.#record) }
    this.#write()
  }
  #write(): void {
    writeFileWhole(recordFile(this.#record.options.directory), `${JSON.stringify(this.#record, undefined, 2)}\n`)
  }
}
