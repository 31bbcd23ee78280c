/**
 * The file of attachments: written and read in a real folder, damaged, and written by processes
 * that are killed in the middle.
 */
import { afterEach, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AddressStore, damageOf } from '../../src/cni/address-store.ts'
import { type AttachmentRecord, formatAttachments, parseAttachments } from '../../src/cni/attachments.ts'
import { leaksOf } from '../../src/cni/leaks.ts'
import { recordsOf } from '../../src/cni/rebuild.ts'
import { release, reserve } from '../../src/cni/reservation.ts'
import type { Route } from '../../src/netlink/types.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function stateDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'te-cni-store-'))
  folders.push(folder)
  return folder
}

function record(containerId: string, extra: Partial<AttachmentRecord> = {}): Omit<AttachmentRecord, 'addresses'> {
  return {
    attempt: `attempt-${containerId}`,
    containerId,
    interfaceName: 'eth0',
    network: 'pods',
    hostInterface: `te-${containerId}`,
    namespacePath: '/run/netns/x',
    bootId: 'boot-1',
    pod: { namespace: 'default', name: 'web-0' },
    ...extra,
  }
}

function reserving(
  store: AddressStore,
  containerId: string,
  extra: Partial<AttachmentRecord> = {},
  podCIDR = '10.0.1.0/30',
) {
  const [reserved] = reserve(
    store,
    [{ source: { kind: 'podCIDRs', podCIDRs: [podCIDR] }, requestedAddresses: [], record: record(containerId, extra) }],
    before => before.hostInterface === 'alive',
  )
  if (reserved === undefined) throw new Error('no answer')
  return reserved
}

test('what is written is read again', () => {
  const store = new AddressStore(stateDir())
  reserving(store, 'a')
  reserving(store, 'b')
  const attachments = store.read()
  const { last, records } = attachments
  expect(last).toEqual({ ipv4: '10.0.1.2' })
  expect(records).toEqual([
    { ...record('a'), addresses: ['10.0.1.1'] },
    { ...record('b'), addresses: ['10.0.1.2'] },
  ])
  expect(parseAttachments(formatAttachments(attachments))).toEqual(attachments)
  const more = { ...attachments, freed: ['192.168.32.11'], waiting: [{ pod: 'default/web-1', at: 17 }] }
  expect(parseAttachments(formatAttachments(more))).toEqual(more)
})

test('a full pool is said, and an address is free again when its attempt is released', () => {
  const store = new AddressStore(stateDir())
  reserving(store, 'a')
  reserving(store, 'b')
  const full = reserving(store, 'c')
  expect(full).toMatchObject({ code: 100, msg: 'all 2 addresses of 10.0.1.0/30 are in use' })
  release(store, ['attempt-a', 'never-was'])
  expect(reserving(store, 'c')).toMatchObject({ addresses: ['10.0.1.1'] })
})

test('a living attachment is not attached again; a dead attempt is replaced', () => {
  const store = new AddressStore(stateDir())
  reserving(store, 'a', { hostInterface: 'alive' })
  reserving(store, 'b')
  expect(reserving(store, 'a')).toMatchObject({ code: 102 })
  expect(reserving(store, 'b', { attempt: 'second' })).toMatchObject({ attempt: 'second', addresses: ['10.0.1.2'] })
  expect(store.read().records.map(({ attempt }) => attempt)).toEqual(['attempt-a', 'second'])
})

test('addresses of a former boot are taken only when there are no others', () => {
  const store = new AddressStore(stateDir())
  reserving(store, 'a')
  expect(reserving(store, 'b', { bootId: 'boot-2' })).toMatchObject({ addresses: ['10.0.1.2'] })
  expect(store.read().records).toHaveLength(2)
  expect(reserving(store, 'c', { bootId: 'boot-2' })).toMatchObject({ addresses: ['10.0.1.1'] })
  expect(store.read().records.map(({ containerId }) => containerId)).toEqual(['b', 'c'])
})

test('an address of a pod that lives is not taken, whatever its boot was called', () => {
  const store = new AddressStore(stateDir())
  reserving(store, 'a', { hostInterface: 'alive' })
  reserving(store, 'b', { bootId: 'boot-2' })
  expect(reserving(store, 'c', { bootId: 'boot-2' })).toMatchObject({ code: 100 })
  expect(store.read().records.map(({ containerId }) => containerId)).toEqual(['a', 'b'])
})

test('a release does not undo a later attempt for the same interface', () => {
  const store = new AddressStore(stateDir())
  reserving(store, 'a')
  reserving(store, 'a', { attempt: 'second' })
  release(store, ['attempt-a'])
  expect(store.read().records).toMatchObject([{ attempt: 'second' }])
})

test('leaks are what is of a former boot or has lost its namespace', () => {
  const store = new AddressStore(stateDir())
  reserving(store, 'former', { bootId: 'boot-0' }, '10.0.1.0/24')
  reserving(store, 'alive', { bootId: 'boot-0', hostInterface: 'te0' }, '10.0.1.0/24')
  reserving(store, 'gone', { namespacePath: '/run/netns/gone' }, '10.0.1.0/24')
  reserving(store, 'unseen', { namespacePath: '/run/netns/unseen', hostInterface: 'te1' }, '10.0.1.0/24')
  reserving(store, 'starting', {}, '10.0.1.0/24')
  const present = {
    bootId: 'boot-1',
    path: (path: string) => path === '/run/netns/x',
    link: (name: string) => ['te0', 'te1'].includes(name),
  }
  expect(leaksOf(store.read(), present).map(({ containerId }) => containerId)).toEqual(['former', 'gone'])
})

