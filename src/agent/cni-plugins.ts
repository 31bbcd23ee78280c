/**
 * The plugins of the CNI project that are chained behind ours where they are installed: `portmap`
 * gives pods their hostPort, `bandwidth` limits them (annotations kubernetes.io/ingress-bandwidth
 * and egress-bandwidth). Without them all else works, and `doctor` says what does not.
 *
 * An old one must not be called with a version that it does not know: each is asked for those that
 * it does (CNI VERSION), once.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../lib/errors.ts'

export const CHAINED = {
  portmap: { capabilities: { portMappings: true }, snat: true },
  bandwidth: { capabilities: { bandwidth: true } },
} as const
export type ChainedName = keyof typeof CHAINED

/** What a pod lacks without it. */
export const CHAINED_FOR: Readonly<Record<ChainedName, string>> = {
  portmap: 'hostPort of pods does nothing',
  bandwidth: 'bandwidth limits of pods do nothing',
}

export interface ChainedPlugin {
  readonly type: ChainedName
  /** Those of the specification that it says it supports. */
  readonly versions: readonly string[]
}

const NAMES: readonly ChainedName[] = ['portmap', 'bandwidth']
const ANSWER_MILLISECONDS = 2000

/** Answers by file as it was when it was asked. */
const asked = new Map<string, { readonly file: string; readonly plugin: ChainedPlugin | undefined }>()

/** Those in `binDir` that answer. */
export function chainedPlugins(binDir: string): readonly ChainedPlugin[] {
  return NAMES.flatMap(type => {
    const path = join(binDir, type)
    const file = fileIdentity(path)
    if (file === undefined) return []
    const known = asked.get(path)
    const plugin = known?.file === file ? known.plugin : askPlugin(type, path)
    asked.set(path, { file, plugin })
    return plugin === undefined ? [] : [plugin]
  })
}

/** Those that `present` lacks. */
export function missingPlugins(present: readonly ChainedPlugin[]): readonly ChainedName[] {
  return NAMES.filter(name => !present.some(({ type }) => type === name))
}

function fileIdentity(path: string): string | undefined {
  try {
    const { ino, mtimeMs, size } = statSync(path)
    return `${ino} ${mtimeMs} ${size}`
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}

function askPlugin(type: ChainedName, path: string): ChainedPlugin | undefined {
  try {
    const { exitCode, stdout } = Bun.spawnSync([path], {
      env: { CNI_COMMAND: 'VERSION' },
      stdin: Buffer.from('{"cniVersion":"1.0.0"}'),
      stdout: 'pipe',
      stderr: 'ignore',
      timeout: ANSWER_MILLISECONDS,
    })
    const json: unknown = exitCode === 0 ? JSON.parse(stdout.toString()) : undefined
    const versions = typeof json === 'object' && json !== null && 'supportedVersions' in json && json.supportedVersions
    return Array.isArray(versions)
      ? { type, versions: versions.filter(version => typeof version === 'string') }
      : undefined
  } catch {
    return undefined // not a program that runs here
  }
}
