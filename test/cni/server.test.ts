/**
 * The plugin and its server. The plugin's own process is bereft of all capabilities in these tests,
 * so that what works was done by the other; where that declines, it gets them back.
 */
import { afterEach, describe, expect } from 'bun:test'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FORMAT, LIMITS, type ServedRequest } from '../../src/cni/exchange.ts'
import { BUSY, repliesTo } from '../../src/cni/turns.ts'
import { flock, LOCK } from '../../src/lib/libc.ts'
import { testNeeding } from '../support/requires.ts'
import { type Call, CniNode, type Reply } from './cni-node.ts'

const testRoot = testNeeding('root', 'setpriv')
const POWERLESS = ['setpriv', '--inh-caps=-all', '--bounding-set=-all']

let node: CniNode
let server: Bun.Subprocess<'ignore', 'pipe', 'pipe'>

async function start(podCIDRs: string[]): Promise<void> {
  node = new CniNode(podCIDRs)
  await serve()
}

async function serve(): Promise<void> {
  server = node.network.spawn(node.namespace, [process.execPath, `${import.meta.dir}/serve-plugin.ts`, node.stateDir])
  const { value } = await server.stdout.getReader().read()
  expect(new TextDecoder().decode(value)).toBe('serving\n')
}

function served(call: Call): Promise<Reply> {
  return node.call({ through: POWERLESS, ...call })
}

describe('served', () => {
  afterEach(async () => {
    await node.close()
  })

  testRoot('ADD, CHECK and STATUS, by a plugin that could do none of it', async () => {
    await start(['10.0.1.0/25', 'fd00:1::/64'])
    const pod = node.pod('a')
    const attachment = { containerId: 'a', netns: pod.path }
    const added = await served({ command: 'ADD', ...attachment })
    expect(added).toMatchObject({ status: 0, stderr: '', json: { ips: [{ address: '10.0.1.1/32' }, {}] } })
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
    expect(node.podRoutes()).toEqual(['10.0.1.1', 'fd00:1::1'])
    expect(await served({ command: 'ADD', ...attachment })).toMatchObject({ status: 1, json: { code: 102 } })
    const prevResult = added.json
    expect(await served({ command: 'CHECK', ...attachment, config: { prevResult } })).toMatchObject({
      status: 0,
      stdout: '',
    })
    expect(await served({ command: 'STATUS' })).toMatchObject({ status: 0, stdout: '' })
    expect(await served({ command: 'DEL', ...attachment })).toMatchObject({ status: 0, stdout: '' })
    expect(await node.leftovers()).toEqual([])
    expect(await served({ command: 'DEL', ...attachment })).toMatchObject({ status: 0, stdout: '' })
    // loopback's configuration names no state folder: only where that is the default would it be
    // served
    const refused = await served({
      command: 'ADD',
      ...attachment,
      ifname: 'lo',
      config: { type: 'loopback', stateDir: '/nowhere' },
    })
    expect(refused.status).toBe(1)
    const loopback = { type: 'loopback', podCIDRs: undefined }
    expect(await served({ command: 'ADD', ...attachment, ifname: 'lo', config: loopback })).toMatchObject({ status: 0 })
  })

  testRoot(
    'a server that is killed leaves its socket, and the plugin goes on by itself; the next one serves again',
    async () => {
      await start(['10.0.1.0/25'])
      const pod = node.pod('a')
      server.kill('SIGKILL')
      await server.exited
      expect(existsSync(join(node.stateDir, 'cni/cni.sock'))).toBe(true)
      expect(await served({ command: 'ADD', containerId: 'a', netns: pod.path })).toMatchObject({ status: 1 })
      const alone = await node.call({ command: 'ADD', containerId: 'a', netns: pod.path })
      expect(alone).toMatchObject({ status: 0, json: { ips: [{}] } })
      await serve()
      expect(await served({ command: 'ADD', containerId: 'a', netns: pod.path })).toMatchObject({ json: { code: 102 } })
      server.kill('SIGTERM')
      await server.exited
      expect(existsSync(join(node.stateDir, 'cni/cni.sock'))).toBe(false)
    },
  )

  testRoot(
    'the server killed at any instruction: the plugin ends right',
    async () => {
      node = new CniNode(['10.0.1.0/25'])
      const pod = node.pod('a')
      const attachment = { containerId: 'a', netns: pod.path }
      const codes = new Set<number>()
      for (let round = 0; round < 8; round++) {
        await serve()
        const adding = node.call({ command: 'ADD', ...attachment })
        await Bun.sleep(15 + Math.random() * 15)
        server.kill('SIGKILL')
        const { status, json } = await adding
        codes.add(status === 0 ? 0 : json.code)
        expect([(await node.records()).length, node.hostLinks().length]).toEqual([1, 1])
        await server.exited
        await serve()
        const deleting = node.call({ command: 'DEL', ...attachment })
        await Bun.sleep(15 + Math.random() * 15)
        server.kill('SIGKILL')
        expect(await deleting).toMatchObject({ status: 0 })
        expect(await node.leftovers()).toEqual([])
        await server.exited
      }
      for (const code of codes) expect([0, 102]).toContain(code) // 102: all was done but the answer
    },
    300_000,
  )

  testRoot('no second server takes the socket of one that runs', async () => {
    await start(['10.0.1.0/25'])
    const command = [process.execPath, `${import.meta.dir}/serve-plugin.ts`, node.stateDir]
    const second = node.network.exec(node.namespace, command, { mayFail: true })
    expect(second.stderr).toContain(`another process serves the CNI plugin for ${node.stateDir}`)
    const pod = node.pod('a')
    expect(await served({ command: 'ADD', containerId: 'a', netns: pod.path })).toMatchObject({ status: 0 })
  })

  testRoot(
    'a plugin in another network namespace is not served: the pod must be wired where the plugin is',
    async () => {
      await start(['10.0.1.0/25'])
      const other = node.machine('other')
      const pod = node.pod('a')
      const call = { command: 'ADD', containerId: 'a', netns: pod.path, namespace: other }
      expect(await served(call)).toMatchObject({ status: 1, json: { code: 104 } })
      expect(await node.call(call)).toMatchObject({ status: 0 })
      expect(node.hostLinks()).toEqual([])
      expect(node.network.ip(other, 'link show type veth')).toContain('te')
      await node.call({ ...call, command: 'DEL' })
    },
  )

  testRoot(
    'served and alone at once: all addresses are distinct',
    async () => {
      await start(['10.0.1.0/24'])
      const pods = Array.from({ length: 40 }, (_, index) => ({ id: `p${index}`, ...node.pod(`p${index}`) }))
      const replies = await Promise.all(
        pods.map(({ id, path }, index) => {
          const call = { command: 'ADD', containerId: id, netns: path }
          // with all its rights: a machine that is too busy for the server may leave it to the
          // plugin
          return node.call(index % 2 === 0 ? call : { ...call, script: 'run-alone.ts' })
        }),
      )
      expect(replies.flatMap(({ status, stdout }) => (status === 0 ? [] : [stdout]))).toEqual([])
      expect(new Set(replies.map(({ json }) => json.ips[0].address)).size).toBe(40)
      server.kill('SIGTERM')
      expect(await new Response(server.stderr).text()).toContain('"done"') // not all were alone
      await Promise.all(pods.map(({ id, path }) => node.call({ command: 'DEL', containerId: id, netns: path })))
      expect([node.hostLinks(), await node.records()]).toEqual([[], []])
    },
    300_000,
  )

  testRoot('the socket is for root alone, and no nonsense on it does harm', async () => {
    await start(['10.0.1.0/25'])
    const path = join(node.stateDir, 'cni/cni.sock')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await say(path, 'nonsense\n')).toBe('{}\n')
    expect(await say(path, `${JSON.stringify({ format: FORMAT + 1 })}\n`)).toBe('{}\n')
    expect(await say(path, 'x'.repeat(LIMITS.requestBytes + 1))).toBe('')
    const idle = connect(path)
    expect(await served({ command: 'STATUS' })).toMatchObject({ status: 0 })
    idle.destroy()
  })
})