test('a damaged file is set aside whole, and the next change goes on from what the kernel knows', () => {
  const folder = stateDir()
  const file = join(folder, 'cni', 'attachments.json')
  const store = new AddressStore(folder)
  mkdirSync(join(folder, 'cni'))
  expect(damageOf(folder)).toBeUndefined()
  for (const text of ['', '{', '{}', '{"format":2}', '{"format":1,"last":{"ipv4":"x"},"records":[]}']) {
    writeFileSync(file, text)
    expect(store.read().records).toEqual([]) // no pod here
    expect(readFileSync(file, 'utf8')).toBe(text)
    reserving(store, 'a')
    expect(store.read().records).toMatchObject([{ containerId: 'a' }])
    expect(readFileSync(damageOf(folder)?.file ?? '', 'utf8')).toBe(text)
  }
})

test('a file that cannot be read at all is an error that names it', () => {
  const folder = stateDir()
  const file = join(folder, 'cni', 'attachments.json')
  mkdirSync(file, { recursive: true })
  expect(() => new AddressStore(folder).read()).toThrow(`cannot read ${file}`)
})

test('what the kernel knows of pods: host ends of ours with their addresses, and nothing of others', () => {
  const link = (index: number, name: string, alias?: string) => ({
    ...{ index, name, kind: 'veth', mtu: 1500, up: true, carrier: true, loopback: false, address: '' },
    ...(alias !== undefined && { alias }),
  })
  const route = (destination: string, index: number): Route => ({
    ...{ family: destination.includes(':') ? 'ipv6' : 'ipv4', destination, table: 254, protocol: 3, scope: 253 },
    ...{ type: 'unicast', priority: 0, nextHops: [{ interface: index }], flags: 0 },
  })
  const records = recordsOf({
    links: [
      link(5, 'te1', 'terway-edge pods c1 eth0'),
      link(6, 'te2', 'terway-edge pods c2 eth0'),
      link(7, 'veth7'),
      link(8, 'te3', 'terway-edge pods c3 eth0'),
    ],
    routes: [
      route('10.0.1.5/32', 5),
      route('fd00:1::5/128', 5),
      route('10.0.2.0/24', 5),
      route('10.0.1.6/32', 6),
      route('10.0.1.7/32', 7),
    ],
    rules: [],
    bootId: 'boot',
  })
  expect(records).toMatchObject([
    {
      containerId: 'c1',
      interfaceName: 'eth0',
      network: 'pods',
      addresses: ['10.0.1.5', 'fd00:1::5'],
      hostInterface: 'te1',
    },
    { containerId: 'c2', addresses: ['10.0.1.6'], bootId: 'boot' },
  ])
})

test('killed at any instruction, the store is whole and has what was promised', async () => {
  const folder = stateDir()
  const store = new AddressStore(folder)
  for (let round = 0; round < 25; round++) {
    const before = new Map(store.read().records.map(entry => [entry.attempt, entry.addresses]))
    const children = ['x', 'y'].map(name =>
      Bun.spawn([process.execPath, `${import.meta.dir}/store-child.ts`, folder, `${name}${round}`], {
        stdout: 'pipe',
        stderr: 'inherit',
      }),
    )
    const spoken = children.map(child => listen(child.stdout))
    await Promise.all(spoken.map(({ begun }) => begun)) // a busy machine starts them late
    await Bun.sleep(Math.random() * 25)
    for (const child of children) child.kill('SIGKILL')
    const outputs = await Promise.all(spoken.map(({ text }) => text))
    await Promise.all(children.map(child => child.exited))

    const after = new Map(store.read().records.map(entry => [entry.attempt, entry.addresses]))
    const all = [...after.values()].flat()
    expect(new Set(all).size).toBe(all.length)
    const undone = new Set<string>()
    const lines = outputs.flatMap(output => output.split('\n').filter(line => line !== ''))
    for (const line of lines) {
      const [what = '', attempt = ''] = line.split(' ')
      if (what === '~') undone.add(attempt)
      if (what === '-') expect(after.has(attempt)).toBe(false)
    }
    for (const line of lines) {
      const [what = '', attempt = '', ...addresses] = line.split(' ')
      if (what === '+' && !undone.has(attempt)) expect(after.get(attempt)).toEqual(addresses)
    }
    for (const [attempt, addresses] of before) expect(after.get(attempt)).toEqual(addresses)
  }
  expect(store.read().records.length).toBeGreaterThan(0)
  reserving(store, 'the lock is free', {}, '10.9.0.0/24')
  expect(readdirSync(join(folder, 'cni')).sort()).toEqual(['attachments.json', 'lock'])
}, 300_000)

/** What a child says, and when it has begun to. */
function listen(output: ReadableStream<Uint8Array>): { begun: Promise<void>; text: Promise<string> } {
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const read = async () => {
    const decoder = new TextDecoder()
    let text = ''
    for await (const bytes of output) {
      text += decoder.decode(bytes, { stream: true })
      resolve()
    }
    resolve()
    return text
  }
  return { begun, text: read() }
}
