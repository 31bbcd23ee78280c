/**
 * A release as it is made and as it is used: the same bytes from two folders, archives that hold
 * what they must, an executable for arm64 that runs, an image that podman and containerd take.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { version } from '../../package.json'
import { run } from '../support/namespaces.ts'
import { copyOfTree, makeRelease } from '../support/release.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = ['root', 'git', 'tar', 'apt-get', 'dpkg-deb']
const test = testNeeding(...NEEDS)
const testArm = testNeeding(...NEEDS, 'qemu-aarch64-static')
const testPodman = testNeeding(...NEEDS, 'podman', 'conmon', 'runc')
const testContainerd = testNeeding(...NEEDS, 'containerd', 'ctr', 'runc')
const MINUTE = 60_000
const folder = mkdtempSync(join(tmpdir(), 'te-release-'))
const image = () => join(release, `terway-edge-${version}-image.tar`)
const archive = (target: string) => `terway-edge-${version}-${target}.tar.gz`
const NAME = `localhost/terway-edge:${version}`
let tree = ''
let release = ''

if (missing(NEEDS).length === 0) {
  beforeAll(() => {
    tree = copyOfTree(join(folder, 'one'))
    release = makeRelease(tree)
  }, 10 * MINUTE)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
}

test('holds the executables with licences and documents, a bill of materials and sums', () => {
  expect(run(['sh', '-c', `cd ${release} && sha256sum --check SHA256SUMS`]).stdout.match(/: OK$/gm)?.length).toBe(5)
  for (const target of ['linux-x64', 'linux-x64-baseline', 'linux-arm64']) {
    const names = run(['tar', 'tzf', join(release, archive(target))]).stdout.split('\n')
    const inside = (name: string) => `terway-edge-${version}-${target}/${name}`
    expect(names).toEqual(
      expect.arrayContaining(['terway-edge', 'LICENSE', 'THIRD-PARTY-LICENSES.txt', 'README.md', 'docs/'].map(inside)),
    )
  }
  const bill = JSON.parse(readFileSync(join(release, `terway-edge-${version}.cdx.json`), 'utf8'))
  const names: string[] = bill.components.map(({ name }: { name: string }) => name)
  expect(names).toEqual(expect.arrayContaining(['@kubernetes/client-node', 'zod', 'Bun', 'BoringSSL', 'libc6']))
  expect(names).not.toContain('typescript')
  const licences = run([
    'tar',
    'xzOf',
    join(release, archive('linux-x64')),
    '--wildcards',
    '*/THIRD-PARTY-LICENSES.txt',
  ])
  for (const name of names.filter(name => !['libc6', 'ca-certificates'].includes(name)))
    expect(licences.stdout).toContain(`\n${name}`)
})

test(
  'is the same to the byte from another folder, and knows of none',
  () => {
    const clone = join(folder, 'another/with a longer name')
    run(['git', 'clone', '-q', tree, clone])
    const other = makeRelease(clone, '--only', 'linux-x64')
    const bytes = (of: string) => readFileSync(join(of, archive('linux-x64')))
    expect(bytes(other).equals(bytes(release))).toBe(true)
    expect(readFileSync(join(tree, 'dist/terway-edge-linux-x64')).includes(folder)).toBe(false)
  },
  5 * MINUTE,
)

test('runs from the archive alone, in an empty folder', () => {
  const place = join(folder, 'unpacked')
  mkdirSync(place)
  run(['tar', 'xzf', join(release, archive('linux-x64-baseline')), '-C', place, '--strip-components=1'])
  const answer = run(['env', '-i', join(place, 'terway-edge'), 'version', '-o', 'json'])
  expect(JSON.parse(answer.stdout)).toMatchObject({ version, platform: 'linux-x64' })
  expect(JSON.parse(answer.stdout).commit).toMatch(/^[0-9a-f]{12}$/)
})

testArm(
  'runs on arm64, with the libraries of its image',
  () => {
    const libraries = join(tree, 'dist/release-scratch/image/system-arm64')
    const call = (...words: string[]) =>
      run(['qemu-aarch64-static', '-L', libraries, join(tree, 'dist/terway-edge-linux-arm64'), ...words], {
        mayFail: true,
      })
    expect(JSON.parse(call('version', '-o', 'json').stdout)).toMatchObject({ version, platform: 'linux-arm64' })
    expect(call('manifests', '--part', 'crds').stdout).toContain('name: bgppeers.network.openyurt.io')
    expect(call('config', '-o', 'json').stdout).toContain('"protocol": 187')
  },
  5 * MINUTE,
)

testPodman(
  'is an image that podman loads and runs: read-only, as nobody, for both architectures',
  () => {
    const places = ['root', 'runroot'].flatMap(place => [`--${place}`, join(folder, 'podman', place)])
    const podman = (...words: string[]) =>
      run(['podman', ...places, '--storage-driver=vfs', '--cgroup-manager=cgroupfs', ...words], { mayFail: true })
    expect(podman('load', '--input', image()).stdout).toContain('terway-edge')
    const [found] = JSON.parse(podman('image', 'list', '--format=json').stdout)
    // no more than a test machine may give
    const limits = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024']
    const confined = [
      'run',
      '--rm',
      '--network=none',
      '--read-only',
      '--read-only-tmpfs=false',
      '--cap-drop=all',
      ...limits,
    ]
    const ran = podman(...confined, '--runtime=runc', found.Id, 'version', '-o', 'json')
    expect([ran.stderr, JSON.parse(ran.stdout || '{}').version]).toEqual(['', version])
    const [inspected] = JSON.parse(podman('image', 'inspect', found.Id).stdout)
    expect(inspected).toMatchObject({ User: '65534:65534', Architecture: 'amd64' })
    podman('rmi', '--all', '--force')
  },
  5 * MINUTE,
)

testContainerd(
  'is an image that containerd imports, with a platform each',
  async () => {
    const place = join(folder, 'containerd')
    const socket = join(place, 'containerd.sock')
    mkdirSync(place)
    const words = ['--root', join(place, 'root'), '--state', join(place, 'state'), '--address', socket]
    const log = Bun.file(join(place, 'log'))
    const daemon = Bun.spawn(['containerd', ...words], { stdout: log, stderr: log, stdin: 'ignore' })
    const ctr = (...words: string[]) => run(['ctr', '--address', socket, ...words], { mayFail: true })
    try {
      for (let tries = 0; tries < 200 && ctr('version').status !== 0; tries++) await Bun.sleep(50)
      const imported = ctr('images', 'import', '--snapshotter', 'native', '--all-platforms', image())
      expect([imported.stderr, imported.status]).toEqual(['', 0])
      const listed = ctr('images', 'list')
        .stdout.split('\n')
        .find(line => line.startsWith(NAME))
      expect(listed).toContain('linux/amd64,linux/arm64')
      const words_ = ['run', '--rm', '--snapshotter', 'native', '--read-only', '--cgroup', '', NAME, 'test']
      const ran = ctr(...words_, '/usr/local/bin/terway-edge', 'version', '-o', 'json')
      expect([ran.stderr, JSON.parse(ran.stdout || '{}').version]).toEqual(['', version])
    } finally {
      daemon.kill()
      await daemon.exited
    }
    expect(existsSync(socket)).toBe(false)
  },
  5 * MINUTE,
)
