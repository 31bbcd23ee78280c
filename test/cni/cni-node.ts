/**
 * A node for tests: a network namespace and a state folder, in which the plugin, ours or another,
 * is called as a runtime would.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestNetwork } from '../support/namespaces.ts'

export interface Call {
  readonly command: string
  readonly containerId?: string
  readonly netns?: string
  readonly ifname?: string
  readonly args?: string
  /** Keys besides cniVersion, name, type, podCIDRs and stateDir. */
  readonly config?: Record<string, unknown>
  /** A program of the CNI's reference plugins in place of ours. */
  readonly program?: string
  readonly env?: Record<string, string>
  /** A command that runs the plugin. */
  readonly through?: readonly string[]
  /** The script of this folder that is our plugin; default run-plugin.ts. */
  readonly script?: string
  /** The namespace to call it in, in place of the node's. */
  readonly namespace?: string
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of a plugin, looked at by expectations
export type Json = any

export interface Reply {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly json: Json
}

export class CniNode {
  readonly network: TestNetwork
  readonly namespace: string
  readonly stateDir = mkdtempSync(join(tmpdir(), 'te-cni-'))
  podCIDRs: string[]

  constructor(podCIDRs: string[], network = new TestNetwork(), name = 'node') {
    this.podCIDRs = podCIDRs
    this.network = network
    this.namespace = network.namespace(name)
    network.ip(this.namespace, 'addr add 192.0.2.11/32 dev lo') // no machine is without an address
    network.exec(this.namespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
    withoutDad(network, this.namespace)
  }

  /** A machine that is no node. */
  machine(name: string): string {
    const namespace = this.network.namespace(name)
    withoutDad(this.network, namespace)
    return namespace
  }

  /** A pod's empty namespace. */
  pod(name: string): { namespace: string; path: string } {
    const namespace = this.network.namespace(name)
    this.network.ip(namespace, 'link set lo down')
    return { namespace, path: this.network.path(namespace) }
  }

  async call(call: Call): Promise<Reply> {
    const config = {
      cniVersion: '1.1.0',
      name: 'pods',
      type: 'terway-edge',
      podCIDRs: this.podCIDRs,
      stateDir: this.stateDir,
      ...call.config,
    }
    const program =
      call.program === undefined
        ? [process.execPath, `${import.meta.dir}/${call.script ?? 'run-plugin.ts'}`]
        : [call.program]
    const { namespace = this.namespace, through = [] } = call
    const child = Bun.spawn(['ip', 'netns', 'exec', namespace, ...through, ...program], {
      stdin: Buffer.from(JSON.stringify(config)),
      stdout: 'pipe',
      stderr: 'pipe',
      env: {
        PATH: process.env.PATH ?? '',
        CNI_COMMAND: call.command,
        CNI_CONTAINERID: call.containerId ?? '',
        CNI_NETNS: call.netns ?? '',
        CNI_IFNAME: call.ifname ?? 'eth0',
        CNI_ARGS: call.args ?? '',
        CNI_PATH: '/usr/lib/cni',
        ...call.env,
      },
    })
    const [stdout, stderr, status] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    return { status, stdout, stderr, json: stdout === '' ? undefined : JSON.parse(stdout) }
  }

  /** ADD of an interface. */
  add(containerId: string, netns: string, more: Partial<Call> = {}): Promise<Reply> {
    return this.call({ command: 'ADD', containerId, netns, ...more })
  }

  /** What is there of pods: links, routes, records. */
  async leftovers(): Promise<Json[]> {
    return [...this.hostLinks(), ...this.podRoutes(), ...(await this.records())]
  }

  /** The records that the plugin keeps. */
  async records(): Promise<Json[]> {
    const file = Bun.file(join(this.stateDir, 'cni', 'attachments.json'))
    return (await file.exists()) ? (await file.json()).records : []
  }

  /** Names of the host ends that are there. */
  hostLinks(): string[] {
    const links: Json[] = JSON.parse(this.network.ip(this.namespace, '-j link show type veth'))
    return links.map(link => link.ifname).filter((name: string) => name?.startsWith('te'))
  }

  /** Routes to single addresses, of both families. */
  podRoutes(): string[] {
    const routes = (family: string): Json[] =>
      JSON.parse(this.network.ip(this.namespace, `${family} -j route show`) || '[]')
    return [...routes('-4'), ...routes('-6')]
      .map(route => route.dst)
      .filter((dst: string) => /^(10\.|fd00:)[^/]*$/.test(dst))
  }

  ping(namespace: string, address: string): boolean {
    return this.network.exec(namespace, ['ping', '-c1', '-W2', address], { mayFail: true }).status === 0
  }

  async close(): Promise<void> {
    await this.network.close()
    rmSync(this.stateDir, { recursive: true, force: true })
  }
}

/** The addresses that a reply to ADD gives. */
export function addressesOf(reply: Reply): string[] {
  return reply.json.ips.map((ip: Json) => ip.address.split('/')[0])
}

/** Links that are made from now on have their addresses at once. */
function withoutDad(network: TestNetwork, namespace: string): void {
  network.exec(namespace, ['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0'])
}
