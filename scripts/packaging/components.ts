/**
 * What is inside the executable: the npm packages that the bundle took something of (the bundler
 * says which), Bun, and what Bun links. With licence, text and integrity hash of each.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import linked from '../../licenses/bun.json'
import { run } from './shell.ts'

export interface Component {
  readonly name: string
  readonly version?: string
  /** SPDX expression. */
  readonly license: string
  readonly url: string
  readonly text: string
  /** Package URL (https://github.com/package-url/purl-spec), of what has one. */
  readonly purl?: string
  /** SHA-512 of the package, in hexadecimal. */
  readonly sha512?: string
}

/** All of them; the order is fixed. `folder` is for what the bundler leaves. */
export function componentsOf(root: string, folder: string): Component[] {
  const metafile = join(folder, 'meta.json')
  run(
    [
      ...[process.execPath, 'build', 'src/main.ts', 'src/bfd/worker.ts', '--target=bun', '--splitting', '--minify'],
      ...[`--metafile=${metafile}`, `--outdir=${join(folder, 'bundle')}`],
    ],
    { cwd: root },
  )
  return [...npmComponents(root, metafile), ...linkedComponents(root)]
}

function linkedComponents(root: string): Component[] {
  return linked.map(({ text, ...component }) => ({
    ...component,
    ...(component.name === 'Bun' && { version: Bun.version, purl: `pkg:npm/bun@${Bun.version}` }),
    text: readFileSync(join(root, 'licenses', text), 'utf8'),
  }))
}

function npmComponents(root: string, metafile: string): Component[] {
  const { inputs } = JSON.parse(readFileSync(metafile, 'utf8')) as { inputs: Record<string, unknown> }
  const folders = Object.keys(inputs).flatMap(path => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [])
  const hashes = integrityHashes(root)
  return [...new Set(folders)].sort().map(folder => npmComponent(root, join(root, folder), hashes))
}

/** What some packages say instead of the SPDX identifier. */
const SPDX: Readonly<Record<string, string>> = { 'Apache License 2.0': 'Apache-2.0' }

/** The text of a licence for a package that names it and brings no text of its own. */
function standardText(root: string, of: { readonly name: string; readonly version: string; readonly spdx: string }) {
  const file = join(root, 'licenses/texts', `${of.spdx}.txt`)
  if (!existsSync(file)) throw new Error(`${of.name} ${of.version} brings no licence text, and there is no ${file}`)
  return `The package names its licence and brings no text. The standard text of ${of.spdx} is:\n\n${readFileSync(file, 'utf8')}`
}

function npmComponent(root: string, folder: string, hashes: ReadonlyMap<string, string>): Component {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string
    version: string
    license?: string
  }
  const file = readdirSync(folder).find(name => /^(un)?licen[cs]e/i.test(name))
  if (license === undefined) throw new Error(`${name} ${version} says no licence in its package.json`)
  const spdx = SPDX[license] ?? license
  const sha512 = hashes.get(`${name}@${version}`)
  return {
    name,
    version,
    license: spdx,
    url: `https://www.npmjs.com/package/${name}`,
    text: file === undefined ? standardText(root, { name, version, spdx }) : readFileSync(join(folder, file), 'utf8'),
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    ...(sha512 !== undefined && { sha512 }),
  }
}

/** `name@version` to SHA-512, of the lock file. */
function integrityHashes(root: string): Map<string, string> {
  const { packages } = Bun.JSONC.parse(readFileSync(join(root, 'bun.lock'), 'utf8')) as {
    packages: Record<string, readonly unknown[]>
  }
  return new Map(
    Object.values(packages).flatMap((entry): [string, string][] => {
      const [id] = entry
      const integrity = entry.find(part => typeof part === 'string' && part.startsWith('sha512-'))
      if (typeof id !== 'string' || typeof integrity !== 'string') return []
      return [[id, Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex')]]
    }),
  )
}

/** All licences with their texts, for people. */
export function licencesText(components: readonly Component[]): string {
  const rule = '='.repeat(80)
  const head = 'terway-edge is licensed under Apache-2.0 (see LICENSE). Inside its executable are:\n'
  const entries = components.map(({ name, version, license, url, text }) =>
    [
      rule,
      `${name}${version === undefined ? '' : ` ${version}`}`,
      `${license}, ${url}`,
      rule,
      '',
      text.trim(),
      '',
    ].join('\n'),
  )
  return [head, ...entries].join('\n')
}
