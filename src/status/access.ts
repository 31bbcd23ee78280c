/**
 * Who may ask the status interface what. Pure: the facts of a request in, a refusal or nothing out.
 *
 * Against a page in the operator's own browser that reaches for loopback: the Host header must name
 * us (a name whose DNS answer was changed to 127.0.0.1 does not, "DNS rebinding"), and data is
 * never given to a request that another site started. Against others on the network: a bearer token
 * (RFC 6750) wherever one is configured. What carries no data (the page's own files, liveness)
 * needs none.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { canonicalAddress } from '../lib/ip.ts'
import type { Secret } from '../lib/secret.ts'
import { isLoopback, isWildcard } from './listen.ts'

export interface Access {
  /**
   * Where the server listens. A wildcard admits every address as Host, for rebinding needs a name.
   */
  readonly listenAddress: string
  /** More names by which it may be asked, such as that of a Service. */
  readonly names?: readonly string[] | undefined
  /** Where there is one, every request for data must bear it. */
  readonly token?: Secret | undefined
}

/** What is looked at in a request. */
export interface RequestFacts {
  readonly method: string
  readonly host: string | undefined
  /** `Sec-Fetch-Site`: who started the request, as browsers say it. */
  readonly fetchSite: string | undefined
  readonly authorization: string | undefined
}

export interface Refusal {
  readonly status: 401 | 403 | 405 | 421
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Why a request for anything is refused. */
export function refuse(facts: RequestFacts, access: Access): Refusal | undefined {
  if (facts.method !== 'GET' && facts.method !== 'HEAD') {
    return { status: 405, text: 'This interface is read-only.', headers: { allow: 'GET, HEAD' } }
  }
  if (!isOurHost(facts.host, access)) {
    return {
      status: 421,
      text: `The Host header does not name this server. Ask for it by the address that it listens on (${access.listenAddress}) or by localhost.`,
    }
  }
  return undefined
}

/** Why a request for data is refused; `refuse` comes first. */
export function refuseData(facts: RequestFacts, access: Access): Refusal | undefined {
  if (facts.fetchSite === 'cross-site' || facts.fetchSite === 'same-site') {
    return { status: 403, text: 'Another site started this request; the data here is for this page only.' }
  }
  if (!bearsToken(facts, access)) {
    return {
      status: 401,
      text: 'This needs a token: send the header "Authorization: Bearer TOKEN", with the token of the file that status.tokenFile names.',
      headers: { 'www-authenticate': 'Bearer realm="terway-edge"' },
    }
  }
  return undefined
}

/** Whether the request bears the token, or none is asked for. */
export function bearsToken(facts: Pick<RequestFacts, 'authorization'>, { token }: Access): boolean {
  if (token === undefined) return true
  const match = /^Bearer +(\S+) *$/i.exec(facts.authorization ?? '')
  return match?.[1] !== undefined && sameText(match[1], token.reveal())
}

/**
 * Whether a Host header (`name`, `name:port`, `[v6]:port`) names us. Ports are not compared: a
 * forwarded port has another number.
 */
export function isOurHost(header: string | undefined, access: Access): boolean {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+))(?::\d{1,5})?$/i.exec(header ?? '')
  const host = (match?.[1] ?? match?.[2] ?? '').toLowerCase().replace(/\.$/, '')
  if (host === '') return false
  // RFC 6761 section 6.3: never from DNS
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  const address = canonicalAddress(host)
  if (address === undefined) return access.names?.some(name => name.toLowerCase() === host) ?? false
  return isLoopback(address) || isWildcard(access.listenAddress) || address === access.listenAddress
}

/** Compares without telling by its duration where the texts differ, or how long they are. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
