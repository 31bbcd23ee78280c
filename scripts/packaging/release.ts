/**
 * Makes a release: `scripts/release`. Executables for all targets, an archive of each, the image, a
 * bill of materials and SHA256SUMS. The same commit gives the same bytes, in whatever folder.
 *   --out DIR      default dist/release
 *   --only NAME    linux-x64, linux-x64-baseline or linux-arm64, and no image
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { version } from '../../package.json'
import { type Component, componentsOf, licencesText } from './components.ts'
import { DEBIAN_PACKAGES } from './debian.ts'
import { imageTar } from './image.ts'
import { sbomText } from './sbom.ts'
import { emptyFolder, gzip, run, sha256, tarOf } from './shell.ts'
import { TARGETS, type Target } from './targets.ts'

const root = resolve(import.meta.dir, '../..')
const { values } = parseArgs({ options: { out: { type: 'string' }, only: { type: 'string' } } })
const out = emptyFolder(resolve(values.out ?? join(root, 'dist/release')))
const scratch = join(root, 'dist/release-scratch')
mkdirSync(scratch, { recursive: true })
const commit = run(['git', 'rev-parse', '--short=12', 'HEAD'], { cwd: root }).trim()
const time = Number(run(['git', 'log', '-1', '--format=%ct'], { cwd: root }).trim())

const targets = TARGETS.filter(({ name }) => values.only === undefined || name === values.only)
if (targets.length === 0)
  throw new Error(`--only ${values.only}: there is ${TARGETS.map(({ name }) => name).join(', ')}`)

const bases = installBases()
const components = componentsOf(root, scratch)
const documents = {
  LICENSE: readFileSync(join(root, 'LICENSE'), 'utf8'),
  'THIRD-PARTY-LICENSES.txt': licencesText(components),
}
const executables = new Map(targets.map(target => [target.name, build(target)]))
for (const [name, executable] of executables) writeArchive(name, executable)
if (values.only === undefined) writeImage()
const bill = sbomText({ version, commit, time, components: [...components, ...imageComponents()] })
writeFileSync(join(out, `terway-edge-${version}.cdx.json`), bill)
writeSums()
for (const name of readdirSync(out).sort()) process.stdout.write(`${join(out, name)}\n`)

/**
 * Bun's executables, by the lock file's hashes; another version than the one that builds would be
 * another Bun.
 */
function installBases(): string {
  const folder = join(import.meta.dir, 'bases')
  run([process.execPath, 'install', '--frozen-lockfile', '--cpu=*', '--os=*', '--silent'], { cwd: folder })
  return join(folder, 'node_modules')
}

function build({ name, base }: Target): string {
  const words = ['--target', name, '--base', join(bases, base, 'bin/bun')]
  process.stderr.write(run([join(root, 'scripts/build'), ...words]))
  return join(root, 'dist', `terway-edge-${name}`)
}

/**
 * The executable with what a user needs beside it: licences, documents, examples of what to fill
 * in.
 */
function writeArchive(name: string, executable: string): void {
  const title = `terway-edge-${version}-${name}`
  const folder = emptyFolder(scratch, name)
  const inside = join(folder, title)
  mkdirSync(join(inside, 'examples'), { recursive: true })
  cpSync(executable, join(inside, 'terway-edge'))
  chmodSync(join(inside, 'terway-edge'), 0o755)
  for (const [file, text] of Object.entries(documents)) writeFileSync(join(inside, file), text)
  for (const file of ['README.md', 'CHANGELOG.md']) cpSync(join(root, file), join(inside, file))
  cpSync(join(root, 'docs'), join(inside, 'docs'), { recursive: true })
  for (const file of ['bgppeer-example.yaml', 'config.yaml', 'grafana-dashboard.json', 'prometheus-alerts.yaml'])
    cpSync(join(root, 'config', file), join(inside, 'examples', file))
  run(['chmod', '-R', 'u=rwX,go=rX', inside])
  writeFileSync(join(out, `${title}.tar.gz`), gzip(tarOf(folder, time)))
}

function writeImage(): void {
  const executable = (target: Target['name']) => executables.get(target) ?? ''
  const tar = imageTar({ folder: emptyFolder(scratch, 'image'), version, commit, time, executable, documents })
  writeFileSync(join(out, `terway-edge-${version}-image.tar`), tar)
}

/** What the image has beside the executable. */
function imageComponents(): Component[] {
  if (values.only !== undefined) return []
  return DEBIAN_PACKAGES.map(({ name, version, architecture }) => ({
    name,
    version,
    license: name === 'libc6' ? 'LGPL-2.1-or-later' : 'MPL-2.0',
    url: `https://packages.debian.org/bookworm/${name}`,
    text: '',
    purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=bookworm`,
  }))
}

function writeSums(): void {
  const lines = readdirSync(out)
    .sort()
    .map(name => `${sha256(readFileSync(join(out, name)))}  ${name}\n`)

  writeFileSync(join(out, 'SHA256SUMS'), lines.join(''))
}
