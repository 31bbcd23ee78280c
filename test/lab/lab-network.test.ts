/**
 * The lab's hands: namespaces, routers and processes come and go without a trace; the relay carries
 * bytes between namespaces.
 */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { takeDown } from '../../src/lab/down.ts'
import { exclusively, makeFolder, removeFolder } from '../../src/lab/folders.ts'
import { listenIn } from '../../src/lab/namespace-socket.ts'
import { decodeOptions, namespacesOf, planLab } from '../../src/lab/plan.ts'
import { endProcesses, isAlive, startProcess } from '../../src/lab/processes.ts'
import { LabBook, readRecord } from '../../src/lab/record.ts'
import { startRelay } from '../../src/lab/relay.ts'
import { startRouters, switchRoutes, switchSessions } from '../../src/lab/routers.ts'
import {
  makeLinks,
  makeNamespaces,
  namespaceInode,
  removeNamespaces,
  requireFreeNames,
} from '../../src/lab/topology.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const folder = mkdtempSync(join(tmpdir(), 'te-lab-'))
chmodSync(folder, 0o755) // FRR's daemons run as a user of their own
let count = 0

function newLab(switches = 'bird') {
  const directory = join(folder, `lab-${++count}`)
  const options = decodeOptions({ dir: directory, switch: switches, nodes: 'node-1,node-2,node-3,node-4' })
  makeFolder(directory)
  const book = new LabBook({
    phase: 'building',
    options,
    namespaces: [],
    processes: [],
    pages: [],
    pods: [],
    kubeconfig: '',
    realCluster: false,
    objects: [],
  })
  return { directory, plan: planLab(options), book }
}

/** What the host's own network looks like. */
function hostNetwork(): string {
  return (
    run(['ip', '-o', 'link']).stdout.replaceAll(/^\d+: te.*$/gm, '') +
    run(['ip', 'route', 'show', 'table', 'all']).stdout
  )
}

