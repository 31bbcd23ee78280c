/**
 * `terway-edge install` and `uninstall`: the executable, the units, the configuration and the CNI links on this machine. Installing twice
 * changes nothing; a configuration that is there is never overwritten; what was not made here is never removed.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import configExample from '../../config/config.yaml' with { type: 'text' }
import { leaveNetwork } from '../agent/leave.ts'
import { removePodLinks } from '../cni/leave.ts'
import { loadConfig } from '../config.ts'
import { removeFirewall } from '../firewall/reconcile.ts'
import {
  CNI_NAMES,
  CONFIG,
  EXECUTABLE,
  KUBECONFIG,
  NODE_UNIT,
  STATE_DIRECTORY,
  UNITS,
} from '../host/installed-files.ts'
import { runningProcess } from '../host/state-folder.ts'
import { foldersToOpen, hiddenPaths, unitsFor } from '../host/unit.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { errorText, problemsError, UserError } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { print } from '../lib/stdout.ts'
import { drainProcess, drainTimeoutSeconds } from './drain.ts'
import { createProgram, runProgram } from './program.ts'

interface InstallOptions {
  readonly root: string
  readonly kubeconfig?: string
  readonly start: boolean
}

export function installCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'install',
    'Installs this executable as the services of an edge node: agent and speaker (terway-edge), and the server of the CNI plugin (terway-edge-cni). Installing again updates it, and leaves terway-edge-cni disabled where it was.',
    [
      'terway-edge install --kubeconfig ./node.kubeconfig',
      'terway-edge install --root /mnt/image --no-start   # into an image that is being built',
    ],
  )
    .option('--kubeconfig <file>', `copied to ${KUBECONFIG} (see terway-edge kubeconfig)`)
    .option('--root <dir>', 'install below this folder instead of /', '/')
    .option('--no-start', 'do not enable and start the services')
  return runProgram<InstallOptions>(program, args, async options => {
    requireRoot(options.root, 'install')
    install(options)
    return 0
  })
}

function install(options: InstallOptions): void {
  const at = (path: string) => join(options.root, path)
  if (options.kubeconfig !== undefined) loadKubeconfig(options.kubeconfig) // one that cannot work replaces none that does
  const self = compiledExecutable()
  const config = loadConfig(existsSync(at(CONFIG)) ? { config: at(CONFIG) } : {})
  const hidden = hiddenPaths(config)
  if (hidden.length > 0) throw problemsError(at(CONFIG), hidden)
  done('executable', at(EXECUTABLE), copyWhole(self, at(EXECUTABLE), 0o755))
  if (options.kubeconfig !== undefined)
    done(
      'kubeconfig',
      at(KUBECONFIG),
      writeIfDifferent(at(KUBECONFIG), readFileIfPresent(options.kubeconfig) ?? '', 0o600),
    )
  done(
    'configuration',
    at(CONFIG),
    existsSync(at(CONFIG)) ? 'kept' : writeIfDifferent(at(CONFIG), configExample, 0o644),
  )
  for (const name of CNI_NAMES) {
    const path = at(join(config.cni.binDir, name))
    done('CNI plugin', path, name === 'loopback' && isOthers(path) ? 'kept' : link(EXECUTABLE, path))
  }
  mkdirSync(at(config.cni.confDir), { recursive: true }) // the unit may write below it only if it is there
  for (const folder of foldersToOpen(config)) // and these
    mkdirSync(at(folder), { recursive: true, mode: folder === config.state ? 0o700 : 0o755 })
  const units = unitsFor(config)
  const known = units.filter(({ path }) => existsSync(at(path))).map(({ path }) => path)
  for (const { path, text } of units) done('unit', at(path), writeIfDifferent(at(path), text, 0o644))
  if (options.root !== '/' || !options.start) {
    const how = options.root === '/' ? 'enable --now' : `--root=${options.root} enable`
    print(
      `nothing was started; to do that: systemctl ${how} ${UNITS.map(path => basename(path, '.service')).join(' ')}\n`,
    )
    return
  }
  if (!hasSystemd()) {
    print(`no systemd here: start it yourself with ${EXECUTABLE} node --config ${CONFIG}\n`)
    return
  }
  systemctl('daemon-reload')
  // where the node's service is enabled, the operator has disabled the other one; where not, nothing was ever started
  const left = isEnabled(NODE_UNIT) ? known.filter(path => path !== NODE_UNIT && !isEnabled(path)) : []
  const wanted = units.map(({ path }) => path).filter(path => !left.includes(path))
  for (const path of wanted) systemctl('enable', basename(path)) // all, before one that cannot start ends this
  for (const path of wanted) systemctl('restart', basename(path))
  for (const path of left) systemctl('try-restart', basename(path))
  print('the service runs; see terway-edge status\n')
}

interface UninstallOptions {
  readonly root: string
  readonly purge: boolean
}

export function uninstallCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'uninstall',
    'Withdraws what this node announces, stops the services, removes its routes, its CNI configuration and what install made.',
    ['terway-edge uninstall', 'terway-edge uninstall --purge   # also the configuration, the kubeconfig and the state'],
  )
    .option('--root <dir>', 'what was installed below this folder', '/')
    .option('--purge', 'remove the configuration, the kubeconfig and the state too', false)
  return runProgram<UninstallOptions>(program, args, async options => {
    requireRoot(options.root, 'uninstall')
    await uninstall(options)
    return 0
  })
}

async function uninstall(options: UninstallOptions): Promise<void> {
  const at = (path: string) => join(options.root, path)
  const config = loadConfig(existsSync(at(CONFIG)) ? { config: at(CONFIG) } : {})
  if (options.root === '/') {
    if (runningProcess(config.state) !== undefined) {
      await drainProcess(config.state, drainTimeoutSeconds(config)).catch(error =>
        process.stderr.write(`could not withdraw first: ${errorText(error)}\n`),
      )
    }
    if (hasSystemd()) {
      for (const unit of UNITS.filter(existsSync)) systemctl('disable', '--now', basename(unit))
    }
    const { protocol, table } = config.route
    const left = leaveNetwork({
      mark: { protocol, table },
      confDir: config.cni.confDir,
      stateDir: config.state,
    })
    const firewall = await removeFirewall()
    for (const line of [...left.done, ...firewall.removed.map(what => `removed ${what}`)]) print(`${line}\n`)
    for (const problem of [...left.problems, ...firewall.problems]) process.stderr.write(`${problem}\n`)
    const pods = removePodLinks(config.state)
    if (pods.removed > 0)
      print(`removed the ${pods.removed === 1 ? 'interface of 1 pod' : `interfaces of ${pods.removed} pods`}\n`)
    for (const problem of pods.problems) process.stderr.write(`${problem}\n`)
  }
  for (const name of CNI_NAMES) unlinkOurs(at(join(config.cni.binDir, name)))
  for (const unit of UNITS) remove(at(unit))
  if (options.root === '/' && hasSystemd()) systemctl('daemon-reload')
  if (options.purge) {
    remove(at(dirname(CONFIG)))
    for (const folder of new Set([config.state, STATE_DIRECTORY])) remove(at(folder))
  } else {
    const kept = [at(CONFIG), at(KUBECONFIG), at(config.state)].filter(existsSync)
    if (kept.length > 0) print(`kept: ${kept.join(', ')} (--purge removes them)\n`)
  }
  remove(at(EXECUTABLE))
}

/** The running executable; when run from source there is none to install. */
function compiledExecutable(): string {
  if (Bun.embeddedFiles.length === 0 && !import.meta.url.includes('$bunfs')) {
    throw new UserError(
      'this is the source, not the executable: build it with scripts/build and run dist/terway-edge install',
      { exitStatus: 2 },
    )
  }
  return process.execPath
}