/** Sends `text` and resolves with all that comes back until the other end closes. */
function say(path: string, text: string): Promise<string> {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect(path, () => socket.write(text))
    socket.on('data', data => {
      answer += data
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}

describe('declined', () => {
  const here = statSync('/proc/self/ns/net').ino
  const folder = mkdtempSync(join(tmpdir(), 'te-cni-'))
  const stdin = JSON.stringify({
    cniVersion: '1.1.0',
    name: 'pods',
    type: 'terway-edge',
    podCIDRs: ['10.0.1.0/25'],
    stateDir: folder,
  })
  const request: Omit<ServedRequest, 'deadline'> = {
    format: FORMAT,
    environment: { CNI_COMMAND: 'STATUS' },
    stdin,
    ownNamespace: here,
  }
  const reply = (change: object) =>
    repliesTo([JSON.stringify({ ...request, deadline: Date.now() + 60_000, ...change })])[0]

  testNeeding('root')('what is late, from elsewhere or not understood; else it is done', () => {
    expect(reply({})?.exitStatus).toBeNumber()
    expect(reply({ format: 2 })).toEqual({})
    expect(reply({ deadline: Date.now() - 1 })).toEqual({})
    expect(reply({ ownNamespace: here + 1 })).toEqual({})
    expect(reply({ podNamespace: 7 })).toEqual({})
    const environment = { ...request.environment, CNI_NETNS: '/proc/self/ns/net' }
    expect(reply({ environment })).toEqual({})
    expect(reply({ environment, podNamespace: here })?.exitStatus).toBeNumber()
    expect(reply({ environment: { CNI_COMMAND: 'GC' } })).toEqual({})
    expect(reply({ stdin: undefined })).toEqual({})
    expect(reply({ environment: 7 })).toEqual({})
    expect(repliesTo([''])).toEqual([{}])
  })

  testNeeding('root')('what needs a lock that another process holds, when there is no time left to wait', () => {
    mkdirSync(join(folder, 'cni'), { recursive: true })
    const add = {
      environment: {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'a',
        CNI_IFNAME: 'eth0',
        CNI_NETNS: '/proc/self/ns/net',
        CNI_NETNS_OVERRIDE: '1',
      },
      podNamespace: here,
    }
    const file = openSync(join(folder, 'cni', 'lock'), 'a')
    flock(file, LOCK.EX)
    expect(reply(add)).toBe(BUSY)
    const soon = { ...add, deadline: Date.now() + 3000 }
    expect(reply(soon)).toEqual({})
    expect(reply(soon)).not.toBe(BUSY)
    closeSync(file)
    rmSync(folder, { recursive: true })
  })
})