const directories: string[] = []
afterEach(async () => {
  for (const directory of directories.splice(0)) await takeDown(directory, readRecord(directory), clock)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('topology', () => {
  for (const [switches, needs] of [
    ['bird', ['root', 'bird', 'ip']],
    ['bird,frr', ['root', 'bird', 'bgpd', 'ip']],
  ] as const) {
    testNeeding(...needs)(
      `with ${switches} connects every machine and leaves nothing behind`,
      async () => {
        const before = hostNetwork()
        const { directory, plan, book } = newLab(switches)
        directories.push(directory)
        requireFreeNames(plan)
        await makeNamespaces(plan, book)
        await makeLinks(plan)
        await startRouters(plan, book, clock)
        expect(() => requireFreeNames(plan)).toThrow('did not make')
        for (const lan of plan.lans) {
          await eventually(`${lan.switch.name} has the VPC's route`, async () =>
            (await switchRoutes(lan.switch)).some(route => route.destination === '192.168.0.0/16'),
          )
          const states = await eventually(`${lan.switch.name} speaks to both routers`, async () => {
            const all = (await switchSessions(directory, lan.switch)).map(({ state }) => state)
            return all.filter(state => state === 'Established').length === 2 && all
          })
          expect(states).toHaveLength(4)
        }
        const [node] = plan.lans[1].nodes
        await eventually(
          'the VPC host answers a node',
          () =>
            run(['ip', 'netns', 'exec', node?.namespace ?? '', 'ping', '-c1', '-W1', plan.vpc.address], {
              mayFail: true,
            }).status === 0,
        )
        await takeDown(directory, readRecord(directory), clock)
        expect([...namespacesOf(plan).values()].filter(name => namespaceInode(name) !== undefined)).toEqual([])
        expect(book.record.processes.filter(isAlive)).toEqual([])
        expect(hostNetwork()).toBe(before)
      },
      300_000,
    )
  }

  testNeeding('root', 'ip')('a namespace that is not the one that was made stays', async () => {
    const { plan, book, directory } = newLab()
    directories.push(directory)
    const name = plan.vpc.namespace
    run(['ip', 'netns', 'add', name])
    try {
      await removeNamespaces([{ name, inode: (namespaceInode(name) ?? 0) + 1 }])
      expect(namespaceInode(name)).toBeDefined()
      await expect(makeNamespaces(plan, book)).rejects.toThrow(`cannot make the network namespace ${name}`)
      expect(book.record.namespaces.some(record => record.name === name)).toBe(false)
      await removeNamespaces(book.record.namespaces)
      expect(namespaceInode(name)).toBeDefined()
    } finally {
      run(['ip', 'netns', 'del', name])
    }
  })
})

describe('processes', () => {
  test('are ended when pid and start time fit, and left alone when they do not', async () => {
    const { book, directory } = newLab()
    const started = startProcess(book, { name: 'sleeper', command: ['sleep', '1000'] })
    await endProcesses('/nowhere', [{ ...started, startTime: '1' }], clock)
    expect(isAlive(started)).toBe(true)
    await endProcesses('/nowhere', [started], clock)
    expect(isAlive(started)).toBe(false)
    removeFolder(directory)
  })

  test('that were never recorded are found by their mark, also when they do not want to end', async () => {
    const { book, directory } = newLab()
    const started = startProcess(book, {
      name: 'stubborn',
      command: ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'],
    })
    await endProcesses(directory, [], clock)
    expect(isAlive(started)).toBe(false)
    removeFolder(directory)
  }, 300_000)
})

describe('folder', () => {
  test("is refused when it holds anything that is not a lab's, and never removed with it", () => {
    const directory = join(folder, 'foreign')
    makeFolder(directory)
    writeFileSync(join(directory, 'precious'), '')
    expect(() => makeFolder(directory)).toThrow('precious')
    removeFolder(directory)
    expect(() => makeFolder(directory)).toThrow('precious')
  })
  test('goes with what a write left that was cut short', () => {
    const directory = join(folder, 'cut')
    makeFolder(directory)
    writeFileSync(join(directory, '.123.456.part'), '')
    makeFolder(directory)
    removeFolder(directory)
    expect(existsSync(directory)).toBe(false)
  })
  test('is worked on by one at a time', async () => {
    const directory = join(folder, 'locked')
    await exclusively(directory, async () => {
      await expect(exclusively(directory, async () => {})).rejects.toThrow('at work')
    })
    await exclusively(directory, async () => {})
    removeFolder(directory)
  })
})

describe('relay', () => {
  testNeeding('root', 'ip')('carries bytes out of and into namespaces, whole and in order', async () => {
    const network = new TestNetwork()
    const namespace = network.namespace('relay')
    const path = network.path(namespace)
    const payload = Buffer.alloc(3_000_000, 'terway-edge ')
    const echo = createServer(socket => {
      socket.on('error', () => socket.destroy())
      socket.pipe(socket)
    })
    try {
      const echoFd = listenIn(path, '127.0.0.1', 7)
      await new Promise<void>(resolve => echo.listen({ fd: echoFd }, resolve))
      const relay = await startRelay(
        [
          {
            name: 'in',
            listen: { address: '127.0.0.1', port: 0 },
            dial: { namespace: path, address: '127.0.0.1', port: 7 },
          },
        ],
        clock,
      )
      try {
        const outer = await startRelay(
          [
            {
              name: 'out',
              listen: { namespace: path, address: '127.0.0.1', port: 8 },
              dial: { address: '127.0.0.1', port: relay.ports.get('in') ?? 0 },
            },
            {
              name: 'back',
              listen: { address: '127.0.0.1', port: 0 },
              dial: { namespace: path, address: '127.0.0.1', port: 8 },
            },
          ],
          clock,
        )
        try {
          expect((await echoed(outer.ports.get('back') ?? 0, payload)).equals(payload)).toBe(true)
        } finally {
          outer.close()
        }
      } finally {
        relay.close()
      }
    } finally {
      echo.close()
      await network.close()
    }
  })

  testNeeding('root', 'ip')('closes a connection whose far side cannot be reached', async () => {
    const network = new TestNetwork()
    const namespace = network.namespace('relay')
    const relay = await startRelay(
      [
        {
          name: 'dead',
          listen: { address: '127.0.0.1', port: 0 },
          dial: { namespace: network.path(namespace), address: '127.0.0.1', port: 9 },
        },
      ],
      clock,
    )
    try {
      expect((await echoed(relay.ports.get('dead') ?? 0, Buffer.from('x'))).length).toBe(0)
    } finally {
      relay.close()
      await network.close()
    }
  })
})

/**
 * Sends `payload` and gives back what comes, until as much has come or the connection is closed.
 */
function echoed(port: number, payload: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let length = 0
    let unsent = new Uint8Array(payload)
    const send = (socket: Bun.Socket<undefined>) => {
      unsent = unsent.subarray(Math.max(0, socket.write(unsent)))
    }
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: send,
        drain: send,
        data(socket, bytes) {
          chunks.push(Uint8Array.from(bytes))
          length += bytes.length
          if (length >= payload.length) socket.end()
        },
        close: () => resolve(Buffer.concat(chunks)),
        error: (_, error) => reject(error),
      },
    }).catch(reject)
  })
}
