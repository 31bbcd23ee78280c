/**
 * How the operator's commands ask the local process: one GET of `/api/v1/snapshot`, and what to say
 * when that fails. Shared by status, peers, routes and nodes.
 *
 * It goes by node:http, not by fetch: fetch would send even a request to loopback through the
 * HTTP_PROXY of the operator's shell.
 */
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { type Command, Option } from 'commander'
import { errorCode, errorText, UserError } from '../lib/errors.ts'
import type { AdvertisedRoute } from '../model/session.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { readTokenFile } from './credentials.ts'

export interface AskOptions {
  readonly address: string
  readonly tokenFile?: string
  readonly output?: Output
  readonly watch?: boolean
  /** Of the cluster to read, in the place of a process. */
  readonly kubeconfig?: string
}

const OUTPUTS = ['table', 'wide', 'json', 'yaml', 'name'] as const
export type Output = (typeof OUTPUTS)[number]

const DEFAULT_PORT = 9179
const DEFAULT_ADDRESS = `127.0.0.1:${DEFAULT_PORT}`
const TIMEOUT_MILLISECONDS = 10_000
/** More than a snapshot of 10,000 nodes; anything larger is not ours. */
const MAXIMUM_BYTES = 64 * 1024 * 1024

/** Adds the options that every asking command has. */
export function addAskOptions(program: Command, { cluster = true }: { readonly cluster?: boolean } = {}): Command {
  if (cluster)
    program.option('--kubeconfig <file>', 'show the whole cluster, read from its API server, in the place of a process')
  return program
    .option('--address <addr:port>', 'where the process answers, also as a URL (https://…)', DEFAULT_ADDRESS)
    .option('--token-file <file>', 'a file with the bearer token, where the process asks for one')
    .addOption(new Option('-o, --output <format>', 'how to print it: wide has more columns').choices(OUTPUTS))
    .option('-w, --watch', 'print it again whenever it has changed, until it is stopped')
}

/** The snapshot of the process at `address`. Throws a UserError that says what to do. */
export async function askSnapshot(options: AskOptions): Promise<Snapshot> {
  const { url, answer } = await ask(options, '/api/v1/snapshot')
  if (isSnapshot(answer)) return answer
  throw new UserError(`what answers at ${url.host} is not terway-edge of this version; choose another with --address`)
}

/** What the peer of a BGPPeer was told by the process at `address`. */
export async function askAdvertised(options: AskOptions, bgpPeer: string): Promise<readonly AdvertisedRoute[]> {
  const { url, answer } = await ask(options, `/api/v1/peers/${encodeURIComponent(bgpPeer)}/advertised`)
  if (Array.isArray(answer)) return answer
  throw new UserError(`what answers at ${url.host} is not terway-edge of this version; choose another with --address`)
}

/** The lines that come at `path`, one after the other, until the process there ends. */
export async function* askLines({ address, tokenFile }: AskOptions, path: string): AsyncGenerator<string> {
  const url = urlOf(address, path)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const send = url.protocol === 'https:' ? getHttps : getHttp
  send(url, { headers: headersOf(tokenFile), agent: false }, resolve).on('error', reject)
  const response = await promise.catch((cause: unknown) => {
    throw failure(url, cause)
  })
  if (response.statusCode !== 200) {
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    throw refusal(url, { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') })
  }
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of response) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
}

function headersOf(tokenFile: string | undefined): Record<string, string> {
  const token = tokenFile === undefined ? undefined : readTokenFile(tokenFile, '--token-file')
  return token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }
}

/** The JSON at `path`. */
async function ask({ address, tokenFile }: AskOptions, path: string): Promise<{ url: URL; answer: unknown }> {
  const url = urlOf(address, path)
  const answer = await get(url, headersOf(tokenFile)).catch((cause: unknown) => {
    throw failure(url, cause)
  })
  if (answer.status !== 200) throw refusal(url, answer)
  return { url, answer: parse(answer.text) }
}

function urlOf(address: string, path: string): URL {
  const text = address.includes('://')
    ? address
    : `http://${/:\d+$/.test(address) ? address : `${address}:${DEFAULT_PORT}`}`
  const url = URL.canParse(text) ? new URL(path, text) : undefined
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return url
  throw new UserError(`--address ${address}: write ADDR:PORT or a URL, such as ${DEFAULT_ADDRESS}`, { exitStatus: 2 })
}

interface Answer {
  readonly status: number
  readonly text: string
}

function get(url: URL, headers: Record<string, string>): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const send = url.protocol === 'https:' ? getHttps : getHttp
  const request = send(url, { headers, timeout: TIMEOUT_MILLISECONDS, agent: false }, response => {
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MAXIMUM_BYTES) request.destroy(new Error(`the answer is longer than ${MAXIMUM_BYTES} bytes`))
      else chunks.push(chunk)
    })
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
    )
    response.on('error', reject)
  })
  request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MILLISECONDS / 1000} s`)))
  request.on('error', reject)
  return promise
}

function failure(url: URL, cause: unknown): UserError {
  if (errorCode(cause) === 'ECONNREFUSED') {
    return new UserError(`no terway-edge answers at ${url.host}: is the service running? systemctl status terway-edge`)
  }
  return new UserError(`cannot ask the process at ${url.host}: ${errorText(cause)}`)
}

function refusal(url: URL, { status, text }: Answer): UserError {
  if (status === 401) return new UserError(`${url.host} asks for a token: give it with --token-file FILE`)
  const line = text.split('\n', 1)[0] ?? ''
  return new UserError(`${url.host} answered with HTTP status ${status}: ${line.slice(0, 200)}`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const LISTS = ['problems', 'nodes', 'lans', 'sessions', 'routes', 'events'] as const

/**
 * Enough of a look to tell our answer from any other server's; within it we trust our own process.
 */
function isSnapshot(value: unknown): value is Snapshot {
  if (typeof value !== 'object' || value === null) return false
  const fields = new Map(Object.entries(value))
  return fields.get('api') instanceof Object && LISTS.every(list => Array.isArray(fields.get(list)))
}
