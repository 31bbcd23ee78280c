/**
 * The metadata service of the instance, at 100.100.100.200: what it says of an interface. ECS wants
 * a token; ENS has other paths and none, or no such service. Asked by the node itself, never by way
 * of a proxy; it gives no key here, and none is asked for.
 */
import { request } from 'node:http'
import type { Platform } from '../kube/eni-node.ts'
import { canonicalAddress } from '../lib/ip.ts'
import { gatewayByMask } from './gateways.ts'

const HOST = '100.100.100.200'
const TIMEOUT_MILLISECONDS = 3000
const TOKEN_SECONDS = 21_600

interface Answer {
  readonly status: number
  readonly text: string
}

/** Asks with a token where one is needed; a token that is refused is replaced once. */
export class InstanceMetadata {
  readonly #platform: Platform
  #token: string | undefined

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /** The gateways of the interface with that MAC. Throws when the service does not answer. */
  async gateways(mac: string): Promise<readonly string[]> {
    const get = (field: string) => this.#get(`network/interfaces/macs/${mac}/${field}`)
    const said = [await get('gateway'), await get('ipv6-gateway')].map(text => canonicalAddress(text ?? ''))
    const gateways = said.filter(gateway => gateway !== undefined)
    if (gateways.length > 0 || this.#platform === 'ecs') return gateways
    const gateway = gatewayByMask((await get('primary-ip-address')) ?? '', (await get('netmask')) ?? '')
    return gateway === undefined ? [] : [gateway]
  }

  /** Undefined: it has nothing of that name. */
  async #get(path: string): Promise<string | undefined> {
    for (let tries = 0; tries < 2; tries++) {
      const { status, text } = await this.#ask('GET', `/latest/meta-data/${path}`, await this.#headers())
      if (status === 200) return text.trim()
      if (status === 404) return undefined
      if (status !== 401) throw new Error(`the metadata service answers ${path} with status ${status}`)
      this.#token = undefined
    }
    throw new Error('the metadata service does not take the token that it gave')
  }

  async #headers(): Promise<Readonly<Record<string, string>>> {
    if (this.#platform === 'ens') return {}
    this.#token ??= await this.#newToken()
    return { 'X-aliyun-ecs-metadata-token': this.#token }
  }

  async #newToken(): Promise<string> {
    const lifetime = { 'X-aliyun-ecs-metadata-token-ttl-seconds': String(TOKEN_SECONDS) }
    const { status, text } = await this.#ask('PUT', '/latest/api/token', lifetime)
    if (status !== 200) throw new Error(`the metadata service gives no token: status ${status}`)
    return text.trim()
  }

  #ask(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS)
    return new Promise((resolve, reject) => {
      const asked = request({ host: HOST, port: 80, method, path, headers, signal, agent: false }, answer => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', chunk => {
          if (text.length < 65_536) text += String(chunk)
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
        answer.on('error', reject)
      })
      asked.on('error', reject)
      asked.end()
    })
  }
}
