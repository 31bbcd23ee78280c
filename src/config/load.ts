/**
 * Reads the configuration: a file (`--config FILE`, else /etc/terway-edge/config.yaml if it is
 * there) and flags that override it make one `Config`; all problems are listed at once with their
 * paths. What there is to configure is in schema.ts.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { type Problem, problemsError, UserError } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import { plainMessage, schemaProblems } from '../lib/schema.ts'
import { parseYaml } from '../lib/yaml.ts'
import { type Config, configSchema } from './schema.ts'

export const DEFAULT_CONFIG_FILE = '/etc/terway-edge/config.yaml'

/** Flags that override the file, named as on the command line. */
export interface ConfigFlags {
  readonly config?: string
  readonly kubeconfig?: string
  readonly state?: string
  readonly statusListen?: string
  readonly logLevel?: string
  readonly node?: string
}

/** Reads, overrides, checks. Throws a `UserError` of exit status 2 that lists every problem. */
export function loadConfig(flags: ConfigFlags): Config {
  const file = flags.config ?? DEFAULT_CONFIG_FILE
  const text = flags.config === undefined ? (readFileIfPresent(file) ?? '') : readNamedFile(file)
  return parseConfig(text, file, flags)
}

/**
 * The pure part of `loadConfig`: the text of a file (YAML, of which JSON is a part) and flags to a
 * configuration.
 */
export function parseConfig(text: string, file: string, flags: ConfigFlags = {}, hostName = hostname()): Config {
  const document = override(parseDocument(text, file), flags)
  const result = configSchema.safeParse(document, { error: plainMessage })
  if (!result.success) {
    const problems = schemaProblems(result.error).map(problem => ofFlag(problem, flags))
    const fromFlags = problems.every(({ path }) => path.startsWith('--'))
    throw problemsError(fromFlags ? 'the command line' : file, problems)
  }
  return { ...result.data, node: result.data.node ?? hostName.toLowerCase() }
}

function readNamedFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`cannot read the configuration file ${file}`, { exitStatus: 2, cause })
  }
}

function parseDocument(text: string, file: string): Record<string, unknown> {
  const value = parseYaml(text, file)
  if (value === null || value === undefined) return {} // only comments
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new UserError(
      `${file} is not a configuration: expected keys and values, such as "state: /var/lib/terway-edge"`,
      { exitStatus: 2 },
    )
  }
  return { ...value }
}

function override(document: Record<string, unknown>, flags: ConfigFlags): Record<string, unknown> {
  const status = typeof document.status === 'object' ? document.status : {}
  return {
    ...document,
    ...(flags.kubeconfig !== undefined && { kubeconfig: flags.kubeconfig }),
    ...(flags.state !== undefined && { state: flags.state }),
    ...(flags.logLevel !== undefined && { logLevel: flags.logLevel }),
    ...(flags.node !== undefined && { node: flags.node }),
    ...(flags.statusListen !== undefined && { status: { ...status, listen: flags.statusListen } }),
  }
}

const FLAGS = {
  kubeconfig: { path: 'kubeconfig', flag: '--kubeconfig' },
  state: { path: 'state', flag: '--state' },
  logLevel: { path: 'logLevel', flag: '--log-level' },
  node: { path: 'node', flag: '--node' },
  statusListen: { path: 'status.listen', flag: '--status-listen' },
} as const

/** The problem as one of the flag that gave the value, where a flag did. */
function ofFlag(problem: Problem, flags: ConfigFlags): Problem {
  const entry = Object.entries(FLAGS).find(([, { path }]) => path === problem.path)
  const given =
    entry !== undefined && Object.entries(flags).some(([name, value]) => name === entry[0] && value !== undefined)
  return given ? { ...problem, path: entry[1].flag } : problem
}