type Change = 'written' | 'unchanged' | 'kept'

function copyWhole(from: string, to: string, mode: number): Change {
  if (existsSync(to) && lstatSync(to).isFile() && sameFile(from, to)) return 'unchanged'
  mkdirSync(dirname(to), { recursive: true })
  const beside = `${to}.part` // the running executable cannot be written to, but it can be replaced
  try {
    copyFileSync(from, beside)
    chmodSync(beside, mode)
    renameSync(beside, to)
  } catch (cause) {
    rmSync(beside, { force: true })
    throw new UserError(`cannot write ${to}`, { cause })
  }
  return 'written'
}

function sameFile(a: string, b: string): boolean {
  const [x, y] = [lstatSync(a), lstatSync(b)]
  if (x.ino === y.ino && x.dev === y.dev) return true
  return x.size === y.size && digest(a) === digest(b)
}

function digest(path: string): string {
  const hash = new Bun.CryptoHasher('sha256')
  hash.update(readFileSync(path))
  return hash.digest('hex')
}

function writeIfDifferent(path: string, text: string, mode: number): Change {
  if (readFileIfPresent(path) === text) return 'unchanged'
  writeFileWhole(path, text, { mode })
  return 'written'
}

function link(target: string, path: string): Change {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there?.isSymbolicLink() && readlinkSync(path) === target) return 'unchanged'
  if (there !== undefined && !there.isSymbolicLink()) {
    throw new UserError(`${path} is there and is not ours: move it away first`)
  }
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  symlinkSync(target, path)
  return 'written'
}

/** Whether something is there that install did not make. */
function isOthers(path: string): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false })
  return there !== undefined && !(there.isSymbolicLink() && readlinkSync(path) === EXECUTABLE)
}

function unlinkOurs(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(path) === EXECUTABLE) remove(path)
}

function remove(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  rmSync(path, { recursive: true })
  print(`removed ${path}\n`)
}

function done(what: string, path: string, change: Change): void {
  print(`${what.padEnd(14)} ${path} (${change})\n`)
}

/** Whether systemd runs this machine (sd_booted(3)): the program alone may be in a container too. */
function hasSystemd(): boolean {
  return Bun.which('systemctl') !== null && existsSync('/run/systemd/system')
}

function requireRoot(root: string, command: string): void {
  if (root === '/' && process.getuid?.() !== 0) throw new UserError(`run it as root: sudo terway-edge ${command}`)
}

/** Whether systemd starts a unit at boot (systemctl(1), is-enabled). */
function isEnabled(unit: string): boolean {
  const { exitCode } = Bun.spawnSync(['systemctl', 'is-enabled', basename(unit)], {
    stdout: 'ignore',
    stderr: 'ignore',
  })
  return exitCode === 0
}

function systemctl(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(['systemctl', ...words], { stdout: 'ignore', stderr: 'pipe' })
  if (exitCode !== 0)
    throw new UserError(`systemctl ${words.join(' ')}: ${stderr.toString().trim() || `exit status ${exitCode}`}`)
}
