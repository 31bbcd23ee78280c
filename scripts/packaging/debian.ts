/**
 * Debian's packages that the image takes files of, pinned by version and SHA-256 in debian.json.
 * They are fetched by apt with lists and folders of its own, so that the machine keeps its
 * architectures.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pinned from './debian.json'
import { run, sha256 } from './shell.ts'

export type DebianPackage = (typeof pinned.packages)[number]

export const DEBIAN_PACKAGES: readonly DebianPackage[] = pinned.packages

/**
 * Unpacks a package below `folder`/unpacked and returns where. Throws when what comes is not what
 * is pinned.
 */
export function unpack(wanted: DebianPackage, folder: string): string {
  const { name, architecture, version } = wanted
  const unpacked = join(folder, 'unpacked', `${name}-${architecture}`)
  if (existsSync(unpacked)) return unpacked
  const file = download(wanted, folder)
  const found = sha256(readFileSync(file))
  if (found !== wanted.sha256) {
    throw new Error(`${name} ${version} (${architecture}) has SHA-256 ${found}; debian.json says ${wanted.sha256}`)
  }
  mkdirSync(unpacked, { recursive: true })
  run(['dpkg-deb', '-x', file, unpacked])
  return unpacked
}

function download({ name, architecture, version }: DebianPackage, folder: string): string {
  const native = architecture === 'all' ? 'amd64' : architecture
  const apt = aptOptions(join(folder, `apt-${native}`), native)
  const target = join(folder, 'debs')
  mkdirSync(target, { recursive: true })
  try {
    run(['apt-get', ...apt, 'download', `${name}=${version}`], { cwd: target })
  } catch (cause) {
    throw new Error(`Debian has no ${name} ${version} any more: put the newer one into scripts/packaging/debian.json`, {
      cause,
    })
  }
  return join(target, `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`)
}

/** The machine's sources, another architecture, folders of our own; lists are fetched once. */
function aptOptions(state: string, architecture: string): string[] {
  const options = [
    `Dir::State=${state}/state`,
    `Dir::State::status=${state}/status`,
    `Dir::Cache=${state}/cache`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures::=${architecture}`,
    'APT::Sandbox::User=root',
  ].flatMap(option => ['-o', option])
  if (existsSync(state)) return options
  for (const place of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(state, place), { recursive: true })
  writeFileSync(join(state, 'status'), '')
  run(['apt-get', '-qq', ...options, 'update'])
  return options
}
